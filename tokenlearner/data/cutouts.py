"""Objects on white ground, cut out by threshold. NumPy and SciPy only.

The masks serve twice: training pastes the objects on other pictures (collages), and evaluation
asks how much of a token's attention lies on the object.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from jaxtyping import Bool, UInt8
from scipy import ndimage

WHITE: Final = 243  # a pixel is ground if its darkest channel is at least this bright
MIN_WHITE_BORDER: Final = 0.93
MIN_AREA, MAX_AREA = 0.04, 0.80
MIN_PART: Final = 0.05
MAX_PARTS: Final = 6
MAX_BOX_FILL: Final = 0.94
MIN_STRAIGHT: Final = 0.75
MIN_THICKNESS: Final = 0.35


def white_ground_mask(
    rgb: UInt8[np.ndarray, "height width 3"],
) -> Bool[np.ndarray, "height width"] | None:
    """Cut an object out of its white ground, or say that this cannot be done (None).

    White pixels (every channel >= 243) that connect to the border are ground; all else is object,
    so white parts and holes inside an object belong to it. Shadows count as object. Parts smaller
    than 5 % of the largest are dropped as specks.

    None where a mask would be silly: less than 93 % of the border is white; the object covers less
    than 4 % or more than 80 % of the picture; it falls into more than 6 parts; it is a photograph
    in a white frame (its largest part fills 94 % of its bounding box, or three of the box's sides
    to 75 %); or it is a line drawing (erosion by a sixtieth of the short side leaves less than
    35 % of it).

    Args:
        rgb: Picture, 0..255.
    """
    height, width = rgb.shape[:2]
    if min(height, width) < 8:
        return None
    white = rgb.min(axis=2) >= WHITE
    border = np.concatenate([white[0], white[-1], white[1:-1, 0], white[1:-1, -1]])
    if border.mean() < MIN_WHITE_BORDER:
        return None
    mask = _largest_parts(_fill_to_border(white))
    if mask is None or not MIN_AREA <= mask.mean() <= MAX_AREA:
        return None
    if _is_framed(mask):
        return None
    core = ndimage.binary_erosion(mask, iterations=max(1, round(min(height, width) / 60)))
    if core.sum() < MIN_THICKNESS * mask.sum():
        return None
    return mask


def _fill_to_border(white: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"]:
    """Everything but the white that can be reached from outside the picture."""
    ground, _ = ndimage.label(np.pad(white, 1, constant_values=True))
    return (ground != ground[0, 0])[1:-1, 1:-1]


def _largest_parts(mask: Bool[np.ndarray, "height width"]) -> Bool[np.ndarray, "height width"] | None:
    """The connected parts of at least 5 % of the largest; None if there is none, or too many."""
    parts, count = ndimage.label(mask, structure=np.ones((3, 3), dtype=int))
    if count == 0:
        return None
    areas = np.bincount(parts.ravel())[1:]
    kept = np.flatnonzero(areas >= MIN_PART * areas.max()) + 1
    return np.isin(parts, kept) if len(kept) <= MAX_PARTS else None


def _is_framed(mask: Bool[np.ndarray, "height width"]) -> bool:
    """Whether the largest part is a rectangle, or runs along three sides of its bounding box."""
    parts, _ = ndimage.label(mask)
    largest = parts == np.bincount(parts.ravel())[1:].argmax() + 1
    rows, columns = np.flatnonzero(largest.any(axis=1)), np.flatnonzero(largest.any(axis=0))
    inside = largest[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    sides = (inside[:2].any(axis=0), inside[-2:].any(axis=0), inside[:, :2].any(axis=1), inside[:, -2:].any(axis=1))
    straight = sum(float(side.mean()) >= MIN_STRAIGHT for side in sides)
    return float(inside.mean()) >= MAX_BOX_FILL or straight >= 3
