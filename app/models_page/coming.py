"""A model on its way: one job of a visit, its progress, and what became of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from app import waiting
from app.brought import BROUGHT, BroughtModels, ModelLimits
from app.explore.page import Here
from app.fragments import fragment
from app.jobs import Job, JobState, Ticket
from app.models import ModelChoice
from app.models_page import scenic_fields
from tokenlearner.errors import OptionError, TokenLearnerError

ARRIVED: Final = "model that arrived"
"""Name of a model to be picked when the page is drawn next: the list may stand on it already."""
PENDING: Final = "model file that waits for an option"
"""An upload with its name that can be read once its owner has said what it does not tell."""
PROBLEM: Final = "model problem"
_JOB: Final = "model being brought"


def brought() -> BroughtModels:
    """The models of this visit."""
    if BROUGHT not in st.session_state:
        # The server takes no larger upload, whatever a widget allows.
        limits = ModelLimits.of_server(max_bytes=int(st.get_option("server.maxUploadSize")) * 10**6)
        st.session_state[BROUGHT] = BroughtModels(limits)
    kept: BroughtModels = st.session_state[BROUGHT]
    return kept


def start(at: Here, work: Callable[[Ticket], ModelChoice]) -> None:
    """Put the work in line; files and downloads have a worker of their own.

    Args:
        at: Server and visit.
        work: Makes the model; stops when its ticket says so, and keeps nothing then.
    """
    st.session_state[PROBLEM] = None
    try:
        st.session_state[_JOB] = at.server.worker("models").submit(work, owner=at.visit.id, slot="bring a model")
    except TokenLearnerError as error:
        st.session_state[PROBLEM] = str(error)


def forget_problem() -> None:
    """Take the last refusal off the page: its cause is being changed."""
    st.session_state[PROBLEM] = None


def is_coming() -> bool:
    """Whether a model is on its way."""
    return st.session_state.get(_JOB) is not None


@fragment(run_every=waiting.EVERY_S)
def progress() -> None:
    """Draw how far it is, until it is there or refused."""
    job: Job[ModelChoice] | None = st.session_state.get(_JOB)
    if job is None:
        st.rerun()
    if job.state.is_final:
        _settle(job)
        st.rerun()
    if waiting.bar(job, key="bring-progress"):
        st.session_state[_JOB], st.session_state[PENDING] = None, None
        st.session_state[PROBLEM] = waiting.STOPPED
        st.rerun()


def _settle(job: Job[Any]) -> None:
    state = st.session_state
    state[_JOB] = None
    if job.state is JobState.DONE:
        state[ARRIVED] = job.result().card.name
    elif isinstance(job.error, OptionError):
        state[PROBLEM] = f"{job.error} {scenic_fields.where(job.error.option)}"
        return
    else:
        state[PROBLEM] = waiting.reason(job, "The model could not be read")
    state[PENDING] = None
