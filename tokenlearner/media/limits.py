"""How much of somebody's file we are willing to open, and the clock that enforces the time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tokenlearner.errors import Cancelled, ConfigError, MediaLimitError


@dataclass(frozen=True, kw_only=True)
class MediaLimits:
    """Bounds on one photo or video; what lies beyond raises `MediaLimitError`.

    Attributes:
        max_file_bytes: Size of the file.
        max_frame_pixels: Pixels of one picture, as stored and as displayed.
        max_duration_s: Length of the range that is read (not of the whole file, so that a short
            range of a long recording can be chosen).
        max_decode_s: Seconds that reading may take, not counting what the caller does in between.
    """

    max_file_bytes: int = 2 * 1024**3
    max_frame_pixels: int = 64 * 1024**2
    max_duration_s: float = 3600.0
    max_decode_s: float = 600.0

    def __post_init__(self) -> None:
        for name in ("max_file_bytes", "max_frame_pixels", "max_duration_s", "max_decode_s"):
            value = getattr(self, name)
            if not value > 0:
                raise ConfigError(f"{name} must be positive, not {value}.")

    def check_pixels(self, name: str, width: int, height: int) -> None:
        """Refuse a picture of too many pixels before memory is set aside for it.

        Raises:
            MediaLimitError: If `width * height` exceeds `max_frame_pixels`.
        """
        if width * height > self.max_frame_pixels:
            limit = f"{self.max_frame_pixels / 1e6:.3g}"
            raise MediaLimitError(
                f"{name} has {width} x {height} pixels; the limit is {limit} megapixels. Scale it down first."
            )


class DecodeClock:
    """Adds up the seconds spent reading one file, and says when reading shall end.

    Args:
        budget_s: Seconds that reading may take.
        cancel: Set it to stop; acts within one picture.
    """

    def __init__(self, budget_s: float, cancel: threading.Event | None = None) -> None:
        self._budget_s = budget_s
        self._cancel = cancel
        self._spent_s = 0.0
        self._started: float | None = None

    @contextmanager
    def running(self) -> Iterator[None]:
        """Count the time inside the `with` block."""
        self._started = time.perf_counter()
        try:
            yield
        finally:
            self._spent_s = self.spent_s
            self._started = None

    @property
    def spent_s(self) -> float:
        """Seconds counted so far."""
        running = 0.0 if self._started is None else time.perf_counter() - self._started
        return self._spent_s + running

    def is_up(self) -> bool:
        """Whether the budget is spent; to be asked often.

        Raises:
            Cancelled: If the caller asked to stop.
        """
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("Reading was stopped.")
        return self.spent_s > self._budget_s

    def check(self, name: str) -> None:
        """Stop work on a file that takes too long before its first picture is out.

        Raises:
            MediaLimitError: If the budget is spent.
            Cancelled: If the caller asked to stop.
        """
        if self.is_up():
            raise MediaLimitError(
                f"Reading {name} takes longer than the limit of {self._budget_s:g} s. "
                "Shorten the file, or convert it to MP4 (H.264) first."
            )


def stopped_note(last_s: float) -> str:
    """A sentence for the viewer of a file of which `DecodeClock` let no more be read than up to `last_s`."""
    return f"Reading took too long and was stopped at {last_s:.1f} s. The part before it is shown."
