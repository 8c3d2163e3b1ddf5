"""Whether maps move along when the picture is shifted or rescaled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float, Float64, UInt8

from tokenlearner.analysis.maps import Box, Shares, regrid_part

FIRST_VIEW: Final[Box] = (0.1, 0.1, 0.8, 0.8)
MAX_SHIFT: Final = 0.1  # of the picture, to either side: an eighth of a view
ZOOM: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class Stability:
    """Correlation of the maps of two views of one picture, over what both show; means over tokens and pictures.

    *Undone* maps are compared place by place of the picture: 1 if they move along with it. *In place*
    they are compared cell by cell of the grid, as if they belonged to the frame: maps that follow the
    picture score lower there.

    Attributes:
        shift: The second view is moved by up to an eighth of its size, each way; undone.
        shift_in_place: The same pairs in place.
        zoom: The second view shows 0.8 times as much of each side, enlarged; undone.
        zoom_in_place: The same pairs in place.
    """

    shift: float
    shift_in_place: float
    zoom: float
    zoom_in_place: float

    def to_dict(self) -> dict[str, float]:
        """The measures by name, for JSON."""
        return asdict(self)


def shifted_view(rng: np.random.Generator) -> Box:
    """Draw a view as large as the first, moved by up to `MAX_SHIFT` each way."""
    left, top, width, height = FIRST_VIEW
    move = rng.uniform(-MAX_SHIFT, MAX_SHIFT, size=2)
    return left + float(move[0]), top + float(move[1]), width, height


def zoomed_view() -> Box:
    """The middle of the first view, with `ZOOM` times its sides."""
    left, top, width, height = FIRST_VIEW
    rim = (1 - ZOOM) / 2
    return left + rim * width, top + rim * height, ZOOM * width, ZOOM * height


def view(
    rgb: UInt8[np.ndarray, "height width 3"], box: Box, image_hw: tuple[int, int]
) -> UInt8[np.ndarray, "view_height view_width 3"]:
    """Cut a box out of a picture, its edges at fractions of pixels, and resize it bilinearly.

    Args:
        rgb: Picture, 0..255; before, it is reduced so that sampling does not alias.
        box: (left, top, width, height) in fractions of the picture, inside it.
        image_hw: Size of the view in pixels.
    """
    reduced_hw = tuple(max(2, min(have, round(need / side))) for have, need, side in _axes(rgb, box, image_hw))
    reduced = cv2.resize(rgb, (reduced_hw[1], reduced_hw[0]), interpolation=cv2.INTER_AREA)
    matrix = np.zeros((2, 3))
    for axis, (extent, low, side, size) in enumerate(
        (
            (reduced_hw[1], box[0], box[2], image_hw[1]),
            (reduced_hw[0], box[1], box[3], image_hw[0]),
        )
    ):
        step = side * extent / size  # source pixels per view pixel
        matrix[axis, axis], matrix[axis, 2] = step, low * extent + (step - 1) / 2
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    size_wh = (image_hw[1], image_hw[0])
    return np.asarray(cv2.warpAffine(reduced, matrix, size_wh, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def common_part(first: Box, second: Box) -> tuple[Box, Box]:
    """What two views of one picture share, in fractions of the first and of the second view.

    Raises:
        ValueError: If they share nothing.
    """
    left, top = max(first[0], second[0]), max(first[1], second[1])
    right = min(first[0] + first[2], second[0] + second[2])
    bottom = min(first[1] + first[3], second[1] + second[3])
    if right <= left or bottom <= top:
        raise ValueError("the two views share no part of the picture")

    def inside(own: Box) -> Box:
        low_x, low_y = (left - own[0]) / own[2], (top - own[1]) / own[3]
        return low_x, low_y, (right - left) / own[2], (bottom - top) / own[3]

    return inside(first), inside(second)


def correlation(
    first: Float[np.ndarray, "tokens rows columns"], second: Float[np.ndarray, "tokens rows columns"]
) -> Float64[np.ndarray, " tokens"]:
    """Pearson correlation over space, for each token; 0 where a map is constant."""
    a, b = (one.reshape(len(one), -1).astype(np.float64) for one in (first, second))
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt(np.square(a).sum(axis=1) * np.square(b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), scale, out=np.zeros(len(a)), where=scale > 1e-12)


def agreement(first: Shares, second: Shares, boxes: tuple[Box, Box]) -> tuple[float, float]:
    """Mean correlation over tokens of the maps of two views: (undone, in place).

    The shared part is compared on a grid with about as many cells as the first view has over it.
    """
    parts = common_part(*boxes)
    rows, columns = first.shape[-2:]
    grid_hw = max(1, round(parts[0][3] * rows)), max(1, round(parts[0][2] * columns))
    moved = correlation(regrid_part(first, parts[0], grid_hw), regrid_part(second, parts[1], grid_hw))
    return float(moved.mean()), float(correlation(first, second).mean())


def stability(
    first: Sequence[Shares],
    shifted: Sequence[Shares],
    zoomed: Sequence[Shares],
    shifts: Sequence[Box],
) -> Stability:
    """Compare the maps of first, shifted and zoomed views of the same pictures.

    Args:
        first: Maps of `FIRST_VIEW` of each picture.
        shifted: Maps of its shifted view.
        zoomed: Maps of `zoomed_view`.
        shifts: The shifted views.
    """
    by_shift = np.mean(
        [agreement(a, b, (FIRST_VIEW, box)) for a, b, box in zip(first, shifted, shifts, strict=True)], axis=0
    )
    by_zoom = np.mean(
        [agreement(a, b, (FIRST_VIEW, zoomed_view())) for a, b in zip(first, zoomed, strict=True)], axis=0
    )
    return Stability(
        shift=float(by_shift[0]),
        shift_in_place=float(by_shift[1]),
        zoom=float(by_zoom[0]),
        zoom_in_place=float(by_zoom[1]),
    )


def _axes(
    rgb: UInt8[np.ndarray, "height width 3"], box: Box, image_hw: tuple[int, int]
) -> tuple[tuple[int, int, float], tuple[int, int, float]]:
    return (rgb.shape[0], image_hw[0], box[3]), (rgb.shape[1], image_hw[1], box[2])
