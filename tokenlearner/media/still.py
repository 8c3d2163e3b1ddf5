"""A photograph as a source of one picture."""

from __future__ import annotations

from collections.abc import Generator
from typing import BinaryIO

import numpy as np
from jaxtyping import Int64
from PIL import Image

from tokenlearner.media.info import Frame, MediaInfo
from tokenlearner.media.pictures import read_still
from tokenlearner.media.source import Source


class StillSource(Source):
    """One photograph, decoded when it is opened."""

    def __init__(self, image: Image.Image, file: BinaryIO, *, name: str, size_bytes: int, sha256: str) -> None:
        self._file = file
        self._rgb, orientation, notes = read_still(image, name)
        height, width, _ = self._rgb.shape
        container = (image.format or "picture").lower()
        self.info = MediaInfo(
            name=name,
            kind="image",
            width=width,
            height=height,
            duration_s=0.0,
            num_frames=1,
            fps=0.0,
            codec=container,
            container=container,
            rotation_deg=orientation.clockwise_deg,
            size_bytes=size_bytes,
            sha256=sha256,
            notes=notes,
        )
        self.times_s = np.zeros(1)

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Generator[Frame]:
        """Give the picture, if it is wanted."""
        if len(wanted):
            yield Frame(self._rgb.copy(), 0.0, 0)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
