"""The button above a lane, with the choice of its model, weights, tokens and place behind it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from app.compare import state
from app.compare.lanes import FEWEST, LETTERS, Lane, lane_words, named
from app.explore.sliders import places
from app.models import ModelChoice, accuracy_in_words
from app.text import place_name, plain


def draw(known: Sequence[ModelChoice], lanes: Sequence[Lane], index: int) -> None:
    """Draw the head of a lane."""
    lane, letter = lanes[index], LETTERS[index]
    model = named(known, lane.model)
    weights = "random weights" if lane.random else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"compare-head-{letter}"):
        st.html(f'<b class="lane-letter">{letter}</b>')
        with st.popover(lane_words(lane, model.card.config), key=f"compare settings {letter}"):
            _form(known, lanes, index)
        st.caption(" · ".join(filter(None, (plain(model.card.name), weights))), width="content")


def _form(known: Sequence[ModelChoice], lanes: Sequence[Lane], index: int) -> None:
    lane, letter = lanes[index], LETTERS[index]
    model = named(known, lane.model)
    config = model.card.config
    by_name = {one.card.name: one for one in known}

    def held(part: str, value: object) -> str:
        """Key of a widget that shows a part of the lane, whatever else has changed it."""
        key = f"compare {part} {letter}"
        st.session_state[key] = value
        return key

    def changed(part: str, key: str) -> None:
        value = st.session_state[key]
        state.change(lanes, index, **{part: None if part == "loc" and value == config.depth else value})

    key = held("model", lane.model)
    st.selectbox(
        "Model",
        list(by_name),
        format_func=lambda name: " · ".join(filter(None, (name, accuracy_in_words(by_name[name].card)))),
        key=key,
        on_change=changed,
        args=("model", key),
        filter_mode=None,
    )
    key = held("random", lane.random)
    st.toggle("Random weights", key=key, on_change=changed, args=("random", key))
    if config.num_tokens > 1:
        key = held("tokens", lane.num_tokens)
        st.slider(
            "Tokens",
            1,
            config.num_tokens,
            key=key,
            disabled=lane.loc is None,
            on_change=changed,
            args=("num_tokens", key),
        )
    if len(places(config)) > 1:
        key = held("place", config.depth if lane.loc is None else lane.loc)
        st.select_slider(
            "Place of TokenLearner",
            places(config),
            format_func=lambda place: place_name(None if place == config.depth else place, config),
            key=key,
            on_change=changed,
            args=("loc", key),
        )
    if len(lanes) > FEWEST:
        st.button(
            "Remove this lane",
            icon=":material/close:",
            key=f"compare remove {letter}",
            on_click=state.remove,
            args=(lanes, index),
        )
