"""Data to figures: pure functions, no Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from app.text import operations
from tokenlearner.flops import Compute, Stage

CountUnit = Literal["MACs", "FLOPs"]

STAGE_COLORS: Final[dict[Stage, str]] = {
    # Blue for what sees every patch, orange for the modules, green for what sees tokens; all of them stand out on light
    # and dark pages.
    "patch embedding": "#a3bfdc",
    "blocks before": "#4f88c6",
    "TokenLearner": "#d9622b",
    "TokenFuser": "#f0a36c",
    "blocks after": "#1f9a78",
    "head": "#85898f",
}
_PER_MAC: Final[dict[CountUnit, int]] = {"MACs": 1, "FLOPs": 2}
_FAR: Final = 1.3
"""A budget beyond the longest bar by more than this factor is not drawn: it would make all bars short."""


def compute_bars(here: Compute, plain: Compute, unit: CountUnit, *, per: str, longest_macs: int = 0) -> str:
    """Two stacked bars as HTML: what a setting computes by stage, above what the plain network computes.

    HTML, because a chart library is megabytes that a browser reads before it shows anything of the page.

    Args:
        here: Cost of the setting.
        plain: Cost of the network without TokenLearner.
        unit: What is counted; one MAC is two FLOPs.
        per: What the counts are for, e.g. "frame".
        longest_macs: Of the longest bar that these are compared with, elsewhere on the page.
    """
    return cost_bars([("this setting", here), ("plain ViT", plain)], unit, per=per, longest_macs=longest_macs)


def cost_bars(
    rows: Sequence[tuple[str, Compute]],
    unit: CountUnit,
    *,
    per: str,
    budget_macs: float | None = None,
    longest_macs: int = 0,
) -> str:
    """Stacked bars as HTML, one for each named cost, at one scale; a budget is a line across them.

    Args:
        rows: Names, of this project's own making, and costs.
        unit: What is counted; one MAC is two FLOPs.
        per: What the counts are for, e.g. "frame".
        budget_macs: Multiply-adds that may be spent; not drawn where it lies far beyond the longest bar.
        longest_macs: See `compute_bars`.
    """
    factor = _PER_MAC[unit]
    largest = max(longest_macs, *(compute.total_macs for _, compute in rows))
    near = budget_macs is not None and budget_macs <= _FAR * largest
    scale = max(largest, budget_macs or 0) if near else largest

    def words(macs: float) -> str:
        return " ".join(operations(round(factor * macs), unit, factor * largest))

    line = ""
    if near and budget_macs is not None:
        line = f'<s style="left:{100 * budget_macs / scale:.4f}%" title="budget: {words(budget_macs)} per {per}"></s>'

    def row(name: str, compute: Compute) -> str:
        parts = "".join(
            f'<i style="width:{100 * compute.stages[stage] / scale:.4f}%;background:{color}" '
            f'title="{stage}, {name}: {words(compute.stages[stage])} per {per}"></i>'
            for stage, color in STAGE_COLORS.items()
            if compute.stages[stage]
        )
        total = words(compute.total_macs)
        return f'<span>{name}</span><div>{parts}{line}</div><b title="All of it per {per}, {name}">{total}</b>'

    told = ", ".join(f"{name} {words(compute.total_macs)}" for name, compute in rows)
    bars = "".join(row(name, compute) for name, compute in rows)
    return f'<div class="compute-bars" role="img" aria-label="Per {per}: {told}">{bars}</div>'


def stage_legend(here: Compute, plain: Compute) -> str:
    """The colours of the stages that have a bar, as HTML that wraps."""
    chips = (
        f'<span><i style="background:{color}"></i>{stage}</span>'
        for stage, color in STAGE_COLORS.items()
        if here.stages[stage] or plain.stages[stage]
    )
    return f'<div class="stage-legend">{"".join(chips)}</div>'
