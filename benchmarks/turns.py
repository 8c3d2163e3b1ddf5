"""Two pieces of work timed in turn, so that a machine that slows down slows both."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable


def compare(title: str, work: Callable[[], object], reference: Callable[[], object], rounds: int, *, of: str) -> None:
    """Print the ratio of two times: the median over the rounds, with the smallest and the largest.

    Args:
        title: What was done.
        work: Does it.
        reference: Does what it is held against.
        rounds: Pairs that count, after one that does not.
        of: What the reference is, as the line calls it.
    """
    work(), reference()
    pairs = [(seconds(work), seconds(reference)) for _ in range(rounds)]
    ratios = sorted(mine / other for mine, other in pairs)
    mine, other = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"{title}: {statistics.median(ratios):.3f} of {of} ({ratios[0]:.3f} to {ratios[-1]:.3f}); "
        f"{1000 * mine:.1f} ms against {1000 * other:.1f} ms"
    )


def seconds(work: Callable[[], object]) -> float:
    """Time of one call."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
