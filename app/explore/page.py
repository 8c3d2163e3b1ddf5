"""What every run of the page starts with, and how it waits for a quick job."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TypeVar

import streamlit as st

from app import cache
from app.jobs import Job
from app.server import Server
from app.visits import Visit

Result = TypeVar("Result")

_POLL_S = 0.02


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
    held = cache.presence(visit_id)
    return Here(held.server, held.visit)


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
    """Show a sentence above the picture until something else is chosen."""
    st.session_state.setdefault("sentences", []).append(sentence)


def told() -> list[str]:
    """The sentences to show."""
    return list(st.session_state.get("sentences", []))


def hush() -> None:
    """Show no sentence any more."""
    st.session_state["sentences"] = []
