"""Waiting for another thread without keeping the device from others."""

import threading

import pytest

from tokenlearner.engine.waiting import aside
from tokenlearner.errors import Cancelled


def threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("tokenlearner-aside")]


def nothing():
    pass


def test_the_work_is_done_in_a_thread_that_has_ended_afterwards():
    found = aside(lambda: threading.current_thread().name, stop=threading.Event(), cancel=None, idle=nothing)
    assert found.startswith("tokenlearner-aside")
    assert not threads()


def test_its_error_is_raised_here():
    def fail():
        raise OSError("no such disc")

    with pytest.raises(OSError, match="no such disc"):
        aside(fail, stop=threading.Event(), cancel=None, idle=nothing)


def test_the_waiting_thread_can_do_other_work_meanwhile():
    release, seen = threading.Event(), []

    def idle():
        seen.append(threading.current_thread())
        if len(seen) == 3:
            release.set()

    assert aside(lambda: release.wait(20), stop=threading.Event(), cancel=None, idle=idle)
    assert set(seen) == {threading.current_thread()}


@pytest.mark.parametrize("how", ["cancel", "idle"])
def test_ending_early_tells_the_work_to_stop(how):
    cancel, stop = threading.Event(), threading.Event()

    def idle():
        if how == "idle":
            raise Cancelled("enough")
        cancel.set()

    with pytest.raises(Cancelled):
        aside(lambda: stop.wait(20), stop=stop, cancel=cancel, idle=idle)
    assert stop.is_set()
    assert not threads()
