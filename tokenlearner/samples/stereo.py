"""Views between the two cameras of a stereo pair, from its measured depth."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from tokenlearner.samples.cutouts import fill_unknown


class StereoPair:
    """A rectified stereo pair that can be looked at from any place between its cameras.

    Args:
        left: RGB 0..255 from the left camera.
        right: RGB 0..255 from the right camera.
        disparity: For each pixel of `left`, how far to the left it lies in `right`, in pixels.
    """

    def __init__(
        self,
        left: UInt8[np.ndarray, "height width 3"],
        right: UInt8[np.ndarray, "height width 3"],
        disparity: Float32[np.ndarray, "height width"],
    ) -> None:
        self._left, self._right = left, right
        height, width = disparity.shape
        self._x, self._y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        # Far to near, so that what is nearer is written last and covers the rest.
        order = np.argsort(disparity, axis=None, kind="stable")
        self._rows, self._columns = np.divmod(order, width)
        self._disparity = disparity.ravel()[order]

    def view(self, place: float) -> UInt8[np.ndarray, "height width 3"]:
        """What a camera at `place` sees: 0 the left one, 1 the right one."""
        disparity, hidden = self._disparity_at(place)
        x_left, x_right = self._x + place * disparity, self._x - (1 - place) * disparity
        from_left = cv2.remap(self._left, x_left, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        from_right = cv2.remap(self._right, x_right, self._y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        # Blend by nearness, but take what one camera cannot see from the other.
        share = np.full(disparity.shape, place, np.float32)
        share[cv2.dilate(hidden.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0] = 1
        share[x_right < 0] = 0
        share[x_left > disparity.shape[1] - 1] = 1
        share = np.asarray(cv2.GaussianBlur(share, (3, 3), 0), np.float32)[:, :, None]
        return np.round(from_left * (1 - share) + from_right * share).astype(np.uint8)

    def _disparity_at(
        self, place: float
    ) -> tuple[Float32[np.ndarray, "height width"], Bool[np.ndarray, "height width"]]:
        """Disparity as seen from `place`, and where the left camera does not see what is there."""
        width = self._x.shape[1]
        moved = np.full(self._x.shape, np.inf, np.float32)
        target = np.rint(self._columns - place * self._disparity).astype(np.int64)
        for offset in (0, 1):
            inside = (target + offset >= 0) & (target + offset < width)
            moved[self._rows[inside], target[inside] + offset] = self._disparity[inside]
        return np.asarray(cv2.medianBlur(fill_unknown(moved), 3), np.float32), ~np.isfinite(moved)
