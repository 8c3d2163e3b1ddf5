"""Step 5: eight tokens, nested."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.learn.at import Lesson, Step, ask, columns, figures
from app.learn.bars import answer_bars, heat_legend, tiles
from app.learn.code import Excerpt
from app.learn.costs import saving
from app.models import measured_accuracies
from app.text import count, operations, percent, significant
from tokenlearner import flops, layers
from tokenlearner.cards import ModelCard
from tokenlearner.layers import TokenLearnerV11
from tokenlearner.render import clip_scale

SMALL: Final = 2.0
LARGE: Final = 10.0
"""In percentage points."""


def draw(at: Lesson) -> None:
    """Draw the step."""
    study = at.study
    config, loc = study.model.card.config, study.analysis.loc
    assert loc is not None
    maps = study.maps(loc)
    left, right = columns()
    with right:
        st.markdown(
            "One token is an average. Several, each with a map of its own, can keep apart what lies apart. The maps "
            f"here, after {loc} of {config.depth} blocks, are **nested**: with 3 tokens the model uses maps 1 to 3 of "
            f"the same set, and so runs with any number up to {config.num_tokens}. It was trained for that; a model of "
            "the paper keeps its number. The blocks behind the module work on so many tokens, instead of "
            f"{study.num_patches}."
        )
        k = st.slider(
            "Tokens",
            1,
            config.num_tokens,
            min(8, config.num_tokens),
            key="lesson tokens",
            persist_state="session",
        )
        answer = at.compute(lambda: study.best(study.with_first(loc, k)))
        cost = flops.compute(config, image_hw=study.analysis.geometry.input_hw, loc=loc, num_tokens=k)
        whole = study.analysis.baseline
        amount, unit = operations(cost.total_macs, "MACs", whole.total_macs)
        with figures():
            pairs = f"{k * k:,} pairs in each block; {study.num_patches**2:,} without the module."
            st.metric("Tokens behind it", f"{k}", help=pairs)
            st.metric(unit, amount, help=f"One picture, the module included. {flops.CONVENTION}")
            st.metric("Of the plain ViT", percent(cost.total_macs / whole.total_macs))
        image_hw = study.analysis.geometry.input_hw
        st.caption(saving(config, image_hw, loc, k).words(k, study.num_patches))
        st.html(answer_bars(answer))
        drop = drop_of(study.model.card, loc)
        if drop is not None:
            many, few, points = drop
            ask(
                f"tokens {study.model.key}",
                f"From {many[0]} tokens to {few[0]}: how much accuracy does this model lose at this place?",
                (f"under {SMALL:g} points", f"{SMALL:g} to {LARGE:g} points", f"over {LARGE:g} points"),
                0 if points < SMALL else 1 if points <= LARGE else 2,
                f"With {many[0]} tokens {_rate(many[1])} of the validation photographs are named right, with "
                f"{count(few[0], 'token')} {_rate(few[1])} (from the model's card). On pictures of one centred "
                "object, few tokens are enough. That says little about crowded scenes.",
            )
    with left:
        shown = maps.shape[1]
        scale = clip_scale(maps)
        st.html(
            tiles(
                [study.pictures[0][::3, ::3]] * shown,
                maps[0],
                scale_max=scale,
                tokens=range(shown),
                captions=[""] * shown,
                used=[token < k for token in range(shown)],
            )
        )
        st.html(heat_legend(scale))


def drop_of(card: ModelCard, loc: int) -> tuple[tuple[int, float], tuple[int, float], float] | None:
    """Most and fewest tokens that were measured at a place with their accuracies, and the loss in percentage points."""
    rows = {row.num_tokens: row.top1 for row in measured_accuracies(card) if row.loc == loc}
    if len(rows) < 2:
        return None
    many, few = max(rows), min(rows)
    return (many, rows[many]), (few, rows[few]), 100 * (rows[many] - rows[few])


def _rate(top1: float) -> str:
    return f"**{significant(100 * top1, 3)} %**"


STEP: Final = Step(
    name="Eight",
    title="Eight of them",
    kind="image",
    draw=draw,
    formula=r"Z = A\,X \qquad A \in \mathbb{R}^{k\times N},\quad Z \in \mathbb{R}^{k\times D}",
    symbols="$k$: number of tokens. $A$: the first $k$ maps, one a row. $Z$: the tokens; they "
    "take the place of the $N$ patches.",
    code=(
        Excerpt(TokenLearnerV11.forward, "return token_maps"),
        Excerpt(layers._first_outputs, "return"),
    ),
)
