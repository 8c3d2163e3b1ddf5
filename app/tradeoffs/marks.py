"""How numbers of different origin are drawn, so that a reader can tell them apart without colour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import plotly.graph_objects as go

from app.charts import STAGE_COLORS, CountUnit
from app.text import operations, significant

Origin = Literal["published", "reported", "said", "computed", "measured", "extrapolated"]

VIT: Final = STAGE_COLORS["blocks before"]
TOKENLEARNER: Final = STAGE_COLORS["TokenLearner"]
NEUTRAL: Final = "#85898f"
"""Stand out on light and dark pages; the first two are the colours that the stages have everywhere."""

PLOT_CONFIG: Final[dict[str, Any]] = {"displayModeBar": False, "scrollZoom": False}


@dataclass(frozen=True)
class Mark:
    """How one origin is drawn.

    Attributes:
        symbol: Shape of its points.
        dash: Style of its lines.
        words: What it means.
    """

    symbol: str
    dash: str
    words: str


MARKS: Final[dict[Origin, Mark]] = {
    "published": Mark("circle", "solid", "published: as the paper reports it"),
    "reported": Mark("circle-open", "solid", "as reported: quoted once, not checked against a second quotation"),
    "said": Mark("triangle-up-open", "solid", "said: published in words, without a number"),
    "computed": Mark("square-open", "solid", "computed: counted here in closed form"),
    "measured": Mark("diamond", "dash", "measured: on this project's checkpoint or on this device"),
    "extrapolated": Mark("x-thin-open", "dot", "extrapolated: from other numbers, or with an assumption"),
}


def factor(unit: CountUnit) -> int:
    """Counted units in a multiply-add."""
    return 2 if unit == "FLOPs" else 1


def giga(macs: float, unit: CountUnit) -> float:
    """Multiply-adds in billions of the counted unit."""
    return factor(unit) * macs / 1e9


def counted(macs: int, unit: CountUnit, like: int | None = None) -> str:
    """A count with three significant digits, enough to tell two designs apart: "17.5 GMACs".

    Args:
        macs: Multiply-adds.
        unit: What is counted.
        like: Multiply-adds that it is compared with, which choose between billions and millions for both.
    """
    by = factor(unit)
    _, words = operations(by * macs, unit, None if like is None else by * like)
    scale = 1e9 if words.startswith("G") else 1e6
    return f"{significant(by * macs / scale, 3)} {words}"


def marker(origin: Origin, color: str, size: int = 12) -> dict[str, Any]:
    """Marker of an origin; open and thin shapes get a strong outline."""
    symbol = MARKS[origin].symbol
    width = 2.5 if symbol.endswith("open") else 0
    return {"symbol": symbol, "color": color, "size": size, "line": {"width": width, "color": color}}


def line(origin: Origin, color: str, width: float = 2.5) -> dict[str, Any]:
    """Line of an origin."""
    return {"color": color, "width": width, "dash": MARKS[origin].dash}


def axis(title: str, **changes: Any) -> dict[str, Any]:
    """An axis that can be read from the back of a room, and does not move."""
    usual = {
        "title": {"text": title, "font": {"size": 15}},
        "tickfont": {"size": 14},
        "fixedrange": True,
        "automargin": True,
        "zeroline": False,
    }
    return {**usual, **changes}


def layout(height: int, *, legend_y: float = -0.28, **more: Any) -> dict[str, Any]:
    """What all figures of the page share; axes and the rest come in `more`."""
    usual = {
        "height": height,
        "margin": {"l": 0, "r": 8, "t": 8, "b": 0},
        "legend": {
            "orientation": "h",
            "yanchor": "top",
            "y": legend_y,
            "x": 0,
            "font": {"size": 14},
            "title": {"text": ""},
            "traceorder": "normal",
        },
        "hoverlabel": {"font": {"size": 14}},
        "dragmode": False,
    }
    return {**usual, **more}


def lay_out(figure: go.Figure, *, x: str, y: str, height: int = 340) -> go.Figure:
    """Give a finished figure the look of the page."""
    figure.update_layout(layout(height, showlegend=True))
    figure.update_xaxes(axis(x, showgrid=False))
    figure.update_yaxes(axis(y))
    return figure
