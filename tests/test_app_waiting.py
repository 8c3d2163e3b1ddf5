"""What stands on the page while a job is under way: the same words on every page, and never a bare exception."""

import threading
from collections.abc import Iterator

import pytest

from app import waiting
from app.jobs import Job, Worker
from tokenlearner.engine import Progress
from tokenlearner.errors import Cancelled, DeviceError

LIMIT_S = 20


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("test")
    yield made
    made.close()


def running(worker: Worker, progress: Progress | None, gate: threading.Event) -> Job[bool]:
    """A job that has said how far it is and waits for its gate."""
    told = threading.Event()

    def work(ticket) -> bool:
        if progress is not None:
            ticket.report(progress)
        told.set()
        return gate.wait(LIMIT_S)

    job = worker.submit(work, owner="anna", slot="one")
    assert told.wait(LIMIT_S)
    return job


@pytest.mark.parametrize(
    ("progress", "words", "expected"),
    [
        (None, waiting.frames, (0.0, "starting")),
        (Progress(0, None, 0.0, None, "opening the file"), waiting.frames, (0.0, "opening the file")),
        (Progress(3, 12, 1.0, 4.0, "running"), waiting.frames, (0.25, "3 of 12 frames, about 4.0 s left")),
        (Progress(3, 12, 1.0, None, "running"), waiting.frames, (0.25, "3 of 12 frames")),
        (Progress(1, 2, 1.0, 90.0, "timing lane B"), waiting.stages, (0.5, "timing lane B, about 90 s left")),
        (Progress(14, 12, 1.0, None, "more than planned"), waiting.stages, (1.0, "more than planned")),
    ],
)
def test_a_running_job_says_how_far_it_is(worker, progress, words, expected):
    gate = threading.Event()
    job = running(worker, progress, gate)
    assert waiting.how_far(job, words) == expected
    gate.set()


def test_a_waiting_job_says_its_place_in_line(worker):
    gate = threading.Event()
    running(worker, None, gate)
    later = [worker.submit(lambda ticket: True, owner=name, slot="one") for name in ("ben", "cleo")]
    assert [waiting.how_far(job)[1] for job in later] == [
        "waiting, 1st in line for the device",
        "waiting, 2nd in line for the device",
    ]
    gate.set()


def test_a_job_behind_a_measurement_waits_for_the_device_and_does_not_start(worker):
    gate, began = threading.Event(), threading.Event()

    def measure(ticket) -> bool:
        began.set()
        return gate.wait(LIMIT_S)

    worker.submit(measure, owner="anna", slot="latency", quick=True)
    assert began.wait(LIMIT_S)
    job = worker.submit(lambda ticket: True, owner="anna", slot="question")
    assert waiting.how_far(job) == (0.0, "waiting for the device")
    gate.set()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Cancelled("stopped by hand"), waiting.STOPPED),
        (DeviceError("Not enough memory."), "Not enough memory."),
        (ZeroDivisionError("line 3"), "The analysis failed; the server's log says why."),
    ],
)
def test_a_job_without_a_result_says_why_in_words_for_people(worker, error, expected):
    def work(ticket):
        raise error

    job = worker.submit(work, owner="anna", slot="one")
    assert job.wait(LIMIT_S)
    assert waiting.reason(job, "The analysis failed") == expected
