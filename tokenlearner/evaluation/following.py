"""How well maps stay on one object over time, and the map that only sees what changes between frames.

A *run* is a clip or a sequence: maps and object at each of its moments. All numbers are means over runs of means
over moments, 0..1, so that a long run counts as much as a short one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from tokenlearner.analysis.maps import Shares, as_shares, centroid
from tokenlearner.analysis.objects import PEAK_FRACTION, Fractions, mass, peak_fraction


@dataclass(frozen=True, kw_only=True)
class Following:
    """How well some maps stay on an object.

    *Kept* is one token for a whole run, the one with the most mass on the object over the run. *Best* is chosen anew
    at each moment. Both choices know where the object is, so a rival with several maps gets as many tries.
    For the uniform map, which prefers no place, all but the masses is None.

    Attributes:
        mass: Mass of the kept token on the object.
        peak: Share of moments at which the kept token's largest cell is at least half object.
        touch: Share of moments at which its largest cell holds any of the object.
        centroid: Share of moments at which the cell under its centre of mass is at least half object.
        best: Mass of the best token of each moment.
        best_centroid: As `centroid`, of the best token of each moment.
    """

    mass: float
    peak: float | None
    touch: float | None
    centroid: float | None
    best: float
    best_centroid: float | None

    def to_dict(self) -> dict[str, float | None]:
        """The measures by name."""
        return asdict(self)


def following(
    shares: Sequence[Sequence[Shares]], fractions: Sequence[Sequence[Fractions]], *, token: int | None = None
) -> Following:
    """Measure maps against an object over time.

    Args:
        shares: For each run the maps at each moment, normalised over space; as many tokens everywhere.
        fractions: For each run the fraction of each cell that the object covers at each moment, on the maps' grid.
        token: Keep this token in every run instead of each run's best.

    Raises:
        ValueError: If there are no runs, or a run holds no moment, or not one mask a moment.
    """
    if not shares or len(shares) != len(fractions) or not all(map(len, shares)):
        raise ValueError(f"{len(shares)} runs of maps were given for {len(fractions)} runs of masks")
    return Following(**_means([_run(maps, masks, token) for maps, masks in zip(shares, fractions, strict=True)]))


def of_uniform_map(fractions: Sequence[Sequence[Fractions]]) -> Following:
    """What looking everywhere alike reaches: the object's share of the frame."""
    share = float(np.mean([np.mean([mask.mean() for mask in run]) for run in fractions]))
    return Following(mass=share, peak=None, touch=None, centroid=None, best=share, best_centroid=None)


def kept_over_all(shares: Sequence[Sequence[Shares]], fractions: Sequence[Sequence[Fractions]]) -> int:
    """The token with the most mass on the object over all runs, each run counting alike."""
    by_run = [_masses(maps, masks).mean(axis=0) for maps, masks in zip(shares, fractions, strict=True)]
    return int(np.mean(by_run, axis=0).argmax())


def frame_difference(
    frames: UInt8[np.ndarray, "frames height width 3"], grid_hw: tuple[int, int]
) -> Float64[np.ndarray, "frames rows columns"]:
    """The map of whoever sees nothing but change: absolute difference to the frames before and after.

    Means over colours and over the pixels of each cell; the first and the last frame have one neighbour. Each map is
    divided by its sum; where nothing changes it is uniform.

    Args:
        frames: RGB, 0..255, in order; whole cells.
        grid_hw: Cells as (rows, columns).
    """
    rows, columns = grid_hw
    if len(frames) < 2:
        return as_shares(np.zeros((len(frames), rows, columns)))
    exact = frames.astype(np.float32)
    steps = np.abs(np.diff(exact, axis=0)).mean(axis=-1)
    cells = steps.reshape(len(steps), rows, steps.shape[1] // rows, columns, -1).mean(axis=(2, 4))
    nearby = np.concatenate([cells[:1], (cells[1:] + cells[:-1]) / 2, cells[-1:]])
    return as_shares(nearby)


def _run(maps: Sequence[Shares], masks: Sequence[Fractions], token: int | None) -> dict[str, float]:
    masses = _masses(maps, masks)
    best = masses.argmax(axis=1)
    kept = int(masses.mean(axis=0).argmax()) if token is None else token
    always = np.full(len(masses), kept)
    peaks = np.array([peak_fraction(one, mask)[kept] for one, mask in zip(maps, masks, strict=True)])
    return {
        "mass": float(masses[:, kept].mean()),
        "peak": float((peaks >= PEAK_FRACTION).mean()),
        "touch": float((peaks > 0).mean()),
        "centroid": _centroid_share(maps, masks, always),
        "best": float(masses.max(axis=1).mean()),
        "best_centroid": _centroid_share(maps, masks, best),
    }


def _centroid_share(maps: Sequence[Shares], masks: Sequence[Fractions], tokens: Int64[np.ndarray, " moments"]) -> float:
    """Share of moments at which the cell under the token's centre of mass is at least half object."""
    inside = []
    for one, mask, token in zip(maps, masks, tokens, strict=True):
        x, y = centroid(one[token])
        rows, columns = mask.shape
        inside.append(mask[min(int(y * rows), rows - 1), min(int(x * columns), columns - 1)] >= PEAK_FRACTION)
    return float(np.mean(inside))


def _masses(maps: Sequence[Shares], masks: Sequence[Fractions]) -> Float64[np.ndarray, "moments tokens"]:
    return np.stack([mass(one, mask) for one, mask in zip(maps, masks, strict=True)])


def _means(rows: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
