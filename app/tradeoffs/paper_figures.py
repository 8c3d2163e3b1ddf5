"""The paper's figures as Plotly figures: pure functions, no Streamlit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import plotly.graph_objects as go

from app.charts import CountUnit
from app.text import count, operations
from app.tradeoffs.curves import Point
from app.tradeoffs.marks import MARKS, NEUTRAL, TOKENLEARNER, VIT, counted, factor, giga, lay_out, line, marker
from app.tradeoffs.own import Own, OwnPoint
from app.tradeoffs.pareto import pareto_front
from app.tradeoffs.published import Published, Row, plain_twin, relative_location

_SHADES: Final = ("#a2441b", "#bd5524", "#d9622b", "#e88a58", "#f2ae86")
"""One hue from dark to light: few tokens to many."""
_WHERE: Final = "share of the blocks before TokenLearner"
_SOMEWHERE: Final = 4.0
"""Points above the plain network up to which a gain without a number is drawn."""
_HIDE: Final = "<extra></extra>"


def placement_accuracy(own: Own | None, said: Published) -> go.Figure:
    """Accuracy against relative location, as the difference to the same network without TokenLearner."""
    figure = go.Figure()
    figure.add_hline(y=0, line_color=NEUTRAL, line_width=1.5)
    if own is not None:
        if own.standard_error is not None:
            band = 100 * own.standard_error
            figure.add_hrect(y0=-band, y1=band, fillcolor=NEUTRAL, opacity=0.16, line_width=0)
        for shade, k in zip(_shades(len(own.token_counts)), own.token_counts, strict=True):
            rows = own.with_tokens(k)
            figure.add_scatter(
                name=f"measured, {k} token{'' if k == 1 else 's'}",
                x=[(row.loc or 0) / own.depth for row in rows],
                y=[100 * (row.top1 - own.plain.top1) for row in rows],
                customdata=[[100 * row.top1, row.loc] for row in rows],
                mode="lines+markers",
                line=line("measured", shade),
                marker=marker("measured", shade),
                hovertemplate=f"measured: {k} tokens before block %{{customdata[1]}}, %{{customdata[0]:.1f}} %, "
                f"%{{y:+.1f}} points{_HIDE}",
            )
    pairs = [(row, twin) for row in said.images if (twin := plain_twin(row, said.images)) is not None]
    figure.add_scatter(
        name="published",
        x=[relative_location(row) for row, _ in pairs],
        y=[(row.number("top1") or 0) - (twin.number("top1") or 0) for row, twin in pairs],
        customdata=[[row.name, row.number("top1"), twin.number("top1")] for row, twin in pairs],
        mode="markers",
        marker=marker("published", VIT, 14),
        hovertemplate=f"published: %{{customdata[0]}} %{{customdata[1]}} %, plain %{{customdata[2]}} %{_HIDE}",
    )
    figure.add_scatter(
        name="said, without a number",
        x=[0.25],
        y=[0.0],
        mode="markers",
        marker=marker("said", VIT, 15),
        hovertemplate=f"said in the article: almost identical accuracy{_HIDE}",
    )
    figure.add_scatter(
        x=[0.75, 0.75],
        y=[0.0, _SOMEWHERE],
        mode="lines+markers",
        line={**line("said", VIT), "dash": "dot"},
        marker={**marker("said", VIT, 15), "opacity": [0, 1]},
        showlegend=False,
        hovertemplate=f"said in the article: better accuracy, somewhere above the plain network{_HIDE}",
    )
    _point_out(figure, 0.25, 0.0, "said: “almost identical”", (-14, -52))
    _point_out(figure, 0.75, _SOMEWHERE, "said: “better”", (32, -24))
    for row, twin in pairs:
        gain = (row.number("top1") or 0) - (twin.number("top1") or 0)
        words = f"{row.values['arch']}, {row.values['num_tokens']} tokens"
        _point_out(figure, relative_location(row) or 0, gain, words, (8, -58) if gain > 0 else (-62, 34))
    lay_out(figure, x=_WHERE, y="accuracy against plain, points", height=430)
    figure.update_xaxes(range=[-0.03, 1], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    return figure


def placement_cost(
    own: Own | None, num_tokens: int, curve: Sequence[Point], depth: int, name: str, said: Published, unit: CountUnit
) -> go.Figure:
    """Cost against relative location, as a share of the same network without TokenLearner.

    Args:
        own: Our checkpoint.
        num_tokens: Its tokens.
        curve: A design of the paper at every location.
        depth: Its blocks.
        name: Its name.
        said: The published rows.
        unit: What is counted.
    """
    figure = go.Figure()
    figure.add_scatter(
        name=f"computed, {name}",
        x=[point.value / depth for point in curve],
        y=[point.macs / point.plain_macs for point in curve],
        mode="lines+markers",
        line=line("computed", VIT),
        customdata=[[point.value, counted(point.macs, unit)] for point in curve],
        marker=marker("computed", VIT, 9),
        hovertemplate=f"computed: {name} after %{{customdata[0]}} of {depth} blocks<br>%{{customdata[1]}}, %{{y:.1%}} "
        f"of the plain ViT{_HIDE}",
    )
    if own is not None:
        rows = own.with_tokens(num_tokens)
        tokens = count(num_tokens, "token")
        figure.add_scatter(
            name=f"computed, our checkpoint with {tokens}",
            x=[(row.loc or 0) / own.depth for row in rows],
            y=[row.macs / own.plain.macs for row in rows],
            mode="lines+markers",
            line=line("computed", TOKENLEARNER),
            customdata=[[row.loc, counted(row.macs, unit, own.plain.macs)] for row in rows],
            marker=marker("computed", TOKENLEARNER, 11),
            hovertemplate=f"computed: our checkpoint, {tokens} after %{{customdata[0]}} of {own.depth} blocks<br>"
            f"%{{customdata[1]}}, %{{y:.1%}} of its plain network{_HIDE}",
        )
    pairs = [(row, twin) for row in said.images if (twin := plain_twin(row, said.images)) is not None]
    figure.add_scatter(
        name="published",
        x=[relative_location(row) for row, _ in pairs],
        y=[(row.number("gflops") or 0) / (twin.number("gflops") or 1) for row, twin in pairs],
        customdata=[[row.name, factor(unit) * (row.number("gflops") or 0)] for row, _ in pairs],
        mode="markers",
        marker=marker("published", VIT, 14),
        hovertemplate=f"published: %{{customdata[0]}}<br>%{{customdata[1]:.4g}} G{unit}, %{{y:.1%}} of the plain ViT"
        f"{_HIDE}",
    )
    figure.add_scatter(
        name="said, without a number",
        x=[0.25],
        y=[1 / 3],
        mode="markers",
        marker={**marker("said", VIT, 15), "symbol": "triangle-down-open"},
        hovertemplate=f"said in the article: less than a third of the computation at a quarter{_HIDE}",
    )
    _point_out(figure, 0.25, 1 / 3, "said: “less than a third”", (86, 52))
    lay_out(figure, x=_WHERE, y="cost, share of plain", height=430)
    figure.update_xaxes(range=[-0.03, 1], tickformat=".0%", tickvals=[0, 0.25, 0.5, 0.75, 1])
    figure.update_yaxes(range=[0, 1.05], tickformat=".0%")
    return figure


def published_families(said: Published, unit: CountUnit) -> go.Figure:
    """Published accuracy against published compute on a log axis, by family, with the Pareto front."""
    figure = go.Figure()
    rows = [row for row in said.images if row.number("gflops") and row.number("top1")]
    at = [(factor(unit) * (row.number("gflops") or 0), row.number("top1") or 0) for row in rows]
    _add_front(figure, at)
    for family, color, has_module in (("ViT", VIT, False), ("TokenLearner", TOKENLEARNER, True)):
        chosen = [(row, point) for row, point in zip(rows, at, strict=True) if row.has_module is has_module]
        figure.add_scatter(
            name=f"{family}, published",
            x=[point[0] for _, point in chosen],
            y=[point[1] for _, point in chosen],
            text=[_short(row) for row, _ in chosen],
            customdata=[[row.name, _counted(row, unit)] for row, _ in chosen],
            mode="markers+text",
            textposition=[_side(row) for row, _ in chosen],
            textfont_size=13,
            marker=marker("published", color, 14),
            hovertemplate=f"published: %{{customdata[0]}}<br>%{{y}} % at %{{x}} G{unit}<br>counted here: "
            f"%{{customdata[1]}}{_HIDE}",
        )
    lay_out(figure, x=f"G{unit} per image, log axis", y="ImageNet top-1, %", height=400)
    ticks = [factor(unit) * value for value in (25, 50, 100, 200, 400)]
    figure.update_xaxes(type="log", range=[_log(ticks[0] * 0.7), _log(ticks[-1] * 1.35)], tickvals=ticks)
    figure.update_yaxes(range=[83.1, 88.2])
    return figure


def own_family(own: Own, unit: CountUnit) -> go.Figure:
    """Measured accuracy of our checkpoint against its compute on a log axis, with the Pareto front."""
    figure = go.Figure()
    modules = [point for point in own.points if point.loc is not None]
    everything = [own.plain, *modules]
    _add_front(figure, [(giga(point.macs, unit), 100 * point.top1) for point in everything])
    for family, color, points in (("plain network", VIT, [own.plain]), ("TokenLearner", TOKENLEARNER, modules)):
        figure.add_scatter(
            name=f"{family}, measured",
            x=[giga(point.macs, unit) for point in points],
            y=[100 * point.top1 for point in points],
            customdata=[_setting(point, own.depth) for point in points],
            mode="markers",
            marker=marker("measured", color, 12),
            hovertemplate=f"measured: %{{customdata}}<br>%{{y:.1f}} % at %{{x:.3g}} G{unit}{_HIDE}",
        )
    lay_out(figure, x=f"G{unit} per image, log axis", y=f"{_data_name(own)} top-1, %", height=400)
    lowest, highest = min(p.macs for p in everything), max(p.macs for p in everything)
    ticks = [f for f in _nice_ticks() if 0.7 * giga(lowest, unit) <= f <= 1.3 * giga(highest, unit)]
    figure.update_xaxes(
        type="log",
        tickvals=ticks,
        range=[_log(giga(lowest, unit) * 0.93), _log(giga(highest, unit) * 1.07)],
    )
    return figure


def large_bars(rows: Sequence[Row], what: str, unit: CountUnit) -> go.Figure:
    """Parameters or compute of the large models: bars counted here, published figures as points on them.

    Args:
        rows: The models.
        what: "params" or "compute".
        unit: What is counted.
    """
    figure = go.Figure()
    counts = [row.compute for row in rows]
    values = [0.0 if c is None else (c.params / 1e6 if what == "params" else giga(c.total_macs, unit)) for c in counts]
    names = [_large_name(row) for row in rows]
    figure.add_bar(
        name="computed" if what == "params" else "computed, input size assumed",
        x=values,
        y=names,
        orientation="h",
        marker={
            "color": "rgba(0,0,0,0)",
            "line": {"width": 2.5, "color": [TOKENLEARNER if r.has_module else VIT for r in rows]},
            "pattern": {"shape": "" if what == "params" else "/", "fgcolor": NEUTRAL, "size": 9, "solidity": 0.1},
        },
        text=[f"\u2002\u2002{value:,.0f}".replace(",", "\u202f") for value in values],
        textposition="outside",
        textfont_size=14,
        cliponaxis=False,
        hovertemplate=f"computed: %{{y}}, %{{x:,.0f}}{_HIDE}",
    )
    if what == "params":
        figure.add_scatter(
            name="published",
            x=[row.number("params_m") for row in rows],
            y=names,
            mode="markers",
            marker=marker("published", NEUTRAL, 11),
            hovertemplate=f"published: %{{y}}, %{{x}} M{_HIDE}",
        )
    title = "million parameters" if what == "params" else f"G{unit} per image"
    lay_out(figure, x=title, y="", height=230)
    figure.update_xaxes(range=[0, 1.28 * max(values)], nticks=4)
    figure.update_yaxes(range=[2.6, -0.6])
    figure.update_layout(bargap=0.35, legend_y=-0.42)
    return figure


def large_accuracy(rows: Sequence[Row]) -> go.Figure:
    """Accuracy of the large models, on ImageNet and with reassessed labels, as published or as reported."""
    figure = go.Figure()
    for row in rows:
        mark = marker(row.origin, TOKENLEARNER if row.has_module else VIT, 13)
        for key, words, place in (("top1", "ImageNet", "top center"), ("real", "ReaL", "bottom center")):
            figure.add_scatter(
                x=[row.number(key)],
                y=[_large_name(row)],
                text=[f"{words} {row.number(key)}"],
                mode="markers+text",
                textposition=place,
                textfont_size=13,
                marker=mark,
                hovertemplate=f"{MARKS[row.origin].words.split(':')[0]}: %{{y}}, %{{text}} %{_HIDE}",
            )
    lay_out(figure, x="top-1, %", y="", height=230)
    figure.update_xaxes(range=[87.9, 91.7], showgrid=True)
    figure.update_yaxes(range=[2.8, -0.8])
    figure.update_layout(showlegend=False)
    return figure


def _add_front(figure: go.Figure, points: list[tuple[float, float]]) -> None:
    front = [points[i] for i in pareto_front(points)]
    figure.add_scatter(
        name="Pareto front",
        x=[point[0] for point in front],
        y=[point[1] for point in front],
        mode="lines",
        line={"color": NEUTRAL, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )


def _point_out(figure: go.Figure, x: float, y: float, words: str, shift: tuple[int, int]) -> None:
    """Words beside a point, with a line to it, where others are near."""
    figure.add_annotation(
        x=x,
        y=y,
        text=words,
        ax=shift[0],
        ay=shift[1],
        arrowhead=0,
        arrowwidth=1.2,
        arrowcolor=NEUTRAL,
        standoff=7,
        font_size=13,
    )


def _shades(count: int) -> tuple[str, ...]:
    return tuple(_SHADES[min(i * len(_SHADES) // max(count, 1), len(_SHADES) - 1)] for i in range(count))


def _data_name(own: Own) -> str:
    return own.card.data[0].name.split(" (")[0] if len(own.card.data) == 1 else "validation"


def _setting(point: OwnPoint, depth: int) -> str:
    if point.loc is None:
        return "without TokenLearner"
    return f"{point.num_tokens} token{'' if point.num_tokens == 1 else 's'} after {point.loc} of {depth} blocks"


def _short(row: Row) -> str:
    depth = f" ({row.values['layers']})" if "(" in row.name else ""
    tokens = f", {row.values['num_tokens']}" if row.has_module else ""
    return f"{row.values['arch']}{depth}{tokens}"


def _side(row: Row) -> str:
    if not row.has_module:
        return "bottom center"
    return "middle left" if row.values["num_tokens"] == 8 else "top left"


def _counted(row: Row, unit: CountUnit) -> str:
    return "not counted" if row.compute is None else " ".join(operations(factor(unit) * row.compute.total_macs, unit))


def _large_name(row: Row) -> str:
    return f"{'TokenLearner' if row.has_module else 'ViT'} {row.values['arch']} "


def _nice_ticks() -> list[float]:
    return [base * 10**power for power in range(-3, 5) for base in (1, 1.5, 2, 3, 4, 5, 7)]


def _log(value: float) -> float:
    return math.log10(value)
