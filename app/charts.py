"""Data to Plotly figures: pure functions, no Streamlit."""

from __future__ import annotations

from typing import Final, Literal

import plotly.graph_objects as go

from app.text import giga
from tokenlearner.flops import Compute, Stage

CountUnit = Literal["MACs", "FLOPs"]

STAGE_COLORS: Final[dict[Stage, str]] = {
    # One hue from light to dark in the order of the network, and the modules in a second one: a token's colours
    # mean a token, so none of them is used here.
    "patch embedding": "#b9c7d6",
    "blocks before": "#7f97b2",
    "TokenLearner": "#c2410c",
    "TokenFuser": "#f08a4b",
    "blocks after": "#47627f",
    "head": "#22364d",
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
    for stage, color in STAGE_COLORS.items():
        counts = [factor * compute.stages[stage] for compute in (here, plain)]
        if not any(counts):
            continue
        figure.add_bar(
            name=stage,
            y=rows,
            x=[count / 1e9 for count in counts],
            customdata=[giga(count) for count in counts],
            hovertemplate=f"{stage}, %{{y}}: %{{customdata}}{unit} per {per}<extra></extra>",
            orientation="h",
            marker_color=color,
            marker_line_width=0,
        )
    for row, compute in zip(rows, (here, plain), strict=True):
        total = factor * compute.total_macs
        figure.add_annotation(
            x=total / 1e9, y=row, text=f" {giga(total)}{unit}", showarrow=False, xanchor="left", yanchor="middle"
        )
    widest = factor * max(here.total_macs, plain.total_macs) / 1e9
    figure.update_layout(
        barmode="stack",
        bargap=0.3,
        height=128,
        margin={"l": 0, "r": 0, "t": 0, "b": 0},
        legend={
            "orientation": "h",
            "y": -0.02,
            "yanchor": "top",
            "x": 0,
            "xref": "container",
            "traceorder": "normal",
            "title_text": "",
            "font_size": 11,
            "entrywidth": 0,
        },
        xaxis={"range": [0, 1.35 * widest], "visible": False, "fixedrange": True},
        yaxis={"autorange": "reversed", "fixedrange": True, "title_text": ""},
    )
    return figure
