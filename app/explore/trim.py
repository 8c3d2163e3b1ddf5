"""Which frames of a clip and what of each frame: what is chosen, and what that will cost before anything runs."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st
from jaxtyping import Float64

from app.costs import Cost, estimate
from app.explore.page import Here
from app.explore.wish import Framing, Wish
from app.items import Item
from app.server import compute_devices
from app.text import count, seconds, size
from tokenlearner.media import MediaInfo

OPEN: Final = "frames open"
"""Name of the popover in the page's state."""
_FRAMING: Final = "framing"


def framing_of(item: Item) -> Framing:
    """What was chosen for a photo or clip before, or all of it."""
    chosen: dict[str, Framing] = st.session_state.setdefault(_FRAMING, {})
    return chosen.get(item.key, Framing())


def choose(item: Item, framing: Framing) -> None:
    """Choose for a photo or clip, and close the popover."""
    st.session_state[_FRAMING] = {**st.session_state.get(_FRAMING, {}), item.key: framing}
    st.session_state[OPEN] = False


def cost_of(at: Here, wish: Wish, media: MediaInfo, times_s: Float64[np.ndarray, " frames"] | None = None) -> Cost:
    """What an analysis will take.

    Args:
        at: Server and visit.
        wish: What is wanted.
        media: What the file holds.
        times_s: Presentation times of its frames if they are known, to count them exactly.

    Raises:
        ConfigError: If the model cannot do what is asked.
    """
    return estimate(
        media,
        wish.model.card.config,
        sampling=wish.framing.sampling,
        resize=wish.framing.resize,
        input_side=wish.input_side,
        pace=at.server.pace(wish.model, wish.device),
        times_s=times_s,
    )


def cost_sentence(cost: Cost, device: str) -> str:
    """What an analysis will take, in words."""
    frames = count(cost.frames, "frame")
    if cost.frames < cost.frames_in_range:
        frames = f"{cost.frames} of {count(cost.frames_in_range, 'frame')}"
    time = f"about {seconds(cost.seconds)} on {compute_devices()[device].label}, " if cost.seconds is not None else ""
    return f"{frames}: {time}about {size(cost.memory_bytes)} of memory."


def media_of(at: Here, item: Item) -> MediaInfo | None:
    """What is known about a photo or clip: for a sample, nothing before it was opened once."""
    shown = at.visit.shown
    if item.info is None and shown is not None and shown.request.item == item.key:
        return shown.analysis.media
    return item.info
