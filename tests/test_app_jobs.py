"""The worker: in turn, bounded, quick jobs in between, a Cancel that works, nothing that vanishes."""

import logging
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from app.jobs import Job, JobFailed, JobState, QueueFull, Ticket, Worker
from tokenlearner.engine import Progress
from tokenlearner.errors import Cancelled, MediaError

LIMIT_S = 20


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("test", max_waiting=3)
    yield made
    made.close()


class Gate:
    """Work that says when it has begun and goes on batch by batch when it is told."""

    def __init__(self, batches: int = 1) -> None:
        self.begun = threading.Event()
        self.go = threading.Semaphore(0)
        self.batches = batches
        self.done = 0

    def __call__(self, ticket: Ticket) -> str:
        self.begun.set()
        for done in range(self.batches):
            assert self.go.acquire(timeout=LIMIT_S)
            if ticket.cancel.is_set():
                raise Cancelled("stopped")
            self.done = done + 1
            ticket.report(Progress(self.done, self.batches, 0.0, None, "testing"))
        return "finished"


def note(list_: list[str], name: str) -> Callable[[Ticket], str]:
    def work(ticket: Ticket) -> str:
        list_.append(name)
        return name

    return work


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def begin(worker: Worker, batches: int = 1) -> tuple[Gate, Job[str]]:
    """A long job that runs and waits at its gate."""
    gate = Gate(batches)
    job = worker.submit(gate, owner="first", slot="analysis")
    assert gate.begun.wait(LIMIT_S)
    return gate, job


def test_a_job_gives_its_result_back(worker):
    job = worker.submit(lambda ticket: 41 + 1, owner="a", slot="analysis")
    assert job.result() == 42
    assert (job.state, job.place, job.error) == (JobState.DONE, 0, None)


def test_long_jobs_run_in_the_order_in_which_they_came(worker):
    ran: list[str] = []
    gate, first = begin(worker)
    jobs = [worker.submit(note(ran, name), owner=name, slot="analysis") for name in ("b", "c", "d")]
    assert [job.place for job in (first, *jobs)] == [0, 1, 2, 3]
    assert {job.state for job in jobs} == {JobState.WAITING}
    gate.go.release()
    assert [job.result() for job in jobs] == ["b", "c", "d"]
    assert ran == ["b", "c", "d"]


def test_the_queue_is_bounded_and_says_so(worker):
    gate, _ = begin(worker)
    for name in "bcd":
        worker.submit(note([], name), owner=name, slot="analysis")
    with pytest.raises(QueueFull, match=r"Too many people are waiting for this device\. Try again in a minute\."):
        worker.submit(note([], "e"), owner="e", slot="analysis")
    gate.go.release()


def test_quick_jobs_run_between_two_batches_of_a_long_one_in_the_same_thread(worker):
    gate, long_job = begin(worker, batches=3)
    quick = worker.submit(lambda ticket: threading.current_thread(), owner="b", slot="view", quick=True)
    assert not quick.wait(0.05)  # the batch that runs is not interrupted
    gate.go.release()
    assert quick.result().name == "tokenlearner-test"
    assert (long_job.state, gate.done) == (JobState.RUNNING, 1)
    gate.go.release(2)
    assert long_job.result() == "finished"


def test_quick_jobs_go_ahead_of_long_ones_that_wait(worker):
    ran: list[str] = []
    gate, _ = begin(worker)
    long_job = worker.submit(note(ran, "long"), owner="b", slot="analysis")
    quick = worker.submit(note(ran, "quick"), owner="c", slot="view", quick=True)
    assert (long_job.place, quick.place) == (1, 0)
    gate.go.release()
    long_job.result()
    assert ran == ["quick", "long"]


def test_a_quick_job_is_not_interrupted_by_another(worker):
    order: list[str] = []

    def outer(ticket: Ticket) -> None:
        order.append("outer begins")
        worker.submit(note(order, "inner"), owner="b", slot="view", quick=True)
        ticket.report(Progress(1, 2, 0.0, None, "testing"))
        order.append("outer ends")

    worker.submit(outer, owner="a", slot="view", quick=True).result()
    worker.submit(note(order, "last"), owner="c", slot="view", quick=True).result()
    assert order == ["outer begins", "outer ends", "inner", "last"]


def test_a_quick_job_that_gives_way_lets_others_in_whenever_it_reports(worker):
    order: list[str] = []

    def measuring(ticket: Ticket) -> None:
        order.append("measuring begins")
        worker.submit(note(order, "slider"), owner="b", slot="view", quick=True)
        ticket.report(Progress(1, 2, 0.0, None, "testing"))
        order.append("measuring ends")

    worker.submit(measuring, owner="a", slot="latency", quick=True, gives_way=True).result()
    assert order == ["measuring begins", "slider", "measuring ends"]


def test_cancelling_a_job_that_waits_takes_it_out_of_the_line_at_once(worker):
    ran: list[str] = []
    gate, _ = begin(worker)
    waits = worker.submit(note(ran, "b"), owner="b", slot="analysis")
    behind = worker.submit(note(ran, "c"), owner="c", slot="analysis")
    waits.cancel()
    assert (waits.state, behind.place) == (JobState.CANCELLED, 1)
    with pytest.raises(Cancelled):
        waits.result()
    gate.go.release()
    behind.result()
    assert ran == ["c"]


def test_cancelling_a_job_that_runs_stops_it_within_one_batch_and_frees_the_device(worker):
    gate, job = begin(worker, batches=100)
    gate.go.release()
    until(lambda: gate.done == 1)
    job.cancel()
    gate.go.release()  # the batch under way
    assert job.wait(LIMIT_S)
    assert (job.state, gate.done) == (JobState.CANCELLED, 1)
    assert worker.submit(lambda ticket: "next", owner="b", slot="analysis").result() == "next"


def test_a_newer_wish_of_the_same_owner_takes_the_place_of_the_earlier_one(worker):
    ran: list[str] = []
    gate, _ = begin(worker)
    wishes = [worker.submit(note(ran, str(k)), owner="b", slot="view", quick=True) for k in range(5)]
    other = worker.submit(note(ran, "other"), owner="c", slot="view", quick=True)
    assert [wish.state for wish in wishes[:4]] == [JobState.CANCELLED] * 4
    gate.go.release()
    assert (wishes[4].result(), other.result()) == ("4", "other")
    assert ran == ["4", "other"]


def test_a_newer_wish_stops_the_one_that_runs(worker):
    gate, job = begin(worker, batches=100)
    newer = worker.submit(lambda ticket: "newer", owner="first", slot="analysis")
    gate.go.release()
    assert newer.result() == "newer"
    assert job.state is JobState.CANCELLED


def test_everything_of_one_owner_can_be_stopped(worker):
    gate, job = begin(worker, batches=100)
    quick = worker.submit(note([], "x"), owner="first", slot="view", quick=True)
    other = worker.submit(lambda ticket: "other", owner="b", slot="analysis")
    worker.cancel_owner("first")
    gate.go.release()
    assert other.result() == "other"
    assert (job.state, quick.state) == (JobState.CANCELLED, JobState.CANCELLED)


def test_what_was_stopped_for_another_reason_says_so(worker):
    go = threading.Event()
    running = worker.submit(lambda ticket: ticket.cancel.wait(LIMIT_S) and stop(), owner="a", slot="analysis")
    waits = worker.submit(lambda ticket: go.wait(LIMIT_S), owner="a", slot="question")
    worker.cancel_owner("a", "The connection was lost.")
    assert running.wait(LIMIT_S)
    assert (running.state, running.why, waits.why) == (JobState.CANCELLED, *["The connection was lost."] * 2)


def stop() -> None:
    raise Cancelled("stopped")


def test_an_error_reaches_whoever_asks_and_the_worker_lives_on(worker):
    def fail(ticket: Ticket) -> None:
        raise MediaError("clip.mp4 is damaged.")

    job = worker.submit(fail, owner="a", slot="analysis")
    with pytest.raises(MediaError, match=r"clip\.mp4 is damaged\."):
        job.result()
    assert job.state is JobState.FAILED
    assert isinstance(job.error, MediaError)
    assert worker.submit(lambda ticket: 7, owner="a", slot="analysis").result() == 7


def test_a_mistake_of_ours_is_logged_with_its_traceback(worker, caplog):
    with caplog.at_level(logging.ERROR):
        job = worker.submit(lambda ticket: 1 // 0, owner="a", slot="view", quick=True)
        with pytest.raises(JobFailed, match="the server's log says why"):
            job.result()
    assert isinstance(job.error, ZeroDivisionError)
    assert "ZeroDivisionError" in caplog.text
    assert "'view'" in caplog.text


def test_progress_can_be_read_while_the_job_runs(worker):
    gate, job = begin(worker, batches=2)
    assert job.progress is None
    gate.go.release()
    until(lambda: job.progress is not None)
    assert (job.progress.done, job.progress.total) == (1, 2)
    gate.go.release()
    job.result()


def test_the_worker_is_busy_while_a_long_job_runs_or_waits(worker):
    assert not worker.is_busy
    gate, job = begin(worker)
    assert worker.is_busy
    gate.go.release()
    job.result()
    worker.submit(lambda ticket: None, owner="a", slot="view", quick=True).result()  # the long one is put away by now
    assert not worker.is_busy


def test_closing_stops_all_jobs_and_refuses_new_ones(worker):
    gate, job = begin(worker, batches=100)
    waits = worker.submit(lambda ticket: None, owner="b", slot="analysis")
    worker.close()
    gate.go.release()
    assert job.wait(LIMIT_S)
    assert (job.state, waits.state) == (JobState.CANCELLED, JobState.CANCELLED)
    with pytest.raises(QueueFull):
        worker.submit(lambda ticket: None, owner="c", slot="analysis")
