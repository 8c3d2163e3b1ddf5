"""What every run of the page starts with, and how it waits for a quick job."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import streamlit as st
from streamlit import runtime
from streamlit.runtime.scriptrunner import get_script_run_ctx

from app import cache
from app.jobs import Job
from app.server import Server
from app.visits import Visit

Result = TypeVar("Result")

ITEM: Final = "item"
"""Where the page's state holds the key of the photo or clip that is chosen."""
RANDOM: Final = "random"
"""Where it holds whether random weights are."""
_SENTENCES: Final = "sentences"
_NOTES: Final = "notes"
_POLL_S: Final = 0.02


@dataclass(frozen=True)
class Here:
    """Where the page runs.

    Attributes:
        server: What all visitors share.
        visit: What this page holds.
    """

    server: Server
    visit: Visit


def here() -> Here:
    """Server and visit of this page."""
    visit_id = st.session_state.setdefault("visit", secrets.token_hex(16))
    server = cache.server()
    return Here(server, server.visits.arrive(visit_id, _connection()))


def _connection() -> Callable[[], bool]:
    """Tells from any thread whether this page is connected."""
    context = get_script_run_ctx()
    session_id = context.session_id if context is not None else ""
    return lambda: not runtime.exists() or runtime.get_instance().is_active_session(session_id)


def wait_for(job: Job[Result]) -> Result:
    """The result of a quick job; if the visitor does something else meanwhile, the job is dropped.

    Raises:
        TokenLearnerError: Whatever the job raised.
    """
    try:
        while not job.wait(_POLL_S):
            st.session_state.get("visit")  # Streamlit ends this run here if there is a newer wish
        return job.result()
    finally:
        if not job.state.is_final:
            job.cancel()


def tell(sentence: str) -> None:
    """Show what went wrong above the picture until something else is chosen."""
    st.session_state.setdefault(_SENTENCES, []).append(sentence)


def told() -> list[str]:
    """What went wrong."""
    return list(st.session_state.get(_SENTENCES, []))


def note(sentence: str) -> None:
    """Show what is worth knowing above the picture until something else is chosen."""
    st.session_state.setdefault(_NOTES, []).append(sentence)


def noted() -> list[str]:
    """What is worth knowing."""
    return list(st.session_state.get(_NOTES, []))


def hush() -> None:
    """Show none of these any more."""
    st.session_state[_SENTENCES], st.session_state[_NOTES] = [], []
