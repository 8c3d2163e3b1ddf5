"""Data to Plotly figures: pure functions, no Streamlit."""

from __future__ import annotations

from typing import Final, Literal

import plotly.graph_objects as go

from app.text import operations
from tokenlearner.flops import Compute, Stage

CountUnit = Literal["MACs", "FLOPs"]

STAGE_COLORS: Final[dict[Stage, str]] = {
    # Blues in the order of the network, oranges for the modules; all of them stand out on light and dark pages.
    "patch embedding": "#9db4cc",
    "blocks before": "#6b8fb5",
    "TokenLearner": "#d9622b",
    "TokenFuser": "#f0a36c",
    "blocks after": "#3d6ca1",
    "head": "#85898f",
}
_PER_MAC: Final[dict[CountUnit, int]] = {"MACs": 1, "FLOPs": 2}


def compute_bars(here: Compute, plain: Compute, unit: CountUnit, *, per: str) -> go.Figure:
    """Two stacked bars: what a setting computes by stage, above what the plain network computes.

    Args:
        here: Cost of the setting.
        plain: Cost of the network without TokenLearner.
        unit: What is counted; one MAC is two FLOPs.
        per: What the counts are for, e.g. "frame".
    """
    figure = go.Figure()
    rows = ("this setting", "plain ViT")
    factor = _PER_MAC[unit]
    largest = factor * max(here.total_macs, plain.total_macs)

    def words(macs: int) -> str:
        return " ".join(operations(factor * macs, unit, largest))

    for stage, color in STAGE_COLORS.items():
        macs = [compute.stages[stage] for compute in (here, plain)]
        if not any(macs):
            continue
        figure.add_bar(
            name=stage,
            y=rows,
            x=[factor * count / 1e9 for count in macs],
            customdata=[words(count) for count in macs],
            hovertemplate=f"{stage}, %{{y}}: %{{customdata}} per {per}<extra></extra>",
            orientation="h",
            marker_color=color,
            marker_line_width=0,
        )
    for row, compute in zip(rows, (here, plain), strict=True):
        figure.add_annotation(
            x=factor * compute.total_macs / 1e9,
            y=row,
            text=f" {words(compute.total_macs)}",
            showarrow=False,
            xanchor="left",
            yanchor="middle",
        )
    figure.update_layout(
        barmode="stack",
        bargap=0.3,
        height=76,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        showlegend=False,
        xaxis={"range": [0, 1.45 * largest / 1e9], "visible": False, "fixedrange": True},
        yaxis={"autorange": "reversed", "fixedrange": True, "title_text": ""},
    )
    return figure


def stage_legend(here: Compute, plain: Compute) -> str:
    """The colours of the stages that have a bar, as HTML that wraps."""
    chips = (
        f'<span style="white-space:nowrap"><i style="display:inline-block;width:0.7em;height:0.7em;border-radius:2px;'
        f'background:{color};margin-right:0.4em"></i>{stage}</span>'
        for stage, color in STAGE_COLORS.items()
        if here.stages[stage] or plain.stages[stage]
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:0.1rem 0.9rem;font-size:0.8rem">{"".join(chips)}</div>'
