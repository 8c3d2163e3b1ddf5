"""Animated GIF, WebP, APNG and AVIF as videos with their true frame durations, through Pillow."""

from __future__ import annotations

from collections.abc import Generator
from typing import BinaryIO, Final

import numpy as np
from jaxtyping import Int64
from PIL import Image

from tokenlearner.errors import MediaError
from tokenlearner.media.info import Frame, MediaInfo
from tokenlearner.media.limits import DecodeClock, stopped_note
from tokenlearner.media.pictures import picture_errors, to_rgb
from tokenlearner.media.source import Source

_SHORTEST_S: Final = 0.010
_INSTEAD_S: Final = 0.100


class AnimationSource(Source):
    """An animated picture file.

    Pillow applies disposal and blending; transparency is laid on white. As in browsers, a picture
    that asks for 10 ms or less is shown for 100 ms. The durations are learnt in a first pass
    over the file, of which only the numbers are kept.
    """

    def __init__(
        self,
        image: Image.Image,
        file: BinaryIO,
        *,
        name: str,
        size_bytes: int,
        sha256: str,
        clock: DecodeClock,
    ) -> None:
        self._image, self._file, self._name, self._clock = image, file, name, clock
        # An APNG may carry a still for programs that do not animate; it is no part of the animation.
        self._skipped = 1 if getattr(image, "default_image", False) else 0
        durations_s, announced = self._durations()
        if not durations_s:
            raise MediaError(f"{name} is damaged: not one picture in it can be decoded.")
        ends_s = np.cumsum(durations_s)
        self.times_s = np.concatenate(([0.0], ends_s[:-1]))
        notes: tuple[str, ...] = ()
        if len(durations_s) < announced:
            notes = (f"This file stops after {ends_s[-1]:.1f} s (damaged). The part before it is shown.",)
        container = (image.format or "animation").lower()
        self.info = MediaInfo(
            name=name,
            kind="video",
            width=image.width,
            height=image.height,
            duration_s=float(ends_s[-1]),
            num_frames=len(durations_s),
            fps=len(durations_s) / float(ends_s[-1]),
            codec="apng" if container == "png" else container,
            container=container,
            rotation_deg=0,
            size_bytes=size_bytes,
            sha256=sha256,
            notes=notes,
        )

    def _durations(self) -> tuple[list[float], int]:
        """How long each readable picture is shown, and how many the file announces."""
        durations_s: list[float] = []
        with picture_errors(self._name):
            announced = int(getattr(self._image, "n_frames", 1)) - self._skipped
            for number in range(announced):
                self._clock.check(self._name)
                try:
                    self._image.seek(number + self._skipped)
                    self._image.load()
                except (EOFError, OSError, SyntaxError, ValueError):
                    break
                duration_s = float(self._image.info.get("duration", 0)) / 1000
                durations_s.append(duration_s if duration_s > _SHORTEST_S else _INSTEAD_S)
        return durations_s, announced

    def frames(self, wanted: Int64[np.ndarray, " wanted"]) -> Generator[Frame]:
        """Decode the pictures of these ascending numbers; those between are composed on the way."""
        reached = 0
        for index in wanted.tolist():
            with picture_errors(self._name):
                for number in range(reached, index + 1):
                    if self._clock.is_up():
                        self.notes = (stopped_note(float(self.times_s[reached])),)
                        return
                    self._image.seek(number + self._skipped)
                rgb, _ = to_rgb(self._image)
            reached = index
            yield Frame(rgb, float(self.times_s[index]), index)

    def close(self) -> None:
        """Let go of the file."""
        self._image.close()
        self._file.close()
