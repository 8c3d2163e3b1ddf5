"""The page: the list of models and ways to bring one at the left, one card at the right."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app import cache
from app.explore.page import here
from app.models import ModelChoice
from app.models_page import bring, card, coming
from app.text import plain

PICKED: Final = "picked model"


def draw() -> None:
    """Draw the page."""
    at = here()
    known, problems = cache.models()
    names = {model.card.name: model for model in known}
    arrived = st.session_state.pop(coming.ARRIVED, None)
    if arrived in names:
        st.session_state[PICKED] = arrived
        bring.close()
    if st.session_state.get(PICKED) not in names and names:
        st.session_state[PICKED] = next(iter(names))
    own = coming.brought().kept
    left, right = st.columns([1, 3], gap="large")
    with left.container(key="models-list"):
        if names:
            st.radio(
                "Model",
                list(names),
                key=PICKED,
                captions=[card.short(model, own=model in own) for model in known],
                label_visibility="collapsed",
                persist_state="session",
            )
        bring.draw(at, tuple(names))
        for problem in problems:
            st.caption(f":material/error: {plain(problem)}")
    with right.container(key="models-card"):
        if not names:
            st.info(
                "No model is installed. Bring one, or put a checkpoint into assets/checkpoints.", icon=":material/info:"
            )
            return
        picked = names[st.session_state[PICKED]]
        _card(picked, own=picked in own)


def _card(model: ModelChoice, *, own: bool) -> None:
    card.head(model, _use, coming.brought().drop if own else None)
    part = st.segmented_control(
        "Part of the card",
        list(card.PARTS),
        default=_asked(),
        required=True,
        key="card",
        label_visibility="collapsed",
    )
    card.PARTS[part](model)


def _asked() -> str:
    """The part that the address names (`?card=Maps`), else the first one."""
    # Not bound to the address: a page with bound parameters cannot send its visitor to another page.
    asked = st.query_params.get("card", "")
    return asked if asked in card.PARTS else next(iter(card.PARTS))


def _use(model: ModelChoice) -> None:
    """Choose a model in Explore: a video model for clips, an image model for photos and clips."""
    kinds = ("video",) if model.card.config.is_video else ("image", "video")
    for kind in kinds:
        st.session_state[f"model for a {kind}"] = model.card.name
