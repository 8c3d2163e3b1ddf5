"""Measures of token maps alone. NumPy only.

Every measure that needs a distribution expects *shares*: maps that are >= 0 and sum to 1 over
space. The maps of TokenLearner v1.1 are shares as they are; those of v1.0 are sigmoids, which
`as_shares` divides by their sum first. What a v1.0 map says about *where* survives that, what
it says about *how much* does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64, Int64

Shares = Float[np.ndarray, "tokens _ _"]
"""One picture's maps [tokens, rows, columns], each summing to 1; grids may differ between pictures."""
Box = tuple[float, float, float, float]

COLLAPSED_ENTROPY: Final = 0.97
COLLAPSED_OVERLAP: Final = 0.9


@dataclass(frozen=True, kw_only=True)
class MapQuality:
    """How a model's maps behave over a set of pictures; none of it needs to know what is on them.

    Attributes:
        entropy: Mean over pictures and tokens of `entropy`, 0..1 of uniform.
        overlap: Mean over pictures of `overlap`, 0..1; None for a single token.
        adaptivity: See `adaptivity`, 0..1.
        coverage: Mean over pictures of `coverage`, 0..1 of the frame.
    """

    entropy: float
    overlap: float | None
    adaptivity: float
    coverage: float

    @property
    def collapsed(self) -> bool:
        """Whether the maps say nothing: nearly uniform, or all tokens nearly the same."""
        return self.entropy >= COLLAPSED_ENTROPY or (self.overlap is not None and self.overlap >= COLLAPSED_OVERLAP)

    def to_dict(self) -> dict[str, float | None]:
        """The measures by name, for JSON."""
        return asdict(self)


def as_shares(maps: Float[np.ndarray, "*batch rows columns"]) -> Float64[np.ndarray, "*batch rows columns"]:
    """Divide each map by its sum over space; a map that is zero everywhere becomes uniform.

    Args:
        maps: Weights >= 0, of either version.
    """
    exact = maps.astype(np.float64)
    total = exact.sum(axis=(-2, -1), keepdims=True)
    uniform = np.full_like(exact, 1 / (maps.shape[-2] * maps.shape[-1]))
    return np.divide(exact, total, out=uniform, where=total > 0)


def entropy(shares: Float[np.ndarray, "*batch rows columns"]) -> Float64[np.ndarray, "*batch"]:
    """Shannon entropy over space, divided by that of the uniform map (the log of the patches).

    1 is a uniform map, 0 all attention on one patch. A grid of a single patch counts as 1.
    """
    patches = shares.shape[-2] * shares.shape[-1]
    if patches == 1:
        return np.ones(shares.shape[:-2])
    exact = shares.astype(np.float64)
    logs = np.log(exact, out=np.zeros_like(exact), where=exact > 0)
    return np.asarray(-(exact * logs).sum(axis=(-2, -1)) / np.log(patches))


def overlap(maps: Float[np.ndarray, "*batch tokens rows columns"]) -> Float64[np.ndarray, "*batch"]:
    """Mean cosine between the maps of different tokens: 0 disjoint, 1 equal up to scale.

    Cosines are of the maps as they are, not centred, so two uniform maps have overlap 1. Scale
    does not matter, so maps of either version need no normalisation.

    Raises:
        ValueError: If there are fewer than two tokens.
    """
    tokens = maps.shape[-3]
    if tokens < 2:
        raise ValueError("overlap compares tokens; it needs at least two")
    flat = maps.reshape(*maps.shape[:-2], -1).astype(np.float64)
    norms = np.linalg.norm(flat, axis=-1, keepdims=True)
    unit = np.divide(flat, norms, out=np.zeros_like(flat), where=norms > 0)
    all_pairs = np.square(unit.sum(axis=-2)).sum(axis=-1)  # sum over i, j of <unit_i, unit_j>
    own = np.square(unit).sum(axis=(-2, -1))
    return np.asarray((all_pairs - own) / (tokens * (tokens - 1)))


def adaptivity(shares: Float[np.ndarray, "pictures tokens rows columns"]) -> float:
    """Share of the maps' variance around uniform that their mean over pictures does not explain.

    With `u` the uniform map and `mean[t]` the mean map of token `t` over the pictures,
    `1 - sum_t |mean[t] - u|^2 / mean over pictures of sum_t |map[t] - u|^2`, norms over space.
    0: every picture gets the same maps (a fixed mask), or all maps are uniform. 1: over the
    pictures each token looks everywhere alike, so that where it looks is due to the picture alone.
    """
    patches = shares.shape[-2] * shares.shape[-1]
    around = shares.astype(np.float64) - 1 / patches
    total = np.square(around).sum(axis=(1, 2, 3)).mean()
    if total < 1e-15:
        return 0.0
    return float(1 - np.square(around.mean(axis=0)).sum() / total)


def coverage(shares: Float[np.ndarray, "*batch tokens rows columns"]) -> Float64[np.ndarray, "*batch"]:
    """Share of the frame that the tokens together look at.

    The perplexity of the mean map over the tokens, `exp(entropy in nats)`, divided by the number
    of patches: 1 if together they look everywhere alike, `1 / patches` if all look at one patch.
    """
    together = shares.mean(axis=-3)
    patches = shares.shape[-2] * shares.shape[-1]
    return np.asarray(np.exp((entropy(together) - 1) * np.log(patches)))


def centroid(shares: Float[np.ndarray, "*batch rows columns"]) -> Float64[np.ndarray, "*batch 2"]:
    """Centre of mass as (x, y) in fractions of the frame's width and height, from its top left."""
    rows, columns = shares.shape[-2:]
    x = (shares.sum(axis=-2) * _cell_centres(columns)).sum(axis=-1)
    y = (shares.sum(axis=-1) * _cell_centres(rows)).sum(axis=-1)
    return np.stack([x, y], axis=-1).astype(np.float64)


def spread(shares: Float[np.ndarray, "*batch rows columns"]) -> Float64[np.ndarray, "*batch"]:
    """Root mean square distance from the centroid, x and y in fractions of width and height.

    0 for one patch; a uniform map tends to `sqrt(1 / 6)`, 0.41, as the grid gets finer.
    """
    rows, columns = shares.shape[-2:]
    middle = centroid(shares)
    x_part = np.square(_cell_centres(columns) - middle[..., :1]) * shares.sum(axis=-2)
    y_part = np.square(_cell_centres(rows) - middle[..., 1:]) * shares.sum(axis=-1)
    return np.asarray(np.sqrt(x_part.sum(axis=-1) + y_part.sum(axis=-1)), dtype=np.float64)


def peak(maps: Float[np.ndarray, "*batch rows columns"]) -> Int64[np.ndarray, "*batch 2"]:
    """Cell of the largest weight as (row, column); the first in reading order among equals."""
    columns = maps.shape[-1]
    index = maps.reshape(*maps.shape[:-2], -1).argmax(axis=-1)
    return np.stack([index // columns, index % columns], axis=-1).astype(np.int64)


def regrid_shares(
    shares: Float[np.ndarray, "*batch rows columns"], grid_hw: tuple[int, int]
) -> Float64[np.ndarray, "*batch new_rows new_columns"]:
    """Move maps to another grid over the same frame; every cell's attention stays where it lies.

    Cells are treated as evenly filled, so sums over any area that both grids can express are kept.
    """
    return regrid_part(shares, (0.0, 0.0, 1.0, 1.0), grid_hw)


def regrid_mean(
    values: Float[np.ndarray, "*batch rows columns"], grid_hw: tuple[int, int]
) -> Float64[np.ndarray, "*batch new_rows new_columns"]:
    """Average values (a mask, a brightness) over the cells of another grid over the same frame."""
    rows, columns = values.shape[-2:]
    return regrid_shares(values, grid_hw) * (grid_hw[0] * grid_hw[1] / (rows * columns))


def regrid_part(
    shares: Float[np.ndarray, "*batch rows columns"], part: Box, grid_hw: tuple[int, int]
) -> Float64[np.ndarray, "*batch new_rows new_columns"]:
    """The attention inside a part of the frame, on a grid over that part; sums are those of the part.

    Args:
        shares: Maps over the frame.
        part: (left, top, width, height) in fractions of the frame.
        grid_hw: Cells over the part as (rows, columns).
    """
    left, top, width, height = part
    down = _cell_overlap(grid_hw[0], shares.shape[-2], (top, top + height))
    right = _cell_overlap(grid_hw[1], shares.shape[-1], (left, left + width))
    return np.asarray(down @ shares @ right.T, dtype=np.float64)


def by_grid(
    maps: Sequence[Shares],
) -> list[tuple[Int64[np.ndarray, " chosen"], Float[np.ndarray, "chosen tokens r c"]]]:
    """Stack maps of equal grids: for each grid the positions in `maps`, and the stack."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for position, one in enumerate(maps):
        groups.setdefault(one.shape, []).append(position)
    return [(np.array(group, dtype=np.int64), np.stack([maps[i] for i in group])) for group in groups.values()]


def quality(shares: Sequence[Shares], grid_hw: tuple[int, int]) -> MapQuality:
    """Measure the maps of many pictures, whose grids may differ.

    Entropy, overlap and coverage are taken on each picture's own grid; adaptivity compares
    pictures and is taken on `grid_hw`.

    Raises:
        ValueError: If there are no pictures.
    """
    if not shares:
        raise ValueError("there are no maps to measure")
    groups = by_grid(shares)
    entropies = np.concatenate([entropy(stack).mean(axis=-1) for _, stack in groups])
    overlaps = np.concatenate([overlap(stack) for _, stack in groups]) if len(shares[0]) > 1 else None
    coverages = np.concatenate([coverage(stack) for _, stack in groups])
    together = np.concatenate([regrid_shares(stack, grid_hw) for _, stack in groups])
    return MapQuality(
        entropy=float(entropies.mean()),
        overlap=None if overlaps is None else float(overlaps.mean()),
        adaptivity=adaptivity(together),
        coverage=float(coverages.mean()),
    )


def _cell_centres(cells: int) -> Float64[np.ndarray, " cells"]:
    return (np.arange(cells) + 0.5) / cells


def _cell_overlap(new: int, old: int, span: tuple[float, float] = (0.0, 1.0)) -> Float64[np.ndarray, "new old"]:
    """Fraction of each old cell that lies in each of the `new` cells that share `span` evenly, along one axis."""
    new_edges = span[0] + (span[1] - span[0]) * np.arange(new + 1) / new
    old_edges = np.arange(old + 1) / old
    low = np.maximum(new_edges[:-1, None], old_edges[None, :-1])
    high = np.minimum(new_edges[1:, None], old_edges[None, 1:])
    return (high - low).clip(0) * old
