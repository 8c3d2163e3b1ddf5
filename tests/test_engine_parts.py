"""A run that is still going shows its first frames, and shows nothing that the whole takes back."""

import dataclasses

import numpy as np
import pytest
import torch

from tests.engine_cases import PLAIN, TINY, VIDEO, pictures, tiny_model, write_clip, write_photo
from tokenlearner.engine import PART_NOTE, AnalysisSettings, ComputeDevice, Engine, Progress, parts
from tokenlearner.engine.parts import PartPlan
from tokenlearner.errors import Cancelled, ConfigError

CPU = ComputeDevice(torch.device("cpu"), None, "test CPU")
FRAMES = 23
ARRAYS = ("token_maps", "timestamps_s", "logits", "logits_timestamps_s")


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Twenty-three frames of 46 x 80 pixels, unevenly spaced."""
    times = np.cumsum([0.0, *np.tile([0.1, 0.05, 0.2], 8)])[:FRAMES]
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(FRAMES, (46, 80)), times.tolist())


@pytest.fixture
def at_once(monkeypatch):
    """Parts as soon as the frames have doubled, however quick the network is."""
    monkeypatch.setattr(parts, "FIRST_S", 0.0)
    monkeypatch.setattr(parts, "REST_S", -1.0)
    monkeypatch.setattr("tokenlearner.engine.progress._MIN_SECONDS", 0.0)


def with_parts(engine, clip, settings):
    found = []
    whole = engine.analyze(clip, settings, on_part=found.append)
    return whole, found


def assert_first_rows(part, whole):
    for name in ARRAYS:
        some, every = getattr(part, name), getattr(whole, name)
        if every is None:
            assert some is None
        else:
            assert 0 < len(some) < len(every)
            assert np.array_equal(some, every[: len(some)]), name


@pytest.mark.parametrize("config", [TINY, PLAIN], ids=["tokens", "plain"])
def test_parts_are_the_first_rows_of_the_whole(at_once, clip, config):
    whole, found = with_parts(Engine(tiny_model(config), device=CPU), clip, AnalysisSettings(batch_size=3))
    assert [part.timings.frames for part in found] == [3, 6, 12]
    for part in found:
        assert len(part.timestamps_s) == part.timings.frames
        assert_first_rows(part, whole)
        assert part.is_part
        assert part.notes == (*whole.notes, PART_NOTE)
        assert part.timings.total_s < whole.timings.total_s
        assert part.compute == whole.compute
    assert not whole.is_part


def test_parts_of_a_video_model_hold_whole_clips(at_once, clip):
    whole, found = with_parts(Engine(tiny_model(VIDEO), device=CPU), clip, AnalysisSettings(batch_size=1))
    assert [part.timings.frames for part in found] == [4, 8]
    assert [(len(part.timestamps_s), len(part.logits)) for part in found] == [(2, 1), (4, 2)]
    assert (len(whole.timestamps_s), len(whole.logits)) == (12, 6)
    for part in found:
        assert_first_rows(part, whole)


def test_parts_hold_when_memory_runs_out_in_between(at_once, clip, monkeypatch):
    engine = Engine(tiny_model(), device=CPU)
    quick = engine._network.full
    calls = []

    def small(rgb, *args, **kwargs):
        calls.append(len(rgb))
        if len(rgb) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.21 GiB.")
        return quick(rgb, *args, **kwargs)

    monkeypatch.setattr(engine._network, "full", small)
    whole, found = with_parts(engine, clip, AnalysisSettings(batch_size=5))
    assert max(calls) == 5
    assert len(whole.timestamps_s) == FRAMES
    assert len(found) >= 2
    for part in found:
        assert len(part.token_maps) == part.timings.frames
        assert_first_rows(part, whole)


def test_the_whole_is_the_same_with_and_without_parts(at_once, clip):
    engine = Engine(tiny_model(), device=CPU)
    settings = AnalysisSettings(batch_size=3)
    whole, found = with_parts(engine, clip, settings)
    assert found
    alone = Engine(tiny_model(), device=CPU).analyze(clip, settings)
    for name in ARRAYS:
        assert np.array_equal(getattr(whole, name), getattr(alone, name))
    varying = {"timings", "provenance", *ARRAYS}
    for field in dataclasses.fields(alone):
        if field.name not in varying:
            assert getattr(whole, field.name) == getattr(alone, field.name), field.name
    again = engine.rerun(whole, num_tokens=2)  # the features are those of the whole clip
    assert len(again.logits) == FRAMES


def test_parts_cannot_be_changed_by_what_comes_after(at_once, clip):
    copies = []
    engine = Engine(tiny_model(), device=CPU)
    found = []

    def keep(part):
        found.append(part)
        copies.append(part.token_maps.copy())

    engine.analyze(clip, AnalysisSettings(batch_size=3), on_part=keep)
    for part, copy in zip(found, copies, strict=True):
        assert np.array_equal(part.token_maps, copy)
        assert not part.token_maps.flags.writeable


def test_a_part_cannot_be_run_again(at_once, clip):
    engine = Engine(tiny_model(), device=CPU)
    _, (part, *_) = with_parts(engine, clip, AnalysisSettings(batch_size=3))
    with pytest.raises(ConfigError, match="Only the first frames"):
        engine.rerun(part, num_tokens=2)
    with pytest.raises(ConfigError, match="Only the first frames"):
        engine.hold(part)


def test_a_photo_has_no_parts(at_once, tmp_path):
    _, found = with_parts(Engine(tiny_model(), device=CPU), write_photo(tmp_path / "disc.png"), AnalysisSettings())
    assert found == []


def test_a_quick_run_has_no_parts(clip):
    _, found = with_parts(Engine(tiny_model(), device=CPU), clip, AnalysisSettings(batch_size=3))
    assert found == []


def test_what_is_raised_while_a_part_is_taken_ends_the_run(at_once, clip):
    engine = Engine(tiny_model(), device=CPU)

    def refuse(part):
        raise Cancelled("enough")

    with pytest.raises(Cancelled, match="enough"):
        engine.analyze(clip, AnalysisSettings(batch_size=3), on_part=refuse)
    assert engine.features.used_bytes == 0


def told(done, *, seconds, total=1000, remaining_s=60.0):
    return Progress(done, total, seconds, remaining_s, "analysing")


def test_the_first_part_comes_after_a_moment_and_the_next_when_the_frames_have_doubled():
    plan = PartPlan()
    due = [done for done in range(10, 1001, 10) if plan.is_due(told(done, seconds=done / 20))]
    assert due == [30, 60, 120, 240, 480]


@pytest.mark.parametrize("total", [50, 301, 999, 100_000])
@pytest.mark.parametrize("batch", [1, 7, 32])
def test_all_parts_together_are_little_more_than_the_whole(total, batch):
    plan = PartPlan()
    due = [done for done in range(batch, total, batch) if plan.is_due(told(done, seconds=9.0, total=total))]
    assert sum(due) <= 4 / 3 * total
    assert max(due, default=0) <= 2 / 3 * total


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, True),
        ({"seconds": 1.4}, False),
        ({"done": 1}, False),
        ({"remaining_s": 2.9}, False),
        ({"remaining_s": None}, False),
        ({"done": 700}, False),
        ({"total": None, "remaining_s": None}, True),
    ],
)
def test_a_part_that_is_not_worth_a_look_is_left_out(changes, due):
    assert PartPlan().is_due(told(**({"done": 100, "seconds": 5.0} | changes))) is due
