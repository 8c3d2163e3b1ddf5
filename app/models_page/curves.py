"""Training curves as a Plotly figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from app.models_page.facts import Curve
from app.tradeoffs.marks import axis, layout

KINDS: Final = {
    "loss": ("Loss", "What training makes small: the parts, as they go into the sum."),
    "top1": ("Accuracy", "Top-1 on pictures kept back, after some epochs. “4/8”: module after 4 blocks, 8 tokens."),
    "unexplained": ("Unlike the teacher", "Share of the teacher's features that is not explained, by place/tokens."),
    "entropy": ("Entropy", "How spread the maps are, by place; 1 is uniform."),
    "overlap": ("Overlap", "Cosine between maps of different tokens, by place; 1 means all the same."),
    "adaptivity": ("Adaptivity", "How much the maps depend on the picture, by place; 0 is a fixed mask."),
}
_DASHES: Final = ("solid", "dash", "dot", "dashdot", "longdash")


def figure(curves: Sequence[Curve], kind: str) -> go.Figure:
    """One line a curve; dashes tell apart what colours repeat."""
    drawn = go.Figure()
    for number, curve in enumerate(curves):
        drawn.add_scatter(
            x=curve.epochs,
            y=curve.values,
            name="plain" if curve.name == "none" else curve.name,
            mode="lines+markers" if len(curve.epochs) < 40 else "lines",
            line={"width": 2, "dash": _DASHES[number // 8 % len(_DASHES)]},
            marker={"size": 5},
            hovertemplate="epoch %{x}: %{y:.3g}<extra>%{fullData.name}</extra>",
        )
    ticks = {"tickformat": ".0%"} if kind == "top1" else {}
    drawn.update_layout(layout(340, showlegend=True, xaxis=axis("epoch", showgrid=False)))
    drawn.update_yaxes(axis(KINDS[kind][0], rangemode="tozero", **ticks))
    return drawn
