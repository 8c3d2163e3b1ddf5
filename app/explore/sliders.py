"""The two sliders that run the real network: how many tokens, and where in the network they are made."""

from __future__ import annotations

import streamlit as st

from app.models import ModelChoice
from app.text import place_name
from tokenlearner.config import ModelConfig

USUAL_TOKENS = 8


def places(config: ModelConfig) -> tuple[int | None, ...]:
    """Where a model can be run, from the cheapest to the plain network."""
    return (*config.tokenlearner_locs, None)


def chosen(model: ModelChoice) -> tuple[int | None, int]:
    """Place and number of tokens (0 for the plain network) on the sliders, drawn or not."""
    config = model.card.config
    loc = st.session_state.get(_place_key(model), config.default_loc)
    tokens = st.session_state.get(_tokens_key(model), min(USUAL_TOKENS, config.num_tokens))
    return loc, 0 if loc is None else tokens


def draw(model: ModelChoice) -> tuple[int | None, int]:
    """Draw the sliders and return place and number of tokens."""
    config = model.card.config
    loc, _ = chosen(model)
    if config.num_tokens > 1:
        st.slider(
            "Tokens",
            1,
            config.num_tokens,
            min(USUAL_TOKENS, config.num_tokens),
            key=_tokens_key(model),
            disabled=loc is None,
            persist_state="session",
            help="How many tokens each frame is turned into. The network runs again behind TokenLearner, with so many.",
        )
    if len(places(config)) > 1:
        st.select_slider(
            "Place of TokenLearner",
            places(config),
            config.default_loc,
            format_func=lambda at: place_name(at, config),
            key=_place_key(model),
            persist_state="session",
            help="Blocks before it see every patch of the frame, blocks after it only the tokens: the earlier it "
            "sits, the less the network computes. At the right end the same network runs without it.",
        )
    return chosen(model)


def _tokens_key(model: ModelChoice) -> str:
    return f"tokens of {model.card.name}"


def _place_key(model: ModelChoice) -> str:
    return f"place in {model.card.name}"
