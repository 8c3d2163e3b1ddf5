"""Data to figures: pure functions, no Streamlit."""

from __future__ import annotations

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


def compute_bars(here: Compute, plain: Compute, unit: CountUnit, *, per: str) -> str:
    """Two stacked bars as HTML: what a setting computes by stage, above what the plain network computes.

    HTML, because a chart library is megabytes that a browser reads before it shows anything of the page.

    Args:
        here: Cost of the setting.
        plain: Cost of the network without TokenLearner.
        unit: What is counted; one MAC is two FLOPs.
        per: What the counts are for, e.g. "frame".
    """
    factor = _PER_MAC[unit]
    largest = max(here.total_macs, plain.total_macs)

    def words(macs: int) -> str:
        return " ".join(operations(factor * macs, unit, factor * largest))

    def row(name: str, compute: Compute) -> str:
        parts = "".join(
            f'<i style="width:{100 * compute.stages[stage] / largest:.4f}%;background:{color}" '
            f'title="{stage}, {name}: {words(compute.stages[stage])} per {per}"></i>'
            for stage, color in STAGE_COLORS.items()
            if compute.stages[stage]
        )
        return f"<span>{name}</span><div>{parts}</div><b>{words(compute.total_macs)}</b>"

    label = f"{words(here.total_macs)} per {per} with this setting, {words(plain.total_macs)} as a plain ViT"
    rows = row("this setting", here) + row("plain ViT", plain)
    return f'<div class="compute-bars" role="img" aria-label="{label}">{rows}</div>'


def stage_legend(here: Compute, plain: Compute) -> str:
    """The colours of the stages that have a bar, as HTML that wraps."""
    chips = (
        f'<span><i style="background:{color}"></i>{stage}</span>'
        for stage, color in STAGE_COLORS.items()
        if here.stages[stage] or plain.stages[stage]
    )
    return f'<div class="stage-legend">{"".join(chips)}</div>'
