"""Step 1: a picture as patches."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.fragments import errors_said
from app.learn.at import Lesson, Step, ask, columns, figures
from app.learn.board import board
from app.learn.code import Excerpt
from app.tradeoffs.published import published
from tokenlearner.config import ModelConfig
from tokenlearner.model import TokenLearnerViT


def draw(at: Lesson) -> None:
    """Draw the step."""
    config, geometry = at.study.model.card.config, at.study.analysis.geometry
    side, own = geometry.input_hw[0], config.patch_size[0]
    rows, cols = geometry.grid_hw
    left, right = columns()
    with right:
        with errors_said():
            st.markdown(
                f"How few **tokens** does a network need to see? That is the question of [TokenLearner]"
                f"({published().paper_url}), the paper that this lesson follows (Ryoo, Piergiovanni, Arnab, Dehghani "
                "and Angelova, 2021)."
            )
        st.markdown(
            "A Vision Transformer cuts the picture into squares, the **patches**, and turns each into a vector, a "
            f"first **token**. Our image model takes {geometry.input_hw[0]} × {geometry.input_hw[1]} pixels in patches "
            f"of {own} × {own}: {rows} × {cols} = **{rows * cols} patches**, each a vector of {config.embed_dim} "
            "numbers. A position embedding, added to the vector, says where the patch was."
        )
        if config.stem == "conv":
            st.markdown(
                "The original makes a vector of one patch alone, by one matrix; ours by a few small convolutions, "
                "which see a little of its neighbours too."
            )
        sides = [size for size in range(4, side // 2 + 1) if side % size == 0]
        patch = st.select_slider("Patch side, pixels", sides, own, key="lesson patch side", persist_state="session")
        apart = st.toggle("Take the picture apart", key="lesson apart", persist_state="session")
        count = (side // patch) ** 2
        with figures():
            st.metric("Patches", f"{count:,}")
            st.metric("Pixel values in a patch", f"{3 * patch * patch:,}", help=f"{patch} × {patch} × 3 colours.")
        if patch != own:
            st.caption(f"Drawn only: the model was trained with patches of {own} × {own} pixels.")
        ask(
            "patches",
            "The patches become half as wide and half as high. How many are there then?",
            ("2 times as many", "4 times as many", "16 times as many"),
            1,
            f"Twice as many across and twice as many down: {rows * cols} would become {4 * rows * cols}.",
        )
    with left:
        board(
            at.study.pictures[0],
            (side // patch, side // patch),
            mode="patches",
            key="board patches",
            label=f"The picture in {count} patches",
            apart=apart,
        )
        if geometry.box_xywh[2:] != geometry.frame_hw[::-1]:
            st.caption("The middle of the picture: the lesson shows a square.")


STEP: Final = Step(
    name="Patches",
    title="A picture becomes patches",
    kind="image",
    draw=draw,
    formula=r"N = \frac{H}{P}\cdot\frac{W}{P} \qquad X \in \mathbb{R}^{N\times D}",
    symbols="$H, W$: height and width in pixels. $P$: side of a patch. $N$: number of patches. $D$: numbers in a "
    "vector. $X$: all vectors, one a row.",
    code=(
        Excerpt(ModelConfig.grid_hw, "rows, columns = "),
        Excerpt(TokenLearnerViT._embed, "x = self.embed(pixels).unsqueeze(1)"),
        Excerpt(TokenLearnerViT._embed, "return x + self._pos_embed"),
    ),
)
