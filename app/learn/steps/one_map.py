"""Step 3: what one spatial map does."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.learn.at import Lesson, Step, ask, columns
from app.learn.board import board
from app.learn.code import Excerpt
from app.learn.study import half_of
from app.text import percent
from tokenlearner.cards import ModelCard
from tokenlearner.layers import TokenLearnerV11
from tokenlearner.palette import token_name
from tokenlearner.render import clip_scale

TOKENS: Final = 8


def draw(at: Lesson) -> None:
    """Draw the step."""
    study = at.study
    config, loc, patches = study.model.card.config, study.analysis.loc, study.num_patches
    assert loc is not None
    maps = study.maps(loc)
    left, right = columns()
    with right:
        st.markdown(
            f"**TokenLearner** is a small module between two blocks, here after {loc} of {config.depth}. It makes a "
            "few new tokens, and these alone go on. For each it computes a **map**: one weight for each of the "
            f"{patches} patches. A small MLP looks at each patch's vector and gives a number; a softmax over all "
            "patches turns the numbers into shares that sum to 1."
        )
        st.markdown(how_learned(study.model.card))
        token = st.segmented_control(
            "Token",
            range(min(TOKENS, config.num_tokens)),
            format_func=lambda index: str(index + 1),
            default=0,
            required=True,
            key="lesson token",
            persist_state="session",
        )
        token_map = maps[0, token]
        half = half_of(token_map)
        few, some = patches // 8, patches // 3
        revealed = ask(
            f"map {study.item.key} {token}",
            f"How many of the {patches} patches hold half of the weight of {token_name(token).lower()}?",
            (f"at most {few}", f"{few + 1} to {some}", f"more than {some}"),
            0 if len(half) <= few else 1 if len(half) <= some else 2,
            f"The heaviest **{len(half)}**, now outlined. With equal weights it would take {-(-patches // 2)}.",
        )
    with left:
        board(
            study.pictures[0],
            study.grid_hw,
            mode="map",
            key="board map",
            label=f"The map of {token_name(token).lower()} over the picture",
            token_map=token_map,
            scale_max=clip_scale(maps),
            marked=half if revealed else (),
        )


def how_learned(card: ModelCard) -> str:
    """Where the maps come from: what the paper asks of them, and what this model's recipe asks beside."""
    recipe = card.recipe or {}
    collages = recipe.get("augment", {}).get("collage_share", 0)
    loss = recipe.get("loss", {})
    asked = []
    if collages:
        asked.append(
            f"{percent(collages)} of what it saw were **collages**, cut-out objects on clutter, of which it had to "
            "name all"
        )
    if loss.get("rebuild"):
        asked.append("it must be possible to rebuild the patches' vectors from the tokens")
    if loss.get("overlap"):
        asked.append("maps should not overlap")
    said = "No one drew these maps. They were learned with the network, from the names of whole photographs."
    if not asked:
        return said
    return f"{said} Ours was asked more than the paper asks: {'; '.join(asked)}."


STEP: Final = Step(
    name="Map",
    title="One map weighs the patches",
    kind="image",
    draw=draw,
    formula=r"A_i = \operatorname{softmax}\bigl(\alpha_i(X)\bigr) \qquad \sum_{n=1}^{N} A_{i,n} = 1",
    symbols="$\\alpha_i$: LayerNorm and MLP, the same for every patch; output $i$ is for token $i$. $A_i$: the map. "
    "This is TokenLearner v1.1; v1.0 has convolutions and a sigmoid instead, and its weights do not sum to 1.",
    code=(
        Excerpt(TokenLearnerV11.map_logits, "hidden = self.mlp.act", "return"),
        Excerpt(TokenLearnerV11.forward, "token_maps = self.map_logits"),
    ),
)
