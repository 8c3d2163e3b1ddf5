"""From what is wanted to what is on the screen: asks the server, waits in line, keeps what was there before."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app import waiting
from app.explore import parts, sliders, trim
from app.explore.frames_form import frames_form
from app.explore.page import Here
from app.explore.wish import Wish
from app.fragments import fragment
from app.items import from_upload, samples
from app.results import Request
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
        visit.shown = known.named(wish.item, wish.model)
        return
    if visit.job is not None and visit.job[0] == request:
        part = at.server.part(request)
        if part is not None and parts.is_news(visit.shown, part):
            visit.shown = part.named(wish.item, wish.model)
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
    """Draw what there is to say about a wish that is not on the screen: progress, a refusal, or a question.

    An earlier wish that still runs, because this one was known already, keeps its progress and its Cancel.
    """
    visit, request = at.visit, wish.request
    if visit.job is not None:
        _progress(at, wish)
    if visit.job is not None and visit.job[0] == request:
        return
    if visit.shown is not None and visit.shown.request == request and not visit.shown.is_part:
        return  # it is on the screen, however long it would take today
    if request in visit.refusals:
        _refusal(at, wish, visit.refusals[request])
    elif wish.item.info is not None and needs_yes(at, wish):
        _question(at, wish)


@fragment(run_every=waiting.EVERY_S)
def _progress(at: Here, wish: Wish) -> None:
    visit = at.visit
    if visit.job is None:
        st.rerun()
    request, job = visit.job
    part = at.server.part(request) if request == wish.request else None
    if part is not None and parts.is_news(visit.shown, part):
        st.rerun()
    words, name = waiting.frames, _name(at, request)
    if visit.shown is not None and parts.is_growing(at, visit.shown):
        share = parts.share(visit.shown.analysis)
        words, name = (lambda progress: f"The {share}; the rest is being analysed{waiting.left(progress)}"), ""
    key = "first-progress" if visit.shown is None else "progress"
    why = waiting.outcome(job, words, key=key, name=name, failed="The analysis failed")
    if why is None:
        return
    visit.job = None
    if why:
        visit.refusals[request] = why
    st.rerun()


def _name(at: Here, request: Request) -> str:
    """What the photo or clip of a request is called."""
    known = (*map(from_upload, at.visit.uploads.kept), *samples())
    return next((item.name for item in known if item.key == request.item), "")


def _refusal(at: Here, wish: Wish, sentence: str) -> None:
    shown = at.visit.shown
    stays = parts.stays(shown, wish.item.key)
    is_part = shown is not None and shown.is_part and shown.request == wish.request
    with st.container(horizontal=True, vertical_alignment="center", key="refusal"):
        if waiting.is_quiet(sentence):
            st.info(f"{plain(wish.item.name)}: {sentence}{stays}", icon=":material/stop_circle:")
        else:
            st.error(f"{plain(sentence)}{stays}", icon=":material/error:")
        if st.button(
            f"Go on{_price(at, wish)}" if is_part else "Try again",
            icon=":material/refresh:",
            key="again",
            help="Begins at the start once more; what is here stays until there is more." if is_part else None,
        ):
            del at.visit.refusals[wish.request]
            at.visit.agreed.add(wish.request)
            st.rerun()


def _price(at: Here, wish: Wish) -> str:
    """How long a wish would take, to stand on a button; "" if nobody knows."""
    media = trim.media_of(at, wish.item)
    cost = trim.cost_of(at, wish, media) if media is not None else None
    return f" (about {seconds(cost.seconds)})" if cost is not None and cost.seconds is not None else ""


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
