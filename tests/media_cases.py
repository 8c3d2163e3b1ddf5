"""Awkward photos and videos, made on the spot, whose every picture says its own number."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.codec import codecs_available
from av.video.stream import VideoStream

WIDTH, HEIGHT = 96, 64
BITS = 8
BOTTOM_LEFT, BOTTOM_RIGHT = (200, 40, 40), (40, 60, 190)


def pattern(number: int, width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A picture whose upper half spells `number` in black and white bars, over a red and a blue quarter."""
    rgb = np.zeros((height, width, 3), np.uint8)
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        rgb[: height // 2, left:right] = 235 if number >> bit & 1 else 20
    rgb[height // 2 :, : width // 2] = BOTTOM_LEFT
    rgb[height // 2 :, width // 2 :] = BOTTOM_RIGHT
    return rgb


def number_in(rgb: np.ndarray) -> int:
    """The number that a picture spells, at any size."""
    height, width, _ = rgb.shape
    row = rgb[height // 8 : 3 * height // 8].mean(axis=(0, 2))
    bars = [row[(2 * bit + 1) * width // (2 * BITS) - width // 32 :][: max(1, width // 16)] for bit in range(BITS)]
    return sum(int(bar.mean() > 128) << bit for bit, bar in enumerate(bars))


def numbers_in(frames: Sequence[Any]) -> list[int]:
    return [number_in(frame.rgb) for frame in frames]


def mean_difference(rgb: np.ndarray, expected: np.ndarray) -> float:
    """Mean absolute difference of two pictures of one size, in levels of 0..255."""
    assert rgb.shape == expected.shape
    return float(np.abs(rgb.astype(int) - expected).mean())


def needs_encoder(codec: str) -> None:
    if codec not in codecs_available:
        pytest.skip(f"this FFmpeg has no encoder {codec}")


def write_video(
    path: Path,
    count: int = 12,
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = (WIDTH, HEIGHT),
    times_ms: Sequence[int] | None = None,
    keyframe_every: int = 8,
    options: dict[str, str] | None = None,
    container_format: str | None = None,
    container_options: dict[str, str] | None = None,
    setup: Callable[[VideoStream], None] | None = None,
) -> Path:
    """Encode the patterns 0, 1, 2, ... at 25 pictures per second, or at `times_ms`."""
    needs_encoder(codec)
    quiet = {"libx265": {"x265-params": "log-level=none"}, "libsvtav1": {"preset": "12"}}.get(codec, {})
    times = list(times_ms) if times_ms is not None else [40 * number for number in range(count)]
    with av.open(str(path), "w", format=container_format, options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=quiet | (options or {}))
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = keyframe_every
        if times_ms is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        if setup is not None:
            setup(stream)
        for number, time_ms in enumerate(times):
            frame = av.VideoFrame.from_ndarray(pattern(number, *size), format="rgb24")
            frame.time_base = Fraction(1, 1000)
            frame.pts = time_ms
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_sound(path: Path, codec: str = "aac") -> Path:
    """A second of silence."""
    needs_encoder(codec)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=16000)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.sample_rate = 16000
        for number in range(16):
            frame.pts = 1024 * number
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def patch_display_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Overwrite the matrix of an MP4's only track (ISO/IEC 14496-12, section 8.3.2, version 0)."""
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    one = 1 << 16
    struct.pack_into(">9i", data, matrix, a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


def ycbcr_from_rgb(rgb: np.ndarray, *, kr: float, kb: float, full_range: bool) -> np.ndarray:
    """8-bit Y'CbCr by the definition (ITU-R BT.601, BT.709, section 3), as planes [3, height, width]."""
    red, green, blue = np.moveaxis(rgb.astype(np.float64) / 255, -1, 0)
    luma = kr * red + (1 - kr - kb) * green + kb * blue
    cb, cr = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
    if full_range:
        planes = [255 * luma, 128 + 255 * cb, 128 + 255 * cr]
    else:
        planes = [16 + 219 * luma, 128 + 224 * cb, 128 + 224 * cr]
    return np.clip(np.round(np.stack(planes)), 0, 255).astype(np.uint8)


def write_planes(path: Path, planes: np.ndarray, setup: Callable[[VideoStream], None]) -> Path:
    """Store 4:4:4 planes without loss, one picture, with what `setup` writes into the header."""
    height, width = planes.shape[1:]
    frame = av.VideoFrame(width, height, "yuv444p")
    for plane, values in zip(frame.planes, planes, strict=True):
        padded = np.zeros((height, plane.line_size), np.uint8)
        padded[:, :width] = values
        plane.update(padded.tobytes())
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p"
        setup(stream)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
