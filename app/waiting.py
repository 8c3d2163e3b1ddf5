"""What stands on the page while a job is under way, and why one has no result: the same words everywhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import streamlit as st

from app.jobs import Job, JobState
from app.text import ordinal, plain, seconds
from app.visits import LOST
from tokenlearner.engine import Progress
from tokenlearner.errors import Cancelled, TokenLearnerError

EVERY_S: Final = 0.4
"""How often a page asks how far a job is."""
STOPPED: Final = "Stopped."
"""Why there is no result where the visitor did not want one any more."""


def frames(progress: Progress) -> str:
    """How far an analysis is: "15 of 125 frames, about 8.0 s left"."""
    return f"{progress.done} of {progress.total} frames{left(progress)}"


def stages(progress: Progress) -> str:
    """What a job of several parts does: "measuring lane B, about 3.0 s left"."""
    return f"{progress.stage}{left(progress)}"


def left(progress: Progress | None, about: str = "about") -> str:
    """The rest of a job in time, to be put behind other words; "" if nobody knows."""
    return f", {about} {seconds(progress.remaining_s)} left" if progress is not None and progress.remaining_s else ""


def how_far(job: Job[Any], words: Callable[[Progress], str] = stages) -> tuple[float, str]:
    """Share of a job that is done, 0..1, and a sentence.

    Args:
        job: That waits or runs.
        words: What its progress says, once its whole length is known.
    """
    if job.state is JobState.WAITING:
        place = job.place
        return 0.0, f"waiting, {ordinal(place)} in line for the device" if place else "waiting for the device"
    progress = job.progress
    if progress is None or not progress.total:
        return 0.0, progress.stage if progress is not None else "starting"
    return min(progress.done / progress.total, 1.0), words(progress)


def reason(job: Job[Any], failed: str) -> str:
    """Why a job that is over gave no result, for people.

    Args:
        job: The job.
        failed: What to say of an error that is not meant for people; that one stands in the server's log.
    """
    if isinstance(job.error, Cancelled):
        return job.why or STOPPED
    return str(job.error) if isinstance(job.error, TokenLearnerError) else f"{failed}; the server's log says why."


def bar(
    job: Job[Any],
    words: Callable[[Progress], str] = stages,
    *,
    key: str,
    cancel: str = "Cancel",
    name: str = "",
) -> bool:
    """Draw how far a job is, and the button that stops it; whether it was stopped just now.

    Args:
        job: That waits or runs.
        words: What its progress says.
        key: Name of the row on the page; the button's is "stop" and this.
        cancel: What the button says.
        name: What the job is about, to stand before the words.
    """
    share, sentence = how_far(job, words)
    with st.container(horizontal=True, vertical_alignment="center", key=key):
        st.progress(share, f"{plain(name)}: {sentence}" if name else sentence)
        stopped = st.button(
            cancel, icon=":material/close:", key=f"stop {key}", help="Frees the device within one batch"
        )
    if stopped:
        job.cancel()
    return stopped


def outcome(
    job: Job[Any],
    words: Callable[[Progress], str] = stages,
    *,
    key: str,
    cancel: str = "Cancel",
    name: str = "",
    failed: str = "This failed",
) -> str | None:
    """Draw how far a job is, with the button that stops it, until it is settled.

    Args:
        job: The job.
        words: What its progress says.
        key: Name of the row on the page.
        cancel: What the button says.
        name: What the job is about.
        failed: What to say of an error that is not meant for people.

    Returns:
        None while it goes on; then why it has no result, "" if it has one.
    """
    if not job.state.is_final:
        return STOPPED if bar(job, words, key=key, cancel=cancel, name=name) else None
    return "" if job.state is JobState.DONE else reason(job, failed)


def is_quiet(sentence: str) -> bool:
    """Whether there is no result for a reason that is no error."""
    return sentence in (STOPPED, LOST)


def say(sentence: str) -> None:
    """Draw why there is no result: quietly where nothing went wrong."""
    if is_quiet(sentence):
        st.info(sentence, icon=":material/stop_circle:")
    else:
        st.error(plain(sentence), icon=":material/error:")
