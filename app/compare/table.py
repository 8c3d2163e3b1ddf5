"""One table of what the lanes cost and what they say, and the measurement of their time."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

import streamlit as st

from app import waiting
from app.compare.asking import Filled
from app.compare.disagreement import Disagreement
from app.compare.lanes import lane_words
from app.explore.compute import accuracy_words
from app.explore.page import Here
from app.fragments import fragment
from app.jobs import Job, JobState
from app.text import class_label, milliseconds, operations, percent, plain
from tokenlearner.engine import Analysis, Latency
from tokenlearner.errors import TokenLearnerError
from tokenlearner.flops import CONVENTION

_JOB: Final = "compare timing job"
_PROBLEM: Final = "compare timing problem"
_LANE: Final = "Lane"
_HELP: Final = {
    _LANE: "The letter at the head of the lane, above.",
    "Network": "Tokens and their place, the model, and whether its weights are random; the button above a lane changes "
    "them.",
    "GMACs a frame": f"{CONVENTION} Counted for the input that each model saw; a video model's clip is divided by its "
    "frames.",
    "of plain ViT": "Share of what the same network without TokenLearner computes on the same input.",
    "Time": "Median time of one pass, measured on this server, one input at a time.",
    "Top-1": "The most probable class, by its mean probability over all analysed frames.",
    "Same as A": "Share of the moments whose most probable class is that of lane A.",
    "Moved from A": "Mean total variation: the probability that would have to move to turn A's answer into this one.",
    "Accuracy": "Top-1 accuracy on the validation pictures, from the model's card; not on what is shown here.",
}


def draw(at: Here, lanes: Sequence[Filled], compared: Disagreement) -> None:
    """Draw the table, with a button where times are not known yet."""
    times = [known_time(at, lane) for lane in lanes]
    cells = rows(lanes, compared, times)
    st.html(table_html(cells))
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("What the columns say", icon=":material/help:"):
            st.markdown("\n".join(f"- **{name}**: {plain(explained(name))}" for name in cells[0]))
        if None in times:
            _measure(at, lanes)


def rows(lanes: Sequence[Filled], compared: Disagreement, times: Sequence[Latency | None]) -> list[dict[str, str]]:
    """The cells by column, a row for each lane."""
    made = []
    largest = max(lane.found.compute.total_macs // lane.found.clip_frames for lane in lanes)
    for position, (lane, time) in enumerate(zip(lanes, times, strict=True)):
        found, agreed = lane.found, compared.agreement(position)
        macs, unit = operations(found.compute.total_macs // found.clip_frames, "MACs", largest)
        made.append(
            {
                _LANE: lane.letter,
                "Network": f"{lane_words(lane.lane, lane.shown.model.card.config)}, {lane.shown.model.card.name}"
                + (", random weights" if lane.lane.random else ""),
                f"{unit} a frame": macs,
                "of plain ViT": percent(found.compute.total_macs / found.baseline.total_macs),
                "Time": time_words(time, found.clip_frames),
                "Top-1": answers(found),
                "Same as A": "" if position == 0 else "–" if agreed is None else percent(agreed[0]),
                "Moved from A": "" if position == 0 else "–" if agreed is None else percent(agreed[1]),
                "Accuracy": accuracy(lane),
            }
        )
    return made


def accuracy(lane: Filled) -> str:
    """What the card says about the setting; of each question where there are several."""
    value, beside = accuracy_words(lane.shown.model.card, lane.found)
    return f"{value} {beside}" if len(lane.found.label_groups) > 1 and value != "–" else value


def answers(found: Analysis) -> str:
    """The most probable class of each question: "butterfly 71 %"."""
    best = [found.top(1, group)[0] for group in found.label_groups]
    return ", ".join(f"{class_label(one.name)} {percent(one.probability)}" for one in best)


def time_words(time: Latency | None, clip_frames: int) -> str:
    """A latency with what it is for."""
    if time is None:
        return "–"
    return f"{milliseconds(time.median_ms)} a {'frame' if clip_frames == 1 else f'clip of {clip_frames}'}"


def explained(column: str) -> str:
    """What a column says, in a sentence or two."""
    return _HELP[column.replace("MMACs", "GMACs")]


def table_html(cells: Sequence[dict[str, str]]) -> str:
    """The table; every text is escaped."""
    head = "".join(f'<th scope="col" title="{escape(explained(name))}">{escape(name)}</th>' for name in cells[0])
    body = "".join(
        "<tr>"
        + "".join(
            f'<th scope="row"><b class="lane-letter">{escape(text)}</b></th>'
            if name == _LANE
            else f"<td>{escape(text)}</td>"
            for name, text in row.items()
        )
        + "</tr>"
        for row in cells
    )
    return (
        '<div class="compare-table"><table><caption>Cost and answer of each lane</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def known_time(at: Here, lane: Filled) -> Latency | None:
    """What was measured here before, on any page."""
    return at.server.known_latency(
        lane.shown.model, lane.shown.request.device, lane.found.geometry.input_hw, lane.lane.view
    )


def _measure(at: Here, lanes: Sequence[Filled]) -> None:
    """The button that times the lanes, or how far that is."""
    if st.session_state.get(_JOB) is not None:
        _progress()
        return
    problem = st.session_state.get(_PROBLEM)
    if problem:
        waiting.say(problem)
    st.button(
        "Measure the time",
        icon=":material/timer:",
        on_click=_start,
        args=(at, lanes),
        help="Times one pass of each lane on this device, in turns with the plain ViT; a few seconds a lane.",
    )


def _start(at: Here, lanes: Sequence[Filled]) -> None:
    st.session_state[_PROBLEM] = ""
    settings = {
        f"lane {lane.letter}": (lane.shown.model, lane.found.geometry.input_hw, lane.lane.view) for lane in lanes
    }
    try:
        job = at.server.measure_latencies(at.visit, lanes[0].shown.request.device, settings)
    except TokenLearnerError as error:
        st.session_state[_PROBLEM] = str(error)
    else:
        st.session_state[_JOB] = job


@fragment(run_every=waiting.EVERY_S)
def _progress() -> None:
    job: Job[None] | None = st.session_state.get(_JOB)
    if job is None:
        st.rerun()
    if job.state.is_final or waiting.bar(job, key="compare-progress-time"):
        st.session_state[_JOB] = None
        if job.state is JobState.FAILED:
            st.session_state[_PROBLEM] = waiting.reason(job, "The measurement failed")
        st.rerun()
