"""Which pictures of a video to look at: uniform in time, by presentation time."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from tokenlearner.errors import ConfigError

_TIME_TOLERANCE_S = 1e-6
_ROUNDING_S = 2e-3
_ROUNDING_SHARE = 0.1


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """A range of a video and the most pictures to take from it.

    Attributes:
        start_s: Start of the range, counted from the first picture.
        end_s: End of the range (not included), or None for the end of the video.
        max_frames: Most pictures to take. If the range holds more, they are taken uniform in time.
        max_fps: Most pictures per second of presentation time, or None for all. Both bounds hold: where
            `max_frames` leaves fewer, they are farther apart.
    """

    start_s: float = 0.0
    end_s: float | None = None
    max_frames: int = 300
    max_fps: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_s) and self.start_s >= 0):
            raise ConfigError(f"The start must be 0 s or later, not {self.start_s:g} s.")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise ConfigError(f"The end ({self.end_s:g} s) must lie after the start ({self.start_s:g} s).")
        if self.max_frames < 1:
            raise ConfigError(f"max_frames must be at least 1, not {self.max_frames}.")
        if self.max_fps is not None and not (math.isfinite(self.max_fps) and self.max_fps > 0):
            raise ConfigError(f"max_fps, the most frames per second, must be above 0, not {self.max_fps:g}.")


def choose_frames(
    times_s: Float64[np.ndarray, " frames"], end_s: float, sampling: Sampling
) -> Int64[np.ndarray, " chosen"]:
    """Choose pictures of a video, at most `sampling.max_frames`, uniform in time.

    The range is cut in equal parts, `max_frames` of them or, if that makes them longer, each
    `1 / max_fps` long, and the picture on screen at the start of each is taken, once. With a constant
    frame rate that is an even stride; with a variable one, a picture that stands for several parts is
    taken once, so fewer may come back.

    Args:
        times_s: Presentation times, strictly ascending, the first 0.
        end_s: When the last picture leaves the screen.
        sampling: The range and the most pictures to take.

    Returns:
        Ascending indices into `times_s`; empty if the range starts behind `end_s`.
    """
    chosen = _at_rate(times_s, end_s, sampling)
    if len(chosen) <= sampling.max_frames:
        return chosen
    begin_s, stop_s = _range(times_s, end_s, sampling, chosen[0])
    part_s = (stop_s - begin_s) / sampling.max_frames
    return np.unique(on_screen(times_s, begin_s + part_s * np.arange(sampling.max_frames)))


def pictures_in_range(
    times_s: Float64[np.ndarray, " frames"], end_s: float, sampling: Sampling
) -> Int64[np.ndarray, " held"]:
    """All pictures that are on screen within the range."""
    if not len(times_s) or sampling.start_s >= end_s:
        return np.empty(0, np.int64)
    stop_s = end_s if sampling.end_s is None else min(sampling.end_s, end_s)
    first = max(int(on_screen(times_s, np.array([sampling.start_s]))[0]), 0)
    behind = int(np.searchsorted(times_s, stop_s - _TIME_TOLERANCE_S, side="left"))
    return np.arange(first, max(behind, first + 1), dtype=np.int64)


def rate_note(times_s: Float64[np.ndarray, " frames"], end_s: float, sampling: Sampling) -> str:
    """A sentence for the viewer if the frame rate is what leaves pictures out; else empty. Takes the same arguments."""
    chosen = _at_rate(times_s, end_s, sampling)
    if len(chosen) > sampling.max_frames or len(chosen) == len(pictures_in_range(times_s, end_s, sampling)):
        return ""
    rate = f"{sampling.max_fps:g} frame{'' if sampling.max_fps == 1 else 's'}"
    return f"Resampled to {rate} per second."


def _at_rate(times_s: Float64[np.ndarray, " frames"], end_s: float, sampling: Sampling) -> Int64[np.ndarray, " chosen"]:
    """The pictures on screen within the range at its beginning and every `1 / max_fps` from there on.

    A picture that comes up to 2 ms late still counts: files round their times, and a clip of 30 pictures per second
    must not lose some of them at that very rate.
    """
    held = pictures_in_range(times_s, end_s, sampling)
    if sampling.max_fps is None or len(held) < 2:
        return held
    begin_s, stop_s = _range(times_s, end_s, sampling, held[0])
    late_s = min(_ROUNDING_S, _ROUNDING_SHARE / sampling.max_fps)
    # Number of the first moment at which each picture is on screen; one that meets none has its successor's.
    appears_s = np.append(times_s[held], stop_s + late_s - _TIME_TOLERANCE_S) - late_s - begin_s
    moment = np.ceil(np.maximum(appears_s, 0.0) * sampling.max_fps)
    return held[moment[:-1] < moment[1:]]


def _range(
    times_s: Float64[np.ndarray, " frames"], end_s: float, sampling: Sampling, first: np.int64
) -> tuple[float, float]:
    """Begin and end of the range, within the video."""
    stop_s = end_s if sampling.end_s is None else min(sampling.end_s, end_s)
    return max(sampling.start_s, float(times_s[first])), stop_s


def on_screen(
    times_s: Float64[np.ndarray, " frames"], at_s: Float64[np.ndarray, " moments"]
) -> Int64[np.ndarray, " moments"]:
    """Index of the picture on screen at each moment; -1 before the first."""
    return np.searchsorted(times_s, at_s + _TIME_TOLERANCE_S, side="right").astype(np.int64) - 1
