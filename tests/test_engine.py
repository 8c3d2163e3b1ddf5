"""The engine's one call: equal to the bare network, the same for any batch size, and safe to share."""

import dataclasses
import itertools
import json
import threading
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.engine_cases import FUSED, PLAIN, TINY, V10, VIDEO, can_rerun, pictures, tiny_model, write_clip, write_photo
from tokenlearner import flops
from tokenlearner.engine import (
    UNTRAINED_NOTE,
    AnalysisSettings,
    ComputeDevice,
    Engine,
    FeatureStore,
    key_of,
    speed_note,
)
from tokenlearner.engine import features as features_module
from tokenlearner.engine import network as network_module
from tokenlearner.engine import run as run_module
from tokenlearner.errors import (
    Cancelled,
    ConfigError,
    DeviceError,
    FeaturesGone,
    FeaturesNotKept,
    MediaError,
    TokenLearnerError,
)
from tokenlearner.media import MediaLimits, Sampling, open_media
from tokenlearner.model import TokenLearnerViT

CPU = ComputeDevice(torch.device("cpu"), None, "test CPU")
CPU_BF16 = ComputeDevice(torch.device("cpu"), torch.bfloat16, "test CPU")
TIMES = [0.0, 0.1, 0.25, 0.3, 0.7, 0.8, 0.95, 1.0, 1.3, 1.45, 1.5]  # 11 pictures, not evenly spaced
HALF = {"rtol": 4e-3, "atol": 4e-3}  # features kept in float16
SMALL = AnalysisSettings(batch_size=3)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    """Eleven frames of 46 x 80 pixels: whole frames give a 3 x 5 grid."""
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(11, (46, 80)), TIMES)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    return write_photo(tmp_path_factory.mktemp("media") / "disc.png", (60, 40))


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def engine(model):
    return Engine(model, device=CPU)


def direct(loaded, path, geometry, *, loc, k):
    """The bare network on the same frames, all in one batch: the second route to every number."""
    with open_media(path) as reader:
        frames = np.stack([geometry.to_input(frame.rgb) for frame in reader])
    rgb = torch.from_numpy(frames)
    if loaded.model.config.num_frames:
        missing = -len(rgb) % loaded.model.config.num_frames
        rgb = torch.cat([rgb, rgb[-1:].expand(missing, -1, -1, -1)]).unflatten(0, (-1, loaded.model.config.num_frames))
    with torch.inference_mode():
        return loaded.model(loaded.model.normalize(rgb), loc=loc, num_tokens=k)


@pytest.mark.parametrize("loc", ["default", 1, 3])
@pytest.mark.parametrize("k", [None, 2])
def test_an_analysis_is_the_bare_network_on_every_frame(engine, model, clip, loc, k):
    found = engine.analyze(clip, AnalysisSettings(loc=loc, num_tokens=k, batch_size=4))
    expected = direct(model, clip, found.geometry, loc=loc, k=k)
    assert found.geometry.grid_hw == (3, 5)
    assert found.token_maps.shape == (11, k or 6, 3, 5)
    assert found.token_maps.dtype == np.float32
    np.testing.assert_allclose(found.token_maps.reshape(11, k or 6, 15), expected.token_maps[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    assert (found.loc, found.num_tokens) == (1 if loc == "default" else loc, k or 6)
    assert np.ptp(found.token_maps, axis=0).max() > 0.01  # the frames do differ


@pytest.mark.parametrize("config", [V10, FUSED], ids=["v1.0", "fuser"])
def test_other_modules_agree_with_the_bare_network_too(config, clip):
    loaded = tiny_model(config)
    found = Engine(loaded, device=CPU).analyze(clip, SMALL)
    expected = direct(loaded, clip, found.geometry, loc="default", k=None)
    np.testing.assert_allclose(found.token_maps.reshape(11, 6, 15), expected.token_maps[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    assert found.map_unit == ("sigmoid weight 0..1" if config is V10 else "share of the frame's attention")


def test_the_plain_network_has_predictions_and_no_maps(engine, model, clip):
    found = engine.analyze(clip, AnalysisSettings(loc=None, batch_size=4))
    np.testing.assert_allclose(found.logits, direct(model, clip, found.geometry, loc=None, k=None).logits, atol=1e-5)
    assert found.token_maps is None
    assert (found.loc, found.num_tokens) == (None, 0)
    bare = Engine(tiny_model(PLAIN), device=CPU).analyze(clip)
    assert bare.token_maps is None
    assert bare.summary()["map_unit"] is None


@pytest.mark.parametrize("size", [1, 2, 5, 11, 64])
def test_the_batch_size_does_not_change_the_result(engine, clip, size):
    reference = engine.analyze(clip, AnalysisSettings(batch_size=4))
    found = engine.analyze(clip, AnalysisSettings(batch_size=size))
    np.testing.assert_allclose(found.token_maps, reference.token_maps, atol=1e-6)
    np.testing.assert_allclose(found.logits, reference.logits, atol=1e-5)
    assert found.timings.batch_size == size


def test_every_map_carries_the_time_of_its_frame(engine, clip):
    found = engine.analyze(clip, SMALL)
    assert found.timestamps_s == pytest.approx(TIMES, abs=1e-4)
    assert np.array_equal(found.logits_timestamps_s, found.timestamps_s)
    part = engine.analyze(clip, AnalysisSettings(sampling=Sampling(start_s=0.28, end_s=1.0)))
    assert part.timestamps_s == pytest.approx([0.25, 0.3, 0.7, 0.8, 0.95], abs=1e-4)
    np.testing.assert_allclose(part.logits, found.logits[2:7], atol=1e-5)


def test_a_photo_has_one_map_at_time_zero(engine, photo):
    found = engine.analyze(photo)
    assert found.media.kind == "image"
    assert found.token_maps.shape == (1, 6, 6, 4)
    assert found.timestamps_s.tolist() == [0]
    np.testing.assert_allclose(found.token_maps.sum(axis=(2, 3)), 1, atol=1e-5)


def test_a_video_model_sees_clips_and_the_last_is_filled_by_its_last_frame(clip):
    loaded = tiny_model(VIDEO)  # clips of 4 frames in tubelets of 2
    engine = Engine(loaded, device=CPU)
    found = engine.analyze(clip, AnalysisSettings(batch_size=2))
    expected = direct(loaded, clip, found.geometry, loc="default", k=None)
    assert found.logits.shape == (3, 7)
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-5)
    # 11 frames: five whole tubelets and one of frame 11 with its copy.
    assert found.timestamps_s == pytest.approx(TIMES[::2], abs=1e-4)
    assert found.logits_timestamps_s == pytest.approx(TIMES[::4], abs=1e-4)
    np.testing.assert_allclose(found.token_maps.reshape(6, 6, 15), expected.token_maps.flatten(0, 1), atol=1e-6)
    assert found.clip_frames == 4
    assert found.summary()["compute"]["per"] == "clip of 4 frames"
    again = engine.rerun(found, num_tokens=3)
    np.testing.assert_allclose(again.token_maps, found.token_maps[:, :3], **HALF)
    assert again.logits.shape == (3, 7)


def test_steps_that_saw_only_filling_frames_are_left_out(tmp_path):
    five = write_clip(tmp_path / "five.mp4", pictures(5, (46, 80)))
    found = Engine(tiny_model(VIDEO), device=CPU).analyze(five)
    assert found.timestamps_s == pytest.approx([0.0, 0.2, 0.4], abs=1e-4)
    assert len(found.token_maps) == 3
    assert len(found.logits) == 2


def test_a_video_model_takes_a_photo_as_a_still_clip(photo):
    found = Engine(tiny_model(VIDEO), device=CPU).analyze(photo)
    assert found.token_maps.shape == (1, 6, 6, 4)
    assert found.logits.shape == (1, 7)


@pytest.mark.parametrize(("loc", "k"), [(1, 6), (1, 2), (3, 6), (3, 1), (None, None)])
@pytest.mark.parametrize("keep", ["all", "chosen"])
def test_a_rerun_equals_a_new_analysis(model, clip, loc, k, keep):
    engine = Engine(model, device=CPU)
    before = engine.analyze(clip, AnalysisSettings(loc=1, batch_size=4, keep=keep))
    found = engine.rerun(before, loc=loc, num_tokens=k)
    fresh = engine.analyze(clip, AnalysisSettings(loc=loc, num_tokens=k, keep="none"))
    np.testing.assert_allclose(found.logits, fresh.logits, **HALF)
    if loc is None:
        assert found.token_maps is None
    else:
        np.testing.assert_allclose(found.token_maps, fresh.token_maps, **HALF)
    assert found.compute == fresh.compute
    assert (found.loc, found.num_tokens) == (fresh.loc, fresh.num_tokens)
    assert found.provenance.from_features
    assert not fresh.provenance.from_features
    assert np.array_equal(found.timestamps_s, fresh.timestamps_s)
    assert (found.timings.decode_s, found.timings.frames) == (0, 11)


def test_a_rerun_leaves_the_media_and_the_prefix_alone(model, clip, monkeypatch):
    engine = Engine(model, device=CPU)
    found = engine.analyze(clip, SMALL)
    monkeypatch.setattr("tokenlearner.engine.run.open_media", refuse)
    monkeypatch.setattr(TokenLearnerViT, "advance", refuse)
    monkeypatch.setattr(TokenLearnerViT, "prefixes", refuse)
    assert engine.rerun(found, num_tokens=2).num_tokens == 2
    assert engine.rerun(found, loc=3).loc == 3


def refuse(*args, **kwargs):
    raise AssertionError("this was not to be run again")


def test_a_location_reached_by_blocks_between_is_kept_for_the_next_time(model, clip, monkeypatch):
    engine = Engine(model, device=CPU)
    found = engine.analyze(clip, AnalysisSettings(loc=1, keep="chosen"))
    first = engine.rerun(found, loc=3)
    assert first.timings.prefix_s > 0
    monkeypatch.setattr(TokenLearnerViT, "advance", refuse)
    second = engine.rerun(found, loc=3)
    assert second.timings.prefix_s == 0
    assert np.array_equal(first.logits, second.logits)


def test_muted_tokens_do_not_reach_the_blocks_behind(engine, model, clip):
    found = engine.analyze(clip, SMALL)
    muted = engine.rerun(found, num_tokens=5, muted=(3, 0, 3))
    with torch.inference_mode(), open_media(clip) as reader:
        rgb = torch.from_numpy(np.stack([found.geometry.to_input(frame.rgb) for frame in reader]))
        tokens = model.model.tokenize(model.model.prefix(model.model.normalize(rgb), 1), 5)
        expected = model.model.suffix(tokens, keep=torch.tensor([False, True, True, False, True])).logits
    np.testing.assert_allclose(muted.logits, expected, **HALF)
    assert np.abs(muted.logits - found.logits).max() > 0.05
    assert muted.muted == (0, 3)
    assert muted.token_maps.shape[1] == 5
    assert engine.rerun(muted).muted == ()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"muted": (0, 1, 2, 3, 4, 5)}, "All tokens are muted"),
        ({"muted": (6,)}, "Token 6 cannot be muted: there are tokens 0 to 5"),
        ({"muted": (-1,)}, "Token -1 cannot be muted"),
        ({"muted": (2,), "num_tokens": 2}, "Token 2 cannot be muted: there are tokens 0 to 1"),
        ({"muted": (1,), "loc": None}, "plain network has no tokens"),
        ({"loc": 2}, "no TokenLearner before block 2"),
        ({"num_tokens": 7}, r"num_tokens 7 lies outside 1\.\.6"),
    ],
)
def test_a_rerun_that_the_model_cannot_do_is_refused(engine, clip, options, message):
    found = engine.analyze(clip, SMALL)
    with pytest.raises(ConfigError, match=message):
        engine.rerun(found, **options)


def test_tokens_of_a_fused_model_cannot_be_muted(clip):
    engine = Engine(tiny_model(FUSED), device=CPU)
    with pytest.raises(ConfigError, match="without TokenFuser"):
        engine.rerun(engine.analyze(clip), muted=(1,))


def test_features_that_were_dropped_are_missed_in_a_sentence(model, clip, photo):
    one_frame = 3 * 5 * TINY.embed_dim * 2
    engine = Engine(model, device=CPU, features=FeatureStore(2 * 11 * one_frame))  # one clip at two locations
    found = engine.analyze(clip, SMALL)
    assert can_rerun(engine, found)
    assert engine.features.used_bytes == engine.features.budget_bytes
    other = engine.analyze(photo)
    assert can_rerun(engine, other)
    assert not can_rerun(engine, found)
    with pytest.raises(FeaturesGone, match=r"disc\.mp4 .* had to make room\. Analyse it again"):
        engine.rerun(found)


def test_a_budget_for_one_location_keeps_the_chosen_one(model, clip):
    one_location = 11 * 3 * 5 * TINY.embed_dim * 2
    engine = Engine(model, device=CPU, features=FeatureStore(one_location + 100))
    found = engine.analyze(clip, AnalysisSettings(loc=3, batch_size=4))
    assert can_rerun(engine, found)
    assert not can_rerun(engine, found, loc=1)  # an earlier place cannot be reached from a later one
    assert can_rerun(engine, found, loc=None)
    assert engine.features.used_bytes == one_location


@pytest.mark.parametrize("budget", [0, 1000])
def test_a_clip_that_does_not_fit_is_analysed_all_the_same_and_says_so_when_it_is_asked_again(model, clip, budget):
    engine = Engine(model, device=CPU, features=FeatureStore(budget))
    found = engine.analyze(clip, SMALL)
    assert found.kept_locs == ()
    with pytest.raises(FeaturesNotKept, match=r"disc\.mp4 need more memory than is set aside .* Take fewer frames"):
        engine.rerun(found)


def test_engines_of_one_device_share_the_memory_for_quick_changes(clip):
    store = FeatureStore(2 * 11 * 3 * 5 * TINY.embed_dim * 2)  # one clip at two locations
    first, second = (Engine(tiny_model(seed=seed), device=CPU, features=store) for seed in (0, 1))
    found = first.analyze(clip, SMALL)
    assert found.kept_locs == (1, 3)
    second.analyze(clip, SMALL)
    assert store.used_bytes == store.budget_bytes
    with pytest.raises(FeaturesGone):
        first.rerun(found)


def test_nothing_is_kept_when_nothing_shall_be(model, clip):
    engine = Engine(model, device=CPU)
    found = engine.analyze(clip, AnalysisSettings(keep="none"))
    assert engine.features.used_bytes == 0
    kept = engine.analyze(clip, SMALL)
    assert can_rerun(engine, kept)
    engine.features.drop(key_of(kept))
    assert engine.features.used_bytes == 0
    with pytest.raises(FeaturesNotKept, match=r"disc\.mp4 was analysed without keeping"):
        engine.rerun(found)


def test_an_analysis_of_other_weights_is_not_rerun(engine, clip):
    other = Engine(tiny_model(seed=1), device=CPU).analyze(clip)
    with pytest.raises(ConfigError, match="other weights"):
        engine.rerun(other)


def test_bfloat16_changes_numbers_little_and_says_so(model, clip):
    found = Engine(model, device=CPU_BF16).analyze(clip, SMALL)
    reference = Engine(model, device=CPU).analyze(clip, SMALL)
    assert found.provenance.dtype == "bfloat16 autocast"
    assert reference.provenance.dtype == "float32"
    assert found.token_maps.dtype == found.logits.dtype == np.float32
    np.testing.assert_allclose(found.token_maps, reference.token_maps, atol=0.02)
    np.testing.assert_allclose(found.logits, reference.logits, atol=0.15)
    assert np.abs(found.logits - reference.logits).max() > 0
    np.testing.assert_allclose(found.token_maps.sum(axis=(2, 3)), 1, atol=1e-5)


def test_the_composition_under_autocast_equals_the_forward_pass_under_autocast(model, clip):
    engine = Engine(model, device=CPU_BF16)
    found = engine.analyze(clip, AnalysisSettings(batch_size=11))
    with CPU_BF16.inference():
        expected = direct(model, clip, found.geometry, loc="default", k=None)
    np.testing.assert_allclose(found.logits, expected.logits.float(), atol=1e-6)
    again = engine.rerun(found)
    np.testing.assert_allclose(again.logits, found.logits, atol=1e-6)  # bfloat16 features are kept as they are


@pytest.mark.parametrize("capacity", [1, 2, 4])
def test_running_out_of_memory_halves_the_batch_and_changes_nothing(model, clip, monkeypatch, capacity):
    engine = Engine(model, device=CPU)
    reference = engine.analyze(clip, AnalysisSettings(batch_size=4))
    engine.features.clear()
    limit_memory(monkeypatch, capacity)
    found = engine.analyze(clip, AnalysisSettings(batch_size=8))
    np.testing.assert_allclose(found.token_maps, reference.token_maps, atol=1e-6)
    np.testing.assert_allclose(found.logits, reference.logits, atol=1e-5)
    assert found.timings.batch_size == capacity
    assert found.timings.frames == 11
    assert found.timestamps_s == pytest.approx(TIMES, abs=1e-4)
    np.testing.assert_allclose(engine.rerun(found).logits, reference.logits, **HALF)


def test_memory_that_runs_out_on_the_way_takes_other_clips_first_and_then_what_was_gathered_of_this_one(
    model, clip, photo, monkeypatch
):
    engine = Engine(model, device=CPU)
    reference = engine.analyze(clip, AnalysisSettings(batch_size=4))
    engine.features.clear()
    kept, batches = engine.analyze(photo), []
    original = TokenLearnerViT.prefixes

    def limited(self, pixels, locs):
        batches.append((len(pixels), len(locs), bool(engine.features.get(key_of(kept)))))
        if len(batches) > 1 and (batches[-1][2] or len(locs) > 1):
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, pixels, locs)

    monkeypatch.setattr(TokenLearnerViT, "prefixes", limited)
    found = engine.analyze(clip, AnalysisSettings(batch_size=4))
    assert batches[:4] == [(4, 2, True), (4, 2, True), (2, 2, False), (1, 1, False)]
    np.testing.assert_allclose(found.logits, reference.logits, atol=1e-5)
    assert found.kept_locs == ()


def test_memory_that_does_not_hold_the_joined_features_costs_them_and_not_the_analysis(model, clip, monkeypatch):
    def full(tensors):
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(features_module, "torch", SimpleNamespace(cat=full, float16=torch.float16, finfo=torch.finfo))
    found = Engine(model, device=CPU).analyze(clip, SMALL)
    assert found.timings.frames == 11
    assert found.kept_locs == ()


def limit_memory(monkeypatch, capacity):
    original = TokenLearnerViT.prefixes

    def limited(self, pixels, locs):
        if len(pixels) > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, pixels, locs)

    monkeypatch.setattr(TokenLearnerViT, "prefixes", limited)


def test_memory_too_small_for_one_frame_is_a_sentence(model, clip, monkeypatch):
    limit_memory(monkeypatch, 0)
    with pytest.raises(DeviceError, match="does not hold one frame of 40 × 24 pixels"):
        Engine(model, device=CPU).analyze(clip)


def test_progress_goes_from_nothing_to_all_of_it(engine, clip):
    reports = []
    engine.analyze(clip, AnalysisSettings(batch_size=4), progress=reports.append)
    told = [(report.stage, report.done, report.total) for report in reports]
    assert [key for key, _ in itertools.groupby(told)] == [  # each again and again while frames are waited for
        ("opening", 0, None),
        ("analysing", 0, 11),
        ("analysing", 4, 11),
        ("analysing", 8, 11),
        ("analysing", 11, 11),
        ("done", 11, 11),
    ]
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(reports))


def test_cancel_stops_within_one_batch(engine, clip, monkeypatch):
    cancel, batches = threading.Event(), []
    original = TokenLearnerViT.prefixes

    def watched(self, pixels, locs):
        batches.append(len(pixels))
        if len(batches) == 2:
            cancel.set()
        return original(self, pixels, locs)

    monkeypatch.setattr(TokenLearnerViT, "prefixes", watched)
    engine.features.clear()
    with pytest.raises(Cancelled, match="stopped"):
        engine.analyze(clip, AnalysisSettings(batch_size=2), cancel=cancel)
    assert batches == [2, 2]
    assert engine.features.used_bytes == 0
    assert not [thread for thread in threading.enumerate() if thread.name == "tokenlearner-decode"]


def test_cancel_acts_between_the_parts_of_a_batch_that_memory_split(model, clip, monkeypatch):
    limit_memory(monkeypatch, 1)
    cancel, passes = threading.Event(), []
    original = TokenLearnerViT.suffix

    def watched(self, source, **options):
        passes.append(1)
        cancel.set()
        return original(self, source, **options)

    monkeypatch.setattr(TokenLearnerViT, "suffix", watched)
    with pytest.raises(Cancelled):
        Engine(model, device=CPU).analyze(clip, AnalysisSettings(batch_size=11), cancel=cancel)
    assert passes == [1]


def test_cancel_stops_a_rerun_too(engine, clip):
    found = engine.analyze(clip, SMALL)
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        engine.rerun(found, num_tokens=1, cancel=cancel)


def test_threads_on_one_engine_get_their_own_maps(engine, tmp_path):
    paths = [write_clip(tmp_path / f"{i}.mp4", pictures(6, (46, 80), seed=i)) for i in range(2)]
    settings = [AnalysisSettings(loc=1, batch_size=1), AnalysisSettings(loc=3, num_tokens=4, batch_size=2)]
    alone = [engine.analyze(path, choice) for path, choice in zip(paths, settings, strict=True)]
    assert np.abs(alone[0].token_maps[:, :4] - alone[1].token_maps).max() > 0.05
    wrong = []

    def work(i):
        for _ in range(6):
            found = engine.analyze(paths[i], settings[i])
            again = engine.rerun(found)
            for maps in (found.token_maps, again.token_maps):
                if maps.shape != alone[i].token_maps.shape or np.abs(maps - alone[i].token_maps).max() > 5e-3:
                    wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1, 0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_frames_are_shown_to_the_caller_as_they_come(engine, clip):
    times = []
    engine.analyze(clip, on_frame=lambda frame: times.append((frame.timestamp_s, frame.rgb.shape)))
    assert [time_s for time_s, _ in times] == pytest.approx(TIMES, abs=1e-4)
    assert {shape for _, shape in times} == {(46, 80, 3)}


def test_extra_frames_are_shown_and_change_nothing_that_is_found(engine, clip):
    alone = engine.analyze(clip, AnalysisSettings(sampling=Sampling(max_frames=3)))
    seen, parts = [], []
    found = engine.analyze(clip, alone.settings, on_frame=seen.append, extra=Sampling(), on_part=parts.append)
    assert [frame.timestamp_s for frame in seen] == pytest.approx(TIMES, abs=1e-4)
    assert [frame.timestamp_s for frame in seen if not frame.is_extra] == found.timestamps_s.tolist()
    assert found.timings.frames == 3
    for name in ("token_maps", "logits", "timestamps_s"):
        np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))


@pytest.mark.parametrize(
    ("clip_frames", "taken", "told"),
    [
        (16, 300, "At 7.5 of 30 frames per second, everything moves 4 times as fast for this model."),
        (16, 1200, ""),
        (None, 300, ""),
    ],
)
def test_a_video_model_says_how_much_faster_a_thinned_clip_moves(clip_frames, taken, told):
    assert speed_note(clip_frames, 30.0, taken, 1200) == told


def test_an_error_in_the_decoding_thread_reaches_the_caller(engine, clip):
    def fail(frame):
        if frame.index == 5:
            raise MediaError("The disk is full.")

    with pytest.raises(MediaError, match="The disk is full"):
        engine.analyze(clip, SMALL, on_frame=fail)


def test_a_clip_that_breaks_off_gives_what_came_before_and_says_so(engine, tmp_path):
    import av

    whole = tmp_path / "whole.mkv"
    with av.open(str(whole), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.gop_size = 80, 48, 1
        for rgb in pictures(40, (48, 80)):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb)))
        container.mux(stream.encode())
    data = whole.read_bytes()
    broken = tmp_path / "broken.mkv"
    broken.write_bytes(data[: len(data) // 2])
    found = engine.analyze(broken)
    assert 5 < len(found.token_maps) < 38
    assert len(found.timestamps_s) == len(found.logits) == len(found.token_maps)
    assert any("damaged" in note or "stops" in note for note in found.notes)


def test_what_is_not_whole_not_trained_or_stretched_is_noted(clip, tmp_path):
    engine = Engine(tiny_model(trained=False), device=CPU)
    found = engine.analyze(clip, AnalysisSettings(resize="crop"))
    assert found.notes[-1] == UNTRAINED_NOTE
    assert "The model saw the middle 46 × 46 pixels of each 80 × 46 frame" in found.notes[-2]
    assert not found.provenance.trained
    assert found.token_maps.shape[2:] == (4, 4)
    assert engine.rerun(found).notes == found.notes


def test_the_name_shown_can_differ_from_the_files(engine, clip):
    assert engine.analyze(clip, name="Holiday.mp4").media.name == "Holiday.mp4"
    with pytest.raises(MediaError, match=r"Holiday\.mp4"):
        engine.analyze(clip.with_name("missing.mp4"), name="Holiday.mp4")


def test_limits_are_those_of_the_engine(model, clip):
    with pytest.raises(MediaError, match="limit"):
        Engine(model, device=CPU, limits=MediaLimits(max_file_bytes=10)).analyze(clip)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "squash"}, 'resize must be "whole" or "crop", not "squash"'),
        ({"keep": "some"}, 'keep must be "all", "chosen" or "none"'),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    settings = AnalysisSettings()
    for name, value in options.items():
        object.__setattr__(settings, name, value)  # past the type checks that only run in tests
    with pytest.raises(ConfigError, match=message):
        settings.__post_init__()


def test_the_summary_is_plain_json_and_complete(engine, clip):
    found = engine.analyze(clip, AnalysisSettings(num_tokens=3, sampling=Sampling(max_frames=5)))
    summary = json.loads(json.dumps(found.summary(top=2), allow_nan=False))
    expected = flops.compute(TINY, image_hw=found.geometry.input_hw, loc=1, num_tokens=3)
    assert summary["compute"]["total_macs"] == expected.total_macs
    assert summary["compute"]["total_flops"] == 2 * expected.total_macs
    assert summary["compute"]["convention"] == flops.CONVENTION
    assert summary["compute"]["baseline"]["total_macs"] == flops.baseline(TINY, image_hw=(24, 40)).total_macs
    assert summary["compute"]["per"] == "frame"
    assert summary["geometry"] == {
        "frame_hw": [46, 80],
        "box_xywh": [0, 0, 80, 46],
        "input_hw": [24, 40],
        "grid_hw": [3, 5],
    }
    assert summary["media"]["sha256"] == summary["provenance"]["media_sha256"] == found.media.sha256
    assert summary["provenance"]["model_name"] == "tiny"
    assert set(summary["provenance"]["versions"]) >= {"tokenlearner", "torch", "numpy", "python"}
    assert summary["settings"]["sampling"]["max_frames"] == 5
    assert [row["timestamp_s"] for row in summary["predictions_over_time"]] == found.logits_timestamps_s.tolist()
    best = found.probs.mean(axis=0).argmax()
    assert summary["predictions"][0] == {
        "index": int(best),
        "name": TINY.class_names[best],
        "probability": pytest.approx(float(found.probs.mean(axis=0).max())),
        "group": "class",
    }
    last = summary["predictions_over_time"][-1]["top"]
    assert [entry["index"] for entry in last] == np.argsort(-found.logits[-1])[:2].tolist()


def test_probabilities_are_the_softmax_of_the_logits(engine, clip):
    found = engine.analyze(clip)
    np.testing.assert_allclose(found.probs, torch.from_numpy(found.logits.copy()).softmax(dim=1), atol=1e-6)
    assert [prediction.probability for prediction in found.top(7)] == sorted(found.probs.mean(axis=0), reverse=True)
    assert sum(prediction.probability for prediction in found.top(7)) == pytest.approx(1, abs=1e-5)
    unnamed = dataclasses.replace(found, class_names=())
    assert unnamed.top(1)[0].name == f"class {found.top(1)[0].index}"


def test_an_analysis_cannot_be_changed(engine, photo):
    found = engine.analyze(photo)
    for array in (found.token_maps, found.logits, found.timestamps_s, found.logits_timestamps_s):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.loc = 3


def test_timings_cover_the_work(engine, clip):
    timings = engine.analyze(clip, SMALL).timings
    assert timings.frames == 11
    assert timings.prefix_s > 0
    assert timings.suffix_s > 0
    assert timings.decode_s > 0
    assert timings.prefix_s + timings.suffix_s < timings.total_s


def test_latency_is_measured_with_its_spread(engine):
    latency = engine.measure_latency(image_hw=(24, 40), loc=3, num_tokens=2, batch_size=3, repeats=9)
    assert 0 < latency.q1_ms <= latency.median_ms <= latency.q3_ms < 5000
    assert (latency.repeats, latency.batch_size, latency.image_hw) == (9, 3, (24, 40))
    assert (latency.loc, latency.num_tokens, latency.dtype, latency.device) == (3, 2, "float32", "test CPU")
    assert Engine(tiny_model(VIDEO), device=CPU).measure_latency(repeats=3).median_ms > 0


def test_opening_a_file_lets_others_use_the_device_and_can_be_stopped(engine, clip, monkeypatch):
    stops = []

    def endless(*args, cancel, **options):
        stops.append(cancel)
        cancel.wait(20)
        raise Cancelled("Reading was stopped.")

    monkeypatch.setattr(run_module, "open_media", endless)
    cancel, told = threading.Event(), []

    def progress(report):
        told.append((report.stage, threading.current_thread()))
        if len(told) == 4:
            cancel.set()

    with pytest.raises(Cancelled, match="analysis was stopped"):
        engine.analyze(clip, SMALL, progress=progress, cancel=cancel)
    assert told == [("opening", threading.current_thread())] * 4
    assert stops[0].is_set()


def test_reading_ends_with_the_analysis_whatever_ends_it(engine, clip, monkeypatch):
    stops = []

    def watched(*args, cancel, **options):
        stops.append(cancel)
        return open_media(*args, cancel=cancel, **options)

    def fail(frame):
        raise OSError("disc full")

    monkeypatch.setattr(run_module, "open_media", watched)
    with pytest.raises(OSError, match="disc full"):
        engine.analyze(clip, SMALL, on_frame=fail)
    assert stops[0].is_set()


def test_latency_measures_what_the_network_takes(engine, monkeypatch):
    original = TokenLearnerViT.prefixes
    passes, now = [], [0.0]

    def slow(self, pixels, locs):
        passes.append(pixels.shape)
        now[0] += 0.2 if len(passes) <= 3 else 0.02  # the first three are the warm-up
        return original(self, pixels, locs)

    monkeypatch.setattr(TokenLearnerViT, "prefixes", slow)
    monkeypatch.setattr(network_module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    latency = engine.measure_latency(repeats=5)
    assert (latency.median_ms, latency.q3_ms) == pytest.approx((20, 20))
    assert passes == [(1, 3, 32, 32)] * 8
    passes[:] = [None] * 3
    assert engine.measure_latency(repeats=50, budget_s=0.0).repeats == 3


def test_latency_of_an_input_that_does_not_fit_is_refused(engine):
    with pytest.raises(ConfigError, match="33x40"):
        engine.measure_latency(image_hw=(33, 40))


def test_the_callers_model_is_left_as_it_was():
    loaded = tiny_model()
    loaded.model.train()
    engine = Engine(loaded, device=CPU)
    assert loaded.model.training
    assert not engine._network.model.training


def media_files(folder):
    return sorted(
        path for path in (folder / "media").rglob("*") if path.is_file() and path.suffix not in (".md", ".tsv")
    )


def test_every_shared_file_is_analysed_or_refused_in_a_sentence(engine, shared_dir, subtests):
    settings = AnalysisSettings(sampling=Sampling(max_frames=4), keep="none")
    refused = {}
    for path in media_files(shared_dir):
        with subtests.test(path.name):
            try:
                found = engine.analyze(path, settings)
            except TokenLearnerError as error:
                refused[path.name] = str(error)
                continue
            assert 1 <= len(found.token_maps) <= 4
            assert np.isfinite(found.token_maps).all()
            np.testing.assert_allclose(found.token_maps.sum(axis=(2, 3)), 1, atol=1e-4)
            assert found.geometry.frame_hw == (found.media.height, found.media.width)
    assert set(refused) == {"broken.png", "sk_truncated.jpg", "sk_multipage_rgb.tif"}  # Pillow reads none of them
    for name, sentence in refused.items():
        assert name in sentence
        assert 20 < len(sentence) < 200
        assert sentence.endswith(".")


def test_results_gathered_over_many_blocks_are_the_same(model, clip, monkeypatch):
    whole = Engine(model, device=CPU).analyze(clip, SMALL)
    monkeypatch.setattr("tokenlearner.engine.network._BLOCK_BYTES", 4 * whole.token_maps[0].size * 5)
    parts = Engine(model, device=CPU).analyze(clip, SMALL)
    np.testing.assert_array_equal(parts.token_maps, whole.token_maps)
    np.testing.assert_array_equal(parts.logits, whole.logits)
