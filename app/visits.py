"""Who is here: what each open page holds on the server, and that it is given back when the page is gone."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from app.jobs import Job
from app.questions import Answer, Question
from app.results import Request, Shown
from app.uploads import UploadFolder
from tokenlearner.engine import Latency

DEFAULT_GRACE_S: Final = 120.0


class Visit:
    """One open page.

    Attributes:
        id: Name of the visit; owner of its jobs and results.
        uploads: Its files.
        job: The analysis that it asked for last, if it is not settled yet.
        shown: The result on its screen.
        refusals: Why a request was not answered, by request: what stays until the visitor asks again.
        agreed: Long requests that the visitor said yes to.
        questions: The question of each kind that was asked last, if it is not settled yet.
        timing: The measurement of a setting's speed that was begun last, with the setting.
        unanswered: Why a question was not answered, until it is asked again.
    """

    def __init__(self, visit_id: str) -> None:
        self.id = visit_id
        self.uploads = UploadFolder()
        self.job: tuple[Request, Job[Shown]] | None = None
        self.shown: Shown | None = None
        self.refusals: dict[Request, str] = {}
        self.agreed: set[Request] = set()
        self.questions: dict[str, tuple[Request, Question, Job[Answer]]] = {}
        self.timing: tuple[tuple[object, ...], Job[Latency]] | None = None
        self.unanswered: dict[tuple[Request, Question], str] = {}


class Visits:
    """All open pages. A page whose connection breaks has a while to come back before its things are given away.

    Args:
        grace_s: How long that is.
        on_leave: Called with the visit's name when its connection breaks: what it is waiting for can be stopped.
        on_end: Called with the visit's name when it will not come back.
    """

    def __init__(
        self,
        grace_s: float = DEFAULT_GRACE_S,
        *,
        on_leave: Callable[[str], None] = lambda visit_id: None,
        on_end: Callable[[str], None] = lambda visit_id: None,
    ) -> None:
        self._grace_s = grace_s
        self._on_leave = on_leave
        self._on_end = on_end
        self._visits: dict[str, Visit] = {}
        self._farewells: dict[str, threading.Timer] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._visits)

    def arrive(self, visit_id: str) -> Visit:
        """The visit of this name: a new one, or one that has come back."""
        with self._lock:
            farewell = self._farewells.pop(visit_id, None)
            if farewell is not None:
                farewell.cancel()
            if visit_id not in self._visits:
                self._visits[visit_id] = Visit(visit_id)
            return self._visits[visit_id]

    def leave(self, visit_id: str) -> None:
        """Note that a connection broke; the visit ends unless it arrives again in time."""
        with self._lock:
            visit = self._visits.get(visit_id)
            if visit is None or visit_id in self._farewells:
                return
            visit.job = None
            visit.questions.clear()
            visit.timing = None
            timer = threading.Timer(self._grace_s, self._end, (visit_id,))
            timer.daemon = True
            self._farewells[visit_id] = timer
            timer.start()
        self._on_leave(visit_id)

    def _end(self, visit_id: str) -> None:
        with self._lock:
            if self._farewells.pop(visit_id, None) is None:
                return  # it came back while the timer fired
            visit = self._visits.pop(visit_id)
        visit.uploads.close()
        self._on_end(visit_id)
