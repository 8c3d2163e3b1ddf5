"""Asks the long questions: a button or a switch, then progress with a Cancel, then the answer."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.explore.page import Here
from app.jobs import Job, JobState
from app.questions import Answer, Kind, Question
from app.results import Shown
from app.text import ordinal, plain, seconds
from tokenlearner.engine import Progress
from tokenlearner.errors import Cancelled, TokenLearnerError

_EVERY_S: Final = 0.4
STOPPED: Final = "Stopped."


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
        at.visit.unanswered[request, question] = _reason(job)


def is_asked(at: Here, shown: Shown, question: Question) -> bool:
    """Whether this very question is under way."""
    held = at.visit.questions.get(question.kind)
    return held is not None and held[:2] == (shown.request, question)


def refusal(at: Here, shown: Shown, question: Question) -> str | None:
    """Why it was not answered."""
    return at.visit.unanswered.get((shown.request, question))


@st.fragment(run_every=_EVERY_S)
def progress(at: Here, kind: Kind) -> None:
    """Draw how far a question is, and the way to stop it; when it is settled the page is drawn anew."""
    held = at.visit.questions.get(kind)
    if held is None:
        st.rerun()
    request, question, job = held
    if job.state.is_final:
        _settle(at, kind)
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", key=f"asking {kind}"):
        st.progress(*_how_far(job.state, job.place, job.progress))
        if st.button("Stop", key=f"stop {kind}", icon=":material/close:", help="Frees the device within one batch"):
            job.cancel()
            at.visit.unanswered[request, question] = STOPPED
            del at.visit.questions[kind]
            st.rerun()


def _how_far(state: JobState, place: int, told: Progress | None) -> tuple[float, str]:
    """Share that is done, 0..1, and a sentence."""
    if state is JobState.WAITING:
        return 0.0, f"waiting, {ordinal(place)} in line for the device" if place else "starting"
    if told is None or not told.total:
        return 0.0, "starting"
    left = f", about {seconds(told.remaining_s)} left" if told.remaining_s else ""
    return told.done / told.total, f"{told.stage}{left}"


def say_refusal(sentence: str) -> None:
    """Draw why there is no answer."""
    if sentence == STOPPED:
        st.info(sentence, icon=":material/stop_circle:")
    else:
        st.error(plain(sentence), icon=":material/error:")


def _reason(job: Job[Answer]) -> str:
    if isinstance(job.error, TokenLearnerError) and not isinstance(job.error, Cancelled):
        return str(job.error)
    return STOPPED if isinstance(job.error, Cancelled) else "This failed; the server's log says why."
