"""What every kind of file offers the reader: its facts, its presentation times and its pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator

import numpy as np
from jaxtyping import Float64, Int64

from tokenlearner.media.info import Frame, MediaInfo


class Source(ABC):
    """An identified photo, animation or video.

    Attributes:
        info: What the file holds.
        times_s: Presentation time of each picture, ascending from 0.
        notes: Sentences about what was met while reading, beyond `info.notes`.
    """

    info: MediaInfo
    times_s: Float64[np.ndarray, " frames"]
    notes: tuple[str, ...] = ()

    @abstractmethod
    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Generator[Frame]:
        """Decode the pictures of these ascending numbers, one after the other."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file."""
