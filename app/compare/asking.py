"""From lanes to results: what is known, what is under way, what has to wait for a yes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from app import waiting
from app.compare.lanes import LETTERS, Lane
from app.explore import trim
from app.explore.asking import needs_yes
from app.explore.page import Here, wait_for
from app.explore.wish import Wish
from app.fragments import fragment
from app.jobs import JobState
from app.results import Shown
from app.text import plain
from app.waiting import STOPPED
from tokenlearner.engine import Analysis
from tokenlearner.errors import FeaturesGone, TokenLearnerError


@dataclass(frozen=True, eq=False)
class Filled:
    """A lane with what it shows.

    Attributes:
        index: Its place among the lanes.
        lane: What was asked for.
        shown: The analysis with its clip, at whatever tokens and place it was first made.
        found: The answer for the lane's own tokens and place.
    """

    index: int
    lane: Lane
    shown: Shown
    found: Analysis

    @property
    def letter(self) -> str:
        """Its name on the page."""
        return LETTERS[self.index]


def ask(at: Here, wishes: Sequence[Wish], lanes: Sequence[Lane]) -> None:
    """Put the first lane that has no answer yet in line, unless one of the lanes is on its way already.

    A device has one worker, so lanes come one after the other; those that differ in tokens or place alone share one
    analysis.
    """
    visit = at.visit
    wanted = {wish.request for wish in wishes}
    if visit.job is not None and visit.job[0] in wanted and not visit.job[1].state.is_final:
        return
    for wish, lane in zip(wishes, lanes, strict=True):
        request = wish.request
        if request in at.server.results or request in visit.refusals or needs_yes(at, wish):
            continue
        try:
            loc, num_tokens, _ = lane.view
            job = at.server.analyse(visit, wish.item, wish.model, request, wish.settings(loc, num_tokens))
        except TokenLearnerError as error:
            visit.refusals[request] = str(error)
        else:
            visit.job = (request, job)
            return


def fill(at: Here, wish: Wish, lane: Lane, index: int) -> Filled | None:
    """The lane's answer; None, with the reason drawn, if there is none yet."""
    shown = at.server.results.get(wish.request, at.visit.id)
    if shown is None:
        _waiting(at, wish, index)
        return None
    shown = shown.named(wish.item, wish.model)
    found = at.server.known_view(shown, lane.view)
    if found is None:
        try:
            found = wait_for(at.server.rerun(at.visit, shown, lane.view))
        except FeaturesGone as error:
            st.info(plain(str(error)), icon=":material/history:")
            st.button(
                "Analyse again",
                icon=":material/refresh:",
                key=f"compare again {LETTERS[index]}",
                on_click=_start_over,
                args=(at, wish),
            )
            return None
        except TokenLearnerError as error:
            st.error(plain(str(error)), icon=":material/error:")
            return None
    return Filled(index, lane, shown, found)


def _start_over(at: Here, wish: Wish) -> None:
    at.server.results.drop(wish.request)
    _agree(at, wish)


def _agree(at: Here, wish: Wish) -> None:
    at.visit.refusals.pop(wish.request, None)
    at.visit.agreed.add(wish.request)


def _waiting(at: Here, wish: Wish, index: int) -> None:
    """Draw why a lane shows nothing yet."""
    visit, request, letter = at.visit, wish.request, LETTERS[index]
    if visit.job is not None and visit.job[0] == request:
        _progress(at, letter)
    elif request in visit.refusals:
        _refusal(at, wish, letter)
    elif needs_yes(at, wish) and wish.item.info is not None:
        cost = trim.cost_of(at, wish, wish.item.info)
        st.info(f"{plain(wish.item.name)}: {trim.cost_sentence(cost, wish.device)}", icon=":material/timer:")
        st.button("Analyse", type="primary", key=f"compare yes {letter}", on_click=_agree, args=(at, wish))
    else:
        st.progress(0.0, "after the lane before it")
    st.skeleton(height=260)


@fragment(run_every=waiting.EVERY_S)
def _progress(at: Here, letter: str) -> None:
    visit = at.visit
    if visit.job is None:
        st.rerun()
    request, job = visit.job
    if job.state.is_final:
        if job.state is not JobState.DONE:
            visit.refusals[request] = waiting.reason(job, "The analysis failed")
        visit.job = None
        st.rerun()
    if waiting.bar(job, waiting.frames, key=f"compare-progress-{letter}"):
        visit.refusals[request] = STOPPED
        visit.job = None
        st.rerun()


def _refusal(at: Here, wish: Wish, letter: str) -> None:
    sentence = at.visit.refusals[wish.request]
    if sentence == STOPPED:
        st.info("Stopped. The other lanes are still here.", icon=":material/stop_circle:")
    else:
        st.error(plain(sentence), icon=":material/error:")
    st.button("Try again", icon=":material/refresh:", key=f"compare retry {letter}", on_click=_agree, args=(at, wish))
