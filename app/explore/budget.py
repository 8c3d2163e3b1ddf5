"""A compute budget: the best measured setting within it, chosen in one move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import streamlit as st

from app.charts import CountUnit
from app.explore import sliders
from app.explore.page import Here
from app.models import ModelChoice, measured_accuracies
from app.results import Shown
from app.text import count, milliseconds, operations, percent, place_name, plain
from tokenlearner import flops
from tokenlearner.cards import ModelCard

_SHARE: Final = "budget"
_STEP: Final = 1


@dataclass(frozen=True)
class Priced:
    """A measured setting with what it costs.

    Attributes:
        loc: Place of the module; None for the plain network.
        num_tokens: Tokens; 0 for the plain network.
        top1: Accuracy on the model's card, 0..1.
        macs: Multiply-adds of one frame (clip of a video model), on the input at hand.
    """

    loc: int | None
    num_tokens: int
    top1: float
    macs: int


def priced(card: ModelCard, image_hw: tuple[int, int]) -> tuple[Priced, ...]:
    """What was measured, with its cost on inputs of a size, the cheapest first."""
    found = [
        Priced(
            row.loc,
            row.num_tokens,
            row.top1,
            flops.compute(card.config, image_hw=image_hw, loc=row.loc, num_tokens=row.num_tokens or None).total_macs,
        )
        for row in measured_accuracies(card)
        if _held(card, row.loc, row.num_tokens)
    ]
    return tuple(sorted(found, key=lambda one: (one.macs, -one.top1)))


def best_within(settings: Sequence[Priced], macs: float) -> Priced | None:
    """The most accurate setting that costs no more; of equally good ones the cheapest. None if all cost more."""
    return max((one for one in settings if one.macs <= macs), key=lambda one: (one.top1, -one.macs), default=None)


def draw(at: Here, shown: Shown, unit: CountUnit) -> None:
    """Draw the slider; moving it moves tokens and place, before they are drawn."""
    image_hw, full = shown.analysis.geometry.input_hw, shown.analysis.baseline.total_macs
    settings = priced(shown.model.card, image_hw)
    if len(settings) < 2:
        st.caption("The model's card has no measured accuracies to choose by.")
        return
    least = -int(-100 * settings[0].macs // full)
    key = _key(shown.model)
    if st.session_state.get(key, 100) < least:  # another input size had a cheaper setting
        st.session_state[key] = least
    share = st.slider(
        f"Budget, in % of the plain ViT's {plain(_cost(full, full, unit))}",
        least,
        100,
        100,
        _STEP,
        format="%d %%",
        key=key,
        disabled=shown.is_part,
        on_change=_go,
        args=(key, shown.model, settings, full),
        persist_state="session",
        help="Goes to the tokens and the place that were measured best, on the model's card, among those that cost no "
        "more than this. The sliders above stay free.",
    )
    best = best_within(settings, share / 100 * full)
    if best is None or share == 100:
        return
    st.caption(plain(words(at, shown, best, share / 100 * full, unit)))
    loc, num_tokens = sliders.chosen(shown.model)
    here = flops.compute(shown.model.card.config, image_hw=image_hw, loc=loc, num_tokens=num_tokens or None).total_macs
    if here > share / 100 * full:
        st.caption(plain(f"The sliders stand above it: {_cost(here, full, unit)}."))


def words(at: Here, shown: Shown, best: Priced, budget: float, unit: CountUnit) -> str:
    """What the best setting within a budget is, how good, and how fast as far as that was measured here."""
    full = shown.analysis.baseline.total_macs
    limit, cost = _cost(budget, full, unit), _cost(best.macs, full, unit)
    config = shown.model.card.config
    setting = "the plain ViT"
    if best.loc is not None:
        setting = f"{count(best.num_tokens, 'token')} {place_name(best.loc, config)}"
    view = (best.loc, best.num_tokens, ())
    known = at.server.known_latency(shown.model, shown.request.device, shown.analysis.geometry.input_hw, view)
    speed = f", {milliseconds(known.median_ms)} here" if known is not None else ""
    return f"Best measured within {limit}: {setting}, {percent(best.top1)} top-1 for {cost}{speed}."


def _cost(macs: float, full: int, unit: CountUnit) -> str:
    """Multiply-adds in words, in the unit in which those of the plain network are told."""
    factor = 2 if unit == "FLOPs" else 1
    return " ".join(operations(round(factor * macs), unit, factor * full))


def _go(key: str, model: ModelChoice, settings: Sequence[Priced], full: int) -> None:
    """Move the sliders to the best setting within the budget."""
    best = best_within(settings, st.session_state[key] / 100 * full)
    if best is not None:
        sliders.go_to(model, best.loc, best.num_tokens)


def _held(card: ModelCard, loc: int | None, num_tokens: int) -> bool:
    """Whether the model can be run so."""
    return loc is None or (loc in card.config.tokenlearner_locs and 0 < num_tokens <= card.config.num_tokens)


def _key(model: ModelChoice) -> str:
    return f"{_SHARE} of {model.card.name}"
