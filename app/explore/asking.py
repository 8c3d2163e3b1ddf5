"""From what is wanted to what is on the screen: asks the server, waits in line, keeps what was there before."""

from __future__ import annotations

import dataclasses
from typing import Final

import streamlit as st

from app import waiting
from app.explore import parts, sliders, trim
from app.explore.frames_form import frames_form
from app.explore.page import Here
from app.explore.wish import Wish
from app.fragments import fragment
from app.jobs import JobState
from app.results import Shown
from app.text import plain, seconds
from tokenlearner.errors import TokenLearnerError

LONG_S: Final = 30.0
"""An analysis that takes longer than this waits for a yes."""


def ask(at: Here, wish: Wish) -> None:
    """Bring the wish on its way.

    Show it if it is known, or as much of it as there is; put it in line, unless it was refused or needs a yes.
    """
    visit, request = at.visit, wish.request
    known = at.server.results.get(request, visit.id)
    if known is not None:
        visit.shown = _named(known, wish)
        return
    if visit.job is not None and visit.job[0] == request:
        part = at.server.part(request)
        if part is not None and parts.is_news(visit.shown, part):
            visit.shown = _named(part, wish)
    elif request not in visit.refusals and not needs_yes(at, wish):
        start(at, wish)


def start(at: Here, wish: Wish) -> None:
    """Put the wish in line."""
    try:
        settings = wish.settings(*sliders.chosen(wish.model))
        job = at.server.analyse(at.visit, wish.item, wish.model, wish.request, settings, with_parts=True)
    except TokenLearnerError as error:
        at.visit.refusals[wish.request] = str(error)
    else:
        at.visit.job = (wish.request, job)


def needs_yes(at: Here, wish: Wish) -> bool:
    """Whether the wish would take so long that it should not start by itself."""
    if wish.request in at.visit.agreed or wish.item.info is None:
        return False
    cost = trim.cost_of(at, wish, wish.item.info)
    return cost.seconds is not None and cost.seconds > LONG_S


def status(at: Here, wish: Wish) -> None:
    """Draw what there is to say about a wish that is not on the screen: progress, a refusal, or a question."""
    visit, request = at.visit, wish.request
    if visit.job is not None and visit.job[0] == request:
        _progress(at, wish)
    elif visit.shown is not None and visit.shown.request == request and not visit.shown.is_part:
        return  # it is on the screen, however long it would take today
    elif request in visit.refusals:
        _refusal(at, wish, visit.refusals[request])
    elif wish.item.info is not None and needs_yes(at, wish):
        _question(at, wish)


@fragment(run_every=waiting.EVERY_S)
def _progress(at: Here, wish: Wish) -> None:
    visit = at.visit
    if visit.job is None:
        st.rerun()
    request, job = visit.job
    if job.state.is_final:
        if job.state is not JobState.DONE:
            visit.refusals[request] = waiting.reason(job, "The analysis failed")
        visit.job = None
        st.rerun()
    part = at.server.part(request)
    if part is not None and parts.is_news(visit.shown, part):
        st.rerun()
    key = "first-progress" if visit.shown is None else "progress"
    with st.container(horizontal=True, vertical_alignment="center", key=key):
        share, words = waiting.how_far(job, waiting.frames)
        if visit.shown is not None and parts.is_growing(at, visit.shown) and job.state is JobState.RUNNING:
            words = f"The {parts.share(visit.shown.analysis)}; the rest is being analysed{waiting.left(job.progress)}"
        else:
            words = f"{plain(wish.item.name)}: {words}"
        st.progress(share, words)
        if st.button("Cancel", icon=":material/close:", help="Frees the device within one batch"):
            job.cancel()
            visit.refusals[request] = waiting.STOPPED
            visit.job = None
            st.rerun()


def _refusal(at: Here, wish: Wish, sentence: str) -> None:
    shown = at.visit.shown
    stays = parts.stays(shown, wish.item.key)
    is_part = shown is not None and shown.is_part and shown.request == wish.request
    with st.container(horizontal=True, vertical_alignment="center", key="refusal"):
        if sentence == waiting.STOPPED:
            st.info(f"{plain(wish.item.name)}: {sentence}{stays}", icon=":material/stop_circle:")
        else:
            st.error(f"{plain(sentence)}{stays}", icon=":material/error:")
        if st.button(
            "Go on" if is_part else "Try again",
            icon=":material/refresh:",
            help="Begins at the start once more; what is here stays until there is more." if is_part else None,
        ):
            del at.visit.refusals[wish.request]
            at.visit.agreed.add(wish.request)
            st.rerun()


def _question(at: Here, wish: Wish) -> None:
    """Ask before a long run, with the choices that make it shorter."""
    assert wish.item.info is not None
    cost = trim.cost_of(at, wish, wish.item.info)
    with st.container(key="question"):
        st.info(
            f"{plain(wish.item.name)} would take about {seconds(cost.seconds or 0.0)}. Take a part of it or fewer "
            "frames here, or analyse it all the same.",
            icon=":material/timer:",
        )
        frames_form(at, wish, "question")


def _named(shown: Shown, wish: Wish) -> Shown:
    """The result under this visitor's name for the file, and with the model's card as it is now.

    Another visitor may have brought the same file under another name.
    """
    media = dataclasses.replace(shown.analysis.media, name=wish.item.name)
    analysis = dataclasses.replace(shown.analysis, media=media)
    return dataclasses.replace(shown, item=wish.item, model=wish.model, analysis=analysis)
