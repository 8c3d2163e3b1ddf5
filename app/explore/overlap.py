"""How much the tokens repeat one another, what they cover, and how many of them are needed."""

from __future__ import annotations

import streamlit as st

from app.charts import CountUnit
from app.explore import parts, questioning, sliders
from app.explore.overlap_figures import matrix, needed_bars
from app.explore.page import Here
from app.questions import Question
from app.results import Shown
from app.text import percent, plain, significant
from tokenlearner.analysis.needed import MAX_TOTAL_VARIATION, MIN_TOP1, NeededTokens
from tokenlearner.analysis.tracks import Tracks
from tokenlearner.engine import Analysis


def draw(at: Here, shown: Shown, found: Analysis, tracks: Tracks, unit: CountUnit) -> None:
    """Draw the matrix beside the question."""
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(
            f"**{plain(sentence(tracks))}**",
            help="Overlap is the cosine between two tokens' maps, mean over time: 0 disjoint, 1 equal. The number of "
            "tokens that the maps are worth is the Vendi score of the overlaps: it falls as they repeat one another. "
            "A patch counts as covered if some token gives it more than an even share.",
        )
        st.html(matrix(tracks.redundancy))
    with right:
        _needed(at, shown, found, unit)


def sentence(tracks: Tracks) -> str:
    """Coverage and repetition in words."""
    covered = percent(float(tracks.coverage.mean()))
    if tracks.num_tokens == 1:
        return f"One token looks more than evenly at {covered} of the frame."
    worth = significant(tracks.effective_tokens)
    return (
        f"The {tracks.num_tokens} tokens look more than evenly at {covered} of the frame. Without what they repeat, "
        f"they are worth {worth} tokens."
    )


def _needed(at: Here, shown: Shown, found: Analysis, unit: CountUnit) -> None:
    what = "photo" if found.media.kind == "image" else "clip"
    st.markdown(
        f"**How many tokens does this {what} need?**",
        help=f"The smallest number from which on the top class stays on at least {percent(MIN_TOP1)} of the frames and "
        f"no more than {percent(MAX_TOTAL_VARIATION)} of the probability moves on average, against all tokens.",
    )
    if shown.is_part:
        st.caption(parts.WAITS)
        return
    groups = list(found.label_groups)
    group = groups[0]
    if len(groups) > 1:
        group = st.segmented_control(
            "Answer to", groups, default=groups[0], required=True, key="needed group", persist_state="session"
        )
    assert found.loc is not None
    config = shown.model.card.config
    question = Question(kind="needed", loc=found.loc, num_tokens=config.num_tokens, group=group)
    inputs = "frame" if found.clip_frames == 1 else f"clip of {found.clip_frames} frames"
    known = questioning.answer_or_ask(
        at,
        shown,
        question,
        price=f"Runs the blocks behind TokenLearner with 1 to {config.num_tokens} tokens on every {inputs}.",
        button="Find out",
    )
    if isinstance(known, NeededTokens):
        st.markdown(plain(known.sentence()))
        st.html(needed_bars(known, unit))
        if known.needed != found.num_tokens and st.button(
            f"Use {known.needed} token{'s' if known.needed > 1 else ''}",
            icon=":material/tune:",
            on_click=sliders.go_to,
            args=(shown.model, found.loc, known.needed),
        ):
            st.rerun()
