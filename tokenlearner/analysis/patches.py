"""Patches of a picture, deleted in an order, and the area under the curve that follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from jaxtyping import Float, Int64, UInt8

FRACTIONS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)

Order = Int64[np.ndarray, " _"]
"""Patches, row-major, in the order of their deletion; pictures may have different numbers of them."""


def by_weight(weights: Float[np.ndarray, "rows columns"]) -> Order:
    """Patches from the heaviest to the lightest; equals in reading order."""
    return np.argsort(-weights.ravel(), kind="stable").astype(np.int64)


def delete_patches(
    rgb: UInt8[np.ndarray, "height width 3"],
    grid_hw: tuple[int, int],
    patches: Int64[np.ndarray, " deleted"],
    colour: UInt8[np.ndarray, " rgb"],
) -> UInt8[np.ndarray, "height width 3"]:
    """Paint patches in one colour.

    Args:
        rgb: A network input: whole patches.
        grid_hw: Its patch grid as (rows, columns).
        patches: Which ones, row-major.
        colour: RGB, 0..255.
    """
    rows, columns = grid_hw
    gone = np.zeros(rows * columns, dtype=bool)
    gone[patches] = True
    height, width = rgb.shape[0] // rows, rgb.shape[1] // columns
    pixels = np.kron(gone.reshape(grid_hw), np.ones((height, width), dtype=bool))
    return np.where(pixels[..., None], colour, rgb)


def area(curve: Sequence[float]) -> float:
    """Area under a curve over `FRACTIONS` by the trapezoid rule, divided by their span: its mean height."""
    return float(np.trapezoid(curve, FRACTIONS) / (FRACTIONS[-1] - FRACTIONS[0]))
