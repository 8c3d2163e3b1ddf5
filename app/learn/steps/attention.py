"""Step 2: why attention is quadratic."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.learn.at import Lesson, Step, ask, columns, figures
from app.learn.bars import Bar, bars, legend
from app.learn.board import board
from app.learn.code import Excerpt
from app.learn.costs import Split, level_tokens, vit_b16
from app.text import operations, percent, significant
from tokenlearner import flops
from tokenlearner.config import named_config

SIDES: Final = tuple(range(112, 897, 112))
STANDARD: Final = 224


def draw(at: Lesson) -> None:
    """Draw the step."""
    left, right = columns()
    with right:
        st.markdown(
            "The tokens go through a row of equal **blocks**. In **self-attention** a token's query is multiplied with "
            "every token's key, a **softmax** turns the products into shares that sum to 1, and by these the values of "
            "all tokens are added up: $N$ tokens make $N^2$ **pairs**. Then an **MLP**, a small network of two layers, "
            "works on each token alone. Take ViT-B/16, with patches of 16 × 16 pixels:"
        )
        side = st.select_slider(
            "Side of the image, pixels", SIDES, STANDARD, key="lesson side", persist_state="session"
        )
        one, two = vit_b16(side), vit_b16(2 * side)
        amount, unit = operations(one.total, "MACs")
        with figures():
            st.metric("Patches", f"{one.patches:,}")
            st.metric("Pairs", f"{one.pairs:,}", help="In each block; each of its heads computes them.")
            st.metric(unit, amount, help=flops.CONVENTION)
        st.html(bars([_bar(f"{side} px", one, two), _bar(f"{2 * side} px", two, two)]))
        st.html(legend(("one token at a time", "pairs of tokens")))
        st.caption(
            f"At {side} pixels the pairs are **{percent(one.attention / one.total)}** of the work. The rest, mostly "
            "projections and MLP, is done once for each token: fewer tokens save that too."
        )
        grown = two.total / one.total
        ask(
            "attention",
            "The image gets twice as wide and twice as high. How much more work are the pairs?",
            ("2 times", "4 times", "16 times"),
            2,
            f"Four times the tokens, so {two.pairs // one.pairs} times the pairs; the rest grows 4 times. From {side} "
            f"to {2 * side} pixels all of ViT-B/16 grows {significant(grown)} times, and the pairs go from "
            f"{percent(one.attention / one.total)} to {percent(two.attention / two.total)} of the work. Their share "
            "grows with every patch, and in a video model with every frame: at "
            f"{level_tokens(named_config('B/16')):,} tokens they cost as much as all the rest of a block.",
        )
    with left:
        cells = side // 16
        board(
            at.study.pictures[0],
            (cells, cells),
            mode="links",
            key="board links",
            label=f"The picture in {one.patches} patches, each compared with all others",
        )


def _bar(name: str, cost: Split, largest: Split) -> Bar:
    return Bar(
        name,
        (cost.rest / largest.total, cost.attention / largest.total),
        " ".join(operations(cost.total, "MACs", largest.total)),
    )


STEP: Final = Step(
    name="Attention",
    title="Attention compares all pairs",
    kind="image",
    draw=draw,
    formula=r"\begin{gathered} \operatorname{softmax}\!\left(\frac{Q K^\top}{\sqrt{d}}\right) V \\[0.6em]"
    r"\text{MACs of a block} = \underbrace{N\,(4D^2 + 2DM)}_{\text{one token at a time}}"
    r" + \underbrace{2N^2D}_{\text{pairs}} \end{gathered}",
    symbols="Above, self-attention. $Q, K, V$: queries, keys and values, $d$ numbers of each for every token in each "
    "head; learned matrices, the projections, make them. Softmax: shares of each row that sum to 1. Below, its cost. "
    "$N$: tokens. $D$: numbers in a token. $M$: hidden width of the MLP. A MAC is one multiply-add. Double the side of "
    "an image, and $N$ is four times, $N^2$ sixteen times as large.",
    code=(Excerpt(flops._block_macs, "dim = config.embed_dim", "return"),),
)
