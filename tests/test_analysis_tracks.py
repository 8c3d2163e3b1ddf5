"""Tokens over time: hand-made maps whose paths, switches and overlaps are known."""

import dataclasses
import json
import threading

import numpy as np
import pytest

from tests.engine_cases import TINY, pictures, tiny_model, write_clip
from tests.test_engine import CPU
from tokenlearner import flops
from tokenlearner.agreement import Agreement, agreement, softmax, total_variation
from tokenlearner.analysis.needed import Tried, smallest_that_stays, tokens_needed
from tokenlearner.analysis.switches import SwitchRule, find_switches
from tokenlearner.analysis.tracks import (
    covered,
    effective_number,
    frame_xy,
    largest_changes,
    path_length,
    prediction_change,
    prediction_moments,
    redundancy,
    track,
    track_maps,
    trail,
)
from tokenlearner.engine import AnalysisSettings, Engine
from tokenlearner.errors import Cancelled, ConfigError

GRID = (7, 11)


def blob(x, y, grid=GRID, width=0.06, ground=0.3):
    """A share map: a Gaussian at (x, y) in fractions over an even ground that holds `ground` of the attention."""
    rows, columns = grid
    ys, xs = (np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns
    bump = np.exp(-(((ys[:, None] - y) / width) ** 2 + ((xs - x) / width) ** 2) / 2)
    return (1 - ground) * bump / bump.sum() + ground / (rows * columns)


def clip_of(*places, noise=0.0, seed=0, ground=0.3):
    """Maps [time, 1, rows, cols] at the places given, step by step."""
    maps = np.stack([blob(x, y, ground=ground) for x, y in places])[:, None]
    rng = np.random.default_rng(seed)
    maps = maps * np.exp(noise * rng.normal(size=maps.shape))
    return maps / maps.sum(axis=(2, 3), keepdims=True)


LEFT, RIGHT, LOW = (0.2, 0.3), (0.8, 0.3), (0.5, 0.85)


def seconds(steps, rate=10):
    return np.arange(steps) / rate


@pytest.mark.parametrize("noise", [0.0, 0.8])
@pytest.mark.parametrize("ground", [0.0, 0.3, 0.7])
def test_a_jump_to_another_place_is_a_switch_at_its_first_step(noise, ground):
    maps = clip_of(*[LEFT] * 13, *[RIGHT] * 17, noise=noise, ground=ground)
    (switch,) = find_switches(maps, seconds(30))
    assert (switch.token, switch.step) == (0, 13)
    assert switch.time_s == pytest.approx(1.3)
    assert switch.from_xy == pytest.approx(LEFT, abs=0.1)
    assert switch.to_xy == pytest.approx(RIGHT, abs=0.1)
    assert switch.overlap < 0.5


def test_each_of_several_switches_is_found_and_belongs_to_its_token():
    steady = clip_of(*[LOW] * 40)
    turning = clip_of(*[LEFT] * 12, *[RIGHT] * 15, *[LOW] * 13)
    found = find_switches(np.concatenate([steady, turning], axis=1), seconds(40))
    assert [(switch.token, switch.step) for switch in found] == [(1, 12), (1, 27)]


@pytest.mark.parametrize("away", [1, 2])
def test_a_glance_away_is_no_switch(away):
    maps = clip_of(*[LEFT] * 12, *[RIGHT] * away, *[LEFT] * 12)
    assert find_switches(maps, seconds(24 + away)) == ()


def test_one_wild_map_just_before_or_after_does_not_move_the_switch():
    places = [LEFT] * 13 + [RIGHT] * 13
    for wild in (10, 16):
        changed = list(places)
        changed[wild] = LOW
        (switch,) = find_switches(clip_of(*changed), seconds(26))
        assert switch.step == 13


def test_following_a_moving_object_is_no_switch():
    places = [(x, 0.4) for x in np.linspace(0.15, 0.85, 24)]  # three tenths of the frame a second
    assert find_switches(clip_of(*places, noise=0.3), seconds(24)) == ()
    assert find_switches(clip_of(*places), seconds(24), SwitchRule(tolerance=0.0)) != ()


def test_a_token_that_leaves_and_wanders_about_has_not_switched():
    corners = [(0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.5, 0.5), (0.5, 0.1)]
    assert find_switches(clip_of(*[(0.3, 0.5)] * 13, *corners * 3), seconds(31)) == ()


def test_alternating_between_two_places_is_no_switch():
    assert find_switches(clip_of(*[LEFT, RIGHT] * 14), seconds(28)) == ()


@pytest.mark.parametrize("seed", range(5))
def test_noise_on_a_still_or_even_map_makes_no_switch(seed):
    rng = np.random.default_rng(seed)
    still = clip_of(*[LEFT] * 60, noise=1.0, seed=seed)
    even = rng.random((60, 3, *GRID))
    shares = np.concatenate([still, even / even.sum(axis=(2, 3), keepdims=True)], axis=1)
    assert find_switches(shares, seconds(60)) == ()


def test_a_token_that_looks_everywhere_has_no_subject_to_leave():
    maps = clip_of(*[LEFT] * 13, *[RIGHT] * 13, ground=0.97)
    assert find_switches(maps, seconds(26)) == ()
    assert len(find_switches(maps, seconds(26), SwitchRule(min_excess=0.01))) == 1


def test_the_window_follows_the_clock_and_short_clips_have_no_switches():
    rule = SwitchRule(hold_s=0.5, min_steps=3)
    assert rule.window(seconds(9, rate=20)) == 10
    assert rule.window(seconds(9, rate=2)) == 3
    assert rule.window(np.array([0.0])) == 3
    assert find_switches(clip_of(*[LEFT] * 4, *[RIGHT] * 4), seconds(8)) == ()
    assert len(find_switches(clip_of(*[LEFT] * 4, *[RIGHT] * 4), seconds(8, rate=6))) == 1


def one_hot(*cells, grid=(3, 5)):
    maps = np.zeros((len(cells), 1, *grid), dtype=np.float32)
    for i, (row, column) in enumerate(cells):
        maps[i, 0, row, column] = 1
    return maps


def test_paths_spread_and_peaks_of_maps_on_single_patches():
    times = np.array([0.0, 0.1, 0.4])
    uniform = np.full((3, 1, 3, 5), 1 / 15, dtype=np.float32)
    maps = np.concatenate([one_hot((0, 0), (0, 1), (2, 4)), uniform], axis=1)
    tracks = track_maps(maps, times)
    np.testing.assert_allclose(tracks.centroid_xy[:, 0], [[0.1, 1 / 6], [0.3, 1 / 6], [0.9, 5 / 6]])
    np.testing.assert_allclose(tracks.centroid_xy[:, 1], 0.5, atol=1e-6)
    np.testing.assert_allclose(tracks.peak_xy[:, 0], tracks.centroid_xy[:, 0])
    np.testing.assert_allclose(tracks.spread, [[0, 1]] * 3, atol=1e-6)
    np.testing.assert_allclose(tracks.peak, [[1, 1 / 15]] * 3, rtol=1e-6)
    np.testing.assert_allclose(tracks.stability, [[0, 1], [0, 1]], atol=1e-6)
    np.testing.assert_allclose(tracks.map_change, [0.5, 0.5], atol=1e-6)
    np.testing.assert_allclose(tracks.coverage, 1 / 15)
    cosine = 1 / np.sqrt(15)
    np.testing.assert_allclose(tracks.redundancy, [[1, cosine], [cosine, 1]], atol=1e-6)
    assert path_length(tracks.centroid_xy[:, 0]) == pytest.approx(0.2 + np.hypot(0.6, 2 / 3))


def test_sigmoid_maps_are_followed_as_shares_but_keep_their_peaks():
    shares = clip_of(LEFT, RIGHT, LOW)
    tracks = track_maps(0.9 * shares / shares.max(), seconds(3))
    np.testing.assert_allclose(tracks.centroid_xy, track_maps(shares, seconds(3)).centroid_xy)
    assert tracks.peak.max() == pytest.approx(0.9)


def test_redundancy_is_the_mean_cosine_over_the_clip():
    a, b = one_hot((0, 0), (1, 2), (1, 3), (2, 2)), one_hot((0, 0), (2, 2), (1, 3), (0, 4))
    np.testing.assert_allclose(redundancy(np.concatenate([a, b], axis=1)), [[1, 0.5], [0.5, 1]])


def test_the_effective_number_counts_tokens_that_differ():
    assert effective_number(np.eye(5)) == pytest.approx(5)
    assert effective_number(np.ones((4, 4))) == pytest.approx(1)
    two_pairs = np.kron(np.eye(2), np.ones((2, 2)))
    assert effective_number(two_pairs) == pytest.approx(2)
    near = effective_number(np.array([[1, 0.5], [0.5, 1]]))
    assert near == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


def test_coverage_counts_patches_above_the_even_share():
    uniform = np.full((2, 3, 5), 1 / 15, dtype=np.float32)
    assert covered(uniform) == 0
    halves = np.zeros((2, 3, 5))
    halves[0, 0] = 1 / 5
    halves[1, :2, :3] = 1 / 6
    assert covered(halves) == pytest.approx((5 + 3) / 15)


def test_of_changes_close_together_only_the_largest_is_named():
    change = np.array([0.1, 0.5, 0.4, 0.01, 0.3, 0.0, 0.2])
    times = np.array([0.0, 0.3, 0.6, 0.9, 1.2, 1.5, 1.8, 2.1])
    found = largest_changes(change, times, 2)
    assert [(moment.step, moment.time_s, moment.change) for moment in found] == [(2, 0.6, 0.5), (5, 1.5, 0.3)]
    assert [moment.step for moment in largest_changes(change, times, 9)] == [2, 5, 7]
    assert largest_changes(np.array([]), np.array([0.0]), 3) == ()


def test_a_trail_fades_and_does_not_reach_over_a_switch():
    maps = clip_of(*[LEFT] * 13, *[RIGHT] * 17)
    tracks = track_maps(maps, seconds(30))
    points, age = trail(tracks, 0, 1.0, seconds=0.5)
    np.testing.assert_allclose(age, [1, 0.8, 0.6, 0.4, 0.2, 0], atol=1e-9)
    np.testing.assert_allclose(points, tracks.centroid_xy[5:11, 0])
    points, age = trail(tracks, 0, 1.5, seconds=1.0)
    np.testing.assert_allclose(points, tracks.centroid_xy[13:16, 0])


def test_a_photo_has_a_place_but_no_changes():
    tracks = track_maps(clip_of(LEFT), np.array([0.0]))
    assert tracks.stability.shape == (0, 1)
    assert tracks.moments == tracks.switches == ()
    summary = json.loads(json.dumps(tracks.summary(), allow_nan=False))
    assert summary["tokens"][0]["mean_stability"] is None
    assert summary["effective_tokens"] == pytest.approx(1)


# On a tiny network.


@pytest.fixture(scope="module")
def model():
    return tiny_model()


@pytest.fixture(scope="module")
def engine(model):
    return Engine(model, device=CPU)


@pytest.fixture(scope="module")
def found(engine, tmp_path_factory):
    path = write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(11, (46, 80)))
    return engine.analyze(path, AnalysisSettings(num_tokens=4))


def test_an_analysis_is_followed_and_its_summary_is_json(engine, found):
    tracks = track(found)
    assert tracks.centroid_xy.shape == (11, 4, 2)
    assert tracks.stability.shape == (10, 4)
    with pytest.raises(ValueError, match="read-only"):
        tracks.spread[0] = 0
    assert json.loads(json.dumps(tracks.summary(), allow_nan=False))["time_steps"] == 11
    with pytest.raises(ConfigError, match="plain network"):
        track(engine.rerun(found, loc=None))


def test_changes_of_the_prediction_are_probability_that_moves(found):
    change = prediction_change(found)
    expected = [np.abs(found.probs[i + 1] - found.probs[i]).sum() / 2 for i in range(10)]
    np.testing.assert_allclose(change, expected, atol=1e-6)
    assert prediction_moments(found)[0].change == pytest.approx(max(expected), abs=1e-6)
    grouped = dataclasses.replace(found, label_groups={"what": slice(0, 3), "how": slice(3, 7)})
    how = softmax(found.logits[:, 3:])
    np.testing.assert_allclose(prediction_change(grouped, "how"), total_variation(how[1:], how[:-1]))


def test_points_move_from_what_the_model_saw_to_the_frame(found):
    cropped = dataclasses.replace(found.geometry, frame_hw=(50, 100), box_xywh=(20, 10, 40, 30))
    np.testing.assert_allclose(frame_xy(np.array([[0.5, 1.0], [0, 0]]), cropped), [[0.4, 0.8], [0.2, 0.2]])


def test_agreement_by_hand():
    logits = np.log(np.array([[0.6, 0.4, 9], [0.1, 0.9, 9], [0.5, 0.5, 9]]))
    others = np.log(np.array([[0.3, 0.7, 1], [0.2, 0.8, 5], [0.5, 0.5, 2]]))
    found = agreement(logits, others, slice(0, 2))
    assert (found.top1, found.rows) == (2 / 3, 3)
    assert found.total_variation == pytest.approx((0.3 + 0.1 + 0) / 3)
    with pytest.raises(ValueError, match="no predictions"):
        agreement(logits[:0], others[:0], slice(0, 2))


def test_tokens_needed_compares_every_number_with_all_of_them(engine, found):
    told = []
    result = tokens_needed(engine, found, progress=lambda done, total: told.append((done, total)))
    assert [one.num_tokens for one in result.tried] == [1, 2, 3, 4, 5, 6]
    reference = engine.rerun(found, num_tokens=6)
    for one in result.tried:
        probs = engine.rerun(found, num_tokens=one.num_tokens).probs
        assert one.agreement.total_variation == pytest.approx(
            np.abs(probs - reference.probs).sum(1).mean() / 2, abs=1e-5
        )
        assert one.agreement.top1 == (probs.argmax(1) == reference.probs.argmax(1)).mean()
        expected = flops.compute(TINY, image_hw=found.geometry.input_hw, loc=1, num_tokens=one.num_tokens)
        assert one.total_macs == expected.total_macs
    assert result.saved == 1 - result.at(result.needed).total_macs / result.at(6).total_macs
    assert told == [(i, 6) for i in range(7)]
    assert json.loads(json.dumps(result.summary(), allow_nan=False))["available"] == 6
    loose = tokens_needed(engine, found, counts=(2, 5), min_top1=0.0, max_total_variation=1.0)
    assert (loose.needed, len(loose.tried)) == (2, 3)
    assert loose.sentence().startswith("2 of 6 tokens are enough")
    strict = tokens_needed(engine, found, counts=(2, 5), max_total_variation=-1.0)
    assert strict.needed == 6
    assert "does not stay" in strict.sentence()


def test_a_lucky_small_number_is_not_enough():
    def tried(count, top1, moved):
        return Tried(num_tokens=count, agreement=Agreement(float(top1), float(moved), 20), total_macs=count)

    rows = [tried(1, 1, 0.0), tried(2, 0.9, 0.0), tried(3, 0.95, 0.1), tried(5, 1, 0.05), tried(8, 1, 0)]
    assert smallest_that_stays(rows, 0.95, 0.1) == 3
    assert smallest_that_stays(rows, 0.95, 0.04) == 8
    assert smallest_that_stays(rows, 0.5, 0.1) == 1


def test_counting_tokens_can_be_stopped_and_refuses_what_is_not_there(engine, found):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        tokens_needed(engine, found, cancel=cancel)
    with pytest.raises(ConfigError, match="num_tokens 7"):
        tokens_needed(engine, found, counts=(7,))
    with pytest.raises(ConfigError, match="plain network"):
        tokens_needed(engine, engine.rerun(found, loc=None))
