"""The two sliders that run the real network: how many tokens, and where in the network they are made."""

from __future__ import annotations

import streamlit as st

from app.models import ModelChoice
from app.text import place_name
from tokenlearner.config import ModelConfig

USUAL_TOKENS = 8


def places(config: ModelConfig) -> tuple[int, ...]:
    """Blocks that see every patch, for each way to run a model: from the cheapest to all of them, the plain network."""
    return (*config.tokenlearner_locs, config.depth)


def chosen(model: ModelChoice) -> tuple[int | None, int]:
    """Place and number of tokens (0 for the plain network) on the sliders, drawn or not."""
    place, tokens = _held(model)
    loc = None if place == model.card.config.depth else place
    return loc, 0 if loc is None else tokens


def draw(model: ModelChoice, *, waiting: bool = False) -> tuple[int | None, int]:
    """Draw the sliders and return place and number of tokens.

    Args:
        model: The model.
        waiting: Whether they cannot be moved yet; they keep their values.
    """
    config = model.card.config
    loc, _ = chosen(model)
    # Values go in by the state, as `go_to` does: Streamlit warns of a slider that has a default and is set as well.
    # Another model of the same name may have left values that this one cannot have.
    for key, value in zip((_place_key(model), _tokens_key(model)), _held(model), strict=True):
        if st.session_state.get(key) != value:
            st.session_state[key] = value
    if config.num_tokens > 1:
        st.slider(
            "Tokens",
            1,
            config.num_tokens,
            key=_tokens_key(model),
            disabled=loc is None or waiting,
            persist_state="session",
            help="How many tokens each frame is turned into. The network runs again behind TokenLearner, with so many.",
        )
    if len(places(config)) > 1:
        st.select_slider(
            "Place of TokenLearner",
            places(config),
            format_func=lambda place: place_name(None if place == config.depth else place, config),
            key=_place_key(model),
            disabled=waiting,
            persist_state="session",
            help="Blocks before it see every patch of the frame, blocks after it only the tokens: the earlier it "
            "sits, the less the network computes. At the right end the same network runs without it.",
        )
    return chosen(model)


def go_to(model: ModelChoice, loc: int | None, num_tokens: int) -> None:
    """Set both sliders; to be called before they are drawn, as a button's callback is."""
    st.session_state[_place_key(model)] = model.card.config.depth if loc is None else loc
    if loc is not None:
        st.session_state[_tokens_key(model)] = num_tokens


def _held(model: ModelChoice) -> tuple[int, int]:
    """What the sliders stand on, made possible for the model: the block, and the tokens."""
    config = model.card.config
    place = st.session_state.get(_place_key(model), _usual_place(config))
    tokens = st.session_state.get(_tokens_key(model), USUAL_TOKENS)
    return place if place in places(config) else _usual_place(config), min(max(1, tokens), config.num_tokens)


def _usual_place(config: ModelConfig) -> int:
    return config.depth if config.default_loc is None else config.default_loc


def _tokens_key(model: ModelChoice) -> str:
    return f"tokens of {model.card.name}"


def _place_key(model: ModelChoice) -> str:
    return f"place in {model.card.name}"
