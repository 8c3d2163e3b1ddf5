"""Bars and tiles as HTML, in the page's own colours. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

import numpy as np
from jaxtyping import Float32, UInt8

from app.learn.board import picture_url
from app.learn.study import Answer
from app.text import class_label, percent
from tokenlearner.palette import HEAT_LUT, hex_color, text_color_on, token_color, token_number
from tokenlearner.render import overlay_heat

_OPACITY: Final = 0.62
"""As on the board."""


@dataclass(frozen=True)
class Bar:
    """One row.

    Attributes:
        name: What it stands for.
        parts: Lengths of its parts, 0..1 of the row, in the order of `PARTS`.
        value: What is printed behind it.
        strong: Whether it is the one that is looked at.
    """

    name: str
    parts: tuple[float, ...]
    value: str
    strong: bool = False


def bars(rows: Sequence[Bar]) -> str:
    """A list of bars."""
    lines = []
    for row in rows:
        parts = "".join(
            f'<i class="part-{place}" style="width:{100 * length:.2f}%"></i>' for place, length in enumerate(row.parts)
        )
        strong = ' class="strong"' if row.strong else ""
        lines.append(f"<li{strong}><span>{escape(row.name)}</span><div>{parts}</div><b>{escape(row.value)}</b></li>")
    return f'<ul class="lesson-bars">{"".join(lines)}</ul>'


def answer_bars(answer: Answer) -> str:
    """The most probable classes."""
    return bars(
        [
            Bar(class_label(name), (prob,), percent(prob), place == 0)
            for place, (name, prob) in enumerate(zip(answer.names, answer.probs, strict=True))
        ]
    )


def legend(names: Sequence[str]) -> str:
    """What the parts of bars are."""
    parts = "".join(f'<span><i class="part-{place}"></i>{escape(name)}</span>' for place, name in enumerate(names))
    return f'<p class="lesson-legend">{parts}</p>'


def tiles(
    pictures: Sequence[UInt8[np.ndarray, "height width 3"]],
    maps: Float32[np.ndarray, "tiles rows cols"],
    *,
    scale_max: float,
    tokens: Sequence[int],
    captions: Sequence[str],
    used: Sequence[bool],
) -> str:
    """Pictures with one map each, side by side.

    Args:
        pictures: RGB, one for each tile.
        maps: The map over each.
        scale_max: Weight at the top of the heat, the same for all.
        tokens: Index in the model of the token whose map it is; gives number and colour.
        captions: A short text under each.
        used: Whether the tile's token is in use; the others are dimmed.
    """
    made = []
    for picture, token_map, token, caption, is_used in zip(pictures, maps, tokens, captions, used, strict=True):
        color = token_color(token)
        url = picture_url(overlay_heat(picture, token_map, scale_max, opacity=_OPACITY, method="nearest"))
        number = token_number(token)
        said = f"Token {number}{f', {caption}' if caption else ''}{'' if is_used else ', not used'}"
        made.append(
            f'<figure class="{"" if is_used else "unused"}" style="--token:{hex_color(color)};'
            f'--on-token:{hex_color(text_color_on(color))}">'
            f'<img src="{url}" alt="{escape(said)}"><figcaption><b>{number}</b>{escape(caption)}</figcaption></figure>'
        )
    return f'<div class="lesson-tiles">{"".join(made)}</div>'


def heat_legend(scale_max: float) -> str:
    """The scale of tiles, printed."""
    return (
        f'<p class="lesson-legend"><span>share of the token: 0 <i class="heat" style="background:{_heat()}"></i> '
        f"{percent(scale_max)} and more</span></p>"
    )


def _heat() -> str:
    """The colours of the heat from no weight to the most, as CSS."""
    levels = np.linspace(0, len(HEAT_LUT) - 1, 17).round().astype(int)
    stops = (f"rgb({red} {green} {blue})" for red, green, blue in HEAT_LUT[levels].tolist())
    return f"linear-gradient(90deg, {', '.join(stops)})"
