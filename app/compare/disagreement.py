"""Where and by how much lanes disagree over time. NumPy and SciPy only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.signal import find_peaks

from tokenlearner.agreement import total_variation
from tokenlearner.engine import Analysis

PEAKS: Final = 6
"""Peaks that are listed, at most."""
_PROMINENCE: Final = 0.03
_DISTINCT_S: Final = 0.25
_DISTINCT_SHARE: Final = 0.03
_SLACK_S: Final = 1e-3


@dataclass(frozen=True)
class Peak:
    """A moment at which lanes disagree more than around it.

    Attributes:
        time_s: Presentation time.
        lane: The lane that is farthest from the first one then.
        divergence: Its total variation from the first lane, 0..1.
    """

    time_s: float
    lane: int
    divergence: float


@dataclass(frozen=True, eq=False)
class Disagreement:
    """What lanes answer to one question over time, read against the first lane.

    A lane's answer holds until its next one: a video model's for the whole of its clip.

    Attributes:
        times_s: All moments at which a lane has a new map or a new answer, ascending.
        end_s: When the last moment ends, as long as the one before.
        names: All classes of the question that some lane knows; the first lane's come first.
        top1: The most probable class by lane and moment, as an index into `names`; -1 where a lane has no part in it.
        divergence: Total variation from the first lane by lane and moment, 0..1: the probability that has moved. NaN
            where a lane has no class in common with it. A class that one lane does not know has probability 0 there.
        common: Classes that each lane shares with the first one.
    """

    times_s: Float64[np.ndarray, " moments"]
    end_s: float
    names: tuple[str, ...]
    top1: Int64[np.ndarray, "lanes moments"]
    divergence: Float64[np.ndarray, "lanes moments"]
    common: tuple[int, ...]

    @property
    def same(self) -> Bool[np.ndarray, "lanes moments"]:
        """Whether a lane's most probable class is the first lane's."""
        return np.asarray(self.top1 == self.top1[:1])

    def agreement(self, lane: int) -> tuple[float, float] | None:
        """Share of moments with the first lane's class, and mean total variation; None if nothing can be compared."""
        if not self.common[lane]:
            return None
        return float(self.same[lane].mean()), float(self.divergence[lane].mean())

    def peaks(self, most: int = PEAKS) -> tuple[Peak, ...]:
        """The moments of strongest disagreement, in the order of time."""
        compared = [lane for lane in range(1, len(self.common)) if self.common[lane]]
        if not compared or len(self.times_s) < 2:
            return ()
        largest = self.divergence[compared].max(axis=0)
        tops, _ = find_peaks(np.pad(largest, 1), prominence=_PROMINENCE, height=_PROMINENCE)
        apart_s = max(_DISTINCT_S, _DISTINCT_SHARE * (self.end_s - float(self.times_s[0])))
        chosen: list[int] = []
        for top in sorted(tops - 1, key=lambda index: (-largest[index], index)):
            if all(abs(self.times_s[top] - self.times_s[other]) >= apart_s for other in chosen):
                chosen.append(int(top))
        return tuple(
            Peak(
                float(self.times_s[index]),
                compared[int(self.divergence[compared, index].argmax())],
                float(largest[index]),
            )
            for index in sorted(chosen[:most])
        )


def disagreement(found: Sequence[Analysis], question: str) -> Disagreement:
    """Compare what was found on the same media.

    Args:
        found: One analysis a lane.
        question: The label group of the first lane that is compared. Of each other lane, the group with most classes
            in common stands against it.

    Raises:
        ValueError: If there is nothing to compare, or the first lane does not answer the question.
    """
    if not found or question not in found[0].label_groups:
        raise ValueError(f'there is no lane, or the first one does not answer "{question}"')
    times_s = np.unique(np.round([t for one in found for t in (*one.timestamps_s, *one.logits_timestamps_s)], 4))
    own = _names(found[0], question)
    groups = [question, *(_nearest_group(one, own) for one in found[1:])]
    names = tuple(dict.fromkeys(name for one, group in zip(found, groups, strict=True) for name in _names(one, group)))
    places = {name: index for index, name in enumerate(names)}
    probs = np.stack([_spread(one, group, places, times_s) for one, group in zip(found, groups, strict=True)])
    common = tuple(len(set(own) & set(_names(one, group))) for one, group in zip(found, groups, strict=True))
    compared = np.array(common) > 0
    divergence = np.full(probs.shape[:2], np.nan)
    for lane in np.flatnonzero(compared):
        divergence[lane] = total_variation(probs[lane], probs[0])
    top1 = np.where(compared[:, None], probs.argmax(axis=2), -1)
    step = float(times_s[-1] - times_s[-2]) if len(times_s) > 1 else 0.0
    return Disagreement(times_s, float(times_s[-1]) + step, names, top1, divergence, common)


def _names(found: Analysis, group: str | None) -> tuple[str, ...]:
    """Classes of a group."""
    if group is None:
        return ()
    held = found.label_groups[group]
    return tuple(found.class_name(index) for index in range(held.start, held.stop))


def _nearest_group(found: Analysis, names: Sequence[str]) -> str | None:
    """The group with most of these classes; None if no group has any."""
    shared = {group: len(set(names) & set(_names(found, group))) for group in found.label_groups}
    best = max(shared, key=lambda group: shared[group])
    return best if shared[best] else None


def _spread(
    found: Analysis, group: str | None, places: Mapping[str, int], times_s: Float64[np.ndarray, " moments"]
) -> Float64[np.ndarray, "moments classes"]:
    """Probabilities at each moment over the classes of all lanes."""
    spread = np.zeros((len(times_s), len(places)))
    if group is not None:
        rows = np.searchsorted(found.logits_timestamps_s, times_s + _SLACK_S, side="right") - 1
        columns = [places[name] for name in _names(found, group)]
        spread[:, columns] = found.probs[np.maximum(rows, 0), found.label_groups[group]]
    return spread
