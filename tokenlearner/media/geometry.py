"""The eight ways a stored picture can be turned and mirrored to be displayed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8

_EXIF = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}


@dataclass(frozen=True)
class Orientation:
    """Swap rows and columns first, then mirror left-right, then top-bottom.

    Attributes:
        transpose: Whether rows become columns.
        flip_x: Whether the (transposed) picture is mirrored left-right.
        flip_y: Whether the (transposed) picture is mirrored top-bottom.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_exif(cls, value: object) -> Orientation:
        """Orientation of EXIF tag 274 (1 to 8); anything else means upright.

        Source: Exif 2.32, section 4.6.4 A, "Orientation".
        """
        return cls(*_EXIF.get(value, (False, False, False))) if isinstance(value, int) else cls()

    @classmethod
    def from_display_matrix(cls, matrix: Sequence[int]) -> Orientation:
        """Nearest orientation of a video's display matrix (9 fixed-point numbers, row by row).

        A stored point (x, y) is shown at (a x + c y, b x + d y), y pointing down.
        Source: ISO/IEC 14496-12, section 8.3.2, and FFmpeg's `libavutil/display.h`.
        """
        a, b, _, c, d = matrix[:5]
        if not (a or b or c or d):
            return cls()
        if math.hypot(a, d) >= math.hypot(b, c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    @classmethod
    def from_counter_clockwise(cls, degrees: int) -> Orientation:
        """The quarter turn nearest to an angle, counter-clockwise."""
        turns = (cls(), cls(True, False, True), cls(False, True, True), cls(True, True, False))
        return turns[round(degrees / 90) % 4]

    @property
    def clockwise_deg(self) -> int:
        """Clockwise turn in degrees; where the picture is mirrored too, left-right and before the turn."""
        if self.transpose:
            return 90 if self.flip_x else 270
        return 180 if self.flip_y else 0

    def displayed_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the turn."""
        return (height, width) if self.transpose else (width, height)

    def apply(self, rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "out_height out_width 3"]:
        """Turn an RGB picture; contiguous, and `rgb` itself where there is nothing to do."""
        if self.transpose:
            rgb = _uint8(cv2.transpose(rgb))
        if self.flip_x or self.flip_y:
            rgb = _uint8(cv2.flip(rgb, -1 if self.flip_x and self.flip_y else int(self.flip_x)))
        return rgb


def _uint8(array: object) -> UInt8[np.ndarray, "height width 3"]:
    """Give OpenCV's loosely typed result its type back."""
    return np.asarray(array, np.uint8)
