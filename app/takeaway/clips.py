"""A clip of the browser's kind again: read frame by frame, and made small enough for a file to be sent around."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import UInt8

from app.clips import BrowserClip, fit_within, resized
from app.uploads import APP_LIMITS
from tokenlearner.errors import Cancelled
from tokenlearner.media import MediaReader, Sampling, VideoWriter, encode_jpeg, open_media

_EVERY_FRAME: Final = Sampling(max_frames=10**6)
_ATTEMPTS: Final = ((960, 27), (720, 27), (640, 29), (480, 30), (400, 32), (320, 34), (240, 36))
"""Longer side in pixels and x264's quality, from the best on."""
_USUAL_CRF: Final = 23
TICK_S: Final = 1e-4
"""Clips round times to their own ticks."""
_JPEG_SIDES: Final = (1600, 1200, 800)

Report = Callable[[int, int], None]
"""Called with how much is done, and of how much."""


@contextmanager
def frames_of(clip: BrowserClip) -> Iterator[MediaReader]:
    """The frames of a clip, to be read one by one; times count from its own start.

    Raises:
        MediaError: If it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="tokenlearner-takeaway-") as folder:
        path = Path(folder) / ("clip.mp4" if clip.mime.startswith("video/") else "clip.jpg")
        path.write_bytes(clip.media)
        with open_media(path, _EVERY_FRAME, APP_LIMITS) as reader:
            yield reader


def frame_at(clip: BrowserClip, time_s: float) -> UInt8[np.ndarray, "height width 3"]:
    """The latest frame of a clip that is not later than a time in the source, or else its first.

    Raises:
        MediaError: If the clip cannot be read.
    """
    found: UInt8[np.ndarray, "height width 3"] | None = None
    with frames_of(clip) as reader:
        for frame in reader:
            if found is not None and frame.timestamp_s + clip.start_s > time_s + TICK_S:
                break
            found = frame.rgb
    assert found is not None  # a clip holds a frame
    return found


def fit_clip(
    clip: BrowserClip, budget_bytes: int, *, report: Report | None = None, cancel: threading.Event | None = None
) -> BrowserClip:
    """The clip itself if it is within a number of bytes, else the same frames smaller; the smallest if none fits.

    Raises:
        Cancelled: If the caller asked to stop.
        MediaError: If the clip cannot be read or written.
    """
    if len(clip.media) <= budget_bytes:
        return clip
    if clip.mime.startswith("image/"):
        return _smaller_still(clip, budget_bytes)
    made, side = clip, max(clip.frame_hw)
    attempts = list(dict.fromkeys((min(longest, side), crf) for longest, crf in _ATTEMPTS))
    for longest, crf in attempts:
        # Bytes follow the area, and halve with every six steps of quality, about: the hopeless is not tried.
        expected = len(clip.media) * (longest / side) ** 2 * 0.5 ** ((crf - _USUAL_CRF) / 6)
        if expected > 1.5 * budget_bytes and (longest, crf) != attempts[-1]:
            continue
        made = _encoded(clip, longest, crf, report, cancel)
        if len(made.media) <= budget_bytes:
            break
    return made


def _encoded(
    clip: BrowserClip, side: int, crf: int, report: Report | None, cancel: threading.Event | None
) -> BrowserClip:
    frame_hw = fit_within(clip.frame_hw, side, even=True)
    with tempfile.TemporaryDirectory(prefix="tokenlearner-takeaway-") as folder, frames_of(clip) as reader:
        path = Path(folder) / "small.mp4"
        with VideoWriter(path, frame_hw, crf=crf, preset="medium") as writer:
            for done, frame in enumerate(reader, start=1):
                if cancel is not None and cancel.is_set():
                    raise Cancelled("Making the file was stopped.")
                writer.write(resized(frame.rgb, frame_hw), frame.timestamp_s)
                if report is not None:
                    report(done, len(reader))
        return BrowserClip(path.read_bytes(), "video/mp4", frame_hw, clip.start_s)


def _smaller_still(clip: BrowserClip, budget_bytes: int) -> BrowserClip:
    made = clip
    with frames_of(clip) as reader:
        frame = next(iter(reader))
    for side in _JPEG_SIDES:
        frame_hw = fit_within(clip.frame_hw, side)
        made = BrowserClip(encode_jpeg(resized(frame.rgb, frame_hw), 85), "image/jpeg", frame_hw, clip.start_s)
        if len(made.media) <= budget_bytes:
            break
    return made
