"""One worker thread for each device: a bounded queue, places in line, progress, and a Cancel that works.

Long jobs (an analysis) run one after the other, in the order in which they came. Quick jobs (a slider, a speed
measurement) do not wait for them: the worker runs them between two batches of the long job, so that one thread
alone uses the device. No Streamlit here: a job never touches the page that asked for it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, Final, Generic, TypeVar, cast

from tokenlearner.engine import Progress
from tokenlearner.errors import Cancelled, TokenLearnerError

_LOGGER: Final = logging.getLogger(__name__)
DEFAULT_MAX_WAITING: Final = 64

Result = TypeVar("Result")


class QueueFull(TokenLearnerError):
    """The line in front of a device is as long as it may be."""


class JobFailed(TokenLearnerError):
    """A job failed by a mistake that is not meant for people; the log has it."""


class JobState(Enum):
    """Where a job stands; the last three are final."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self not in (JobState.WAITING, JobState.RUNNING)


class Job(Generic[Result]):
    """A piece of work that was handed to a worker. Threads may share it.

    Attributes:
        owner: Who asked, e.g. a visit; a name that the worker only compares.
        slot: What it is for; a newer job of the same owner and slot takes its place.
        quick: Whether it goes ahead of long jobs.
        gives_way: Whether quick jobs run in between when it reports.
        cancelled: Set to ask the work to stop.
        why: Why it was stopped, for people; "" if its owner wanted it so.
    """

    def __init__(
        self, worker: Worker, work: Callable[[Ticket], Result], owner: str, slot: str, quick: bool, gives_way: bool
    ) -> None:
        self.owner = owner
        self.slot = slot
        self.quick = quick
        self.gives_way = gives_way
        self.cancelled = threading.Event()
        self.why = ""
        self._worker = worker
        self._work: Callable[[Ticket], Result] | None = work
        self._finished = threading.Event()
        self._state = JobState.WAITING
        self._progress: Progress | None = None
        self._result: Result | None = None
        self._error: BaseException | None = None

    @property
    def state(self) -> JobState:
        """Where it stands."""
        return self._state

    @property
    def progress(self) -> Progress | None:
        """How far it has come; None until it says so."""
        return self._progress

    @property
    def place(self) -> int:
        """Jobs that come before it, the running one included; 0 if it runs or is over."""
        return self._worker.place(self)

    @property
    def error(self) -> BaseException | None:
        """Why there is no result, `Cancelled` included; None before the end and after success."""
        return self._error

    def cancel(self) -> None:
        """Stop it: at once if it waits, within one batch if it runs."""
        self._worker.cancel(self)

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is over, and say whether it is."""
        return self._finished.wait(timeout_s)

    def result(self) -> Result:
        """What the work returned; waits for it.

        Raises:
            Cancelled: If it was stopped.
            JobFailed: If the work raised what is not meant for people.
            TokenLearnerError: Whatever else the work raised.
        """
        self._finished.wait()
        if isinstance(self._error, TokenLearnerError):
            raise self._error
        if self._error is not None:
            raise JobFailed("This failed; the server's log says why.") from self._error
        return cast("Result", self._result)

    def _run(self, ticket: Ticket) -> None:
        """In the worker's thread."""
        work, self._work = self._work, None
        assert work is not None
        self._state = JobState.RUNNING
        try:
            if self.cancelled.is_set():
                raise Cancelled("The job was stopped before it began.")
            result = work(ticket)
        except Cancelled as error:
            self._finish(JobState.CANCELLED, error=error)
        except BaseException as error:  # kept for whoever asks for the result; the thread lives on
            if not isinstance(error, TokenLearnerError):
                _LOGGER.exception("A job of the slot %r failed.", self.slot)
            self._finish(JobState.FAILED, error=error)
        else:
            self._finish(JobState.DONE, result=result)

    def _finish(self, state: JobState, *, result: Result | None = None, error: BaseException | None = None) -> None:
        self._result, self._error, self._work = result, error, None
        self._state = state
        self._finished.set()


class Ticket:
    """What a piece of work gets from the worker that runs it.

    Attributes:
        cancel: Set when the work shall stop, as the engine's functions take it.
    """

    def __init__(self, worker: Worker, job: Job[Any]) -> None:
        self.cancel = job.cancelled
        self._worker = worker
        self._job = job

    def report(self, progress: Progress) -> None:
        """Say how far the work has come, from the worker's thread; quick jobs that wait run now.

        Handed to the engine as its progress callback, this is called between batches.
        """
        self._job._progress = progress
        if self._job.gives_way:
            self._worker.run_quick_jobs()


class Worker:
    """Runs jobs in one thread of its own, which starts with the first job.

    Args:
        name: Of the thread, for logs.
        max_waiting: Long jobs that may wait, and quick jobs that may wait, each.
    """

    def __init__(self, name: str = "device", *, max_waiting: int = DEFAULT_MAX_WAITING) -> None:
        self._name = name
        self._max_waiting = max_waiting
        self._long: deque[Job[Any]] = deque()
        self._quick: deque[Job[Any]] = deque()
        self._running: list[Job[Any]] = []  # a long job, and above it a quick one for which it waits
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    def submit(
        self,
        work: Callable[[Ticket], Result],
        *,
        owner: str,
        slot: str,
        quick: bool = False,
        gives_way: bool | None = None,
    ) -> Job[Result]:
        """Put a piece of work in line; an earlier job of the same owner and slot is cancelled.

        Args:
            work: Called in the worker's thread.
            owner: Who asks.
            slot: What it is for.
            quick: Run it ahead of long jobs, and between the batches of the one that runs.
            gives_way: Whether quick jobs run in between whenever it reports; None: long jobs do, quick ones do not.

        Raises:
            QueueFull: If too many wait already.
        """
        job = Job(self, work, owner, slot, quick, not quick if gives_way is None else gives_way)
        with self._changed:
            for earlier in self._all():
                if (earlier.owner, earlier.slot) == (owner, slot):
                    self._cancel(earlier)
            line = self._quick if quick else self._long
            if self._closed or len(line) >= self._max_waiting:
                raise QueueFull("Too many people are waiting for this device. Try again in a minute.")
            line.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name=f"tokenlearner-{self._name}", daemon=True)
                self._thread.start()
            self._changed.notify_all()
        return job

    def cancel(self, job: Job[Any]) -> None:
        """Stop one job; see `Job.cancel`."""
        with self._changed:
            self._cancel(job)

    def cancel_owner(self, owner: str, why: str = "") -> None:
        """Stop everything that somebody asked for, and note why."""
        with self._changed:
            for job in self._all():
                if job.owner == owner:
                    job.why = why
                    self._cancel(job)

    def place(self, job: Job[Any]) -> int:
        """Jobs that come before this one; see `Job.place`."""
        with self._changed:
            line = self._quick if job.quick else self._long
            ahead = sum(running.quick == job.quick for running in self._running)
            return line.index(job) + ahead if job in line else 0

    @property
    def is_busy(self) -> bool:
        """Whether a long job runs or waits."""
        with self._changed:
            return bool(self._long) or any(not job.quick for job in self._running)

    def close(self) -> None:
        """Stop all jobs and end the thread, within one batch. New jobs are refused."""
        with self._changed:
            self._closed = True
            for job in self._all():
                self._cancel(job)
            self._changed.notify_all()

    def run_quick_jobs(self) -> None:
        """Run the quick jobs that wait; in the worker's thread, where a long job can be interrupted."""
        while True:
            with self._changed:
                job = self._quick.popleft() if self._quick else None
                if job is None:
                    return
                self._running.append(job)
            self._finish(job)

    def _all(self) -> list[Job[Any]]:
        return [*self._running, *self._quick, *self._long]

    def _cancel(self, job: Job[Any]) -> None:
        job.cancelled.set()
        for line in (self._quick, self._long):
            if job in line:
                line.remove(job)
                job._finish(JobState.CANCELLED, error=Cancelled("The job was stopped before it began."))

    def _finish(self, job: Job[Any]) -> None:
        """Run a job that is noted as running."""
        try:
            job._run(Ticket(self, job))
        finally:
            with self._changed:
                self._running.remove(job)

    def _work(self) -> None:
        while True:
            self.run_quick_jobs()
            with self._changed:
                while not (self._quick or self._long or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                if self._quick:
                    continue
                job = self._long.popleft()
                self._running.append(job)
            self._finish(job)
