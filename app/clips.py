"""What the browser plays: a clip at its own frame rate, small enough to send and in a format that it knows."""

from __future__ import annotations

import dataclasses
import shutil
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import cv2
import numpy as np
from jaxtyping import UInt8

from tokenlearner.media import Frame, Piece, Sampling, VideoWriter, encode_jpeg, join_pieces

CLIP_SIDE: Final = 960
"""Longer side of a clip in pixels, at most."""
STILL_SIDE: Final = 1600
"""Longer side of a photograph in pixels, at most: it is sent once and looked at closely."""
PLAYED_FPS: Final = 30.0
"""Frames per second of a clip, at most, however few of them are analysed."""
PLAYED_FRAMES: Final = 1800
"""Frames of a clip, at most, unless more are analysed."""
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


def played(sampling: Sampling) -> Sampling:
    """The frames that are shown of a clip of which some are analysed; for `Engine.analyze(extra=...)`."""
    if sampling.max_frames == 1:
        return sampling  # one frame is looked at like a photograph
    return dataclasses.replace(sampling, max_fps=PLAYED_FPS, max_frames=max(PLAYED_FRAMES, sampling.max_frames))


class ClipRecorder:
    """Takes frames one by one and makes a clip of them, or a JPEG if there is only one.

    Frames keep their presentation times relative to the first, so that a map and its frame appear together. The
    beginning can be had while more is to come (`part`): there the encoder begins a new piece, and pieces are joined
    without encoding anything twice. Threads may share a recorder; leaving its context removes its temporary files.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tokenlearner-clip-"))
        self._first: Frame | None = None
        self._frame_hw = (0, 0)
        self._analysed: list[int] = []  # how many frames there were with each that is analysed
        self._count = 0
        self._pieces: list[Piece] = []
        self._writer: VideoWriter | None = None
        self._lock = threading.Lock()

    def add(self, frame: Frame) -> None:
        """Append a frame; all later ones are brought to the size of the first.

        Raises:
            MediaError: If the clip cannot be written.
        """
        with self._lock:
            self._count += 1
            if not frame.is_extra:
                self._analysed.append(self._count)
            if self._first is None:
                self._first = frame
                return
            if self._count == 2:
                self._frame_hw = fit_within(self._first.rgb.shape[:2], CLIP_SIDE, even=True)
                self._write(self._first, self._first.timestamp_s)
            self._write(frame, self._first.timestamp_s)

    def part(self, frames: int) -> BrowserClip:
        """The clip up to one of the analysed frames, while more are to come.

        Args:
            frames: How many of those it shall hold; at least two, and no more than were added.

        Raises:
            MediaError: If the clip cannot be written.
            ValueError: If it cannot have so many frames.
        """
        with self._lock:
            if not 2 <= frames <= len(self._analysed):
                raise ValueError(f"A part of {len(self._analysed)} frames cannot have {frames}.")
            count = self._analysed[frames - 1]
            self._end_piece()
            pieces = list(self._pieces)
        join_pieces(pieces, self._joined, frames=count)
        return self._clip(self._joined)

    def finish(self) -> BrowserClip:
        """The clip of all frames added.

        Raises:
            MediaError: If the clip cannot be written.
            ValueError: If there was no frame.
        """
        if self._first is None:
            raise ValueError("a clip needs at least one frame")
        if self._count == 1:
            frame_hw = fit_within(self._first.rgb.shape[:2], STILL_SIDE)
            jpeg = encode_jpeg(resized(self._first.rgb, frame_hw), _JPEG_QUALITY)
            return BrowserClip(jpeg, "image/jpeg", frame_hw, self._first.timestamp_s)
        with self._lock:
            self._end_piece()
        if len(self._pieces) == 1:
            return self._clip(self._pieces[0].path)
        join_pieces(self._pieces, self._joined)
        return self._clip(self._joined)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.discard()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def _joined(self) -> Path:
        return self._folder / "joined.mp4"

    def _clip(self, path: Path) -> BrowserClip:
        assert self._first is not None
        return BrowserClip(path.read_bytes(), "video/mp4", self._frame_hw, self._first.timestamp_s)

    def _write(self, frame: Frame, start_s: float) -> None:
        if self._writer is None:
            piece = Piece(self._folder / f"{len(self._pieces)}.mp4", frame.timestamp_s - start_s)
            self._writer = VideoWriter(piece.path, self._frame_hw, crf=_CLIP_CRF)
            self._pieces.append(piece)
        self._writer.write(resized(frame.rgb, self._frame_hw), frame.timestamp_s)

    def _end_piece(self) -> None:
        """Have all that was added in files; what comes next goes into a new one."""
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.close()


def fit_within(frame_hw: tuple[int, ...], side: int, *, even: bool = False) -> tuple[int, int]:
    """Largest size of the same shape whose longer side is at most `side`; never larger than the frame.

    Args:
        frame_hw: Height and width in pixels.
        side: In pixels.
        even: Round to even numbers, at least 2, as H.264 wants them.
    """
    scale = min(1.0, side / max(frame_hw))
    step = 2 if even else 1

    def fitted(pixels: int) -> int:
        return max(step, min(round(pixels * scale / step), pixels // step) * step)

    return fitted(frame_hw[0]), fitted(frame_hw[1])


def resized(
    rgb: UInt8[np.ndarray, "height width 3"], frame_hw: tuple[int, int]
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    """A frame at another size, smaller as a rule."""
    if rgb.shape[:2] == frame_hw:
        return rgb
    return np.asarray(cv2.resize(rgb, frame_hw[::-1], interpolation=cv2.INTER_AREA))
