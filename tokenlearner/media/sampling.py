"""Which pictures of a video to look at: uniform in time, by presentation time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from tokenlearner.errors import ConfigError

_TIME_TOLERANCE_S = 1e-6


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """A range of a video and the most pictures to take from it.

    Attributes:
        start_s: Start of the range, counted from the first picture.
        end_s: End of the range (not included), or None for the end of the video.
        max_frames: Most pictures to take. If the range holds more, they are taken uniform in time.
    """

    start_s: float = 0.0
    end_s: float | None = None
    max_frames: int = 300

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise ConfigError(f"The start must be 0 s or later, not {self.start_s:g} s.")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise ConfigError(f"The end ({self.end_s:g} s) must lie after the start ({self.start_s:g} s).")
        if self.max_frames < 1:
            raise ConfigError(f"max_frames must be at least 1, not {self.max_frames}.")


def choose_frames(
    times_s: Float64[np.ndarray, " frames"], end_s: float, sampling: Sampling
) -> Int64[np.ndarray, " chosen"]:
    """Choose pictures of a video, at most `sampling.max_frames`, uniform in time.

    The range is cut in `max_frames` equal parts and the picture on screen at the start of each is
    taken, once. With a constant frame rate that is an even stride; with a variable one, a
    picture that stands for several parts is taken once, so fewer may come back.

    Args:
        times_s: Presentation times, strictly ascending, the first 0.
        end_s: When the last picture leaves the screen.
        sampling: The range and the most pictures to take.

    Returns:
        Ascending indices into `times_s`; empty if the range starts behind `end_s`.
    """
    stop_s = end_s if sampling.end_s is None else min(sampling.end_s, end_s)
    if not len(times_s) or sampling.start_s >= end_s:
        return np.empty(0, np.int64)
    first = max(_on_screen(times_s, np.array([sampling.start_s]))[0], 0)
    behind = int(np.searchsorted(times_s, stop_s - _TIME_TOLERANCE_S, side="left"))
    held = np.arange(first, max(behind, first + 1), dtype=np.int64)
    if len(held) <= sampling.max_frames:
        return held
    begin_s = max(sampling.start_s, float(times_s[first]))
    part_s = (stop_s - begin_s) / sampling.max_frames
    return np.unique(_on_screen(times_s, begin_s + part_s * np.arange(sampling.max_frames)))


def _on_screen(
    times_s: Float64[np.ndarray, " frames"], at_s: Float64[np.ndarray, " moments"]
) -> Int64[np.ndarray, " moments"]:
    """Index of the picture on screen at each moment; -1 before the first."""
    return np.searchsorted(times_s, at_s + _TIME_TOLERANCE_S, side="right").astype(np.int64) - 1
