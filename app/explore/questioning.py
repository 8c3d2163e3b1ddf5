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


def answer_or_ask(
    at: Here, shown: Shown, question: Question, *, price: str, button: str, class_name: str = ""
) -> Answer | None:
    """The answer, if it is known; else draw how far it is, or what it costs with the button that asks for it.

    Args:
        at: Server and visit.
        shown: What is on the screen.
        question: About it.
        price: What asking will run, as Markdown.
        button: What the button says.
        class_name: Name of the class that the question is about, for sentences.
    """
    known = answered(at, shown, question)
    if known is not None:
        return known
    held = at.visit.questions.get(question.kind)
    if held is not None and held[:2] != (shown.request, question):
        stop(at, question.kind)  # nobody would see it: the sliders or the class have moved on
        held = None
    if held is not None:
        progress(at, question.kind)
        return None
    st.caption(price)
    sentence = at.visit.unanswered.get((shown.request, question))
    if sentence is not None:
        waiting.say(sentence)
    st.button(
        button,
        icon=":material/play_arrow:",
        key=f"ask {question.kind}",
        on_click=ask,
        args=(at, shown, question, class_name),
    )
    return None


def stop(at: Here, kind: Kind) -> None:
    """Stop a question that is under way, if one is."""
    held = at.visit.questions.pop(kind, None)
    if held is not None:
        held[2].cancel()


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


@fragment(run_every=waiting.EVERY_S)
def progress(at: Here, kind: Kind) -> None:
    """Draw how far a question is, and the way to stop it; when it is settled the page is drawn anew."""
    held = at.visit.questions.get(kind)
    if held is None:
        st.rerun()
    request, question, job = held
    why = waiting.outcome(job, key=f"asking {kind}", cancel="Stop")
    if why is None:
        return
    del at.visit.questions[kind]
    if why:
        at.visit.unanswered[request, question] = why
    st.rerun()
