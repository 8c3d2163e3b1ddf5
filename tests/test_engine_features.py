"""Features kept within a number of bytes, the oldest clip going first."""

import dataclasses
import threading

import pytest
import torch

from tests.engine_cases import TINY
from tokenlearner.engine.features import FeatureKey, FeatureRecorder, FeatureStore, feature_bytes, to_half
from tokenlearner.engine.geometry import plan_geometry
from tokenlearner.media import Sampling
from tokenlearner.model import FeatureMap

KEY = FeatureKey("media", "weights", Sampling(), plan_geometry(TINY, (32, 48)), "float32")


def key(name):
    return dataclasses.replace(KEY, media_sha256=name)


def features(frames, loc=1, fill=1.0, dtype=torch.float16):
    """24 values a frame: 48 bytes each in float16."""
    return FeatureMap(torch.full((frames, 1, 6, 4), fill, dtype=dtype), (2, 3), loc)


def test_the_clip_used_longest_ago_goes_first():
    store = FeatureStore(budget_bytes=3 * 48)
    for name in "abc":
        assert store.put(key(name), {1: features(1)})
    store.get(key("a"))
    store.put(key("d"), {1: features(1)})
    assert [bool(store.get(key(name))) for name in "abcd"] == [True, False, True, True]
    assert store.used_bytes == 3 * 48


def test_what_exceeds_the_budget_alone_is_refused_and_drops_nothing():
    store = FeatureStore(budget_bytes=2 * 48)
    store.put(key("small"), {1: features(1)})
    assert not store.put(key("large"), {1: features(3)})
    assert store.get(key("small"))
    assert not store.get(key("large"))


def test_locations_of_one_clip_are_kept_side_by_side_and_counted_together():
    store = FeatureStore(budget_bytes=4 * 48)
    store.put(KEY, {1: features(1)})
    store.put(KEY, {3: features(2, loc=3)})
    assert sorted(store.get(KEY)) == [1, 3]
    assert store.used_bytes == 3 * 48
    assert not store.put(KEY, {None: features(2, loc=None)})
    assert sorted(store.get(KEY)) == [1, 3]


@pytest.mark.parametrize(
    "change",
    [
        {"media_sha256": "other"},
        {"weights_sha256": "other"},
        {"sampling": Sampling(max_frames=7)},
        {"geometry": plan_geometry(TINY, (32, 56))},
        {"dtype": "bfloat16 autocast"},
    ],
)
def test_everything_that_features_depend_on_is_part_of_their_key(change):
    store = FeatureStore(budget_bytes=1000)
    store.put(KEY, {1: features(1)})
    assert store.get(dataclasses.replace(KEY)) != {}
    assert store.get(dataclasses.replace(KEY, **change)) == {}


def test_what_is_forgotten_leaves_other_frames_of_the_same_file():
    store = FeatureStore(budget_bytes=1000)
    store.put(KEY, {1: features(1)})
    store.put(dataclasses.replace(KEY, sampling=Sampling(max_frames=7)), {1: features(1)})
    store.put(key("other"), {1: features(1)})
    store.drop(KEY)
    store.drop(KEY)
    assert (store.used_bytes, store.get(KEY)) == (2 * 48, {})
    store.clear()
    assert store.used_bytes == 0


def test_a_changed_answer_does_not_change_the_store():
    store = FeatureStore(budget_bytes=1000)
    store.put(KEY, {1: features(1)})
    store.get(KEY).clear()
    assert store.get(KEY)


def test_threads_cannot_push_the_store_over_its_budget():
    store = FeatureStore(budget_bytes=10 * 48)
    over = []

    def work(name):
        for i in range(60):
            store.put(key(f"{name}{i}"), {1: features(1 + i % 4)})
            over.append(store.used_bytes > store.budget_bytes)

    threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(over) == 240
    assert not any(over)


@pytest.mark.parametrize(
    ("value", "dtype", "kept"),
    [
        (3.14159, torch.float32, torch.float16),
        (70_000.0, torch.float32, torch.float32),  # float16 ends at 65 504
        (float("nan"), torch.float32, torch.float32),
        (2.0, torch.bfloat16, torch.bfloat16),
    ],
)
def test_features_are_halved_only_where_that_loses_no_range(value, dtype, kept):
    halved = to_half(features(1, fill=value, dtype=dtype))
    assert halved.x.dtype == kept
    assert torch.allclose(halved.x.float(), torch.tensor(value), rtol=1e-3, equal_nan=True)
    assert (halved.grid_hw, halved.loc) == ((2, 3), 1)


def test_a_recorder_joins_batches_in_order():
    recorder = FeatureRecorder((1, 3), budget_bytes=1000)
    recorder.add({1: features(2, fill=1), 3: features(2, loc=3, fill=5)})
    recorder.add({1: features(1, fill=2), 3: features(1, loc=3, fill=6)})
    whole = recorder.finish()
    assert whole[1].x[:, 0, 0, 0].tolist() == [1, 1, 2]
    assert whole[3].x[:, 0, 0, 0].tolist() == [5, 5, 6]
    assert (whole[3].loc, whole[3].grid_hw) == (3, (2, 3))
    assert recorder.finish() == {}


def test_a_recorder_that_grows_too_large_gives_up_the_last_location_first():
    recorder = FeatureRecorder((3, 1), budget_bytes=4 * 48)
    batch = {1: features(1), 3: features(1, loc=3)}
    recorder.add(batch)
    recorder.add(batch)
    assert recorder.kept_locs == (3, 1)
    recorder.add(batch)
    assert recorder.kept_locs == (3,)
    recorder.add(batch)
    recorder.add(batch)
    assert recorder.kept_locs == ()
    assert recorder.finish() == {}


def test_bytes_are_those_of_the_values():
    assert feature_bytes(features(5, dtype=torch.float32)) == 5 * 24 * 4
