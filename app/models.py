"""Models that can be chosen, their random twins, and what their cards say about one setting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tokenlearner.cards import ListedModel, ModelCard
from tokenlearner.weights import LoadedModel, load_checkpoint, random_twin


@dataclass(frozen=True)
class ModelChoice:
    """A model, or the same network with random weights.

    Attributes:
        card: The model's card; that of the trained model for its twin as well.
        path: Its checkpoint.
        size_bytes: Of the checkpoint.
        random: Whether it is the twin.
    """

    card: ModelCard
    path: Path
    size_bytes: int
    random: bool = False

    @property
    def key(self) -> str:
        """Says which weights."""
        return f"{self.card.name}/{self.card.sha256 or self.size_bytes}{'/random' if self.random else ''}"

    @property
    def trained(self) -> bool:
        """Whether its maps and predictions mean something."""
        return self.card.trained and not self.random

    def load(self) -> LoadedModel:
        """Read the weights.

        Raises:
            CheckpointError: If that is not possible.
        """
        loaded = load_checkpoint(self.path)
        return random_twin(loaded) if self.random else loaded


def from_listed(listed: ListedModel, *, random: bool = False) -> ModelChoice:
    """A model found on disk."""
    return ModelChoice(listed.card, listed.path, listed.size_bytes, random)


@dataclass(frozen=True)
class MeasuredAccuracy:
    """What a card says about a place and a number of tokens.

    Attributes:
        loc: Block before which the module sits; None for the plain network.
        num_tokens: Tokens; 0 for the plain network.
        top1: Share of validation pictures whose most probable class is right, 0..1.
    """

    loc: int | None
    num_tokens: int
    top1: float


def measured_accuracies(card: ModelCard) -> tuple[MeasuredAccuracy, ...]:
    """Every (place, tokens, top-1) that a card's numbers hold, by place and tokens; the first one counts."""
    found: dict[tuple[int | None, int], MeasuredAccuracy] = {}
    for row in _rows(card.metrics):
        loc, tokens, top1 = row.get("loc"), row.get("num_tokens"), row.get("top1")
        if isinstance(top1, int | float) and isinstance(tokens, int) and (loc is None or isinstance(loc, int)):
            found.setdefault((loc, tokens), MeasuredAccuracy(loc, tokens, float(top1)))
    return tuple(sorted(found.values(), key=lambda row: (row.loc is None, row.loc or 0, row.num_tokens)))


def accuracies_near(card: ModelCard, loc: int | None, num_tokens: int) -> tuple[MeasuredAccuracy, ...]:
    """What was measured at a setting, or else at the numbers of tokens on both sides of it; empty if nothing was."""
    here = [row for row in measured_accuracies(card) if row.loc == loc]
    exact = [row for row in here if loc is None or row.num_tokens == num_tokens]
    if exact:
        return tuple(exact[:1])
    below = [row for row in here if row.num_tokens < num_tokens]
    above = [row for row in here if row.num_tokens > num_tokens]
    return (*below[-1:], *above[:1])


def headline_accuracy(card: ModelCard) -> float | None:
    """The accuracy to show beside a model's name: at its own place with all tokens, or the best one measured."""
    rows = measured_accuracies(card)
    own = [row for row in rows if row.loc == card.config.default_loc]
    return max((row.top1 for row in own or rows), default=None)


def _rows(metrics: Any) -> Iterator[Mapping[str, Any]]:
    """All mappings inside nested mappings and lists, from the outside in."""
    if isinstance(metrics, Mapping):
        if "top1" in metrics and "num_tokens" in metrics:
            yield metrics
        for value in metrics.values():
            yield from _rows(value)
    elif isinstance(metrics, list | tuple):
        for value in metrics:
            yield from _rows(value)
