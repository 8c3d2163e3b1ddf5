"""Who is here: what each open page holds on the server, and that it is given back when the page is gone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from app.jobs import Job
from app.questions import Answer, Question
from app.results import Request, Shown, View
from app.uploads import UploadFolder
from tokenlearner.engine import Latency

DEFAULT_GRACE_S: Final = 120.0
DEFAULT_PATIENCE_S: Final = 10.0
_LOOK_S: Final = 2.0
LOST: Final = "The connection was lost for a while, so this was stopped."
"""Why there is no result where a page was away for too long."""


class Visit:
    """One open page.

    Attributes:
        id: Name of the visit; owner of its jobs and results.
        uploads: Its files.
        job: The analysis that it asked for last, if it is not settled yet.
        shown: The result on its screen.
        view: The setting in which that was seen last, with its request.
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
        self.view: tuple[Request, View] | None = None
        self.refusals: dict[Request, str] = {}
        self.agreed: set[Request] = set()
        self.questions: dict[str, tuple[Request, Question, Job[Answer]]] = {}
        self.timing: tuple[tuple[object, ...], Job[Latency]] | None = None
        self.unanswered: dict[tuple[Request, Question], str] = {}


class _Page:
    """What `Visits` knows about one open page."""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit
        self.is_here: Callable[[], bool] = lambda: True
        self.seen_s = 0.0
        self.has_left = False


class Visits:
    """All open pages. A page whose connection breaks has a while to come back before its things are given away.

    A thread looks every now and then which pages are connected, as long as there are any: an open page that nobody
    touches does not run, so it cannot say by itself that its connection is back.

    Args:
        grace_s: How long the things of a page are kept after its connection broke.
        patience_s: How long what it is waiting for goes on.
        on_leave: Called with the visit's name when it was away for `patience_s`: its jobs can be stopped.
        on_end: Called with the visit's name when it will not come back.
    """

    def __init__(
        self,
        grace_s: float = DEFAULT_GRACE_S,
        *,
        patience_s: float = DEFAULT_PATIENCE_S,
        on_leave: Callable[[str], None] = lambda visit_id: None,
        on_end: Callable[[str], None] = lambda visit_id: None,
    ) -> None:
        self._grace_s = grace_s
        self._patience_s = min(patience_s, grace_s)
        self._on_leave = on_leave
        self._on_end = on_end
        self._pages: dict[str, _Page] = {}
        self._is_watched = False
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._pages)

    def arrive(self, visit_id: str, is_here: Callable[[], bool] = lambda: True) -> Visit:
        """The visit of this name: a new one, or the one that there is.

        Args:
            visit_id: Its name.
            is_here: Whether its page is connected; any thread may call it.
        """
        with self._lock:
            if visit_id not in self._pages:
                self._pages[visit_id] = _Page(Visit(visit_id))
            page = self._pages[visit_id]
            page.is_here, page.seen_s, page.has_left = is_here, time.monotonic(), False
            if not self._is_watched:
                self._is_watched = True
                threading.Thread(target=self._watch, name="tokenlearner-visits", daemon=True).start()
            return page.visit

    def _watch(self) -> None:
        every_s = min(_LOOK_S, self._patience_s / 4)
        while self._is_watched:
            time.sleep(every_s)
            self._look()

    def _look(self) -> None:
        """Note who is here, and part from who was away for too long."""
        left: list[str] = []
        ended: list[Visit] = []
        with self._lock:
            now_s = time.monotonic()
            for visit_id, page in list(self._pages.items()):
                if page.is_here():
                    page.seen_s, page.has_left = now_s, False
                    continue
                if now_s - page.seen_s >= self._patience_s and not page.has_left:
                    page.has_left = True
                    left.append(visit_id)
                if now_s - page.seen_s >= self._grace_s:
                    ended.append(self._pages.pop(visit_id).visit)
            self._is_watched = bool(self._pages)
        for visit_id in left:
            self._on_leave(visit_id)
        for visit in ended:
            visit.uploads.close()
            self._on_end(visit.id)
