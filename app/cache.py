"""Every cache of Streamlit that the app uses, each with its bound."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from app.brought import BROUGHT, BroughtModels
from app.models import ModelChoice, from_listed, ordered
from app.server import Server
from app.visits import Visit
from tokenlearner.cards import scan_models


@dataclass(frozen=True)
class Presence:
    """A page's hold on the server, released when its connection breaks."""

    server: Server
    visit: Visit

    def release(self) -> None:
        """Let the server know; called by Streamlit, in a thread of its own choice."""
        self.server.visits.leave(self.visit.id)


@st.cache_resource(max_entries=1, show_spinner=False)
def server() -> Server:
    """What all visitors share."""
    return Server(grace_s=float(st.get_option("server.disconnectedSessionTTL") or 0))


@st.cache_resource(scope="session", max_entries=1, show_spinner=False, on_release=Presence.release)
def presence(visit_id: str) -> Presence:
    """What this page holds on the server; given back a while after its connection breaks."""
    shared = server()
    return Presence(shared, shared.visits.arrive(visit_id))


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
