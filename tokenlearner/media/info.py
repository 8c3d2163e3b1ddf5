"""What is known about a photo or video, and one picture of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import UInt8

MediaKind = Literal["image", "video"]


@dataclass(frozen=True, kw_only=True)
class MediaInfo:
    """What a file holds, as it is displayed: rotation and pixel shape are already applied.

    Attributes:
        name: File name to show.
        kind: "video" for anything with several pictures in time (animated GIF, WebP, APNG and
            AVIF too) and for every video file; else "image".
        width: Displayed width in pixels.
        height: Displayed height in pixels.
        duration_s: From the first picture until the last one leaves the screen; 0 for an image.
        num_frames: Pictures, counted in the file rather than read from its header.
        fps: Pictures per second on average; 0 for an image.
        codec: Compression, in FFmpeg's (video) or Pillow's (image) lower-case name.
        container: File format, in FFmpeg's or Pillow's lower-case name.
        rotation_deg: Clockwise turn that was applied: 0, 90, 180 or 270.
        size_bytes: Size of the file.
        sha256: Hex digest of the file.
        notes: Sentences a viewer should know, such as that a file is cut short.
    """

    name: str
    kind: MediaKind
    width: int
    height: int
    duration_s: float
    num_frames: int
    fps: float
    codec: str
    container: str
    rotation_deg: int
    size_bytes: int
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture with its place in time.

    Attributes:
        rgb: RGB, 0..255, row by row from the top; contiguous and the caller's own.
        timestamp_s: When it appears, counted from the first picture of the file.
        index: Its number in the file, from 0, so that gaps show what sampling left out.
        is_extra: Whether it was asked for only beside those that were chosen; see `open_media`.
    """

    rgb: UInt8[np.ndarray, "height width 3"]
    timestamp_s: float
    index: int
    is_extra: bool = False
