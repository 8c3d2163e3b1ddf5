"""How much of the tokens' attention lies on objects whose place is known, and what naive maps reach.

A mask is moved to the patch grid by averaging, so each cell holds the fraction of it that the
object covers; a map's *mass* on the object is the sum of its shares times these fractions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float64
from scipy.optimize import linear_sum_assignment

from tokenlearner.analysis.maps import Shares, by_grid, peak, regrid_shares

Fractions = Float[np.ndarray, "_ _"]
"""How much of each cell [rows, columns] an object covers, 0..1; grids may differ between pictures."""

FOUND_MASS: Final = 0.7
MATCHED_MASS: Final = 0.5
PEAK_FRACTION: Final = 0.5  # the peak's cell must be covered at least by half


@dataclass(frozen=True, kw_only=True)
class ObjectMass:
    """Mass of a model's tokens on objects, beside naive maps that look at nothing.

    All are means over the pictures, 0..1. *Best* takes the best token of each picture anew: with
    many tokens even senseless ones profit, which is why the rivals `random_weights` and `mean_map`
    get as many tries.

    Attributes:
        pictures: Number of pictures.
        best: Mass of the best token of each picture.
        kept: Mass of one and the same token: the one that is best over all these pictures.
        kept_token: Its index.
        peak: Share of pictures in which the kept token's largest cell is at least half object.
        found: Share of pictures in which at least one token has 70 % of its mass on the object.
        uniform: Mass of the uniform map, which is the object's share of the picture.
        centre_prior: Mass of `centre_prior`.
        mean_map: Best of the model's own mean maps, one a token, the same for each picture.
        random_weights: Best token of the same network before training; None if not measured.
    """

    pictures: int
    best: float
    kept: float
    kept_token: int
    peak: float
    found: float
    uniform: float
    centre_prior: float
    mean_map: float
    random_weights: float | None = None

    @property
    def lift(self) -> float:
        """Best token's mass, as a multiple of the centre prior's."""
        return self.best / self.centre_prior

    def to_dict(self) -> dict[str, float | int | None]:
        """The measures by name, with `lift`, for JSON."""
        return {**asdict(self), "lift": self.lift}


def uniform_map(grid_hw: tuple[int, int]) -> Float64[np.ndarray, "rows columns"]:
    """The map that looks everywhere alike."""
    return np.full(grid_hw, 1 / (grid_hw[0] * grid_hw[1]))


def centre_prior(grid_hw: tuple[int, int]) -> Float64[np.ndarray, "rows columns"]:
    """The map of a photographer's habit: a Hann window over rows times one over columns, summing to 1.

    Sampled at the cells' centres, `sin^2(pi * (i + 1/2) / n)`: zero at the frame's edge, not in its last cell.
    """
    down, right = (np.square(np.sin(np.pi * (np.arange(cells) + 0.5) / cells)) for cells in grid_hw)
    window = np.outer(down, right)
    return np.asarray(window / window.sum())


def mean_maps(shares: Sequence[Shares], grid_hw: tuple[int, int]) -> Float64[np.ndarray, "tokens rows columns"]:
    """The mean map of each token over pictures whose grids may differ, on `grid_hw`."""
    total = sum(regrid_shares(stack, grid_hw).sum(axis=0) for _, stack in by_grid(shares))
    return np.asarray(total / len(shares))


def mass(
    shares: Float[np.ndarray, "*batch tokens rows columns"], fractions: Float[np.ndarray, "*batch rows columns"]
) -> Float64[np.ndarray, "*batch tokens"]:
    """Attention that lies on an object, 0..1.

    Args:
        shares: Maps that sum to 1 over space.
        fractions: Fraction of each cell that the object covers, 0..1.
    """
    return np.asarray((shares * fractions[..., None, :, :]).sum(axis=(-2, -1)), dtype=np.float64)


def peak_fraction(
    maps: Float[np.ndarray, "tokens rows columns"], fractions: Float[np.ndarray, "rows columns"]
) -> Float64[np.ndarray, " tokens"]:
    """For each token, how much of its largest cell the object covers, 0..1."""
    where = peak(maps)
    return np.asarray(fractions[where[:, 0], where[:, 1]], dtype=np.float64)


def object_mass(
    shares: Sequence[Shares],
    fractions: Sequence[Fractions],
    grid_hw: tuple[int, int],
    random_shares: Sequence[Shares] | None = None,
) -> ObjectMass:
    """Measure tokens against objects on pictures whose grids may differ.

    Args:
        shares: Maps of each picture.
        fractions: Fraction of each cell that the object covers, on the same grid as the maps.
        grid_hw: Grid on which maps of different pictures are averaged for the rival `mean_map`.
        random_shares: Maps of the same pictures by the untrained network.

    Raises:
        ValueError: If there are no pictures, or not one mask a picture.
    """
    if not shares or len(shares) != len(fractions):
        raise ValueError(f"{len(shares)} maps were given for {len(fractions)} masks")
    masses = _masses(shares, fractions)
    kept = int(masses.mean(axis=0).argmax())
    fixed = mean_maps(shares, grid_hw)
    fixed_shares = [regrid_shares(fixed, (one.shape[-2], one.shape[-1])) for one in shares]
    return ObjectMass(
        pictures=len(shares),
        best=float(masses.max(axis=1).mean()),
        kept=float(masses[:, kept].mean()),
        kept_token=kept,
        peak=float(
            np.mean(
                [peak_fraction(one, part)[kept] >= PEAK_FRACTION for one, part in zip(shares, fractions, strict=True)]
            )
        ),
        found=float((masses.max(axis=1) >= FOUND_MASS).mean()),
        uniform=float(np.mean([part.mean() for part in fractions])),
        centre_prior=float(np.mean([(centre_prior((len(part), part.shape[1])) * part).sum() for part in fractions])),
        mean_map=float(_masses(fixed_shares, fractions).max(axis=1).mean()),
        random_weights=None if random_shares is None else float(_masses(random_shares, fractions).max(axis=1).mean()),
    )


def match_objects(masses: Float[np.ndarray, "tokens objects"]) -> list[tuple[int, int, float]]:
    """Give each object a token of its own, so that the sum of their masses is largest.

    Hungarian algorithm. With fewer tokens than objects some objects get none.

    Returns:
        (token, object, mass) for each object that got a token, by object.
    """
    tokens, objects = linear_sum_assignment(masses, maximize=True)
    pairs = [(int(t), int(o), float(masses[t, o])) for t, o in zip(tokens, objects, strict=True)]
    return sorted(pairs, key=lambda pair: pair[1])


def matched_share(masses: Sequence[Float[np.ndarray, "_ _"]]) -> float:
    """Share of all objects of all pictures that got a token with at least half of its mass on them.

    An object without a token of its own counts as missed.

    Args:
        masses: For each picture the mass of each token on each object [tokens, objects].
    """
    objects = sum(one.shape[1] for one in masses)
    found = sum(mass_on >= MATCHED_MASS for one in masses for _, _, mass_on in match_objects(one))
    return found / objects


def _masses(shares: Sequence[Shares], fractions: Sequence[Fractions]) -> Float64[np.ndarray, "pictures tokens"]:
    return np.stack([mass(one, part) for one, part in zip(shares, fractions, strict=True)])
