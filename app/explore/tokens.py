"""The tokens one by one: leave some out, and how narrowly they look."""

from __future__ import annotations

import numpy as np
import streamlit as st
from jaxtyping import Float, Float32

from app.text import percent
from tokenlearner.engine import Analysis
from tokenlearner.palette import token_name, token_number

HALF = 0.5


def mute(num_tokens: int) -> tuple[int, ...]:
    """Draw the switches and return the tokens that are left out."""
    if num_tokens < 2:
        return ()
    with st.container(horizontal=True):  # where a heading keeps its own height
        st.subheader(
            "Leave tokens out",
            anchor=False,
            width="content",
            help="The blocks behind TokenLearner run without these tokens: see what the predictions lose.",
        )
    chosen = st.pills(
        "Leave out",
        range(num_tokens),
        selection_mode="multi",
        format_func=lambda token: str(token_number(token)),
        key=f"muted of {num_tokens}",
        wrap=True,
        label_visibility="collapsed",
    )
    return tuple(sorted(chosen))


def sentences(found: Analysis) -> None:
    """Say which token looks most narrowly, and which most widely."""
    if found.token_maps is None:
        return
    area = half_area(found.token_maps).mean(axis=0)
    narrow, wide = int(area.argmin()), int(area.argmax())
    whole = "the part that the model saw" if found.geometry.box_normalized != (0, 0, 1, 1) else "the frame"
    sentence = f"{token_name(narrow)} puts half of its attention on {percent(float(area[narrow]))} of {whole}"
    if narrow != wide:
        sentence += f"; {token_name(wide)}, the widest, on {percent(float(area[wide]))}"
    time = ", mean over the clip" if found.media.kind == "video" else ""
    st.caption(
        f"{sentence}{time}.",
        help="The smallest area that holds half of a token's weight; 50 % would be attention spread evenly.",
    )


def half_area(maps: Float32[np.ndarray, "time tokens rows cols"]) -> Float[np.ndarray, "time tokens"]:
    """Share of the patches that hold half of a map's weight, the heaviest first; 0..1, parts of a patch counted."""
    flat = -np.sort(-maps.reshape(*maps.shape[:2], -1), axis=-1).astype(np.float64)
    total = flat.sum(axis=-1, keepdims=True)
    flat = np.where(total > 0, flat, 1.0)
    held = flat.cumsum(axis=-1) / flat.sum(axis=-1, keepdims=True)
    full = (held < HALF).sum(axis=-1)
    before = np.take_along_axis(held - flat / flat.sum(axis=-1, keepdims=True), full[..., None], axis=-1)[..., 0]
    last = np.take_along_axis(flat, full[..., None], axis=-1)[..., 0] / flat.sum(axis=-1)
    return np.asarray((full + (HALF - before) / last) / flat.shape[-1])
