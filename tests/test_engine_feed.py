"""Decoding ahead of the network in a thread that ends, whatever happens."""

import dataclasses
import threading
import time

import numpy as np
import pytest
import torch

from tests.engine_cases import TINY, pictures
from tokenlearner.engine import feed as feed_module
from tokenlearner.engine.feed import FrameFeed
from tokenlearner.engine.geometry import plan_geometry
from tokenlearner.errors import Cancelled, MediaError
from tokenlearner.media import Frame

GEOMETRY = plan_geometry(TINY, (32, 32))


def frames(count, *, then=None, every_s=0.1):
    for i, rgb in enumerate(pictures(count, (32, 32))):
        yield Frame(rgb, i * every_s, i)
    if then is not None:
        raise then


def feed(source, *, size=3, clip_frames=None, **options):
    return FrameFeed(source, GEOMETRY, clip_frames=clip_frames, batch_size=lambda: size, **options)


def len_of(batch):
    return len(batch.rgb)


def decode_threads():
    return [thread for thread in threading.enumerate() if thread.name == "tokenlearner-decode"]


def test_frames_come_in_order_in_full_batches_and_a_rest():
    with feed(frames(7)) as batches:
        got = list(batches)
    assert [tuple(batch.rgb.shape) for batch in got] == [(3, 32, 32, 3), (3, 32, 32, 3), (1, 32, 32, 3)]
    assert torch.equal(torch.cat([batch.rgb for batch in got]), torch.from_numpy(np.stack(pictures(7, (32, 32)))))
    assert [time for batch in got for (time,) in batch.timestamps_s] == pytest.approx([i / 10 for i in range(7)])
    assert sum(batch.num_frames for batch in got) == 7
    assert not decode_threads()


def test_clips_are_filled_by_their_last_frame_without_counting_it():
    with feed(frames(11), size=2, clip_frames=4) as batches:
        first, last = batches
    assert first.rgb.shape == (2, 4, 32, 32, 3)
    assert last.rgb.shape == (1, 4, 32, 32, 3)
    assert [len(times) for times in first.timestamps_s + last.timestamps_s] == [4, 4, 3]
    assert torch.equal(last.rgb[0, 3], last.rgb[0, 2])
    assert not torch.equal(last.rgb[0, 2], last.rgb[0, 1])


def test_the_batch_size_is_asked_for_anew_each_time():
    sizes = iter([4, 2, 2, 2, 2])
    with FrameFeed(frames(9), GEOMETRY, clip_frames=None, batch_size=lambda: next(sizes)) as batches:
        assert [len(batch.rgb) for batch in batches] == [4, 2, 2, 1]


def test_every_frame_is_shown_at_full_size_in_the_decoding_thread():
    seen = []
    large = [Frame(rgb, i / 5, i) for i, rgb in enumerate(pictures(4, (64, 80)))]
    with feed(iter(large), on_frame=lambda frame: seen.append((frame, threading.current_thread().name))) as batches:
        list(batches)
    assert [frame for frame, _ in seen] == large
    assert {name for _, name in seen} == {"tokenlearner-decode"}


def test_an_error_while_decoding_reaches_the_caller_after_the_frames_before_it():
    got = []
    with feed(frames(5, then=MediaError("it broke"))) as batches, pytest.raises(MediaError, match="it broke"):
        got.extend(map(len_of, batches))
    assert got == [3, 2]
    assert not decode_threads()


def test_an_error_in_on_frame_reaches_the_caller():
    def fail(frame):
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"), feed(frames(5), on_frame=fail) as batches:
        list(batches)


def test_decoding_stays_a_bounded_number_of_batches_ahead():
    decoded = []
    with feed(frames(60), size=2, on_frame=decoded.append) as batches:
        next(iter(batches))
        time.sleep(0.4)
        assert len(decoded) <= 2 * (1 + 2 + 1)  # taken, two in the queue, one in the thread's hands
    assert len(decoded) < 60
    assert not decode_threads()


def test_cancel_is_noticed_while_waiting_for_a_slow_decoder():
    cancel, release = threading.Event(), threading.Event()

    def slow():
        yield from frames(1)
        release.wait(5)

    begin = time.perf_counter()
    with feed(slow(), size=1, cancel=cancel) as batches:
        iterator = iter(batches)
        next(iterator)
        threading.Timer(0.1, cancel.set).start()
        threading.Timer(0.3, release.set).start()
        with pytest.raises(Cancelled, match="stopped"):
            next(iterator)
        assert not release.is_set()
    assert time.perf_counter() - begin < 3
    assert not decode_threads()


def test_time_spent_decoding_and_waiting_is_told():
    def slow():
        for frame in frames(4):
            time.sleep(0.05)
            yield frame

    with feed(slow(), size=2) as batches:
        list(batches)
    assert 0.2 <= batches.decode_s < 2
    assert 0.15 <= batches.wait_s < 2


def test_whoever_waits_for_frames_can_do_other_work_meanwhile():
    release, seen = threading.Event(), []

    def slow():
        yield from frames(2)
        release.wait(20)

    def idle():
        seen.append(threading.current_thread())
        if len(seen) == 3:
            release.set()

    with feed(slow(), size=2, idle=idle) as batches:
        assert len(list(batches)) == 1
    assert len(seen) >= 3
    assert set(seen) == {threading.current_thread()}


def test_leaving_does_not_wait_for_frames_that_nobody_wants_any_more():
    stop = threading.Event()

    def endless():
        yield from frames(1)
        stop.wait(20)  # as a decoder on its way to the next wanted picture

    begin = time.perf_counter()
    with feed(endless(), size=1, stop=stop) as batches:
        next(iter(batches))
    assert time.perf_counter() - begin < 10
    assert not decode_threads()


@pytest.mark.parametrize("clip_frames", [None, 2])
def test_a_batch_that_is_slow_to_come_goes_early_in_whole_entries(monkeypatch, clip_frames):
    monkeypatch.setattr(feed_module, "_SLOW_S", 0.1)

    def slow():
        for frame in frames(30):
            time.sleep(0.04)
            yield dataclasses.replace(frame, is_extra=frame.index % 6 > 0)

    with feed(slow(), size=100, clip_frames=clip_frames) as batches:
        got = [batch.timestamps_s for batch in batches]
    assert len(got) >= 2
    assert sum(len(times) for entries in got for times in entries) == 5
    assert {len(times) for entries in got[:-1] for times in entries} == {clip_frames or 1}
