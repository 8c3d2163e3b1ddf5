"""A strip of small pictures of a clip with two handles: the part of it that is meant.

Dragging shows at once; the part goes to the server when it is let go.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st
from jaxtyping import Float64

from app.components import component
from app.strips import StripView
from tokenlearner.media import MediaInfo

_FOLDER: Final = Path(__file__).parent
_TICKS_PER_S: Final = 10_000
_MOST_TIMES: Final = 20_000
"""Frames whose times go to the browser; of a longer clip, every second, third, ... frame's."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a clip.

    Attributes:
        start_s: Where it starts.
        end_s: Where it ends (not included); None for the clip's end.
        version: Counts the changes, so that an answer to an earlier one does not take back a later one.
    """

    start_s: float = 0.0
    end_s: float | None = None
    version: int = 0


def filmstrip(media: MediaInfo, view: StripView, *, player: str | None, key: str, start: Part) -> Part:
    """Draw the strip and return the part that is chosen.

    Args:
        media: What the clip holds.
        view: Its pictures, as far as they are there.
        player: Key of the player that shows this clip, whose playhead is marked; None if none does.
        key: Name of the strip on the page.
        start: The part to begin with.
    """
    part = held(key, start)
    component("filmstrip", _FOLDER / "filmstrip")(
        key=key, data=strip_data(media, view, part, player=player), on_part_change=lambda: _take(media, view, key)
    )
    return part


def held(key: str, start: Part) -> Part:
    """The part that is chosen, drawn or not; `start` if none was."""
    chosen = st.session_state.get(_state(key))
    return chosen if isinstance(chosen, Part) else start


def choose(key: str, part: Part) -> None:
    """Choose a part from elsewhere."""
    st.session_state[_state(key)] = part


def forget(key: str) -> None:
    """Begin with the given part again the next time."""
    st.session_state.pop(_state(key), None)


def strip_data(media: MediaInfo, view: StripView, part: Part, *, player: str | None) -> dict[str, Any]:
    """What the strip needs, ready for JSON. Times are in seconds, steps between frames in ten-thousandths."""
    times_s = _times(media, view)
    every = -(-len(times_s) // _MOST_TIMES)
    ticks = np.rint(times_s[::every] * _TICKS_PER_S).astype(np.int64)
    return {
        "player": player or "",
        "duration": media.duration_s,
        "ticks_per_s": _TICKS_PER_S,
        "steps": np.diff(ticks).tolist(),
        "start": part.start_s,
        "end": media.duration_s if part.end_s is None else part.end_s,
        "version": part.version,
        "aspect": media.width / media.height,
        "pictures": [
            picture and f"data:image/jpeg;base64,{base64.b64encode(picture).decode()}" for picture in view.pictures
        ],
        "done": view.done,
    }


def on_frames(media: MediaInfo, view: StripView, start_s: float, end_s: float) -> tuple[float, float | None]:
    """A part that begins and ends between frames: the nearest one that holds at least one frame.

    Returns:
        Start and end in seconds; None for the clip's end.
    """
    times_s = _times(media, view)
    bounds_s = np.append(times_s, media.duration_s)
    first = min(_nearest(bounds_s, start_s), len(times_s) - 1)
    behind = max(_nearest(bounds_s, end_s), first + 1)
    return round(float(bounds_s[first]), 6), None if behind == len(times_s) else round(float(bounds_s[behind]), 6)


def _nearest(bounds_s: Float64[np.ndarray, " bounds"], at_s: float) -> int:
    return int(np.abs(bounds_s - at_s).argmin())


def _times(media: MediaInfo, view: StripView) -> Float64[np.ndarray, " frames"]:
    """Times of the frames; at even distances while they are not known."""
    return np.arange(media.num_frames) / media.fps if view.times_s is None else view.times_s


def _take(media: MediaInfo, view: StripView, key: str) -> None:
    """Keep what the browser says, made sound."""
    said = st.session_state.get(key)
    told = said.get("part") if isinstance(said, Mapping) else None
    if not isinstance(told, Mapping):
        return
    start_s, end_s, version = (told.get(name) for name in ("start", "end", "version"))
    if isinstance(start_s, int | float) and isinstance(end_s, int | float) and isinstance(version, int):
        first, behind = on_frames(media, view, float(start_s), float(end_s))
        choose(key, Part(start_s=first, end_s=behind, version=version))


def _state(key: str) -> str:
    return f"part of {key}"
