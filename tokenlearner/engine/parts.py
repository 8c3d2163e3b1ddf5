"""When a run that is still going is worth a look: soon, then at ever greater distances."""

from __future__ import annotations

from typing import Final

from tokenlearner.engine.results import Progress

FIRST_S: Final = 1.5
"""Seconds of work before the first part."""
LAST_SHARE: Final = 2 / 3
"""Of all frames; behind it no part is worth its while, the whole is near."""
REST_S: Final = 3.0
"""Seconds that must remain: a part that the whole replaces at once would only flash."""
_FEWEST: Final = 2


class PartPlan:
    """Chooses the moments for parts of a run.

    Each part holds at least twice the frames of the one before and at most `LAST_SHARE` of all, so that all parts
    together are at most 4/3 of the whole, however long the clip.
    """

    def __init__(self) -> None:
        self._next = _FEWEST

    def is_due(self, told: Progress) -> bool:
        """Whether to show a part now; counts as shown if so.

        Args:
            told: The run's progress after a batch.
        """
        if told.seconds < FIRST_S or told.done < self._next:
            return False
        if told.total is not None and (
            told.done > LAST_SHARE * told.total or told.remaining_s is None or told.remaining_s < REST_S
        ):
            return False
        self._next = 2 * told.done
        return True
