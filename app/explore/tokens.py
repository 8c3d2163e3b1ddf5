"""The tokens one by one: a desk to leave some out, and how narrowly they look."""

from __future__ import annotations

import numpy as np
import streamlit as st
from jaxtyping import Float, Float32

from app.desk import draw
from app.models import ModelChoice
from app.results import Shown
from app.text import percent
from tokenlearner.engine import Analysis
from tokenlearner.palette import token_name

HALF = 0.5


def whose(item: str, model: ModelChoice) -> str:
    """Names the tokens of a model on a photo or clip: those on another one, or of another model, are other tokens."""
    return f"{item} by {model.key}"


def desk(
    num_tokens: int,
    shown: Shown,
    found: Analysis,
    worth: tuple[list[float], str] | None,
    *,
    waiting: bool = False,
) -> None:
    """Draw the mixing desk.

    Args:
        num_tokens: Tokens on the slider; 0 for the plain network.
        shown: What is on the screen.
        found: The answer, with the maps.
        worth: What each token is worth, with a sentence on what for; None if it is not known.
        waiting: Whether tokens cannot be left out yet.
    """
    if num_tokens < 2:
        return
    with st.container(horizontal=True):  # where a heading keeps its own height
        st.subheader(
            "Mixing desk",
            anchor=False,
            width="content",
            help="M mutes a token: the blocks behind TokenLearner run without it. S plays it solo: they run without "
            "all others. The bars above show at once what the prediction gains or loses. The line is the token's "
            "largest weight over the clip; a number beside it is its Shapley value, from “Cause” below the picture.",
        )
    values, words = worth if worth is not None else (None, "")
    draw(num_tokens, whose(shown.request.item, shown.model), found.token_maps, values, words, waiting=waiting)


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
