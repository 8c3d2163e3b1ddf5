"""What every kind of file offers the reader: its facts, its presentation times and its pictures."""

from __future__ import annotations

from collections.abc import Generator
from typing import Protocol

import numpy as np
from jaxtyping import Float64, Int64

from tokenlearner.media.info import Frame, MediaInfo


class Source(Protocol):
    """An identified photo, animation or video."""

    @property
    def info(self) -> MediaInfo:
        """What the file holds."""

    @property
    def times_s(self) -> Float64[np.ndarray, " frames"]:
        """Presentation time of each picture, ascending from 0."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was met while reading, beyond `info.notes`."""

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Generator[Frame]:
        """Decode the pictures of these ascending numbers, one after the other."""

    def close(self) -> None:
        """Let go of the file."""
