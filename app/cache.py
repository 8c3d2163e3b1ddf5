"""Every cache of Streamlit that the app uses, each with its bound."""

from __future__ import annotations

import streamlit as st

from app.brought import BROUGHT, BroughtModels
from app.models import ModelChoice, from_listed, ordered
from app.server import Server
from tokenlearner.cards import scan_models


@st.cache_resource(max_entries=1, show_spinner=False)
def server() -> Server:
    """What all visitors share."""
    return Server(grace_s=float(st.get_option("server.disconnectedSessionTTL") or 0))


def models() -> tuple[tuple[ModelChoice, ...], tuple[str, ...]]:
    """The models on disk, the one to begin with first, then those that this visitor brought.

    Returns:
        The models, and a sentence for each file that cannot be used.
    """
    found, problems = _models_on_disk()
    brought: BroughtModels | None = st.session_state.get(BROUGHT)
    return (*found, *(brought.kept if brought is not None else ())), problems


@st.cache_data(ttl=15, max_entries=1, show_spinner=False)
def _models_on_disk() -> tuple[tuple[ModelChoice, ...], tuple[str, ...]]:
    listed, problems = scan_models()
    return ordered(map(from_listed, listed)), problems
