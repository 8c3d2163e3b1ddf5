"""A clip that tells its own frame by its grey level, and token maps that move with time."""

import functools
import io
from fractions import Fraction
from typing import NamedTuple

import av
import cv2
import numpy as np

FRAMES, RATE = 60, 20
ROWS, COLS = 9, 16
HEIGHT, WIDTH = 270, 480


class Clip(NamedTuple):
    media: bytes
    mime: str
    timestamps_s: np.ndarray
    frame_hw: tuple[int, int]


def frame(index: int) -> np.ndarray:
    """Dark stripes whose grey rises with the frame's index, and a lighter disc on its way to the right."""
    level = 40 + 2 * index
    rgb = np.full((HEIGHT, WIDTH, 3), level, np.uint8)
    rgb[:, :: WIDTH // 8] = level // 2
    cv2.circle(rgb, (40 + index * (WIDTH - 80) // FRAMES, HEIGHT // 2), 30, (200, 180, 120), -1)
    return rgb


@functools.cache
def synthetic_clip(frames: int = FRAMES) -> Clip:
    """Three seconds of H.264, or the first of its frames, and a timestamp for every second frame."""
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        for index in range(frames):
            picture = av.VideoFrame.from_ndarray(frame(index), format="rgb24")
            picture.pts, picture.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return Clip(sink.getvalue(), "video/mp4", np.arange(0, frames, 2) / RATE, (HEIGHT, WIDTH))


def picture() -> Clip:
    """A still of the same kind."""
    _, encoded = cv2.imencode(".png", frame(30)[..., ::-1])
    return Clip(encoded.tobytes(), "image/png", np.zeros(1), (HEIGHT, WIDTH))


def clip_maps(timestamps_s: np.ndarray, tokens: int) -> np.ndarray:
    """Maps float32 `[time, tokens, rows, cols]`: soft spots, each on its own path; every map sums to 1."""
    y, x = np.mgrid[:ROWS, :COLS]
    maps = np.empty((len(timestamps_s), tokens, ROWS, COLS), np.float32)
    for step, time_s in enumerate(timestamps_s):
        for token in range(tokens):
            turn = time_s * (0.35 + 0.05 * token) + token / tokens
            center_x = COLS * (0.5 + 0.4 * np.cos(2 * np.pi * turn))
            center_y = ROWS * (0.5 + 0.36 * np.sin(2 * np.pi * turn))
            spot = np.exp(-((x + 0.5 - center_x) ** 2 + (y + 0.5 - center_y) ** 2) / (3 + token / 2)) + 0.02
            maps[step, token] = spot / spot.sum()
    return maps
