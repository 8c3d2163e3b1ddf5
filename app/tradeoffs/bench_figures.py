"""The bench's figures: what a design costs by stage, along each choice, and as pictures and clips grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from app.charts import STAGE_COLORS, CountUnit
from app.text import operations
from app.tradeoffs.curves import Point
from app.tradeoffs.marks import NEUTRAL, TOKENLEARNER, VIT, factor, giga, lay_out, line
from tokenlearner.flops import Compute

_HIDE: Final = "<extra></extra>"
_PINNED: Final = {"A": "dash", "B": "dot"}


@dataclass(frozen=True)
class Course:
    """One design along a choice.

    Attributes:
        label: "" for the design on the bench, "A" or "B" for a pinned one.
        points: Its cost along the choice.
        value: Where it stands itself.
    """

    label: str
    points: Sequence[Point]
    value: int


def stage_bars(rows: Sequence[tuple[str, Compute]], unit: CountUnit, budget_macs: float | None, per: str) -> go.Figure:
    """Stacked bars, one for each named cost, and the budget as a line across them."""
    figure = go.Figure()
    names = [name for name, _ in rows]
    largest = max(compute.total_macs for _, compute in rows)
    for stage, color in STAGE_COLORS.items():
        macs = [compute.stages[stage] for _, compute in rows]
        if not any(macs):
            continue
        figure.add_bar(
            name=stage,
            y=names,
            x=[giga(count, unit) for count in macs],
            customdata=[
                f"{' '.join(operations(factor(unit) * count, unit))}, {count / compute.total_macs:.1%}"
                for count, (_, compute) in zip(macs, rows, strict=True)
            ],
            hovertemplate=f"%{{y}}, {stage}: %{{customdata}}{_HIDE}",
            orientation="h",
            marker={"color": color, "line": {"width": 0}},
        )
    for name, compute in rows:
        figure.add_annotation(
            x=giga(compute.total_macs, unit),
            y=name,
            text="\u2002" + " ".join(operations(factor(unit) * compute.total_macs, unit, factor(unit) * largest)),
            showarrow=False,
            xanchor="left",
            font_size=15,
        )
    lay_out(figure, x=f"G{unit} per {per}", y="", height=124 + 40 * len(rows))
    figure.update_layout(barmode="stack", bargap=0.3, legend={"traceorder": "normal", "y": -0.36})
    figure.update_xaxes(range=[0, 1.28 * max(giga(largest, unit), 0)])
    figure.update_yaxes(autorange="reversed")
    if budget_macs is not None and budget_macs < 1.2 * largest:
        figure.add_vline(x=giga(budget_macs, unit), line={"color": NEUTRAL, "width": 2, "dash": "dash"})
    return figure


def course(courses: Sequence[Course], x: str, unit: CountUnit, budget_macs: float | None) -> go.Figure:
    """Cost along a choice: the design with its place marked, pinned ones beside it, the plain network, the budget.

    Args:
        courses: The design on the bench first.
        x: What varies.
        unit: What is counted.
        budget_macs: Where to draw the line.
    """
    figure = go.Figure()
    first = courses[0]
    figure.add_scatter(
        name="plain ViT",
        x=[point.value for point in first.points],
        y=[giga(point.plain_macs, unit) for point in first.points],
        mode="lines",
        line=line("computed", VIT),
        hovertemplate=f"plain ViT: %{{y:.3g}} G{unit}{_HIDE}",
    )
    for one in reversed(courses):
        width = 3.0 if not one.label else 2.0
        name = one.label or "this design"
        figure.add_scatter(
            name=name,
            x=[point.value for point in one.points],
            y=[giga(point.macs, unit) for point in one.points],
            mode="lines",
            line={"color": TOKENLEARNER, "width": width, "dash": _PINNED.get(one.label, "solid")},
            hovertemplate=f"{name}: %{{x}}, %{{y:.3g}} G{unit}{_HIDE}",
        )
        at = next(point for point in one.points if point.value == one.value)
        figure.add_scatter(
            x=[at.value],
            y=[giga(at.macs, unit)],
            mode="markers+text",
            text=[one.label],
            textposition="top center",
            textfont_size=14,
            marker={"symbol": "square", "size": 13 if not one.label else 10, "color": TOKENLEARNER},
            showlegend=False,
            hovertemplate=f"{name}: %{{x}}, %{{y:.3g}} G{unit}{_HIDE}",
        )
    top = max([giga(p.macs, unit) for c in courses for p in c.points] + [giga(first.points[-1].plain_macs, unit)])
    _budget(figure, unit, budget_macs, top)
    lay_out(figure, x=x, y=f"G{unit}", height=320)
    figure.update_yaxes(range=[0, 1.1 * top])
    return figure


def growth(points: Sequence[Point], tokens_of: Sequence[int], x: str, here: int, unit: CountUnit) -> go.Figure:
    """Above, what attention compares; below, what it costs: as the input grows.

    Args:
        points: The design on larger and larger inputs.
        tokens_of: Tokens behind the module, for each point.
        x: What grows.
        here: The size on the bench.
        unit: What is counted.
    """
    figure = make_subplots(rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.34, 0.66])
    xs = [point.value for point in points]
    for name, color, counts, words in (
        ("plain ViT", VIT, [point.sequence for point in points], "patches"),
        ("this design", TOKENLEARNER, tokens_of, "tokens behind TokenLearner"),
    ):
        figure.add_scatter(
            x=xs,
            y=counts,
            mode="lines",
            line=line("computed", color),
            showlegend=False,
            hovertemplate=f"{name}, %{{x}}: %{{y:,}} {words}{_HIDE}",
            row=1,
            col=1,
        )
    for name, color, macs, fill in (
        ("plain ViT, attention alone", VIT, [point.attention_macs for point in points], "tozeroy"),
        ("plain ViT", VIT, [point.plain_macs for point in points], None),
        ("this design", TOKENLEARNER, [point.macs for point in points], None),
    ):
        figure.add_scatter(
            name=name,
            x=xs,
            y=[giga(count, unit) for count in macs],
            mode="lines",
            fill=fill,
            fillpattern={"shape": "/", "size": 7, "solidity": 0.25} if fill else None,
            line={**line("computed", color), "dash": "dot" if fill else "solid"},
            hovertemplate=f"{name}, %{{x}}: %{{y:,.3g}} G{unit}{_HIDE}",
            row=2,
            col=1,
        )
    for row in (1, 2):
        figure.add_vline(x=here, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"}, row=row, col=1)
    lay_out(figure, x="", y=f"G{unit}", height=420)
    figure.update_xaxes(title_text=x, row=2, col=1)
    figure.update_yaxes(title_text="sequence", row=1, col=1, nticks=4)
    figure.update_yaxes(rangemode="tozero")
    figure.update_layout(legend_y=-0.2)
    return figure


def _budget(figure: go.Figure, unit: CountUnit, budget_macs: float | None, top: float) -> None:
    if budget_macs is None or giga(budget_macs, unit) > 1.1 * top:
        return
    figure.add_hline(
        y=giga(budget_macs, unit),
        line={"color": NEUTRAL, "width": 2, "dash": "dash"},
        annotation={"text": "budget", "font_size": 14, "xanchor": "right"},
        annotation_position="top right",
    )
