"""What the browser plays: the very frames that were analysed, small enough to send and in a format it knows."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import cv2
import numpy as np
from jaxtyping import UInt8

from tokenlearner.media import Frame, VideoWriter, encode_jpeg

CLIP_SIDE: Final = 960
"""Longer side of a clip in pixels, at most."""
STILL_SIDE: Final = 1600
"""Longer side of a photograph in pixels, at most: it is sent once and looked at closely."""
_CLIP_CRF: Final = 23
_JPEG_QUALITY: Final = 90


@dataclass(frozen=True, eq=False)
class BrowserClip:
    """A clip or picture that every browser shows.

    Attributes:
        media: The whole file.
        mime: "video/mp4" (H.264) or "image/jpeg".
        frame_hw: Height and width in pixels.
        start_s: Presentation time of its first frame in the original.
    """

    media: bytes
    mime: str
    frame_hw: tuple[int, int]
    start_s: float


class ClipRecorder:
    """Takes analysed frames one by one and makes a clip of them, or a JPEG if there is only one.

    Frames keep their presentation times relative to the first, so that a map and its frame appear together.
    Use it as a context: leaving it removes its temporary file. `add` may run in another thread than the rest,
    but not at the same time.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tokenlearner-clip-"))
        self._first: Frame | None = None
        self._frame_hw = (0, 0)
        self._writer: VideoWriter | None = None

    def add(self, frame: Frame) -> None:
        """Append a frame; all later ones are brought to the size of the first.

        Raises:
            MediaError: If the clip cannot be written.
        """
        if self._first is None:
            self._first = frame
            return
        if self._writer is None:
            self._frame_hw = fit_within(self._first.rgb.shape[:2], CLIP_SIDE, even=True)
            self._writer = VideoWriter(self._path, self._frame_hw, crf=_CLIP_CRF)
            self._write(self._first)
        self._write(frame)

    def finish(self) -> BrowserClip:
        """The clip of all frames added.

        Raises:
            MediaError: If the clip cannot be written.
            ValueError: If there was no frame.
        """
        if self._first is None:
            raise ValueError("a clip needs at least one frame")
        if self._writer is None:
            frame_hw = fit_within(self._first.rgb.shape[:2], STILL_SIDE)
            jpeg = encode_jpeg(_resized(self._first.rgb, frame_hw), _JPEG_QUALITY)
            return BrowserClip(jpeg, "image/jpeg", frame_hw, self._first.timestamp_s)
        self._writer.close()
        return BrowserClip(self._path.read_bytes(), "video/mp4", self._frame_hw, self._first.timestamp_s)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.discard()  # does nothing after `finish`
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _path(self) -> Path:
        return self._folder / "clip.mp4"

    def _write(self, frame: Frame) -> None:
        assert self._writer is not None
        self._writer.write(_resized(frame.rgb, self._frame_hw), frame.timestamp_s)


def fit_within(frame_hw: tuple[int, ...], side: int, *, even: bool = False) -> tuple[int, int]:
    """Largest size of the same shape whose longer side is at most `side`; never larger than the frame.

    Args:
        frame_hw: Height and width in pixels.
        side: In pixels.
        even: Round to even numbers, as H.264 wants them.
    """
    height, width = frame_hw
    scale = min(1.0, side / max(height, width))
    step = 2 if even else 1
    return max(step, round(height * scale / step) * step), max(step, round(width * scale / step) * step)


def _resized(
    rgb: UInt8[np.ndarray, "height width 3"], frame_hw: tuple[int, int]
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    if rgb.shape[:2] == frame_hw:
        return rgb
    return np.asarray(cv2.resize(rgb, frame_hw[::-1], interpolation=cv2.INTER_AREA))
