"""What each token is worth for a class: exact Shapley values, asked on demand."""

from __future__ import annotations

from typing import Final, get_args

import streamlit as st

from app.explore import questioning, watched
from app.explore.cause_figures import sum_words, worth_bars
from app.explore.page import Here
from app.questions import Question, rows_for
from app.results import Shown
from app.text import plain, rows_of
from tokenlearner.analysis.shapley import BASELINES, EXACT_LIMIT, Baseline, ShapleyValues
from tokenlearner.engine import Analysis

_BASELINE: Final = "baseline"
_NAMES: Final[dict[Baseline, str]] = {"dropped": "dropped", "mean": "its mean over time", "blank": "an empty picture's"}


def draw(at: Here, shown: Shown, found: Analysis) -> None:
    """Draw the choice, and the values once they are known."""
    still = len(found.logits) == 1
    with st.container(horizontal=True, vertical_alignment="bottom", key="cause-choice"):
        index = watched.choose(shown, found)
        baseline: Baseline = st.segmented_control(
            "A token that is out is",
            [one for one in get_args(Baseline) if not (still and one == "mean")],
            default="dropped",
            required=True,
            format_func=_NAMES.__getitem__,
            key=f"{_BASELINE} of a {'still' if still else 'clip'}",
            persist_state="session",
        )
    question = _question(found, index, baseline)
    name = watched.name(found, index)
    known = questioning.answer_or_ask(
        at,
        shown,
        question,
        price=f"{plain(BASELINES[baseline])} {plain(price(found))}",
        button="What is each token worth?",
    )
    if isinstance(known, ShapleyValues):
        left, right = st.columns([3, 2], gap="large")
        left.html(worth_bars(known))
        right.markdown(f"**What each token adds to “{plain(name)}”,** in percentage points{plain(_mean(known))}.")
        right.markdown(sum_words(known))
        right.caption(plain(known.baseline_text))
        right.caption(plain(how(known, len(found.logits), found.clip_frames)))


def known_worth(at: Here, shown: Shown, found: Analysis) -> tuple[list[float], str] | None:
    """Values for the desk, with a sentence on what they are for; None if they were not asked for."""
    if found.loc is None:
        return None
    index = watched.current(shown, found)
    still = len(found.logits) == 1
    baseline: Baseline = st.session_state.get(f"{_BASELINE} of a {'still' if still else 'clip'}") or "dropped"
    known = questioning.answered(at, shown, _question(found, index, baseline))
    if not isinstance(known, ShapleyValues):
        return None
    words = f"Shapley value: what the token adds to “{watched.name(found, index)}”, in percentage points"
    return known.mean_probability.tolist(), words


def how(found: ShapleyValues, rows: int, clip_frames: int) -> str:
    """How the values were found, on how many of the analysis' rows."""
    every = "every frame" if clip_frames == 1 else f"every clip of {clip_frames} frames"
    part = f"{len(found.rows)} of {rows_of(rows, clip_frames)}, evenly spread" if len(found.rows) < rows else every
    what = part if rows > 1 else "the picture"
    if found.exact:
        return f"Exact: all {found.coalitions} sets of tokens, on {what}."
    return f"Sampled: {found.orders} orders in which tokens join, on {what}; ± is the standard error."


def price(found: Analysis) -> str:
    """What asking will run."""
    rows, k = len(rows_for(len(found.logits), found.num_tokens)), found.num_tokens
    if k <= EXACT_LIMIT:
        return f"Runs all {2**k} sets of tokens on {rows_of(rows, found.clip_frames)}."
    return f"More than {EXACT_LIMIT} tokens: orders are drawn at random, on {rows_of(rows, found.clip_frames)}."


def _question(found: Analysis, index: int, baseline: Baseline) -> Question:
    assert found.loc is not None
    return Question(kind="worth", loc=found.loc, num_tokens=found.num_tokens, class_index=index, baseline=baseline)


def _mean(found: ShapleyValues) -> str:
    return ", mean of the clip" if len(found.rows) > 1 else ""
