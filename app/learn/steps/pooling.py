"""Step 4: pooling to a token, by a map that the reader paints."""

from __future__ import annotations

from typing import Final

import numpy as np
import streamlit as st
from jaxtyping import Float32

from app.fragments import fragment
from app.learn.at import Lesson, Step, ask, columns
from app.learn.bars import answer_bars
from app.learn.board import board, painted
from app.learn.code import Excerpt
from app.learn.study import Answer, Study
from app.text import class_label, percent, place_name, plain
from tokenlearner.engine import HeldTokens
from tokenlearner.layers import TokenLearnerV11

BOARD: Final = "board paint"
LEARNED: Final = "Learned"
EVEN: Final = "Even"


def draw(at: Lesson) -> None:
    """Draw the step; painting runs this part of the page alone."""
    _instrument(at)


@fragment()
def _instrument(at: Lesson) -> None:
    study = at.study
    config = study.model.card.config
    left, right = columns()
    with right:
        st.markdown(
            "A new token is the sum of the patches' vectors, each times its weight in the map. **Paint a map by "
            "hand**: under the picture you see the token that it pools; the bars are the network's answer when this "
            "one token is all that the blocks behind the module get."
        )
        loc = st.segmented_control(
            f"Blocks before the module, of {config.depth}",
            list(study.held),
            default=study.analysis.loc,
            required=True,
            key="lesson place",
            persist_state="session",
        )
        assert loc is not None
        presets = presets_of(study, loc)
        token_map = painted(BOARD, presets)
        corner = corner_map(study.grid_hw)
        asked = [presets[LEARNED], corner] if token_map is None else [presets[LEARNED], corner, token_map]
        answers = at.compute(lambda: [study.best(study.with_map(loc, one)) for one in asked])
        learned, in_corner = answers[0], answers[1]
        with st.container(key="lesson-answer"):
            if token_map is None:
                st.markdown("An empty map pools nothing, so there is nothing to answer from.")
            else:
                st.html(answer_bars(answers[2]))
            st.caption(f"By the learned map of token 1: {_said(learned)}.")
        same = learned.names[0] == in_corner.names[0]
        ask(
            f"corner {study.item.key} {loc}",
            f"All weight on the top left corner ({int((corner > 0).sum())} of {study.num_patches} patches), module "
            f"{place_name(loc, config)}. Does the network still give the class that it gives by the learned map?",
            ("the same class", "another class"),
            0 if same else 1,
            f"From the corner alone: {_said(in_corner)}. By the learned map: {_said(learned)}. {_why(loc, same)}",
        )
    with left:
        board(
            study.pictures[0],
            study.grid_hw,
            mode="paint",
            key=BOARD,
            label="The picture, to be painted on. Arrow keys move, Space paints, Delete erases.",
            presets=presets,
            features=study.features[loc],
        )


def presets_of(study: Study, loc: int) -> dict[str, Float32[np.ndarray, "rows cols"]]:
    """Maps to begin with: that of the first token, and the plain average."""
    even = np.full(study.grid_hw, 1 / study.num_patches, np.float32)
    return {LEARNED: study.maps(loc)[0, 0], EVEN: even}


def corner_map(grid_hw: tuple[int, int]) -> Float32[np.ndarray, "rows cols"]:
    """Equal weights on a seventh of the rows and columns, at the top left; none elsewhere."""
    token_map = np.zeros(grid_hw, np.float32)
    token_map[: max(1, grid_hw[0] // 7), : max(1, grid_hw[1] // 7)] = 1
    return token_map / token_map.sum()


def _said(answer: Answer) -> str:
    return f"**{plain(class_label(answer.names[0]))}** ({percent(answer.probs[0])})"


def _why(loc: int, same: bool) -> str:
    """What follows for maps, in words that hold for any picture."""
    if loc == 0:
        held = "Before the first block a patch's vector holds its own pixels and at most a little around them."
        if same:
            return f"{held} That the class stays does not mean that the thing itself was seen."
        return f"{held} What is not pooled here, the blocks behind never get."
    held = (
        f"In {'one block' if loc == 1 else f'{loc} blocks'} of attention each patch has looked at all others, so its "
        "vector can hold more than its own pixels."
    )
    if same:
        return f"{held} A map shows where a token is pooled from. It does not prove what the answer rests on."
    return f"{held} Here that did not bring the same class."


STEP: Final = Step(
    name="Pooling",
    title="Pooling makes a token",
    kind="image",
    draw=draw,
    formula=r"z_i = \sum_{n=1}^{N} A_{i,n}\, x_n",
    symbols="$x_n$: vector of patch $n$. $A_{i,n}$: its weight in map $i$. $z_i$: token $i$, as long as $x_n$.",
    code=(
        Excerpt(TokenLearnerV11.forward, "return token_maps"),
        Excerpt(HeldTokens._pool, "tokens = maps"),
    ),
)
