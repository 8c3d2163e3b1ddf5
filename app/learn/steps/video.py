"""Step 7: video, one set of tokens for each time step."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.learn.at import Lesson, Step, ask, columns, figures
from app.learn.bars import answer_bars, heat_legend, tiles
from app.learn.code import Excerpt
from app.learn.costs import saving
from app.learn.study import CLIP_S
from app.models import measured_accuracies
from app.text import operations, percent, significant
from tokenlearner import flops
from tokenlearner.cards import ModelCard
from tokenlearner.model import TokenLearnerViT
from tokenlearner.palette import token_name
from tokenlearner.render import clip_scale


def draw(at: Lesson) -> None:
    """Draw the step."""
    study = at.study
    config, loc = study.model.card.config, study.analysis.loc
    assert loc is not None
    maps = study.maps(loc)
    steps, tokens = maps.shape[:2]
    tubelets = steps * study.num_patches
    left, right = columns()
    with right:
        st.markdown(
            f"Our video model takes {config.num_frames} frames, {config.tubelet_size} at a time: {steps} time steps "
            f"of {study.num_patches} patches. Its blocks compare all patches of all time steps with each other: "
            f"**{tubelets:,} tokens**. TokenLearner makes one set of tokens **for each time step**; the blocks behind "
            "it run on all sets together."
        )
        k = st.slider("Tokens per time step", 1, tokens, tokens, key="lesson video tokens", persist_state="session")
        token = st.segmented_control(
            "Map on the frames",
            range(tokens),
            format_func=lambda index: str(index + 1),
            default=0,
            required=True,
            key="lesson video token",
            persist_state="session",
        )
        cost = flops.compute(config, image_hw=study.analysis.geometry.input_hw, loc=loc, num_tokens=k)
        whole = study.analysis.baseline
        amount, unit = operations(cost.total_macs, "MACs", whole.total_macs)
        with figures():
            behind = f"{steps} time steps of {k}; without the module {tubelets:,}."
            st.metric("Tokens behind it", f"{steps * k:,}", help=behind)
            st.metric(unit, amount, help=f"One clip. {flops.CONVENTION}")
            st.metric("Of the plain ViT", percent(cost.total_macs / whole.total_macs))
        saved = saving(config, study.analysis.geometry.input_hw, loc, k).words(steps * k, tubelets)
        times = tubelets**2 / (steps * k) ** 2
        by_patches = study.num_patches / k
        ask(
            f"video {k}",
            f"{tubelets:,} tokens become {steps * k:,}. How many times fewer pairs are there in a block behind the "
            "module?",
            (f"{round(by_patches, 1):g} times", f"{_times(times)} times", f"{_times(by_patches * times)} times"),
            1,
            f"{tubelets:,}² pairs become {steps * k:,}²: {tubelets**2:,} and {(steps * k) ** 2:,}. {saved}",
        )
        logits = at.compute(lambda: study.with_first(loc, k))
        groups = list(study.analysis.label_groups)
        places = st.columns(len(groups))
        for column, group in zip(places, groups, strict=True):
            with column:
                st.markdown(f"**{group.capitalize()}**")
                st.html(answer_bars(study.best(logits, 2, group)))
        st.caption(_limits(study.model.card, loc))
    with left:
        pictures = [study.pictures[min(step, len(study.pictures) - 1)] for step in range(steps)]
        seconds = study.analysis.timestamps_s
        scale = clip_scale(maps)
        st.html(
            tiles(
                pictures,
                maps[:, token],
                scale_max=scale,
                tokens=[token] * steps,
                captions=[f"{seconds[step]:.1f} s" if step < len(seconds) else "" for step in range(steps)],
                used=[token < k] * steps,
            )
        )
        st.html(heat_legend(scale))
        unused = f" With {k} per time step, {token_name(token).lower()} is not used." if token >= k else ""
        st.caption(
            f"{token_name(token)} in each time step, over the middle of its first frame; the first {CLIP_S:g} s of "
            f"the clip.{unused}"
        )


def _times(value: float) -> str:
    return f"{round(value):,}" if value >= 100 else significant(value)


def _limits(card: ModelCard, loc: int) -> str:
    rows = [row for row in measured_accuracies(card) if row.loc == loc and row.by_group]
    if not rows:
        return "What the model answers on real clips was not measured."
    best = max(rows, key=lambda row: row.num_tokens)
    said = ", ".join(f"{name} {percent(top1)}" for name, top1 in best.by_group.items())
    return (
        f"On validation clips made like those it learned from, with {best.num_tokens} tokens, it is right this often: "
        f"{said}. Those clips are photographs in motion: real ones look different, and its words for them are guesses."
    )


STEP: Final = Step(
    name="Video",
    title="Video: tokens for every time step",
    kind="video",
    draw=draw,
    formula=r"\begin{gathered} Z_t = A_t X_t \quad (t = 1 \ldots T) \\ (T N)^2 \;\to\; (T k)^2 \text{ pairs}"
    r"\end{gathered}",
    symbols="$T$: time steps. $N$: patches of one. $k$: tokens of one. The weights of the module are the same in "
    "every time step; the maps are not.",
    code=(
        Excerpt(TokenLearnerViT.tokenize, "tokens, token_maps = self.token_learners"),
        Excerpt(TokenLearnerViT.suffix, "x = x.flatten(1, 2)", "return"),
    ),
)
