"""The bench's figures: what a design costs by stage, along each choice, and as pictures and clips grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import plotly.graph_objects as go

from app.charts import CountUnit
from app.tradeoffs.curves import Point
from app.tradeoffs.marks import NEUTRAL, TOKENLEARNER, VIT, axis, giga, layout, line

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


def course(courses: Sequence[Course], x: str, unit: CountUnit, budget_macs: float | None) -> go.Figure:
    """Cost along a choice: the design with its place marked, pinned ones beside it, the plain network, the budget.

    Streamlit makes a chart anew whenever its data change, and margins that Plotly has to find, and a legend in every
    figure, take a third of that time: margins are fixed, and `course_legend` stands once for all figures.

    Args:
        courses: The design on the bench first.
        x: What varies.
        unit: What is counted.
        budget_macs: Where to draw the line.
    """
    plain = courses[0].points
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "name": "plain ViT",
            "x": [point.value for point in plain],
            "y": [giga(point.plain_macs, unit) for point in plain],
            "mode": "lines",
            "line": line("computed", VIT),
            "hovertemplate": f"plain ViT: %{{y:.3g}} G{unit}{_HIDE}",
        }
    ]
    for one in courses:
        name = one.label or "this design"
        style = {"color": TOKENLEARNER, "width": 2 if one.label else 3, "dash": _PINNED.get(one.label, "solid")}
        at = next(point for point in one.points if point.value == one.value)
        hover = f"{name}: %{{x}}, %{{y:.3g}} G{unit}{_HIDE}"
        traces.append(
            {
                "type": "scatter",
                "name": name,
                "x": [point.value for point in one.points],
                "y": [giga(point.macs, unit) for point in one.points],
                "mode": "lines",
                "line": style,
                "hovertemplate": hover,
            }
        )
        traces.append(
            {
                "type": "scatter",
                "x": [at.value],
                "y": [giga(at.macs, unit)],
                "mode": "markers+text",
                "text": [one.label],
                "textposition": "top center" if one.label == "A" else "bottom center",
                "textfont": {"size": 14},
                "marker": {"symbol": "square", "size": 10 if one.label else 13, "color": TOKENLEARNER},
                "showlegend": False,
                "hovertemplate": hover,
            }
        )
    top = 1.1 * max(max(trace["y"]) for trace in traces)
    shapes, notes = [], [_note(f"G{unit}", x=0, xref="paper", xanchor="left", y=1, yref="paper", yanchor="bottom")]
    if budget_macs is not None and giga(budget_macs, unit) <= top:
        level = giga(budget_macs, unit)
        shapes.append(_across("y", level, "dash"))
        notes.append(_note("budget", x=1, xref="paper", xanchor="right", y=level, yanchor="bottom"))
    return go.Figure(
        data=traces,
        layout=layout(
            300,
            showlegend=False,
            margin={"l": 48, "r": 8, "t": 28, "b": 48},
            shapes=shapes,
            annotations=notes,
            xaxis=axis(x, showgrid=False, automargin=False),
            yaxis=axis("", range=[0, top], automargin=False),
        ),
    )


def course_legend(labels: Sequence[str]) -> str:
    """The lines of `course` as HTML.

    Args:
        labels: Of the pinned designs.
    """
    lines = [("plain ViT", VIT, "solid"), ("this design", TOKENLEARNER, "solid")]
    lines += [(label, TOKENLEARNER, {"dash": "dashed", "dot": "dotted"}[_PINNED[label]]) for label in labels]
    chips = (
        f'<span><i style="border-top-color:{color};border-top-style:{dash}"></i>{name}</span>'
        for name, color, dash in lines
    )
    return f'<div class="course-legend">{"".join(chips)}</div>'


def growth(points: Sequence[Point], tokens_of: Sequence[int], x: str, here: int | None, unit: CountUnit) -> go.Figure:
    """Above, what attention compares; below, what it costs: as the input grows.

    Args:
        points: The design on larger and larger inputs.
        tokens_of: Tokens behind the module, for each point.
        x: What grows.
        here: The size on the bench; None for a picture where clips grow.
        unit: What is counted.
    """
    xs = [point.value for point in points]
    traces: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "x": xs,
            "y": counts,
            "yaxis": "y2",
            "mode": "lines",
            "line": line("computed", color),
            "showlegend": False,
            "hovertemplate": f"{name}, %{{x}}: %{{y:,}} {words}{_HIDE}",
        }
        for name, color, counts, words in (
            ("plain ViT", VIT, [point.sequence for point in points], "patches"),
            ("this design", TOKENLEARNER, list(tokens_of), "tokens behind TokenLearner"),
        )
    ]
    for name, color, macs, hatched in (
        ("plain ViT, attention alone", VIT, [point.attention_macs for point in points], True),
        ("plain ViT", VIT, [point.plain_macs for point in points], False),
        ("this design", TOKENLEARNER, [point.macs for point in points], False),
    ):
        trace = {
            "type": "scatter",
            "name": name,
            "x": xs,
            "y": [giga(count, unit) for count in macs],
            "mode": "lines",
            "line": {**line("computed", color), "dash": "dot" if hatched else "solid"},
            "hovertemplate": f"{name}, %{{x}}: %{{y:,.3g}} G{unit}{_HIDE}",
        }
        if hatched:
            trace |= {"fill": "tozeroy", "fillpattern": {"shape": "/", "size": 7, "solidity": 0.25}}
        traces.append(trace)
    return go.Figure(
        data=traces,
        layout=layout(
            420,
            legend_y=-0.2,
            shapes=[] if here is None else [_across("x", here, "dot")],
            annotations=[] if here is None else [_note("this design", x=here, y=1, yref="paper", xanchor="left")],
            xaxis=axis(x, showgrid=False),
            yaxis=axis(f"G{unit}", domain=[0, 0.6], rangemode="tozero"),
            yaxis2=axis("sequence", domain=[0.69, 1], rangemode="tozero", nticks=4),
        ),
    )


def _near(budget_macs: float | None, largest: int) -> tuple[int, ...]:
    """The budget, if it is worth drawing beside bars of this length."""
    return () if budget_macs is None or budget_macs > 1.3 * largest else (round(budget_macs),)


def _note(words: str, **place: Any) -> dict[str, Any]:
    """Words beside a line."""
    return {"text": words, "font": {"size": 14}, "showarrow": False, **place}


def _across(which: str, value: float, dash: str) -> dict[str, Any]:
    """A line through the whole figure at a value of one axis."""
    other = "y" if which == "x" else "x"
    return {
        "type": "line",
        f"{which}0": value,
        f"{which}1": value,
        f"{other}ref": "paper",
        f"{other}0": 0,
        f"{other}1": 1,
        "line": {"color": NEUTRAL, "width": 2, "dash": dash},
    }
