"""Objects cut out of photographs, and pasting them onto others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from tokenlearner.samples.photographs import load_disparity, load_photograph

Canvas = Float32[np.ndarray, "height width 3"]

_FLOOR_CLEARANCE_PX: Final = 1.0
_FARTHEST_BIKE_PX: Final = 33.0
_SILHOUETTE_BLUR_PX: Final = 0.8


@dataclass(frozen=True, eq=False)
class Cutout:
    """A picture with soft edges.

    Attributes:
        rgb: RGB 0..255.
        alpha: How much it covers, 0..1.
    """

    rgb: UInt8[np.ndarray, "height width 3"]
    alpha: Float32[np.ndarray, "height width"]

    def scaled(self, factor: float) -> Cutout:
        """The same object at another size."""
        how = cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC
        alpha = cv2.resize(self.alpha, None, fx=factor, fy=factor, interpolation=how)
        rgb = cv2.resize(self.rgb, None, fx=factor, fy=factor, interpolation=how)
        return Cutout(np.asarray(rgb, np.uint8), np.clip(alpha, 0, 1).astype(np.float32))

    def tinted(self, red: float, green: float, blue: float) -> Cutout:
        """The same object in light of another colour."""
        tinted = self.rgb * np.array([red, green, blue], np.float32)
        return Cutout(np.clip(tinted, 0, 255).astype(np.uint8), self.alpha)

    def paste_on(
        self, canvas: Canvas, centre_xy: tuple[float, float], *, angle_deg: float = 0.0, shadow_px: float = 0.0
    ) -> None:
        """Lay the object on `canvas` (0..255, changed in place), turned counter-clockwise, over a soft shadow."""
        height, width = self.alpha.shape
        reach = math.ceil(math.hypot(height, width) / 2 + 3 * shadow_px) + 1
        left, right = _overlap(centre_xy[0], reach, canvas.shape[1])
        top, bottom = _overlap(centre_xy[1], reach, canvas.shape[0])
        if left >= right or top >= bottom:
            return
        window, size = canvas[top:bottom, left:right], (right - left, bottom - top)
        place = cv2.getRotationMatrix2D((width / 2, height / 2), angle_deg, 1.0)
        place[:, 2] += np.array([centre_xy[0] - width / 2 - left, centre_xy[1] - height / 2 - top])
        if shadow_px:
            below = place.copy()
            below[:, 2] += np.array([0.6 * shadow_px, shadow_px])
            dark = cv2.GaussianBlur(cv2.warpAffine(self.alpha, below, size), (0, 0), 0.6 * shadow_px)
            window *= 1 - 0.55 * dark[:, :, None]
        alpha = cv2.warpAffine(self.alpha, place, size)[:, :, None]
        window *= 1 - alpha
        window += cv2.warpAffine(self.rgb, place, size) * alpha


def motorcycle() -> Cutout:
    """The motorcycle of the stereo pair: all that is nearer than the floor and the shelves behind.

    The floor is a plane, so its disparity is linear in the image; it is fitted where only floor is seen.
    The kickstand is left out: the motorcycle is to ride.
    """
    disparity = fill_unknown(load_disparity())
    height, width = disparity.shape
    y, x = np.mgrid[:height, :width]
    is_floor = (y > 330) & ((x < 60) | (x > 700)) | (y > 470) & (x > 250) & (x < 450)
    plane = np.stack([y, x, np.ones_like(x)], axis=-1)
    coefficients, *_ = np.linalg.lstsq(plane[is_floor].astype(np.float64), disparity[is_floor], rcond=None)
    near = disparity > np.maximum(plane @ coefficients + _FLOOR_CLEARANCE_PX, _FARTHEST_BIKE_PX)
    near[378:440, 305:365] = False
    _, labels, stats, _ = cv2.connectedComponentsWithStats(near.astype(np.uint8))
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return _cut(load_photograph("motorcycle_left.png"), labels == largest)


def coffee_cup() -> Cutout:
    """The cup on its saucer: the union of saucer, rim and the tip of the spoon."""
    photograph = load_photograph("coffee.png")
    shape = np.zeros(photograph.shape[:2], np.uint8)
    cv2.ellipse(shape, (278, 214), (201, 169), 0, 0, 360, 1, -1)
    cv2.ellipse(shape, (291, 113), (118, 95), 0, 0, 360, 1, -1)
    spoon = [(397, 70), (404, 66), (416, 66), (424, 74), (408, 130), (385, 130)]
    cv2.fillPoly(shape, [np.array(spoon, np.int32)], 1)
    return _cut(photograph, shape > 0)


def coin(box_xywh: tuple[int, int, int, int], metal: tuple[float, float, float]) -> Cutout:
    """One of the coins, given the box around it in `coins.png`, in the colour of a metal (factors on grey)."""
    photograph = load_photograph("coins.png")
    x, y, width, height = box_xywh
    crop = photograph[y : y + height, x : x + width]
    _, bright = cv2.threshold(cv2.GaussianBlur(crop[:, :, 0], (0, 0), 1.5), 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(bright, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    hull = cv2.convexHull(np.concatenate(contours))
    shape = np.zeros((height, width), np.uint8)
    cv2.fillConvexPoly(shape, hull, 1)
    return _cut(crop, shape > 0).tinted(*metal)


def fill_unknown(disparity: Float32[np.ndarray, "height width"]) -> Float32[np.ndarray, "height width"]:
    """Fill what is not finite with the farther of its neighbours in the row: what is hidden lies behind.

    Args:
        disparity: In pixels; larger is nearer.
    """
    height, width = disparity.shape
    known = np.isfinite(disparity)
    columns = np.arange(width)
    left = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    right = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    rows = np.arange(height)[:, None]
    from_left = np.where(left >= 0, disparity[rows, np.maximum(left, 0)], np.inf)
    from_right = np.where(right < width, disparity[rows, np.minimum(right, width - 1)], np.inf)
    filled = np.where(known, disparity, np.minimum(from_left, from_right))
    return np.where(np.isfinite(filled), filled, 0.0).astype(np.float32)


def _overlap(centre: float, reach: int, length: int) -> tuple[int, int]:
    """The part of `centre` plus or minus `reach` that lies in 0..length."""
    return max(0, math.floor(centre) - reach), min(length, math.ceil(centre) + reach)


def _cut(rgb: UInt8[np.ndarray, "height width 3"], shape: Bool[np.ndarray, "height width"]) -> Cutout:
    alpha = cv2.GaussianBlur(shape.astype(np.float32), (0, 0), _SILHOUETTE_BLUR_PX)
    return Cutout(rgb, np.asarray(alpha, np.float32))
