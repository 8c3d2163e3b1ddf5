"""What an analysis will cost before it runs, from the pace of those that ran here before."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from app.clips import played
from tokenlearner import flops
from tokenlearner.config import ModelConfig
from tokenlearner.engine import Analysis, Progress, plan_geometry
from tokenlearner.engine.geometry import Resize
from tokenlearner.media import MediaInfo, Sampling
from tokenlearner.media.sampling import choose_frames

_HALF_BYTES: Final = 2
_FLOAT_BYTES: Final = 4
_TOLERANCE: Final = 1e-4
_READ_ONLY: Final = 0.1
"""Work for a frame that is only decoded on the way to others, as a share of that for one which is shown too."""


@dataclass(frozen=True)
class Pace:
    """How fast this machine analyses.

    Attributes:
        network_s_per_gmac: Seconds of the network for a billion multiply-adds.
        decode_s_per_megapixel: Seconds of reading, resizing and encoding for a million pixels that are shown.
        is_warm: Whether the first batch is left out: a photo has no other, and says too little about a clip.
    """

    network_s_per_gmac: float
    decode_s_per_megapixel: float
    is_warm: bool = False

    def is_better_than(self, other: Pace | None) -> bool:
        """Whether to go by this pace rather than by an earlier one."""
        if other is None or self.is_warm:
            return True
        return not other.is_warm and self.network_s_per_gmac < other.network_s_per_gmac

    @classmethod
    def of(cls, analysis: Analysis) -> Pace:
        """The pace at which an analysis ran, its beginning included."""
        spent, media = analysis.timings, analysis.media
        gmacs = analysis.compute.total_macs / 1e9 * spent.frames / analysis.clip_frames
        in_range = frames_in_range(media, analysis.settings.sampling)
        shown = frames_analysed(media, played(analysis.settings.sampling))
        megapixels = media.width * media.height / 1e6 * _handled(max(spent.frames, shown), in_range)
        return cls((spent.prefix_s + spent.suffix_s) / gmacs, (spent.decode_s - spent.opening_s) / megapixels)


class BatchClock:
    """Notes when the first and the last batch of an analysis end, to know its pace once it is warm.

    Args:
        tell: Told all reports.
    """

    def __init__(self, tell: Callable[[Progress], None]) -> None:
        self._tell = tell
        self._first: Progress | None = None
        self._last: Progress | None = None

    def report(self, progress: Progress) -> None:
        """Pass a report on, and note it if a batch ended."""
        if progress.done:
            self._first = self._first or progress
            self._last = progress
        self._tell(progress)

    def pace(self, analysis: Analysis) -> Pace:
        """The pace without the first batch, which pays for opening the file and warming up, if there were others."""
        first, last, whole = self._first, self._last, Pace.of(analysis)
        if first is None or last is None or last.done == first.done:
            return whole
        each_s = (last.seconds - first.seconds) / (last.done - first.done)
        share = min(1.0, each_s * last.done / last.seconds)
        return Pace(share * whole.network_s_per_gmac, share * whole.decode_s_per_megapixel, is_warm=True)


@dataclass(frozen=True)
class Cost:
    """What an analysis will take, about.

    Attributes:
        frames: Frames analysed, at most.
        frames_in_range: Frames that the chosen range holds.
        seconds: On this device; None if nothing ran here yet.
        memory_bytes: Kept for quick changes: features and maps.
    """

    frames: int
    frames_in_range: int
    seconds: float | None
    memory_bytes: int


def frames_in_range(media: MediaInfo, sampling: Sampling, times_s: Float64[np.ndarray, " frames"] | None = None) -> int:
    """Frames of the file that the chosen range holds, at least 1; see `frames_analysed`."""
    if media.kind == "image" or media.duration_s <= 0:
        return media.num_frames or 1
    if times_s is not None:
        every = dataclasses.replace(sampling, max_frames=len(times_s), max_fps=None)
        return max(1, len(choose_frames(times_s, media.duration_s, every)))
    end_s = media.duration_s if sampling.end_s is None else min(sampling.end_s, media.duration_s)
    return max(1, round(media.num_frames * max(0.0, end_s - sampling.start_s) / media.duration_s))


def frames_analysed(media: MediaInfo, sampling: Sampling, times_s: Float64[np.ndarray, " frames"] | None = None) -> int:
    """Frames that the chosen range, rate and most frames leave, at least 1.

    Args:
        media: What the file holds.
        sampling: What is chosen.
        times_s: Presentation times of its frames; without them the count is right for an even frame rate only.
    """
    if times_s is not None and media.kind == "video":
        return max(1, len(choose_frames(times_s, media.duration_s, sampling)))
    frames = frames_in_range(media, sampling)
    if sampling.max_fps is not None and media.fps > 0:
        span_s = frames / media.fps
        frames = min(frames, math.ceil(span_s * sampling.max_fps - _TOLERANCE))
    return max(1, min(frames, sampling.max_frames))


def estimate(
    media: MediaInfo,
    config: ModelConfig,
    *,
    sampling: Sampling,
    resize: Resize = "whole",
    input_side: int | None = None,
    pace: Pace | None = None,
    times_s: Float64[np.ndarray, " frames"] | None = None,
) -> Cost:
    """Foresee an analysis with the model's own tokens and place.

    Decoding runs beside the network, so the slower of the two counts. Where the presentation times of the frames are
    known, their number is exact.

    Raises:
        ConfigError: If the model cannot do what is asked.
    """
    in_range = frames_in_range(media, sampling, times_s)
    frames = frames_analysed(media, sampling, times_s)
    geometry = plan_geometry(config, (media.height, media.width), resize=resize, input_side=input_side)
    patches = geometry.grid_hw[0] * geometry.grid_hw[1]
    features = len(config.tokenlearner_locs or (None,)) * patches * config.embed_dim * _HALF_BYTES
    maps = patches * config.num_tokens * _FLOAT_BYTES
    seconds = None
    if pace is not None:
        gmacs = flops.compute(config, image_hw=geometry.input_hw).total_macs / 1e9 * frames / (config.num_frames or 1)
        shown = frames_analysed(media, played(sampling), times_s)
        megapixels = media.width * media.height / 1e6 * _handled(max(frames, shown), in_range)
        seconds = max(gmacs * pace.network_s_per_gmac, megapixels * pace.decode_s_per_megapixel)
    return Cost(frames, in_range, seconds, frames * (features + maps))


def _handled(shown: int, in_range: int) -> float:
    """Frames shown, analysed or not, and what reading the others costs in such frames."""
    return shown + _READ_ONLY * max(0, in_range - shown)
