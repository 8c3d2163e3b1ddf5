"""Asks the long questions: a button or a switch, then progress with a Cancel, then the answer."""

from __future__ import annotations

import streamlit as st

from app import waiting
from app.explore.page import Here
from app.fragments import fragment
from app.jobs import JobState
from app.questions import Answer, Kind, Question
from app.results import Shown
from tokenlearner.errors import TokenLearnerError


def answered(at: Here, shown: Shown, question: Question) -> Answer | None:
    """The answer, if it is known."""
    return at.server.answer(shown.request, question)


def ask(at: Here, shown: Shown, question: Question, class_name: str = "") -> None:
    """Put the question in line."""
    at.visit.unanswered.pop((shown.request, question), None)
    try:
        job = at.server.ask(at.visit, shown, question, class_name=class_name)
    except TokenLearnerError as error:
        at.visit.unanswered[shown.request, question] = str(error)
    else:
        at.visit.questions[question.kind] = (shown.request, question, job)


def tidy(at: Here, shown: Shown) -> None:
    """Settle what is over, and stop what was asked about something that is no longer on the screen."""
    for kind, (request, _, job) in list(at.visit.questions.items()):
        if request != shown.request:
            job.cancel()
            del at.visit.questions[kind]
        elif job.state.is_final:
            _settle(at, kind)


def _settle(at: Here, kind: str) -> None:
    """Note why a question that is over has no answer, if it has none."""
    request, question, job = at.visit.questions.pop(kind)
    if job.state is not JobState.DONE:
        at.visit.unanswered[request, question] = waiting.reason(job, "This failed")


def is_asked(at: Here, shown: Shown, question: Question) -> bool:
    """Whether this very question is under way."""
    held = at.visit.questions.get(question.kind)
    return held is not None and held[:2] == (shown.request, question)


def refusal(at: Here, shown: Shown, question: Question) -> str | None:
    """Why it was not answered."""
    return at.visit.unanswered.get((shown.request, question))


@fragment(run_every=waiting.EVERY_S)
def progress(at: Here, kind: Kind) -> None:
    """Draw how far a question is, and the way to stop it; when it is settled the page is drawn anew."""
    held = at.visit.questions.get(kind)
    if held is None:
        st.rerun()
    request, question, job = held
    if job.state.is_final:
        _settle(at, kind)
        st.rerun()
    if waiting.bar(job, key=f"asking {kind}", cancel="Stop"):
        at.visit.unanswered[request, question] = waiting.STOPPED
        del at.visit.questions[kind]
        st.rerun()
