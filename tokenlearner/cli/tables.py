"""Tables of numbers as the command line prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

DASH: Final = "–"
"""Where there is no number."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Align columns to the right under their heads."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]


def label(loc: int | None) -> str:
    """A place as tables write it."""
    return "none" if loc is None else str(loc)


def two(value: float | None) -> str:
    """A share with two digits, or a dash."""
    return DASH if value is None else f"{value:.2f}"
