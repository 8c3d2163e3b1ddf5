"""What a card says, as rows, tables and sentences. Nothing here touches the page."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.models import ModelChoice, headline_accuracy, measured_accuracies
from app.text import percent, place_name, significant
from tokenlearner.cards import ModelCard
from tokenlearner.config import ModelConfig

Row = Mapping[str, Any]
Setting = tuple[int | None, int]


@dataclass(frozen=True)
class Measure:
    """A number that a card holds for several settings.

    Attributes:
        name: What it is called on the page.
        words: What it means, and which way is better.
        values: By (place, tokens); (None, 0) is the plain network.
        share: Whether it is shown as a percentage.
        good_high: Whether more is better; None where it depends.
    """

    name: str
    words: str
    values: Mapping[Setting, float]
    share: bool = True
    good_high: bool | None = True

    def text(self, value: float) -> str:
        """A value as the page shows it."""
        return percent(value) if self.share else significant(value, 3)


_MEASURES: Final[tuple[tuple[str, str, str, bool, bool | None], ...]] = (
    ("top1", "Top-1 accuracy", "Share of unseen pictures whose most probable class is right.", True, True),
    ("mean_class", "Mean over classes", "Accuracy of each class, averaged: rare classes count as much.", True, True),
    (
        "motion_frozen",
        "Motion from one frame",
        "Motions named when one frame is shown throughout: chance is right.",
        True,
        None,
    ),
    ("agreement", "Agreement", "Share of unseen pictures for which it names the teacher's class.", True, True),
    ("unexplained", "Unexplained", "Difference from the teacher's features: 0 the same, 1 hopeless.", False, False),
    ("entropy", "Entropy", "How spread the maps are: 1 is uniform, which says nothing.", False, None),
    ("overlap", "Overlap", "Cosine between maps of different tokens: 1 means that all look at the same.", False, False),
    ("adaptivity", "Adaptivity", "How much the maps depend on the picture: 0 is a fixed mask.", False, True),
    ("coverage", "Coverage", "Share of the frame on which some token looks.", True, None),
)

_FOLLOWED: Final = (
    ("objects in clips", "clips", "moving object in a made clip"),
    ("objects in sequences", "sequences", "moving object in a real clip"),
)
_TESTS: Final = (
    ("objects whole", "object on white, filling the picture"),
    ("objects placed", "object on white, anywhere"),
    ("objects cluttered", "object on another photograph"),
    ("video", "moving object in a real clip"),
)


def measures(card: ModelCard) -> tuple[Measure, ...]:
    """Everything that the card measured over (tokens, place)."""
    rows = list(setting_rows(card.metrics))
    found = []
    for key, name, words, share, good in _MEASURES:
        values = _by_setting(rows, key)
        if key == "top1" and not values:
            accuracies = measured_accuracies(card)
            groups = list(dict.fromkeys(group for row in accuracies for group in row.by_group))
            for group in groups:
                inside = {(row.loc, row.num_tokens): row.by_group[group] for row in accuracies if group in row.by_group}
                found.append(Measure(f"Top-1, {group}", words, inside, share, good))
            values = {} if groups else {(row.loc, row.num_tokens): row.top1 for row in accuracies}
        if values:
            found.append(Measure(name, words, values, share, good))
    return tuple(found)


def setting_rows(metrics: Any) -> Iterator[Row]:
    """All rows that belong to a place and a number of tokens, from the outside in."""
    if isinstance(metrics, Mapping):
        if "loc" in metrics and "num_tokens" in metrics:
            yield metrics
            return
        for value in metrics.values():
            yield from setting_rows(value)
    elif isinstance(metrics, list | tuple):
        for value in metrics:
            yield from setting_rows(value)


def _by_setting(rows: Sequence[Row], key: str) -> dict[Setting, float]:
    found: dict[Setting, float] = {}
    for row in rows:
        loc, tokens, value = row["loc"], row["num_tokens"], row.get(key)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and isinstance(tokens, int) and (loc is None or isinstance(loc, int)):
            found.setdefault((loc, tokens), float(row[key]))
    return found


@dataclass(frozen=True)
class Looking:
    """How much of a token's attention lies on the object, beside maps that know nothing of the picture.

    Attributes:
        test: What was shown.
        pictures: How many pictures, or frames.
        share: Of the token that a person would keep, 0..1; None if the card does not say.
        centre: Of a map that always looks at the middle.
        fixed: Of the model's own mean map, the same for every picture.
        random: Of the same network with random weights.
        uniform: Of a map that looks everywhere alike.
    """

    test: str
    pictures: int
    share: float | None
    centre: float | None
    fixed: float | None
    random: float | None
    uniform: float | None

    @property
    def beats_guessing(self) -> bool:
        """Whether it is above every map that knows nothing of the picture."""
        rivals = [one for one in (self.centre, self.fixed, self.random, self.uniform) if one is not None]
        return self.share is not None and bool(rivals) and self.share > max(rivals)


def looking(card: ModelCard) -> tuple[Setting | None, tuple[Looking, ...]]:
    """The tests with objects at the card's own place with all (or the most) tokens that were measured."""
    evaluation = card.metrics.get("evaluation")
    if not isinstance(evaluation, Mapping):
        return None, ()
    setting: Setting | None = None
    found = []
    for key, words in _TESTS:
        rows = [row for row in evaluation.get(key, ()) if isinstance(row, Mapping)]
        own = [row for row in rows if row.get("loc") == card.config.default_loc] or rows
        row = max(own, key=lambda one: int(one.get("num_tokens") or 0), default=None)
        if row is None:
            continue
        setting = setting or (row.get("loc"), int(row.get("num_tokens") or 0))
        values = {name: row.get(name) for name in ("kept", "centre_prior", "mean_map", "random_weights", "uniform")}
        count = row.get("pictures") or row.get("frames") or 0
        found.append(Looking(words, int(count), *(None if v is None else float(v) for v in values.values())))
    for key, counted, words in _FOLLOWED:
        followed = _followed(evaluation, key, counted, words, card.config.default_loc)
        if followed is not None:
            setting = setting or followed[0]
            found.append(followed[1])
    return setting, tuple(found)


def _followed(
    evaluation: Row, key: str, counted: str, words: str, default_loc: int | None
) -> tuple[Setting, Looking] | None:
    """How a video model's kept token follows the object, at its own place with the most tokens measured."""
    rows = [row for row in evaluation.get(key, ()) if isinstance(row, Mapping)]
    tokens = [row for row in rows if row.get("maps") == "tokens"]
    own = [row for row in tokens if row.get("loc") == default_loc] or tokens
    best = max(own, key=lambda one: int(one.get("num_tokens") or 0), default=None)
    if best is None:
        return None
    setting = (best.get("loc"), int(best.get("num_tokens") or 0))

    def mass(maps: str, *, anywhere: bool = False) -> float | None:
        for row in rows:
            if row.get("maps") == maps and (anywhere or (row.get("loc"), row.get("num_tokens")) == setting):
                return float(row["mass"])
        return None

    count = re.match(r"\d+", str(evaluation.get("conditions", {}).get(counted, "0")))
    return setting, Looking(
        words,
        int(count[0]) if count else 0,
        mass("tokens"),
        mass("centre prior", anywhere=True),
        mass("mean maps"),
        mass("random weights"),
        mass("uniform", anywhere=True),
    )


def conditions(card: ModelCard) -> str:
    """On what the table was measured, in a sentence."""
    evaluation = card.metrics.get("evaluation")
    told = evaluation.get("conditions") if isinstance(evaluation, Mapping) else None
    if isinstance(told, Mapping) and told.get("photographs"):
        where = f", {told['part']}" if told.get("part") else ""
        what = f"{told['clips']} clips made of pictures" if told.get("clips") else f"{told['photographs']} pictures"
        return f"Measured after training on {what} that it never saw{where}."
    distilled = card.metrics.get("distillation")
    if isinstance(distilled, Mapping):
        return f"Measured on {distilled.get('photographs', 'some')} photographs kept back, against the teacher."
    if measured_accuracies(card):
        return "Measured at the end of training, on pictures kept back; not measured again since."
    return ""


def not_claimed(model: ModelChoice) -> tuple[str, ...]:
    """What a reader must not take from the card: what its numbers do not show."""
    card = model.card
    claims = []
    if not card.trained:
        claims.append("Anything: its maps are not trained, and it says so on every picture.")
    elif not measures(card):
        claims.append("Anything about accuracy or maps: the card holds no measurement.")
    elif headline_accuracy(card) is not None:
        claims.append(
            "Anything about pictures of other origin: the accuracy holds for unseen pictures of the same data sets."
        )
    elif "distillation" in card.metrics:
        claims.append("Anything about accuracy: what was measured is how like its teacher it answers.")
    setting, tests = looking(card)
    for one in tests:
        if one.share is not None and not one.beats_guessing:
            place = place_name(setting[0] if setting else None, card.config)
            claims.append(
                f"That its tokens find the object ({one.test}): {place} the best token has {percent(one.share)} of its "
                "attention on it, and a map that never looks at the picture does as well or better."
            )
    if card.trained and not tests:
        claims.append("That its tokens look at objects: this was not measured.")
    if card.trained and card.config.default_loc is not None:
        claims.append("That its maps explain its answers: they show where tokens are pooled from, and no more.")
    if card.origin == "trained":
        claims.append("The accuracies of the paper: those were reached on other data, with far larger networks.")
    return tuple(claims)


def chance(measure: Measure, card: ModelCard) -> str:
    """Which differences between two accuracies mean nothing, in a sentence; "" where that is not known."""
    evaluation = card.metrics.get("evaluation")
    told = evaluation.get("conditions") if isinstance(evaluation, Mapping) else None
    count = told.get("photographs") if isinstance(told, Mapping) else None
    if measure.name != "Top-1 accuracy" or not isinstance(count, int) or count < 1:
        return ""
    middle = sum(measure.values.values()) / len(measure.values)
    error = 2 * math.sqrt(2 * middle * (1 - middle) / count)
    return f"Differences below {significant(100 * error)} points may be chance."


def network(config: ModelConfig) -> dict[str, str]:
    """The network, as pairs of words."""
    height, width = config.img_size
    facts = {}
    if config.backbone is not None:
        facts["built around"] = f"timm's {config.backbone.name}"
    frames = f", {config.num_frames} frames in tubelets of {config.tubelet_size}" if config.num_frames else ""
    facts["input"] = f"{width} × {height} pixels{frames}"
    stem = ", convolutional stem" if config.stem == "conv" else ""
    facts["patches"] = f"{config.patch_size[1]} × {config.patch_size[0]} pixels{stem}"
    facts["blocks"] = f"{config.depth} of width {config.embed_dim}, {config.num_heads} heads, MLP {config.mlp_dim}"
    if config.num_prefix_tokens:
        facts["class and register tokens"] = f"{config.num_prefix_tokens}, which pass by the module"
    module = config.token_learner
    if module is None:
        facts["TokenLearner"] = "none: a plain ViT"
    else:
        fuser = ", with TokenFuser" if module.use_fuser else ""
        facts["TokenLearner"] = f"v{module.version}{fuser}, up to {module.num_tokens} tokens"
        facts["places"] = "; ".join(place_name(loc, config) for loc in config.tokenlearner_locs)
    facts["classes"] = str(config.num_classes)
    if config.label_groups:
        asked = ", ".join(f"{group.name} ({group.num_classes})" for group in config.label_groups)
        facts["questions"] = asked
    return facts


@dataclass(frozen=True)
class Curve:
    """One number over the epochs.

    Attributes:
        name: Which one of its kind, such as "total" or "4/8".
        epochs: From 1.
        values: One for each epoch.
    """

    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]


def curves(card: ModelCard) -> dict[str, tuple[Curve, ...]]:
    """The curves of the training by kind: "loss", "top1", "entropy", "overlap", "adaptivity", "unexplained"."""
    rows = card.metrics.get("training")
    if not isinstance(rows, list | tuple):
        return {}
    found: dict[str, list[Curve]] = {}
    usable = [row for row in rows if isinstance(row, Mapping) and isinstance(row.get("epoch"), int)]
    for key in dict.fromkeys(key for row in usable for key in row):
        kind, _, name = key.partition(" ")
        points = [(row["epoch"] + 1, float(row[key])) for row in usable if isinstance(row.get(key), int | float)]
        if name and points:
            epochs, values = zip(*points, strict=True)
            found.setdefault(kind, []).append(Curve(name, epochs, values))
    return {kind: tuple(several) for kind, several in found.items()}
