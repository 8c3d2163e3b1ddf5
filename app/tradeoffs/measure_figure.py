"""Measured speed-up against what multiply-adds promise, as a Plotly figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from app.tradeoffs.design import Design
from app.tradeoffs.marks import NEUTRAL, TOKENLEARNER, axis, layout, marker
from app.tradeoffs.timing import Comparison, PaceFit

_TICKS = (0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32)


def speed_ups(measured: Sequence[Comparison], design: Design, fit: PaceFit | None) -> go.Figure:
    """Log axes; on the diagonal, time follows the count exactly.

    Args:
        measured: What was measured.
        design: What is on the bench; drawn as extrapolated if it was not measured.
        fit: The pace of this device.
    """
    xs, ys = [one.mac_ratio for one in measured], [one.speed_up for one in measured]
    words = "%{y:.2f} × as fast, %{x:.2f} × fewer multiply-adds<extra></extra>"
    points: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "name": "measured",
            "x": list(xs),
            "y": list(ys),
            "text": [one.design.name() for one in measured],
            "mode": "markers",
            "marker": marker("measured", TOKENLEARNER, 14),
            "hovertemplate": f"measured: %{{text}}<br>{words}",
        }
    ]
    if fit is not None and all(one.design != design for one in measured):
        here, plain = design.compute.total_macs, design.baseline.total_macs
        xs.append(plain / here)
        ys.append(fit.expected_ms(plain) / fit.expected_ms(here))
        points.append(
            {
                "type": "scatter",
                "name": "this design, extrapolated",
                "x": xs[-1:],
                "y": ys[-1:],
                "mode": "markers",
                "marker": marker("extrapolated", TOKENLEARNER, 14),
                "hovertemplate": f"extrapolated: {words}",
            }
        )
    low, high = 0.85 * min(1.0, *xs, *ys), 1.25 * max(1.5, *xs, *ys)
    diagonal = {
        "type": "scatter",
        "name": "time follows the multiply-adds",
        "x": [low, high],
        "y": [low, high],
        "mode": "lines",
        "line": {"color": NEUTRAL, "width": 2},
        "hoverinfo": "skip",
    }
    window = {
        "type": "log",
        "range": [math.log10(low), math.log10(high)],
        "tickvals": [tick for tick in _TICKS if low <= tick <= high],
    }
    return go.Figure(
        data=[diagonal, *points],
        layout=layout(
            380,
            xaxis=axis("multiply-adds of plain ViT / of the design", showgrid=False, **window),
            yaxis=axis("measured speed-up", **window),
        ),
    )
