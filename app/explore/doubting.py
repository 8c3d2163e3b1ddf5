"""One switch: would worthless maps say the same?"""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.explore import questioning, watched
from app.explore.cause_figures import deletion_plot, doubt_cards
from app.explore.page import Here
from app.questions import Doubt, Moment, Question, doubt_rows
from app.results import Shown
from app.server import compute_devices
from app.text import percent, plain, rows_of, seconds
from tokenlearner.analysis.doubt import Comparison
from tokenlearner.engine import Analysis
from tokenlearner.palette import format_weight

_SWITCH: Final = "doubt"


def draw(at: Here, shown: Shown, found: Analysis) -> None:
    """Draw the switch, and what it shows."""
    with st.container(horizontal=True, vertical_alignment="bottom", key="doubt-choice"):
        on = st.toggle(
            "Doubt these maps",
            key=_SWITCH,
            on_change=_switch,
            args=(at, shown, found),
            persist_state="session",
            help="The same frames with random weights; with maps that look everywhere alike; with each map's weights "
            "moved to random places; with maps of another moment. Then patches are deleted, the most attended first.",
        )
        index = watched.choose(shown, found)
    price = plain(_price(at, shown, found))
    if not on:
        st.caption(
            "Would maps that mean nothing give the same prediction? The switch compares them side by side. " + price
        )
        return
    name = watched.name(found, index)
    known = questioning.answer_or_ask(
        at, shown, _question(found, index), price=price, button="Doubt the maps of this setting", class_name=name
    )
    if isinstance(known, Doubt):
        _show(found, known, index, name)


def _question(found: Analysis, index: int) -> Question:
    assert found.loc is not None
    return Question(kind="doubt", loc=found.loc, num_tokens=found.num_tokens, class_index=index)


def _switch(at: Here, shown: Shown, found: Analysis) -> None:
    """Ask when it is switched on, and stop asking when it is switched off."""
    index = watched.current(shown, found)
    question = _question(found, index)
    if not st.session_state[_SWITCH]:
        questioning.stop(at, "doubt")
    elif questioning.answered(at, shown, question) is None:
        questioning.ask(at, shown, question, watched.name(found, index))


def _price(at: Here, shown: Shown, found: Analysis) -> str:
    """What a doubt runs, and how long that takes if it is known."""
    random, deleting = doubt_rows(found)
    runs = f"{rows_of(random, found.clip_frames)} with random weights and " if random else ""
    pace = at.server.pace(shown.model, shown.request.device)
    time = ""
    if pace is not None:
        needed_s = (random + deleting) * found.compute.total_macs / 1e9 * pace.network_s_per_gmac
        time = f": about {seconds(needed_s)} on {compute_devices()[shown.request.device].label}"
    return f"Runs {runs}{rows_of(deleting, found.clip_frames)} with patches deleted{time}."


def _show(found: Analysis, known: Doubt, index: int, name: str) -> None:
    st.markdown(plain(known.sentence))
    rivals = [(one.title, beside(one), one.logits, one.token_maps[0]) for one in known.comparisons]
    st.html(doubt_cards(found, known.moment, rivals, index))
    st.caption(plain(moment_words(found, known.moment)))
    rows = len(known.deletion.rows)
    spread = ", evenly spread" if rows > 1 else ""
    what = "the picture" if found.media.kind == "image" else rows_of(rows, found.clip_frames) + spread
    st.markdown(
        f"**Deleting patches**: probability of “{plain(name)}” on {what}.",
        help="The pixels of more and more patches are painted in the network's mean colour. The faster the probability "
        "falls, the more the patches deleted first mattered.",
    )
    st.html(deletion_plot(known.deletion, name))


def moment_words(found: Analysis, moment: Moment) -> str:
    """Which moment the maps of a doubt are of, and how they are drawn."""
    when = "" if found.media.kind == "image" else f"At {moment.time_s:.2f} s, the middle of the clip. "
    top = format_weight(moment.top, found.map_unit)
    return f"{when}Mean map of all tokens; full colour is {top} ({found.map_unit}), the same for all of them."


def beside(one: Comparison) -> str:
    """How far a comparison agrees, in a line."""
    kept = "same answer" if one.agreement.top1 == 1 else "another answer"
    if one.agreement.rows > 1:
        kept = f"same answer on {percent(one.agreement.top1)}"
    alike = "" if one.map_similarity is None else f", maps alike by {one.map_similarity:.2f}"
    return f"{kept}{alike}"
