"""Clips of moving noise: about the hardest that there is to decode."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tokenlearner.media import VideoWriter

_SQUARE = 8
"""Side of a square of one colour, in pixels."""


def write_noise(
    path: Path, frames: int, frame_hw: tuple[int, int], *, fps: float = 30, speed: int = 4, seed: int = 0
) -> Path:
    """Write a clip of coloured squares that move to the left.

    Args:
        path: Where to.
        frames: How many.
        frame_hw: Height and width in pixels; the height is cut to whole squares.
        fps: Frames per second.
        speed: Pixels from frame to frame.
        seed: Another seed is another clip.
    """
    height, width = frame_hw
    rng = np.random.default_rng(seed)
    wide = rng.integers(0, 255, (height // _SQUARE, (width + speed * frames) // _SQUARE + 1, 3), dtype=np.uint8)
    wide = wide.repeat(_SQUARE, axis=0).repeat(_SQUARE, axis=1)
    with VideoWriter(path, (len(wide), width), last_frame_s=1 / fps) as writer:
        for i in range(frames):
            writer.write(np.ascontiguousarray(wide[:, speed * i : speed * i + width]), i / fps)
    return path
