"""Four counts of one network side by side, as a Plotly figure."""

from __future__ import annotations

import plotly.graph_objects as go

from app.charts import CountUnit
from app.text import percent
from app.tradeoffs.counters import Counts
from app.tradeoffs.marks import NEUTRAL, VIT, giga, lay_out


def four_counts(found: Counts, unit: CountUnit) -> go.Figure:
    """A bar for each route; what a route misses is hatched."""
    routes = (
        "closed form (this app)",
        "torch, attention spelled out",
        "torch, attention fused",
        "hooks on modules",
    )
    counts = (found.closed_form, found.spelled_out, found.fused, found.modules)
    missed = [found.closed_form - count for count in counts]
    names = [
        f"{route}<br><b>{giga(count, unit):.3f} G{unit}</b>"
        + (f", {percent(short / found.closed_form)} missed" if short else "")
        for route, count, short in zip(routes, counts, missed, strict=True)
    ]
    figure = go.Figure()
    figure.add_bar(
        name="counted",
        y=names,
        x=[giga(count, unit) for count in counts],
        orientation="h",
        marker={"color": VIT, "line": {"width": 0}},
        hovertemplate=f"%{{y}}: %{{x:.4g}} G{unit}<extra></extra>",
    )
    figure.add_bar(
        name="missed",
        y=names,
        x=[giga(count, unit) for count in missed],
        orientation="h",
        marker={
            "color": "rgba(0,0,0,0)",
            "line": {"width": 2, "color": NEUTRAL},
            "pattern": {"shape": "/", "fgcolor": NEUTRAL, "size": 9, "solidity": 0.15},
        },
        hovertemplate=f"%{{y}}: %{{x:.4g}} G{unit} missed<extra></extra>",
    )
    lay_out(figure, x=f"G{unit} per image", y="", height=340)
    figure.update_layout(barmode="stack", bargap=0.35, legend_y=-0.3)
    figure.update_xaxes(range=[0, 1.02 * giga(found.closed_form, unit)], nticks=5)
    figure.update_yaxes(autorange="reversed")
    return figure
