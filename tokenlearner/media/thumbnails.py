"""Small pictures of a clip at even times, for a strip to find one's way by: as few pictures decoded as can be."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float64, Int64, UInt8

from tokenlearner.errors import ConfigError
from tokenlearner.media.info import Frame, MediaInfo
from tokenlearner.media.limits import DecodeClock, MediaLimits
from tokenlearner.media.reader import identify
from tokenlearner.media.sampling import on_screen
from tokenlearner.media.source import Source
from tokenlearner.media.video import VideoSource

DEFAULT_BUDGET_S: Final = 10.0
_EXACT_PIXELS: Final = 60e6
"""Videos of no more pixels than that, all frames together, are decoded in full quality: it takes a moment."""
_NEAR_S: Final = 0.25
_WIDEST: Final = 8  # times the height that was asked for
_ROUNDING_S: Final = 1e-6


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """A small picture that stands for one part of a clip.

    Attributes:
        part: Number of the part, from 0.
        rgb: RGB, 0..255, as displayed (turned, with square pixels).
        timestamp_s: When this very picture appears; it need not lie in the middle of the part.
    """

    part: int
    rgb: UInt8[np.ndarray, "height width 3"]
    timestamp_s: float


class Thumbnails:
    """Small pictures of one photo or video, one for each of equal parts of its time.

    Iterate over it once, inside a `with` block. Parts with a keyframe come first, each by itself, which is quick
    however long the file is; then the others, in order, for which the file is decoded from the keyframe before.
    Whatever is damaged, or was not reached in time, is left out. A photo has one part.

    Attributes:
        info: What the file holds.
        times_s: Presentation times of all its pictures.
        num_parts: Parts of the time.
    """

    def __init__(self, source: Source, clock: DecodeClock, *, count: int, height: int) -> None:
        self._source, self._clock, self._height = source, clock, height
        self.info: MediaInfo = source.info
        self.times_s: Float64[np.ndarray, " frames"] = source.times_s
        self.num_parts = min(count, len(source.times_s))
        self._part_s = self.info.duration_s / self.num_parts
        self._middles_s = (np.arange(self.num_parts) + 0.5) * self._part_s

    def __iter__(self) -> Iterator[Thumbnail]:
        """Decode, resize and yield."""
        missing = list(range(self.num_parts))
        if isinstance(self._source, VideoSource):
            keyframes = self._keyframes(self._source.keyframes)
            chosen = np.unique(np.array(list(keyframes.values()), np.int64))
            for frame in self._timed(self._source.keyframes_alone(chosen)):
                for part in [part for part in missing if keyframes.get(part) == frame.index]:
                    missing.remove(part)
                    yield self._thumbnail(part, frame)
        if missing:
            yield from self._between(missing)

    def _between(self, missing: list[int]) -> Iterator[Thumbnail]:
        """The parts that no keyframe stands for."""
        moments = self._middles_s[missing]
        wanted = on_screen(self.times_s, moments)
        near_s = max(self._part_s, _NEAR_S)
        for frame in self._timed(self._frames(np.unique(wanted))):
            for place in np.flatnonzero(wanted <= frame.index).tolist():
                wanted[place] = len(self.times_s)  # served, or passed over where much is damaged
                if frame.timestamp_s - moments[place] <= near_s:
                    yield self._thumbnail(missing[place], frame)

    def _frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Iterator[Frame]:
        if isinstance(self._source, VideoSource):
            pixels = self.info.num_frames * self.info.width * self.info.height
            return self._source.frames(wanted, rough=pixels > _EXACT_PIXELS)
        return self._source.frames(wanted)

    def _keyframes(self, numbers: Int64[np.ndarray, " keyframes"]) -> dict[int, int]:
        """For each part that has a keyframe, the one nearest to its middle."""
        nearest: dict[int, int] = {}
        parts = np.minimum((self.times_s[numbers] + _ROUNDING_S) // self._part_s, self.num_parts - 1).astype(int)
        for number, part in zip(numbers.tolist(), parts.tolist(), strict=True):
            distances = [abs(self.times_s[one] - self._middles_s[part]) for one in (nearest.get(part, number), number)]
            if part not in nearest or distances[1] < distances[0]:
                nearest[part] = number
        return nearest

    def _timed(self, frames: Iterator[Frame]) -> Iterator[Frame]:
        """The frames, with the time that they take counted."""
        with closing(frames):  # type: ignore[type-var]
            while not self._clock.is_up():
                with self._clock.running():
                    frame = next(frames, None)
                if frame is None:
                    return
                yield frame

    def _thumbnail(self, part: int, frame: Frame) -> Thumbnail:
        height, width, _ = frame.rgb.shape
        scale = min(1.0, self._height / height, _WIDEST * self._height / width)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        small = cv2.resize(frame.rgb, size, interpolation=cv2.INTER_AREA)
        return Thumbnail(part, np.asarray(small, np.uint8), frame.timestamp_s)

    def __enter__(self) -> Thumbnails:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()


def open_thumbnails(
    path: str | os.PathLike[str],
    count: int,
    height: int,
    limits: MediaLimits | None = None,
    *,
    budget_s: float = DEFAULT_BUDGET_S,
    name: str | None = None,
) -> Thumbnails:
    """Open a photo or video to read small pictures of it at even times.

        with open_thumbnails("clip.mp4", 12, 96) as thumbnails:
            for thumbnail in thumbnails:
                ...

    Args:
        path: The file.
        count: Most pictures; one that has fewer gives all it has.
        height: Of each in pixels, at most: pictures keep their shape, are not enlarged, and are at most eight times as
            wide as this.
        limits: Bounds on what is opened; None for the defaults.
        budget_s: Seconds after which no more is decoded.
        name: Name to show in messages, if the file lies under a temporary one.

    Raises:
        ConfigError: If `count` or `height` is below 1.
        MediaError: If the file cannot be read.
        MediaLimitError: If it is larger than `limits`, or reading it takes longer than `budget_s`.
    """
    if count < 1 or height < 1:
        raise ConfigError(f"Thumbnails need a count and a height of at least 1, not {count} and {height}.")
    limits = limits or MediaLimits()
    limits = dataclasses.replace(limits, max_decode_s=min(limits.max_decode_s, budget_s))
    clock = DecodeClock(limits.max_decode_s)
    source = identify(Path(path), name or Path(path).name, limits, clock)
    return Thumbnails(source, clock, count=count, height=height)
