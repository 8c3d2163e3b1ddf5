"""What each token is worth, and what worthless maps would say, as HTML: pure functions, no Streamlit."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float32

from app.desk import points
from app.explore.overlap_figures import chip
from app.questions import Moment
from app.text import class_label, percent
from tokenlearner import render
from tokenlearner.agreement import softmax
from tokenlearner.analysis.deletion import ATTENDED, CENTRE, DeletionCurve
from tokenlearner.analysis.shapley import ShapleyValues
from tokenlearner.engine import Analysis
from tokenlearner.media import encode_jpeg
from tokenlearner.palette import hex_color, token_color, token_name

_TOP: Final = 3
_QUALITY: Final = 82
_OPACITY: Final = 0.55
"""Of the heat: less than in the player, for maps that are weak everywhere leave the frame to be seen."""
_ALIKE: Final = (
    "Correlation between each own map and the one of these maps that is most like it, mean over tokens and clip: 1 is "
    "the same, 0 nothing in common."
)
_PLOT: Final = (600, 190)
"""Width and height of the deletion curves' field, in units of its own."""
_GREY: Final = "#8a9099"
_CURVES: Final = {ATTENDED: "most attended first", CENTRE: "from the middle outwards"}
_AXES: Final = "Upwards: probability of the class, mean of the rows. To the right: share of the patches deleted."
_STROKES: Final = {
    # Colours that stand out on light and dark pages: a picture does not know the page's own.
    ATTENDED: 'stroke="#1f86cc" stroke-width="4"',
    CENTRE: f'stroke="{_GREY}" stroke-width="2.5" stroke-dasharray="6 5"',
    "other": 'stroke="#d55e00" stroke-width="3"',
}


def worth_bars(found: ShapleyValues) -> str:
    """Shapley values of the tokens around a common zero, in percentage points."""
    values, errors = found.mean_probability, found.mean_probability_error
    largest = max(float(np.abs(values).max()), 1e-9)
    rows = []
    for token, value in enumerate(values.tolist()):
        share = 50 * abs(value) / largest
        side = "left:50%" if value >= 0 else f"left:{50 - share:.3f}%"
        error = f" ± {abs(100 * errors[token]):.1f}" if errors is not None else ""
        words = f"{token_name(token)}: {points(value)}{error} percentage points"
        rows.append(
            f'<div role="listitem" data-worth="{value:.9f}" title="{words}">{chip(token)}'
            f'<i><b style="{side};width:{share:.3f}%;background:{hex_color(token_color(token))}"></b></i>'
            f"<span>{points(value)}{error}</span></div>"
        )
    start, end = float(found.none_probability.mean()), float(found.all_probability.mean())
    return (
        f'<div class="worth" data-none="{start:.9f}" data-all="{end:.9f}" role="list" '
        f'aria-label="What each token adds, in percentage points">{"".join(rows)}</div>'
    )


def sum_words(found: ShapleyValues) -> str:
    """The check of the sum: from the start to the prediction with all tokens, by what the tokens add."""
    start, end = float(found.none_probability.mean()), float(found.all_probability.mean())
    total = float(found.mean_probability.sum())
    gap = abs(start + total - end)
    off = "exact to 0.0001" if gap < 1e-4 else f"off by {gap:.4f}"
    return f"Start {percent(start)}, tokens {points(total)} points, all tokens {percent(end)}: the sum is {off}."


def doubt_cards(
    whole: Analysis,
    moment: Moment,
    rivals: Sequence[tuple[str, str, Float32[np.ndarray, "clips classes"], Float32[np.ndarray, "tokens rows cols"]]],
    class_index: int,
) -> str:
    """The real prediction beside those of worthless maps, each with its maps over the same frame, at the same scale.

    Args:
        whole: The real one.
        moment: What is looked at, with the real maps.
        rivals: Title, a line below it, logits and maps of that moment of each of the others.
        class_index: The class watched; it leads each list.
    """
    everyone = [("As it is", "the network's own maps", whole.logits, moment.maps), *rivals]
    left, top, width, height = whole.geometry.box_normalized
    rows, cols = moment.frame.shape[:2]
    box = (left * cols, top * rows, width * cols, height * rows)
    cards = []
    for title, below, logits, maps in everyone:
        picture = render.overlay_heat(moment.frame, maps.mean(axis=0), moment.top, opacity=_OPACITY, box_xywh=box)
        image = base64.b64encode(encode_jpeg(picture, _QUALITY)).decode()
        why = f' title="{_ALIKE}"' if "maps alike" in below else ""
        cards.append(
            f'<figure><img src="data:image/jpeg;base64,{image}" alt="Mean map of all tokens: {html.escape(title)}">'
            f"<figcaption><b>{html.escape(title)}</b><span{why}>{html.escape(below)}</span></figcaption>"
            f"{_answers(whole, logits, class_index)}</figure>"
        )
    return f'<div class="doubt">{"".join(cards)}</div>'


def _answers(whole: Analysis, logits: Float32[np.ndarray, "clips classes"], class_index: int) -> str:
    """The class watched, then what else comes first, by mean probability within its question."""
    group = whole.group_of(class_index)
    probs = softmax(logits[:, group]).mean(axis=0)
    best = [int(place) for place in np.argsort(-probs, kind="stable") if place != class_index - group.start]
    rows = []
    for place in [class_index - group.start, *best[: _TOP - 1]]:
        label = html.escape(class_label(whole.class_name(place + group.start)))
        share = float(probs[place])
        rows.append(
            f'<li data-share="{share:.6f}"><span>{label}</span><i><b style="width:{100 * share:.2f}%"></b></i>'
            f"<span>{percent(share)}</span></li>"
        )
    return f"<ol>{''.join(rows)}</ol>"


def _told(found: DeletionCurve, class_name: str) -> str:
    """The ends of the curves, for who does not see them."""
    ends = [f"{percent(float(curve[-1]))} {_CURVES.get(name, name)}" for name, curve in found.curves.items()]
    if len(found.random):
        ends.append(f"{percent(float(found.random[:, -1].mean()))} in random order")
    start = percent(float(found.curves[ATTENDED][0]))
    last = percent(found.fractions[-1])
    return f"Probability of {class_name}: {start} with all patches; with {last} of them deleted, {', '.join(ends)}."


def deletion_plot(found: DeletionCurve, class_name: str) -> str:
    """Probability of the class while patches are deleted, in several orders."""
    width, height = _PLOT
    last = found.fractions[-1]
    heights = [curve.max() for curve in (*found.curves.values(), *found.random)]
    top = max(0.05, min(1.0, 1.08 * float(max(heights))))

    def at(fraction: float, value: float) -> str:
        return f"{width * fraction / last:.1f},{height * (1 - value / top):.1f}"

    def path(values: Sequence[float]) -> str:
        return " ".join(at(fraction, value) for fraction, value in zip(found.fractions, values, strict=True))

    parts = []
    legend = []
    if len(found.random):
        upper, lower = found.random.max(axis=0).tolist(), found.random.min(axis=0).tolist()
        back = " ".join(at(fraction, value) for fraction, value in zip(found.fractions[::-1], lower[::-1], strict=True))
        parts.append(f'<polygon class="chance" fill="{_GREY}" fill-opacity="0.3" points="{path(upper)} {back}"/>')
        legend.append('<span><i class="chance"></i>random order, range of the draws</span>')
    for name, curve in sorted(found.curves.items(), key=lambda item: item[0] == ATTENDED):
        kind = name if name in _CURVES else "other"
        words = _CURVES.get(name, f"by the maps of {name}")
        parts.append(f'<polyline class="{kind}" {_STROKES[kind]} points="{path(curve.tolist())}"/>')
        legend.insert(0, f'<span><i class="{kind}"></i>{html.escape(words)}</span>')
    drawn = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" preserveAspectRatio="none" '
        f'fill="none" vector-effect="non-scaling-stroke">{"".join(parts)}</svg>'
    )
    # As a picture: Streamlit keeps no SVG element inside of HTML.
    source = f"data:image/svg+xml;base64,{base64.b64encode(drawn.encode()).decode()}"
    return (
        f'<div class="deletion" title="{_AXES}"><div class="field"><span class="top">{percent(top)}</span>'
        f'<span class="zero">0 %</span><img src="{source}" alt="{html.escape(_told(found, class_name))}"></div>'
        f'<div class="axis"><span>none</span><span>patches deleted</span><span>{percent(last)}</span></div>'
        f'<div class="legend">{"".join(legend)}</div></div>'
    )
