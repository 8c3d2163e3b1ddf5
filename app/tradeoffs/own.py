"""What a model's card has measured, with what each setting costs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.models import measured_accuracies
from tokenlearner import flops
from tokenlearner.cards import ModelCard
from tokenlearner.errors import ConfigError


@dataclass(frozen=True)
class OwnPoint:
    """One measured setting.

    Attributes:
        loc: Block before which the module sat, None for the plain network.
        num_tokens: Tokens; 0 for the plain network.
        top1: Accuracy, 0..1.
        macs: What one input cost.
    """

    loc: int | None
    num_tokens: int
    top1: float
    macs: int


@dataclass(frozen=True)
class Own:
    """A trained model of this project, as its card describes it.

    Attributes:
        card: The card.
        points: Every measured setting.
        plain: The one without TokenLearner.
        photographs: How many the accuracy was measured on, None if the card does not say.
    """

    card: ModelCard
    points: tuple[OwnPoint, ...]
    plain: OwnPoint
    photographs: int | None

    @property
    def depth(self) -> int:
        """Blocks."""
        return self.card.config.depth

    @property
    def token_counts(self) -> tuple[int, ...]:
        """Numbers of tokens that were measured, ascending."""
        return tuple(sorted({point.num_tokens for point in self.points if point.loc is not None}))

    @property
    def standard_error(self) -> float | None:
        """Of one accuracy, 0..1: what another draw of as many photographs would change."""
        if not self.photographs:
            return None
        return math.sqrt(self.plain.top1 * (1 - self.plain.top1) / self.photographs)

    def with_tokens(self, num_tokens: int) -> tuple[OwnPoint, ...]:
        """The settings with so many tokens, by place."""
        rows = (point for point in self.points if point.loc is not None and point.num_tokens == num_tokens)
        return tuple(sorted(rows, key=lambda point: point.loc or 0))


def own_models(cards: Iterable[ModelCard]) -> tuple[Own, ...]:
    """The trained image models whose cards hold accuracies with and without the module, the best measured one first."""
    usable = (card for card in cards if card.trained and not card.config.is_video)
    found = (own for card in usable if (own := read_own(card)) is not None)
    return tuple(sorted(found, key=lambda own: (-len(own.points), -own.plain.top1)))


def read_own(card: ModelCard) -> Own | None:
    """What a card has measured; None if it cannot be compared with the plain network."""
    points = []
    for row in measured_accuracies(card):
        try:
            macs = flops.compute(card.config, loc=row.loc, num_tokens=row.num_tokens or None).total_macs
        except ConfigError:
            continue  # a card may tell of settings that this network cannot run
        points.append(OwnPoint(row.loc, row.num_tokens, row.top1, macs))
    plain = next((point for point in points if point.loc is None), None)
    if plain is None or all(point.loc is None for point in points):
        return None
    return Own(card, tuple(points), plain, _photographs(card.metrics))


def _photographs(metrics: Any) -> int | None:
    """How many pictures the numbers rest on, wherever the card says it."""
    if isinstance(metrics, Mapping):
        if isinstance(metrics.get("photographs"), int):
            return int(metrics["photographs"])
        return next((found for value in metrics.values() if (found := _photographs(value))), None)
    return None
