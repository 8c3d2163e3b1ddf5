"""Step 6: where to put the module."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import streamlit as st

from app.learn.at import Lesson, Step, ask, columns
from app.learn.bars import Bar, bars, heat_legend, legend, tiles
from app.learn.code import Excerpt
from app.learn.study import Answer
from app.models import measured_accuracies
from app.text import class_label, count, operations, percent, place_name, significant
from app.tradeoffs.own import Own, read_own
from tokenlearner import flops
from tokenlearner.cards import ModelCard
from tokenlearner.config import ModelConfig
from tokenlearner.render import clip_scale

COMPARISON: Final = Path(__file__).resolve().parents[3] / "assets" / "comparison.json"


@dataclass(frozen=True)
class Rival:
    """A row of the comparison: one form of the same small network.

    Attributes:
        top1: Accuracy, 0..1.
        macs: What one picture costs.
    """

    top1: float
    macs: int


def draw(at: Lesson) -> None:
    """Draw the step."""
    study = at.study
    card = study.model.card
    config = card.config
    counts = measured_counts(card)
    left, right = columns()
    with right:
        st.markdown(
            "Blocks before the module see all patches, blocks behind it only the tokens. **Early is cheap**, but the "
            "tokens are made from features that have hardly been worked on. **Late costs more** and risks less."
        )
        k = st.segmented_control(
            "Tokens",
            counts,
            default=min(counts, key=lambda number: abs(number - 8)),
            required=True,
            key="lesson tokens of places",
            persist_state="session",
        )
        middle = min(config.tokenlearner_locs, key=lambda loc: abs(loc - config.depth / 2))
        share = share_left(config, middle, k)
        ask(
            f"place {study.model.key} {k}",
            f"The module sits after {middle} of {config.depth} blocks. How much of the plain network's work is left?",
            ("less than 40 %", "40 to 70 %", "more than 70 %"),
            0 if share < 0.4 else 1 if share <= 0.7 else 2,
            f"**{percent(share)}**: the blocks before it cost what they always did, those behind it next to nothing.",
        )
        st.markdown(_honest())
    with left:
        st.html(bars(place_bars(config, card, k)))
        st.html(legend(("before the module", "module", "behind it")))
        st.caption(_source(read_own(card)))
        _on_the_picture(at, k)


def _on_the_picture(at: Lesson, num_tokens: int) -> None:
    """What the network says about the picture at each place, and one token's map there."""
    study = at.study
    config, places = study.model.card.config, tuple(study.held)
    found: dict[int | None, Answer] = at.compute(
        lambda: {loc: study.best(study.with_first(loc, num_tokens), 1) for loc in places}
    )
    found[None] = study.best(study.plain, 1)
    st.markdown(f"**On this picture**, with {count(num_tokens, 'token')}: what it is taken for.")
    st.html(bars(answer_rows(found, config)))
    maps = np.stack([study.maps(loc)[0, 0] for loc in places])
    scale = clip_scale(maps[:, None])
    st.html(
        tiles(
            [study.pictures[0][::3, ::3]] * len(places),
            maps,
            scale_max=scale,
            tokens=[0] * len(places),
            captions=[f"after {loc}" if loc else "before all" for loc in places],
            used=[True] * len(places),
        )
    )
    st.html(heat_legend(scale))
    st.caption(
        "The map of token 1 at each place. Each place has a module of its own, so the same number need not look at the "
        "same thing."
    )


def answer_rows(found: Mapping[int | None, Answer], config: ModelConfig) -> list[Bar]:
    """The most probable class at each place; the bar is as long as it is probable."""
    return [
        Bar(
            place_name(loc, config),
            (answer.probs[0],),
            f"{class_label(answer.names[0])} {percent(answer.probs[0])}",
            loc == config.default_loc,
        )
        for loc, answer in found.items()
    ]


def place_bars(config: ModelConfig, card: ModelCard, num_tokens: int) -> list[Bar]:
    """What each place costs, and how accurate the model is there, by its card."""
    measured = {(row.loc, row.num_tokens): row.top1 for row in measured_accuracies(card)}
    whole = flops.compute(config, loc=None).total_macs
    rows = []
    for loc in (*config.tokenlearner_locs, None):
        cost = flops.compute(config, loc=loc, num_tokens=num_tokens if loc is not None else None)
        before = cost.stages["patch embedding"] + cost.stages["blocks before"]
        module = cost.stages["TokenLearner"]
        behind = cost.total_macs - before - module
        top1 = measured.get((loc, 0 if loc is None else num_tokens))
        accuracy = "" if top1 is None else f"{significant(100 * top1, 3)} %"
        amount = " ".join(operations(cost.total_macs, "MACs", whole))
        rows.append(
            Bar(
                place_name(loc, config),
                (before / whole, module / whole, behind / whole),
                f"{amount} · {accuracy or 'not measured'}",
                loc == config.default_loc,
            )
        )
    return rows


def share_left(config: ModelConfig, loc: int, num_tokens: int) -> float:
    """Share of the plain network's multiply-adds that remains with the module at a place."""
    plain = flops.compute(config, loc=None).total_macs
    return flops.compute(config, loc=loc, num_tokens=num_tokens).total_macs / plain


def measured_counts(card: ModelCard) -> list[int]:
    """Numbers of tokens whose accuracy the card holds, ascending; all tokens if it holds none."""
    counts = sorted({row.num_tokens for row in measured_accuracies(card) if row.loc is not None})
    return counts or [card.config.num_tokens]


@functools.cache
def rivals() -> dict[str, Rival]:
    """The comparison of eight forms of one network, by the name of the form."""
    rows = json.loads(COMPARISON.read_text("utf-8"))["rows"]
    return {
        str(row["recipe"]).removeprefix("comparison:"): Rival(float(row["top1"]), int(row["total_macs"]))
        for row in rows
        if row["recipe"] != "comparison:elastic"
    }


def _honest() -> str:
    found = rivals()
    plain, average, learned = found["plain"], found["average-8"], found["v11-8"]
    return (
        f"**Is learning needed?** One smaller network, trained alike in several forms: plain ViT {_rate(plain)}, "
        f"average pooling to 8 tokens in the middle {_rate(average)}, TokenLearner there {_rate(learned)} (one run "
        "each, standard error 1 point). On our photographs learned pooling is not more accurate than averaging. What "
        "it adds here is maps that follow the picture. The gains that the paper reports are on other data and at "
        "another scale."
    )


def _rate(rival: Rival) -> str:
    return f"{significant(100 * rival.top1, 3)} %"


def _source(own: Own | None) -> str:
    error = own.standard_error if own is not None else None
    more = f", standard error {significant(100 * error)} points" if error else ""
    return (
        "Bars: multiply-adds of one picture at the model's own size, counted from its configuration. Percent: share of "
        f"validation photographs named right, from the model's card{more}. The patch embedding, the blocks' attention "
        "and MLP, TokenLearner and the classifier are counted."
    )


STEP: Final = Step(
    name="Place",
    title="Where to put the module",
    kind="image",
    draw=draw,
    formula=r"\text{cost} \approx \ell\,C(N) + (L-\ell)\,C(k)",
    symbols="$\\ell$: blocks before the module. $L$: all blocks. $C(n)$: cost of a block on $n$ tokens, from step 2. "
    "The patch embedding, the module and the classifier come on top.",
    code=(Excerpt(flops.compute, '"blocks before":', '"blocks after":'),),
)
