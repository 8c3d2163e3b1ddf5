"""How long it will still take: from the pace of the last batches, not of the first."""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from tokenlearner.engine.results import Progress

ProgressCallback = Callable[[Progress], None]

_WINDOW: Final = 8  # batches over which the pace is taken
_MIN_SECONDS: Final = 0.2  # no promise from less than this


class ProgressMeter:
    """Reports progress and estimates what remains.

    The first batch is left out of the pace as soon as there are others: it pays for warming up.

    Args:
        callback: Receives each report; None to report nothing.
        clock: Seconds, ascending.
    """

    def __init__(self, callback: ProgressCallback | None, clock: Callable[[], float] = time.perf_counter) -> None:
        self._callback = callback
        self._clock = clock
        self._begin = clock()
        self._marks: deque[tuple[float, int]] = deque(maxlen=_WINDOW + 1)
        self._told: Progress | None = None

    @property
    def seconds(self) -> float:
        """Since the meter was made."""
        return self._clock() - self._begin

    def report(self, done: int, total: int | None, stage: str) -> Progress:
        """Note that `done` frames are finished, tell the callback, and return what it was told.

        Args:
            done: Frames finished; never goes down.
            total: Frames in all, or None; raised to `done` if the file had said too few.
            stage: What is being done.
        """
        seconds = self.seconds
        self._marks.append((seconds, done))
        total = None if total is None else max(total, done)
        self._told = told = Progress(done, total, seconds, self._remaining(done, total), stage)
        if self._callback is not None:
            self._callback(told)
        return told

    def repeat(self) -> None:
        """Tell the callback the last report again, with the time now: nothing has moved, and it may do other work."""
        if self._callback is not None and self._told is not None:
            self._callback(dataclasses.replace(self._told, seconds=self.seconds))

    def _remaining(self, done: int, total: int | None) -> float | None:
        if total is None:
            return None
        if done >= total:
            return 0.0
        marks = [mark for mark in self._marks if mark[1] > 0]
        if len(marks) < 2:  # one batch at most: its pace counts from the last mark without frames
            marks = list(self._marks)
        (begin_s, begin_done), (end_s, end_done) = marks[0], marks[-1]
        if end_done == begin_done or end_s - begin_s < _MIN_SECONDS:
            return None
        return (total - done) * (end_s - begin_s) / (end_done - begin_done)
