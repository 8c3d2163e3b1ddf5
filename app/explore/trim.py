"""Which frames of a clip and what of each frame, with what that will cost, before anything runs."""

from __future__ import annotations

import dataclasses
from typing import Final

import streamlit as st

from app.costs import Cost, estimate
from app.explore.page import Here
from app.explore.wish import DETAILS, Framing, Wish
from app.items import Item
from app.models import ModelChoice
from app.server import compute_devices
from app.text import count, seconds, size
from tokenlearner.media import MediaInfo, Sampling

MOST_FRAMES: Final = 1200
_FRAMING: Final = "framing"
_OPEN: Final = "frames open"
_DETAIL_NAMES: Final = {1.0: "normal", 1.5: "1.5 × finer", 2.0: "2 × finer"}


def framing_of(item: Item) -> Framing:
    """What was chosen for a photo or clip before, or all of it."""
    chosen: dict[str, Framing] = st.session_state.setdefault(_FRAMING, {})
    return chosen.get(item.key, Framing())


def popover(at: Here, item: Item, model: ModelChoice, device: str) -> Framing:
    """Draw the button with the choice behind it, and return what is chosen."""
    framing = framing_of(item)
    changed = framing != Framing()
    with st.popover(
        "Frames" if item.kind == "video" else "Framing",
        icon=":material/tune:" if changed else ":material/crop:",
        key=_OPEN,
        on_change="rerun",
        help="Which frames of a clip are analysed, and what of each frame the model sees.",
    ):
        _form(at, Wish(item=item, model=model, device=device, framing=framing))
    return framing


@st.fragment
def _form(at: Here, wish: Wish) -> None:
    item, framing = wish.item, wish.framing
    media = media_of(at, item)
    sampling = framing.sampling
    if item.kind == "video":
        if media is not None and media.duration_s > 0:
            end_s = round(media.duration_s, 2)
            low, high = st.slider(
                "Part of the clip, in seconds",
                0.0,
                end_s,
                (min(sampling.start_s, end_s), min(sampling.end_s or end_s, end_s)),
                step=max(0.01, round(end_s / 500, 2)),
                format="%.2f s",
                key=f"part of {item.key}",
            )
        else:
            low, high, end_s = 0.0, 0.0, 0.0
        most = st.slider(
            "Frames at most",
            10,
            MOST_FRAMES,
            sampling.max_frames,
            step=10,
            key=f"frames of {item.key}",
            help="If the part holds more, they are taken at even distances in time.",
        )
        sampling = Sampling(start_s=low, end_s=high if low < high < end_s else None, max_frames=most)
    resize = st.segmented_control(
        "What the model sees",
        ("whole", "crop"),
        default=framing.resize,
        required=True,
        format_func={"whole": "whole frame", "crop": "centre square"}.__getitem__,
        key=f"resize of {item.key}",
        help="Whole frames keep their shape; the grid of patches takes it on. The centre has the shape that the model "
        "was trained with.",
    )
    detail = st.segmented_control(
        "Grid of the maps",
        DETAILS,
        default=framing.detail,
        required=True,
        format_func=_DETAIL_NAMES.__getitem__,
        key=f"detail of {item.key}",
        help="A larger input gives more and smaller patches. The network was trained at the normal size, so accuracy "
        "may change; the cost grows with the square.",
    )
    wanted = Framing(sampling=sampling, resize=resize, detail=detail)
    if st.button(
        "Analyse",
        type="primary",
        disabled=wanted == framing,
        key=f"analyse {item.key}",
        on_click=_choose,
        args=(item, wanted),
    ):
        st.rerun()
    if media is not None:
        st.caption(cost_sentence(cost_of(at, dataclasses.replace(wish, framing=wanted), media), wish.device))


def _choose(item: Item, framing: Framing) -> None:
    st.session_state[_FRAMING] = {**st.session_state.get(_FRAMING, {}), item.key: framing}
    st.session_state[_OPEN] = False


def cost_of(at: Here, wish: Wish, media: MediaInfo) -> Cost:
    """What an analysis will take.

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
    )


def cost_sentence(cost: Cost, device: str) -> str:
    """What an analysis will take, in words."""
    frames = count(cost.frames, "frame")
    if cost.frames < cost.frames_in_range:
        frames = f"{cost.frames} of {count(cost.frames_in_range, 'frame')}"
    time = f"about {seconds(cost.seconds)} on {compute_devices()[device].label}, " if cost.seconds is not None else ""
    return f"{frames}: {time}about {size(cost.memory_bytes)} of memory."


def media_of(at: Here, item: Item) -> MediaInfo | None:
    """What is known about a photo or clip: for a sample, nothing before it was analysed once."""
    shown = at.visit.shown
    if item.info is None and shown is not None and shown.request.item == item.key:
        return shown.analysis.media
    return item.info
