"""One switch: would worthless maps say the same?"""

from __future__ import annotations

from typing import Final

import streamlit as st

from app import waiting
from app.explore import questioning, watched
from app.explore.cause_figures import deletion_plot, doubt_cards
from app.explore.page import Here
from app.questions import Doubt, Question
from app.results import Shown
from app.text import percent, plain, rows_of
from tokenlearner.doubt import Comparison
from tokenlearner.engine import Analysis

_SWITCH: Final = "doubt"


def draw(at: Here, shown: Shown, found: Analysis) -> None:
    """Draw the switch, and what it shows."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="doubt-choice"):
        on = st.toggle(
            "Doubt these maps",
            key=_SWITCH,
            help="The same frames with random weights; with maps that look everywhere alike; with each map's weights "
            "moved to random places; with maps of another moment. Then patches are deleted, the most attended first.",
        )
        index = watched.choose(shown, found)
    if not on:
        st.caption("Would maps that mean nothing give the same prediction? The switch compares them side by side.")
        return
    assert found.loc is not None
    question = Question(kind="doubt", loc=found.loc, num_tokens=found.num_tokens, class_index=index)
    name = watched.name(found, index)
    known = questioning.answered(at, shown, question)
    refused = questioning.refusal(at, shown, question)
    if isinstance(known, Doubt):
        _show(known, found.clip_frames, index, name)
    elif refused is not None:
        waiting.say(refused)
        st.button(
            "Try again",
            key="doubt again",
            icon=":material/refresh:",
            on_click=questioning.ask,
            args=(at, shown, question, name),
        )
    else:
        if not questioning.is_asked(at, shown, question):
            questioning.ask(at, shown, question, name)
        if questioning.is_asked(at, shown, question):
            questioning.progress(at, "doubt")


def _show(known: Doubt, clip_frames: int, index: int, name: str) -> None:
    st.markdown(plain(known.sentence))
    rivals = [(one.title, beside(one), one.logits, one.token_maps) for one in known.comparisons]
    st.html(doubt_cards(known.whole, rivals, index))
    rows = len(known.deletion.rows)
    spread = ", evenly spread" if rows > 1 else ""
    what = "the picture" if known.whole.media.kind == "image" else rows_of(rows, clip_frames) + spread
    st.markdown(
        f"**Deleting patches**: probability of “{plain(name)}” on {what}.",
        help="The pixels of more and more patches are painted in the network's mean colour. The faster the probability "
        "falls, the more the patches deleted first mattered.",
    )
    st.html(deletion_plot(known.deletion, name))


def beside(one: Comparison) -> str:
    """How far a comparison agrees, in a line."""
    kept = "same answer" if one.agreement.top1 == 1 else "another answer"
    if one.agreement.rows > 1:
        kept = f"same answer on {percent(one.agreement.top1)}"
    alike = "" if one.map_similarity is None else f", maps alike by {one.map_similarity:.2f}"
    return f"{kept}{alike}"
