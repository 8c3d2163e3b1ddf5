"""The view as a link: what the address says, and what a page makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from app.desk import NOTHING_PRESSED, Pressed
from app.explore.wish import DETAILS, Framing
from app.player.payload import PlayerState
from app.results import Shown
from app.text import display_name
from tokenlearner.engine import Analysis
from tokenlearner.errors import TokenLearnerError
from tokenlearner.media import Sampling
from tokenlearner.palette import token_number

_KEY_SIGNS: Final = 16
_NO_TOKENS: Final = "0"
"""Signs of a file's SHA-256 that a link holds: enough to know it again, and nothing about what it shows."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a link asks for.

    Attributes:
        item: A sample's key, or the beginning of an upload's.
        name: Of the file, as it is shown; "" for a sample.
        model: Name of the model; "" for any.
        random: Whether its random twin is meant.
        loc: Block before which the module sits, None for the plain network, "default" if the link does not say.
        tokens: Number of tokens; None if the link does not say.
        desk: Tokens that are muted or play solo.
        framing: Which frames, and what of each.
        state: What the player shows.
    """

    item: str
    name: str = ""
    model: str = ""
    random: bool = False
    loc: int | str | None = "default"
    tokens: int | None = None
    desk: Pressed = NOTHING_PRESSED
    framing: Framing
    state: PlayerState

    def is_for(self, key: str) -> bool:
        """Whether this photo or clip is the one that is meant."""
        known_again = self.item.startswith("file:") and len(self.item) >= len("file:") + _KEY_SIGNS
        return key == self.item or (known_again and key.startswith(self.item))


def parameters(shown: Shown, found: Analysis, desk: Pressed = NOTHING_PRESSED) -> dict[str, str]:
    """What a link says about an analysis and the mixing desk; the browser adds what the player shows."""
    request, sampling = shown.request, shown.request.sampling
    item = request.item if shown.item.is_sample else request.item[: len("file:") + _KEY_SIGNS]
    said = {"item": item, "model": shown.model.card.name, "k": str(found.num_tokens)}
    said["loc"] = "none" if found.loc is None else str(found.loc)
    for name, tokens in (("mute", desk.muted), ("solo", desk.solo)):
        if tokens:
            said[name] = ".".join(str(token_number(token)) for token in tokens)
    if not shown.item.is_sample:
        said["name"] = shown.item.name
    if shown.model.random:
        said["random"] = "1"
    if sampling.start_s > 0:
        said["from"] = _exactly(sampling.start_s)
    if sampling.end_s is not None:
        said["to"] = _exactly(sampling.end_s)
    if sampling.max_frames != Sampling().max_frames:
        said["frames"] = str(sampling.max_frames)
    if sampling.max_fps is not None:
        said["fps"] = f"{sampling.max_fps:g}"
    if request.resize != "whole":
        said["fit"] = request.resize
    if request.input_side is not None:
        said["detail"] = f"{_detail(shown):g}"
    return said


def _exactly(time_s: float) -> str:
    """A time to the microsecond, so that a range ends at the same frames again."""
    return f"{time_s:.6f}".rstrip("0").rstrip(".")


def _detail(shown: Shown) -> float:
    height, width = shown.model.card.config.img_size
    ratio = (shown.request.input_side or 0) / (height * width) ** 0.5
    return min(DETAILS, key=lambda detail: abs(detail - ratio))


def read(query: Mapping[str, str]) -> Link | None:
    """What a page's address asks for; None if it asks for nothing. What makes no sense is left out."""
    item = query.get("item", "")
    if not item.startswith(("sample:", "file:")) or len(item) > 100:
        return None
    loc = query.get("loc", "")
    tokens = _whole(query.get("k", ""))
    return Link(
        item=item,
        name=display_name(query["name"]) if query.get("name") else "",
        model=query.get("model", "")[:200],
        random=query.get("random") == "1",
        loc=None if loc == "none" else "default" if _whole(loc) is None else _whole(loc),
        tokens=tokens,
        desk=Pressed(_tokens(query.get("mute", "")), _tokens(query.get("solo", ""))),
        framing=_framing(query),
        state=_state(query),
    )


def _framing(query: Mapping[str, str]) -> Framing:
    usual = Framing()
    detail = _decimal(query.get("detail", ""))
    most = _whole(query.get("frames", ""))
    try:
        sampling = Sampling(
            start_s=_decimal(query.get("from", "")) or 0.0,
            end_s=_decimal(query.get("to", "")),
            max_frames=min(most or usual.sampling.max_frames, 1200),
            max_fps=_decimal(query.get("fps", "")),
        )
    except TokenLearnerError:
        sampling = usual.sampling
    return Framing(
        sampling=sampling,
        resize="crop" if query.get("fit") == "crop" else "whole",
        detail=detail if detail in DETAILS else usual.detail,
    )


def _state(query: Mapping[str, str]) -> PlayerState:
    pin = [_decimal(part) for part in query.get("pin", "").split("_")]
    data = {
        "time_s": _decimal(query.get("t", "")),
        "view": query.get("view"),
        "base": query.get("base"),
        "tokens": [] if query.get("tokens") == _NO_TOKENS else _tokens(query.get("tokens", "")) or None,
        "pin": pin if len(pin) == 2 and None not in pin else None,
        "opacity": _decimal(query.get("opacity", "")),
        "smooth": query.get("smooth") != "0",
        "scale": query.get("scale"),
        "trails": query.get("trails") == "1",
        "hidden": query.get("hidden") == "1",
        "divider": _decimal(query.get("divider", "")),
    }
    return PlayerState.from_dict(data)


def _tokens(text: str) -> tuple[int, ...]:
    """Indices of tokens told by their numbers, "1.3", ascending and once each."""
    numbers = {_whole(part) for part in text.split(".")}
    return tuple(sorted(number - 1 for number in numbers if number))


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else None


def _decimal(text: str) -> float | None:
    if len(text) > 20 or not text.replace(".", "", 1).isdigit() or not text.isascii():
        return None
    return float(text)
