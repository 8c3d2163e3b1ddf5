"""Decoded video frames to RGB as displayed: colour matrix, range, pixel shape and rotation."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Final, cast

import av
import numpy as np
from av.buffer import Buffer
from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter
from jaxtyping import UInt8

from tokenlearner.media.geometry import Orientation

# FFmpeg's AVColorSpace and AVColorTransferCharacteristic (ITU-T H.273 code points).
_BT709, _UNSPECIFIED, _SMPTE170M = 1, 2, 6
_PQ, _HLG = 16, 18
_HD_WIDTH, _HD_HEIGHT = 1280, 577
_STRANGEST_PIXEL: Final = 10
_HDR_NOTES: Final = {
    _PQ: "This HDR video (PQ) is shown in standard range; what is brighter than white is clipped.",
    _HLG: "This HDR video (HLG) is shown by its standard-range part; its colours may look pale.",
}


class FrameConverter:
    """Turns the frames of one video into RGB pictures of one size, learnt from its first frame.

    - Colours: the matrix and range that the frame names. Where it names no matrix, BT.709 from
      1280 x 577 pixels on, else BT.601, as video players do. PQ (HDR10) is brought to standard
      range, clipped at reference white (203 cd/m2); HLG is shown by its compatible part.
    - Pixels that are not square: the shorter direction is enlarged, so nothing is lost.
    - Display matrix: turned and mirrored by the nearest quarter turn.
    - A frame of another size than the first is fitted into the first one's, with black bars.

    Attributes:
        orientation: How stored pictures are turned.
        size: (width, height) of the pictures it makes.
        note: A sentence for the viewer if colours are not shown in full; else empty.
    """

    def __init__(self, first: av.VideoFrame, pixel_aspect: Fraction | None) -> None:
        """Learn from the first decoded frame; `pixel_aspect` is width over height of one pixel, if known."""
        self._reformatter = VideoReformatter()
        self._aspect = _plausible(pixel_aspect)
        self.orientation = _orientation(first)
        self._size = self._square_pixels(first.width, first.height)
        self.size = self.orientation.displayed_size(*self._size)
        self._is_pq = first.color_trc == _PQ
        self.note = _HDR_NOTES.get(first.color_trc, "")

    def __call__(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        """RGB 0..255 as displayed; contiguous and the caller's own."""
        width, height = self._size
        shown = self._square_pixels(frame.width, frame.height)
        if shown == self._size:
            return self.orientation.apply(self._to_rgb(frame, width, height))
        scale = min(width / shown[0], height / shown[1])
        fitted = self._to_rgb(frame, max(1, round(shown[0] * scale)), max(1, round(shown[1] * scale)))
        top, left = (height - fitted.shape[0]) // 2, (width - fitted.shape[1]) // 2
        canvas = np.zeros((height, width, 3), np.uint8)
        canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = fitted
        return self.orientation.apply(canvas)

    def _square_pixels(self, width: int, height: int) -> tuple[int, int]:
        """Size of a stored frame once its pixels are square."""
        if self._aspect >= 1:
            return round(width * self._aspect), height
        return width, round(height / self._aspect)

    def _to_rgb(self, frame: av.VideoFrame, width: int, height: int) -> UInt8[np.ndarray, "height width 3"]:
        if frame.colorspace == _UNSPECIFIED:
            is_hd = frame.width >= _HD_WIDTH or frame.height >= _HD_HEIGHT
            frame.colorspace = _BT709 if is_hd else _SMPTE170M
        tone = {}
        if self._is_pq:
            tone = {"dst_color_trc": ColorTrc.IEC61966_2_1, "dst_color_primaries": ColorPrimaries.BT709}
        scaled = (width, height) != (frame.width, frame.height)
        converted = self._reformatter.reformat(
            frame,
            format="rgb24",
            width=width,
            height=height,
            interpolation="BICUBIC" if scaled else None,
            threads=1,
            **tone,
        )
        rgb = np.ascontiguousarray(converted.to_ndarray())
        return rgb if rgb.flags.writeable else rgb.copy()


def _orientation(frame: av.VideoFrame) -> Orientation:
    """How the frame's display matrix wants it turned."""
    try:
        # PyAV declares one kind of side data and delivers all of them.
        matrix = bytes(cast("Mapping[str, Buffer]", frame.side_data)["DISPLAYMATRIX"])
    except KeyError:
        return Orientation()
    except ValueError:
        # Beside it lies side data that PyAV has no name for (Exif, a second view): it still knows the turn.
        return Orientation.from_counter_clockwise(frame.rotation)
    return Orientation.from_display_matrix(np.frombuffer(matrix, np.int32).tolist())


def _plausible(aspect: Fraction | None) -> Fraction:
    """A pixel aspect ratio that a camera could have meant; square where it is missing or absurd."""
    if not aspect or not Fraction(1, _STRANGEST_PIXEL) <= aspect <= _STRANGEST_PIXEL:
        return Fraction(1)
    return aspect
