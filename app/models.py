"""Models that can be chosen, their random twins, and what their cards say about one setting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from app.text import percent
from tokenlearner.cards import ListedModel, ModelCard
from tokenlearner.engine.shortcut import PREFERRED_MODEL
from tokenlearner.media.info import MediaKind
from tokenlearner.weights import LoadedModel, load_checkpoint, random_twin

_TRAINING_NAME: Final = re.compile(r"top1 (?:(?P<group>\S.*) )?(?:none|(?P<loc>\d+)/(?P<tokens>\d+))")


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
    def weights(self) -> str:
        """Says which weights lie in the checkpoint; the random twin, which costs the same, has the same."""
        return f"{self.card.name}/{self.card.sha256 or self.size_bytes}"

    @property
    def key(self) -> str:
        """Says which weights run."""
        return f"{self.weights}{'/random' if self.random else ''}"

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
        top1: Share of validation pictures whose most probable class is right, 0..1; of the first question where the
            model answers several.
        by_group: The same for each question of such a model, by its name.
    """

    loc: int | None
    num_tokens: int
    top1: float
    by_group: Mapping[str, float] = field(default_factory=dict)


def measured_accuracies(card: ModelCard) -> tuple[MeasuredAccuracy, ...]:
    """Every (place, tokens, top-1) that a card's numbers hold, by place and tokens; the first one counts.

    Where nothing was measured afterwards, what was measured at the end of the training stands in.
    """
    found: dict[tuple[int | None, int], MeasuredAccuracy] = {}
    questions = [group.name for group in card.config.label_groups]
    for row in _rows(card.metrics):
        loc, tokens = row.get("loc"), row.get("num_tokens")
        by_group = {name: float(row[name]) for name in questions if isinstance(row.get(name), int | float)}
        top1 = row.get("top1", next(iter(by_group.values()), None))
        if isinstance(top1, int | float) and isinstance(tokens, int) and (loc is None or isinstance(loc, int)):
            found.setdefault((loc, tokens), MeasuredAccuracy(loc, tokens, float(top1), by_group))
    if not found:
        found = {(row.loc, row.num_tokens): row for row in _end_of_training(card)}
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
    row = _headline(card)
    return None if row is None else row.top1


def accuracy_in_words(card: ModelCard) -> str:
    """The same in words: "85 % top-1", "object 36 %, motion 81 % top-1", or "" where nothing was measured."""
    row = _headline(card)
    if row is None:
        return ""
    return f"{', '.join(f'{name} {percent(value)}' for name, value in row.by_group.items()) or percent(row.top1)} top-1"


def ordered(known: Iterable[ModelChoice]) -> tuple[ModelChoice, ...]:
    """The models as they are offered: the preferred one first, those for pictures before those for clips."""
    return tuple(
        sorted(known, key=lambda model: (model.card.name != PREFERRED_MODEL, model.card.config.is_video, model.key))
    )


def first_for(known: Sequence[ModelChoice], kind: MediaKind) -> ModelChoice:
    """The model to begin with: for a clip the first trained video model, whose tokens follow what moves.

    Args:
        known: The models as they are offered; at least one.
        kind: "image" or "video".
    """
    videos = (model for model in known if model.card.config.is_video and model.trained)
    return next(videos, known[0]) if kind == "video" else known[0]


def what_it_does(model: ModelChoice) -> str:
    """What a model is for, in a plain sentence."""
    config = model.card.config
    if config.is_video:
        answers = [f"{group.num_classes} answers to “{group.name}”" for group in config.label_groups]
        told = " and ".join(answers) or f"{config.num_classes} classes"
        return f"Video model: {config.num_frames} frames at once, so it can see motion; {told}."
    return f"Image model: a photo, or every frame of a clip by itself; {config.num_classes} classes."


def _headline(card: ModelCard) -> MeasuredAccuracy | None:
    rows = measured_accuracies(card)
    own = [row for row in rows if row.loc == card.config.default_loc]
    return max(own or rows, key=lambda row: row.top1, default=None)


def _end_of_training(card: ModelCard) -> Iterator[MeasuredAccuracy]:
    """What the last row of a training's numbers says, under names such as "top1 4/8" or "top1 motion none"."""
    rows = card.metrics.get("training")
    last = rows[-1] if isinstance(rows, list | tuple) and rows else {}
    found: dict[tuple[int | None, int], dict[str, float]] = {}
    for name, value in last.items():
        match = _TRAINING_NAME.fullmatch(name)
        if match is not None and isinstance(value, int | float):
            loc = int(match["loc"]) if match["loc"] else None
            found.setdefault((loc, int(match["tokens"] or 0)), {})[match["group"] or ""] = float(value)
    for (loc, tokens), by_group in found.items():
        several = {name: value for name, value in by_group.items() if name}
        yield MeasuredAccuracy(loc, tokens, next(iter(by_group.values())), several)


def _rows(metrics: Any) -> Iterator[Mapping[str, Any]]:
    """All mappings inside nested mappings and lists, from the outside in."""
    if isinstance(metrics, Mapping):
        if "num_tokens" in metrics:
            yield metrics
        for value in metrics.values():
            yield from _rows(value)
    elif isinstance(metrics, list | tuple):
        for value in metrics:
            yield from _rows(value)
