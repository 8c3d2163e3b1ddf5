"""Measure here: the designed network against timm's plain ViT on this device, in the worker that everybody shares."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app import waiting
from app.explore.page import here
from app.fragments import fragment
from app.jobs import Job, JobState, Ticket
from app.server import compute_devices
from app.text import milliseconds, plain, significant, size
from app.tradeoffs import measure_figure, timing
from app.tradeoffs.design import Design
from app.tradeoffs.marks import PLOT_CONFIG
from app.tradeoffs.timing import Comparison, PaceFit
from tokenlearner.engine import Progress
from tokenlearner.errors import TokenLearnerError

_DONE: Final = "timed designs"
_JOB: Final = "timing job"
_PROBLEM: Final = "timing problem"
_ASKED: Final = "design to time"
_KEPT: Final = 40


def known(design: Design) -> Comparison | None:
    """What was measured for a design on this page."""
    return next((found for found in _measured() if found.design == design), None)


def latency_words(found: Comparison) -> str:
    """Both latencies and the speed-up, in a few words."""
    return (
        f"{milliseconds(found.here.median_ms)}, plain {milliseconds(found.plain.median_ms)}: "
        f"{significant(found.speed_up)} ×"
    )


def draw(design: Design) -> None:
    """Draw the button, what stands in its way, and what was measured."""
    st.subheader("Measure here", anchor=False)
    device_name, device = next(iter(compute_devices().items()))
    if st.session_state.get(_JOB) is not None:
        _progress()
        _results(design)
        return
    reason = timing.refusal(design, device.free_bytes(), _known_pace())
    with st.container(horizontal=True, vertical_alignment="center", key="measure"):
        st.button(
            "Time it on this device",
            icon=":material/timer:",
            type="primary",
            disabled=reason is not None,
            on_click=_start,
            args=(design, device_name),
        )
        rival = (
            "timm's plain ViT of the same size"
            if design.num_frames is None
            else ("the plain network made of timm's blocks (timm's own ViT takes no clips)")
        )
        st.caption(
            f"Against {rival}, on {plain(device.label)}, {device.dtype_name}, one input at a time. Random weights: the "
            "time is that of trained ones, but it recognises nothing."
        )
    problem = reason or st.session_state.get(_PROBLEM)
    if problem and (reason or st.session_state.get(_ASKED) == design):
        st.info(plain(problem), icon=":material/info:")
    _results(design)


def _start(design: Design, device_name: str) -> None:
    at = here()
    st.session_state[_PROBLEM], st.session_state[_ASKED] = None, design

    def work(ticket: Ticket) -> Comparison:
        return timing.compare(design, compute_devices()[device_name], report=ticket.report, cancel=ticket.cancel)

    try:
        st.session_state[_JOB] = at.server.worker(device_name).submit(work, owner=at.visit.id, slot="bench timing")
    except TokenLearnerError as error:
        st.session_state[_PROBLEM] = str(error)


@fragment(run_every=waiting.EVERY_S)
def _progress() -> None:
    job: Job[Comparison] | None = st.session_state.get(_JOB)
    if job is None:
        st.rerun()
    if job.state.is_final:
        _settle(job)
        st.rerun()
    if waiting.bar(job, _passes, key="timing-progress"):
        st.session_state[_JOB] = None
        st.session_state[_PROBLEM] = waiting.STOPPED
        st.rerun()


def _settle(job: Job[Comparison]) -> None:
    st.session_state[_JOB] = None
    if job.state is JobState.DONE:
        found = job.result()
        others = [one for one in _measured() if one.design != found.design]
        st.session_state[_DONE] = [*others, found][-_KEPT:]
    else:
        st.session_state[_PROBLEM] = waiting.reason(job, "The measurement failed")


def _passes(progress: Progress) -> str:
    return f"pass {progress.done + 1} of at most {progress.total}{waiting.left(progress, 'at most')}"


def _measured() -> list[Comparison]:
    found: list[Comparison] = st.session_state.get(_DONE, [])
    return found


def _known_pace() -> float | None:
    """The most multiply-adds a second that were seen here; small networks reach fewer."""
    timed = [one for found in _measured() for one in (found.here, found.plain)]
    return max((1000 * one.macs / one.median_ms for one in timed), default=None)


def _results(design: Design) -> None:
    measured = _measured()
    if not measured:
        return
    found, fit = known(design), PaceFit.of(measured)
    if found is not None:
        st.markdown(result_words(found))
    elif fit is not None:
        st.markdown(expected_words(design, fit))
    else:
        st.markdown("Not measured. Once two designs of different cost are, the time of others is extrapolated.")
    st.plotly_chart(
        measure_figure.speed_ups(measured, design, fit),
        key="speed-ups",
        config=PLOT_CONFIG,
        alt="Measured speed-up against the ratio of multiply-adds",
    )


def result_words(found: Comparison) -> str:
    """A measurement in two sentences."""
    one, other = found.here, found.plain
    words = (
        f"Measured: **{milliseconds(one.median_ms)}** (middle half {milliseconds(one.q1_ms)} to "
        f"{milliseconds(one.q3_ms)}), plain {milliseconds(other.median_ms)} ({milliseconds(other.q1_ms)} to "
        f"{milliseconds(other.q3_ms)}); {found.passes} passes of each in turns. **{significant(found.speed_up)} ×** as "
        f"fast, where the multiply-adds would say {significant(found.mac_ratio)} ×."
    )
    if one.peak_bytes is None or other.peak_bytes is None:
        return f"{words} This device does not say how much memory a pass takes."
    return (
        f"{words} Peak memory: **{size(one.peak_bytes)}**, plain {size(other.peak_bytes)}; weights and the largest "
        "work of one pass, as PyTorch's allocator counts them."
    )


def expected_words(design: Design, fit: PaceFit) -> str:
    """What the measured designs let expect of one that was not."""
    macs, plain_macs = design.compute.total_macs, design.baseline.total_macs
    return (
        f"Not measured. Extrapolated from the {fit.comparisons} designs that were: about "
        f"{milliseconds(fit.expected_ms(macs))}, plain {milliseconds(fit.expected_ms(plain_macs))}."
    )
