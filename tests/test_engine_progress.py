"""Remaining time from the pace of the last batches."""

import pytest

from tokenlearner.engine.progress import ProgressMeter


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def run(steps, total):
    """Report (seconds since the last report, frames done) and return what was reported."""
    clock, reports = Clock(), []
    meter = ProgressMeter(reports.append, clock)
    meter.report(0, total, "analysing")
    for seconds, done in steps:
        clock.now += seconds
        meter.report(done, total, "analysing")
    return reports


def test_nothing_is_promised_before_there_is_a_pace():
    first = run([], 100)[0]
    assert (first.done, first.total, first.seconds, first.remaining_s, first.stage) == (0, 100, 0, None, "analysing")


def test_one_batch_gives_a_first_estimate():
    assert run([(3.0, 10)], 100)[-1].remaining_s == pytest.approx(27)


def test_the_first_batch_is_left_out_once_there_are_others():
    reports = run([(30.0, 10), (2.0, 20), (2.0, 30)], 100)
    assert reports[-1].remaining_s == pytest.approx(14)
    assert reports[-1].seconds == 34


def test_only_recent_batches_count():
    reports = run([(5.0, done) for done in range(10, 60, 10)] + [(1.0, done) for done in range(60, 150, 10)], 200)
    assert reports[-1].remaining_s == pytest.approx((200 - 140) * 0.1)


def test_too_short_a_time_gives_no_estimate():
    assert run([(0.01, 10)], 100)[-1].remaining_s is None


def test_at_the_end_nothing_remains():
    assert run([(1.0, 50), (1.0, 100)], 100)[-1].remaining_s == 0


def test_a_file_that_holds_more_than_it_said_is_not_done_early():
    last = run([(1.0, 50), (1.0, 70)], 60)[-1]
    assert (last.done, last.total) == (70, 70)


def test_an_unknown_total_gives_no_estimate():
    assert run([(1.0, 50)], None)[-1].remaining_s is None


def test_without_a_callback_time_still_runs():
    clock = Clock()
    meter = ProgressMeter(None, clock)
    clock.now += 4
    meter.report(3, 5, "analysing")
    assert meter.seconds == 4


def test_the_last_report_can_be_told_again_with_the_time_now():
    clock, told = Clock(), []
    meter = ProgressMeter(told.append, clock)
    meter.repeat()
    assert told == []
    meter.report(0, 9, "analysing")
    clock.now += 2
    meter.repeat()
    meter.report(3, 9, "analysing")
    assert [(report.done, report.seconds) for report in told] == [(0, 0), (0, 2), (3, 2)]
    assert told[-1].remaining_s == 4  # telling again is no progress
