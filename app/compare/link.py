"""The comparison as a link: what the address says, and what a page makes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.compare.lanes import FEWEST, LETTERS, Lane
from app.results import Shown
from app.takeaway import link as one_link
from tokenlearner.engine import Analysis

_OF_ONE: Final = ("model", "k", "loc", "random")
"""What a link to the Explore page says of its one network; here every lane says it of its own."""
_WEIGHTS: Final = {"trained": False, "random": True}
_MOST_TOKENS: Final = 4096
_NAME_LIMIT: Final = 200


@dataclass(frozen=True, kw_only=True)
class CompareLink:
    """What a link asks for.

    Attributes:
        lanes: In their order.
        media: The photo or clip, which frames of it, and the time on the playhead.
    """

    lanes: tuple[Lane, ...]
    media: one_link.Link


def parameters(lanes: Sequence[Lane], shown: Shown, found: Analysis) -> dict[str, str]:
    """What a link says; the browser adds the time on the playhead.

    Args:
        lanes: All of them.
        shown: What one of them shows.
        found: Its answer.
    """
    said = {name: value for name, value in one_link.parameters(shown, found).items() if name not in _OF_ONE}
    return said | {letter.lower(): written(lane) for letter, lane in zip(LETTERS, lanes, strict=False)}


def written(lane: Lane) -> str:
    """A lane in a link: tokens, place, weights and model, "8.4.trained.photos110-elastic"."""
    place = "none" if lane.loc is None else lane.loc
    return f"{lane.num_tokens}.{place}.{'random' if lane.random else 'trained'}.{lane.model}"


def read(query: Mapping[str, str]) -> CompareLink | None:
    """What a page's address asks for; None if it asks for no comparison."""
    media = one_link.read(query)
    lanes: list[Lane] = []
    for letter in LETTERS:
        lane = _lane(query.get(letter.lower(), ""))
        if lane is None:
            break
        lanes.append(lane)
    return CompareLink(lanes=tuple(lanes), media=media) if media is not None and len(lanes) >= FEWEST else None


def _lane(text: str) -> Lane | None:
    tokens, _, rest = text.partition(".")
    place, _, rest = rest.partition(".")
    weights, _, model = rest.partition(".")
    if not _is_whole(tokens) or not (place == "none" or _is_whole(place)) or weights not in _WEIGHTS or not model:
        return None
    return Lane(
        model=model[:_NAME_LIMIT],
        loc=None if place == "none" else int(place),
        num_tokens=min(int(tokens), _MOST_TOKENS),
        random=_WEIGHTS[weights],
    )


def _is_whole(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 7
