"""Built-in doubt: would the same be seen, and said, if the maps were worthless?

The same features go through the same blocks, but other maps pool them: even ones, maps whose weights are moved to
random places, maps of another moment. Where the prediction stays, it does not rest on where these tokens look.
Beside them stands the same network with random weights, whose maps can look convincing without meaning anything.
`tokenlearner.analysis.deletion` asks the pixels. `sentence` says in words what all of it shows.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float32, Float64

from tokenlearner.agreement import Agreement, agreement, softmax
from tokenlearner.analysis.deletion import ATTENDED, CENTRE, DeletionCurve
from tokenlearner.engine import Analysis, Engine, HeldTokens
from tokenlearner.engine.progress import ProgressCallback
from tokenlearner.errors import ConfigError
from tokenlearner.weights import LoadedModel, random_twin

Rival = Literal["uniform", "shuffled", "other moment", "random weights"]
Maps = Float32[np.ndarray, "time tokens rows cols"]

TITLES: Final[Mapping[Rival, str]] = {
    "uniform": "Every token looks everywhere alike",
    "shuffled": "Each map's weights moved to random places",
    "other moment": "Maps taken from another moment of the clip",
    "random weights": "The same network with random weights",
}
"""Each comparison in words, for the screen."""

SAME_TOP1: Final = 0.95
SAME_TOTAL_VARIATION: Final = 0.1
"""A prediction "stays" if the top class is the same on so many frames, and no more probability moves on average."""

LARGE_TOP1: Final = 0.8
LARGE_TOTAL_VARIATION: Final = 0.25
"""A change is large if the top class is the same on fewer frames, or more probability moves on average."""

LEAST_AREA: Final = 0.02
"""Smaller differences between areas under deletion curves are not spoken of as differences."""

_NAMES: Final[Mapping[Rival, str]] = {
    "uniform": "with even maps",
    "shuffled": "with weights at random places",
    "other moment": "with maps of another moment",
}
_ALIKE: Final = 0.5
_SOMEWHAT_ALIKE: Final = 0.25
_LEAST_PROBABILITY: Final = 0.05


@dataclass(frozen=True, eq=False, kw_only=True)
class Comparison:
    """What the network says when something takes the place of its maps. Arrays are read-only.

    Attributes:
        rival: What took their place; `TITLES` has the words.
        token_maps: The maps that took their place.
        logits: What was said then.
        agreement: With what was said before.
        class_index: The class watched.
        probability_before: Its mean probability over the rows with the network's own maps.
        probability: The same with the rival.
        map_similarity: Mean over tokens and steps of the Pearson correlation between the own map and that rival map
            that is most like it on average over the clip, -1..1; None if one side is uniform throughout.
    """

    rival: Rival
    token_maps: Maps
    logits: Float32[np.ndarray, "clips classes"]
    agreement: Agreement
    class_index: int
    probability_before: float
    probability: float
    map_similarity: float | None

    def __post_init__(self) -> None:
        self.token_maps.setflags(write=False)
        self.logits.setflags(write=False)

    @property
    def title(self) -> str:
        """The comparison in words, for the screen."""
        return TITLES[self.rival]

    @property
    def stays(self) -> bool:
        """Whether the prediction stays; see `SAME_TOP1` and `SAME_TOTAL_VARIATION`."""
        return self.agreement.top1 >= SAME_TOP1 and self.agreement.total_variation <= SAME_TOTAL_VARIATION

    @property
    def effect(self) -> Literal["none", "some", "large"]:
        """How much changes: "none" if the prediction stays, else see `LARGE_TOP1` and `LARGE_TOTAL_VARIATION`."""
        if self.stays:
            return "none"
        found = self.agreement
        large = found.top1 < LARGE_TOP1 or found.total_variation > LARGE_TOTAL_VARIATION
        return "large" if large else "some"

    def summary(self) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON."""
        return {
            "rival": self.rival,
            "title": self.title,
            **self.agreement.summary(),
            "effect": self.effect,
            "class_index": self.class_index,
            "probability_before": self.probability_before,
            "probability": self.probability,
            "map_similarity": self.map_similarity,
        }


def doubt_maps(
    engine: Engine,
    analysis: Analysis,
    class_index: int,
    *,
    seed: int = 0,
    cancel: threading.Event | None = None,
) -> tuple[Comparison, ...]:
    """Pool the kept features by uniform, shuffled and other moments' maps, and compare what is said.

    Only pooling and the blocks behind it run. The reference are all tokens of the analysis, none muted. A photo
    has no other moment.

    Args:
        engine: That made the analysis.
        analysis: With kept features.
        class_index: Class whose probability is watched.
        seed: Of the random places.
        cancel: Set it to stop; acts within one batch.

    Raises:
        ConfigError: If the plain network was run, the model carries TokenFuser, or there is no such class.
        FeaturesGone: If the features were dropped; analyse the media again.
        Cancelled: If the caller asked to stop.
    """
    analysis.group_of(class_index)  # or an error, before anything runs
    held = engine.hold(analysis, cancel=cancel)
    own = _own_maps(held, analysis)
    before = held.answer(held.tokens, cancel=cancel)
    rivals: dict[Rival, Maps] = {"uniform": uniform_maps(own), "shuffled": shuffled_maps(own, seed)}
    if len(own) > 1:
        rivals["other moment"] = other_moments(own)
    return tuple(
        _compare(name, own, maps, before, held.answer_with_maps(maps, cancel=cancel), analysis, class_index)
        for name, maps in rivals.items()
    )


def doubt_weights(analysis: Analysis, random: Analysis, class_index: int) -> Comparison:
    """Compare an analysis with that of the same media by random weights.

    Args:
        analysis: By trained weights.
        random: By the same network with random weights, e.g. from `analyze_random`.
        class_index: Class whose probability is watched.

    Raises:
        ConfigError: If they are not of the same frames, tokens and classes, or one has no maps.
    """
    if analysis.token_maps is None or random.token_maps is None:
        raise ConfigError("The plain network has no maps to compare.")
    same = analysis.token_maps.shape == random.token_maps.shape and analysis.logits.shape == random.logits.shape
    if not same or analysis.media.sha256 != random.media.sha256:
        raise ConfigError("Both analyses must be of the same frames, with the same location and number of tokens.")
    return _compare(
        "random weights",
        analysis.token_maps,
        random.token_maps.copy(),
        analysis.logits,
        random.logits.copy(),
        analysis,
        class_index,
    )


def analyze_random(
    loaded: LoadedModel,
    engine: Engine,
    path: str | Path,
    analysis: Analysis,
    *,
    seed: int = 0,
    progress: ProgressCallback | None = None,
    cancel: threading.Event | None = None,
) -> Analysis:
    """Analyse the same frames by the same network with random weights, drawn as before a training.

    Args:
        loaded: The trained model.
        engine: It runs on the same device, under the same limits.
        path: The media file.
        analysis: What to repeat.
        seed: Of the weights.
        progress: As in `Engine.analyze`.
        cancel: Set it to stop; acts within one batch.

    Raises:
        MediaError: If the file cannot be read any more.
        Cancelled: If the caller asked to stop.
    """
    twin = Engine(random_twin(loaded, seed), device=engine.device, features=engine.features, limits=engine.limits)
    settings = dataclasses.replace(
        analysis.settings, loc=analysis.loc, num_tokens=analysis.num_tokens or None, keep="none"
    )
    return twin.analyze(path, settings, name=analysis.media.name, progress=progress, cancel=cancel)


def uniform_maps(maps: Maps) -> Maps:
    """Every map's weight spread evenly: its mean everywhere, so that its sum stays."""
    mean = maps.mean(axis=(2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
    return np.broadcast_to(mean, maps.shape).copy()


def shuffled_maps(maps: Maps, seed: int) -> Maps:
    """Every map's weights moved to random places, anew for each token and step; its values stay."""
    flat = maps.reshape(*maps.shape[:2], -1)
    return np.random.default_rng(seed).permuted(flat, axis=-1).reshape(maps.shape)


def other_moments(maps: Maps) -> Maps:
    """The maps of the moment half a clip away, the clip taken as a ring: no step keeps its own."""
    return np.roll(maps, len(maps) // 2, axis=0)


def map_similarity(own: Maps, rival: Maps) -> float | None:
    """Correlation with the rival's most similar token; see `Comparison.map_similarity`."""
    first, second = (_standardised(maps) for maps in (own, rival))
    if not first.any() or not second.any():
        return None
    pairs = np.einsum("tip,tjp->ij", first, second) / len(own)
    return float(pairs.max(axis=1).mean())


def sentence(
    comparisons: Sequence[Comparison], deletion: DeletionCurve | None = None, *, class_name: str = "the class shown"
) -> str:
    """What the comparisons show, in plain English, from the numbers alone; it says so where they show nothing.

    Args:
        comparisons: Any of those that this module makes.
        deletion: Curves over the pixels; None if they were not drawn.
        class_name: Name of the class watched.
    """
    maps = [one for one in comparisons if one.rival != "random weights"]
    said = _about_maps(maps)
    said += [_about_weights(one) for one in comparisons if one.rival == "random weights"]
    if deletion is not None:
        verdict, told = _about_deletion(deletion, class_name)
        said.append(told)
        if verdict == "matters" and maps and all(one.stays for one in maps):
            said.append(
                "Both can be true: the blocks before the tokens spread what they find over all patches, so that the "
                "tokens can pick it up anywhere."
            )
    return " ".join(said) or "Nothing was compared yet."


def _about_maps(comparisons: Sequence[Comparison]) -> list[str]:
    if not comparisons:
        return []
    told = ", ".join(f"{_NAMES[one.rival]} {_change(one)}" for one in comparisons)
    effects = {one.effect for one in comparisons}
    if effects == {"none"}:
        verdict = (
            "So for this prediction it hardly matters where the tokens look: the maps are no explanation of it here."
        )
    elif "large" not in effects:
        verdict = "So the prediction depends a little, and no more, on where the tokens look."
    elif "none" in effects:
        kept = " and ".join(_NAMES[one.rival] for one in comparisons if one.stays)
        verdict = f"So where the tokens look matters in part: {kept} the prediction stays."
    else:
        verdict = "So the prediction does depend on where the tokens look."
    return [told[0].upper() + told[1:] + ".", verdict]


def _change(one: Comparison) -> str:
    """What becomes of the prediction."""
    moved = f"{100 * one.agreement.total_variation:.0f} % of the probability moves"
    if one.agreement.rows == 1:
        return f"the answer {'stays' if one.agreement.top1 == 1 else 'changes'} and {moved}"
    return f"{100 * one.agreement.top1:.0f} % of {one.agreement.rows} answers stay and {moved}"


def _about_weights(one: Comparison) -> str:
    if one.map_similarity is None:
        return "Random weights look everywhere alike here; there is nothing to compare the maps with."
    told = f"The maps of random weights correlate with these by {one.map_similarity:.2f}"
    if one.map_similarity >= _ALIKE:
        return f"{told}: much of what is seen here needs no training, so the look of the maps proves little."
    if one.map_similarity >= _SOMEWHAT_ALIKE:
        return f"{told}: some of what is seen here needs no training."
    return f"{told}: these maps do not come from the network's shape alone."


def _about_deletion(
    deletion: DeletionCurve, class_name: str
) -> tuple[Literal["matters", "centre", "rivals", "nothing"], str]:
    whole = float(deletion.curves[ATTENDED][0])
    if whole < _LEAST_PROBABILITY:
        return "nothing", (
            f"Deleting pixels says nothing about {class_name}: its probability is only {100 * whole:.0f} % to "
            "begin with."
        )
    if not len(deletion.random):
        return "nothing", "Without random orders the deletion of pixels cannot be judged."
    own, centre = deletion.area(ATTENDED), deletion.area(CENTRE)
    rivals = [name for name in deletion.curves if name not in (ATTENDED, CENTRE)]
    others = "".join(f", {100 * deletion.area(name):.0f} % by the maps of {name}" for name in rivals)
    told = (
        f"While up to half of the patches are deleted, {class_name} keeps {100 * own:.0f} % on average if the most "
        f"attended go first, against {100 * deletion.random_area:.0f} % in random order{others} and "
        f"{100 * centre:.0f} % from the middle outwards (nothing deleted: {100 * whole:.0f} %)"
    )
    lowest, highest = deletion.random_areas[0], deletion.random_areas[-1]
    if lowest - LEAST_AREA <= own <= highest + LEAST_AREA:
        return "nothing", f"{told}: no more than chance, so this shows nothing about the maps."
    if own > highest:
        return "nothing", f"{told}: the tokens look most where it matters less than elsewhere."
    if own > centre - LEAST_AREA:
        return "centre", f"{told}: better than chance, but no better than simply deleting the middle."
    as_good = [name for name in rivals if own > deletion.area(name) - LEAST_AREA]
    if as_good:
        return "rivals", f"{told}: better than chance, but no better than by the maps of {' or '.join(as_good)}."
    return "matters", f"{told}: the tokens look where it matters for the prediction."


def _compare(
    rival: Rival,
    own: Maps,
    maps: Maps,
    before: Float32[np.ndarray, "clips classes"],
    after: Float32[np.ndarray, "clips classes"],
    analysis: Analysis,
    class_index: int,
) -> Comparison:
    group = analysis.group_of(class_index)
    place = class_index - group.start
    return Comparison(
        rival=rival,
        token_maps=maps,
        logits=after,
        agreement=agreement(before, after, group),
        class_index=class_index,
        probability_before=float(softmax(before[:, group])[:, place].mean()),
        probability=float(softmax(after[:, group])[:, place].mean()),
        map_similarity=map_similarity(own, maps),
    )


def _own_maps(held: HeldTokens, analysis: Analysis) -> Maps:
    """Maps of all tokens, on the steps of the analysis."""
    flat = held.token_maps.float().cpu().flatten(0, 1)[: len(analysis.timestamps_s)]
    return np.ascontiguousarray(flat.unflatten(-1, analysis.geometry.grid_hw).numpy())


def _standardised(maps: Maps) -> Float64[np.ndarray, "time tokens patches"]:
    """Maps centred and divided by their norm, so that dot products are correlations; uniform ones are zero."""
    flat = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
    flat = flat - flat.mean(axis=-1, keepdims=True)
    norms = np.linalg.norm(flat, axis=-1, keepdims=True)
    return np.divide(flat, norms, out=np.zeros_like(flat), where=norms > 1e-7)
