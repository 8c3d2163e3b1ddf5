"""What cards say about a setting, and what an analysis will cost."""

import dataclasses

import numpy as np
import pytest

from app.costs import BatchClock, Pace, estimate, frames_in_range
from app.explore.budget import best_within, priced
from app.models import (
    accuracies_near,
    accuracy_in_words,
    first_for,
    headline_accuracy,
    measured_accuracies,
    ordered,
    what_it_does,
)
from app.text import display_name
from tests.app_cases import METRICS, tiny_choice
from tests.engine_cases import TINY, VIDEO, pictures, tiny_model, write_clip
from tokenlearner import flops
from tokenlearner.config import LabelGroup
from tokenlearner.engine import Engine, Progress
from tokenlearner.media import MediaInfo, Sampling
from tokenlearner.media.sampling import choose_frames

CLIP = MediaInfo(
    name="clip.mp4",
    kind="video",
    width=80,
    height=46,
    duration_s=20.0,
    num_frames=500,
    fps=25.0,
    codec="h264",
    container="mp4",
    rotation_deg=0,
    size_bytes=1234,
    sha256="0" * 64,
)
PHOTO = dataclasses.replace(CLIP, kind="image", duration_s=0.0, num_frames=1, fps=0.0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_choice(tmp_path_factory.mktemp("models"))


def test_accuracies_are_found_wherever_the_card_keeps_them(model):
    rows = [(row.loc, row.num_tokens, row.top1) for row in measured_accuracies(model.card)]
    assert rows == [(1, 2, 0.551), (1, 6, 0.587), (3, 6, 0.604), (None, 0, 0.62)]
    assert headline_accuracy(model.card) == 0.587  # the model's own place


@pytest.mark.parametrize(
    ("loc", "tokens", "expected"),
    [
        (1, 2, [(2, 0.551)]),
        (1, 4, [(2, 0.551), (6, 0.587)]),
        (1, 1, [(2, 0.551)]),
        (3, 2, [(6, 0.604)]),
        (None, 0, [(0, 0.62)]),
    ],
)
def test_what_was_not_measured_is_put_between_what_was(model, loc, tokens, expected):
    assert [(row.num_tokens, row.top1) for row in accuracies_near(model.card, loc, tokens)] == expected


def test_a_card_without_numbers_gives_none(model):
    bare = dataclasses.replace(model.card, metrics={"top1": 0.5, "rows": [{"loc": 1, "top1": 0.4}]})
    assert measured_accuracies(bare) == ()
    assert headline_accuracy(bare) is None
    assert accuracies_near(bare, 1, 2) == ()


def test_the_card_survives_the_trip_to_disk(model):
    assert model.card.metrics == METRICS
    assert model.trained
    assert not dataclasses.replace(model, random=True).trained
    assert model.load().card.name == "tiny"


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (Sampling(), 500),
        (Sampling(start_s=5.0), 375),
        (Sampling(start_s=5.0, end_s=7.0), 50),
        (Sampling(end_s=99.0), 500),
        (Sampling(start_s=30.0), 1),
    ],
)
def test_frames_in_a_range(sampling, expected):
    assert frames_in_range(CLIP, sampling) == expected
    assert frames_in_range(PHOTO, Sampling()) == 1


def test_the_slower_of_decoding_and_network_decides_how_long_it_takes():
    sampling = Sampling(end_s=10.0, max_frames=100)
    gmacs = flops.compute(TINY, image_hw=(24, 40)).total_macs / 1e9
    network = estimate(CLIP, TINY, sampling=sampling, pace=Pace(1000.0, 1e-9))
    decoding = estimate(CLIP, TINY, sampling=sampling, pace=Pace(1e-9, 2.0))
    assert (network.frames, network.frames_in_range) == (100, 250)
    assert network.seconds == pytest.approx(1000 * gmacs * 100)
    assert decoding.seconds == pytest.approx(2.0 * 250 * 80 * 46 / 1e6)  # all of them are played
    assert estimate(CLIP, TINY, sampling=sampling).seconds is None


def test_frames_that_are_not_even_played_cost_their_decoding_alone():
    one = estimate(CLIP, TINY, sampling=Sampling(end_s=10.0, max_frames=1), pace=Pace(1e-9, 2.0))
    assert one.seconds == pytest.approx(2.0 * (1 + 0.1 * 249) * 80 * 46 / 1e6)


@pytest.mark.parametrize(
    ("sampling", "frames"),
    [
        (Sampling(max_frames=1000), 500),
        (Sampling(max_fps=5.0), 100),
        (Sampling(max_fps=5.0, max_frames=30), 30),
        (Sampling(start_s=4.0, end_s=6.1, max_fps=10.0), 21),
        (Sampling(max_fps=60.0, max_frames=1000), 500),
        (Sampling(max_fps=0.01), 1),
    ],
)
def test_a_frame_rate_makes_fewer_frames(sampling, frames):
    times = np.arange(500) / 25
    assert estimate(CLIP, TINY, sampling=sampling).frames == frames == len(choose_frames(times, 20.0, sampling))
    assert estimate(CLIP, TINY, sampling=sampling, times_s=times).frames == frames


def test_frames_whose_times_are_known_are_counted_exactly():
    times = np.concatenate((np.arange(480) / 48, 10 + np.arange(20) / 2))  # 480 in the first 10 s, then 20
    late = estimate(CLIP, TINY, sampling=Sampling(start_s=10.0, max_fps=1.0), times_s=times)
    assert (late.frames, late.frames_in_range) == (10, 20)
    early = estimate(CLIP, TINY, sampling=Sampling(end_s=10.0, max_fps=24.0), times_s=times)
    assert (early.frames, early.frames_in_range) == (240, 480)
    assert frames_in_range(PHOTO, Sampling(), np.zeros(1)) == 1


def test_memory_is_that_of_features_and_maps():
    cost = estimate(CLIP, TINY, sampling=Sampling(max_frames=100))
    assert cost.memory_bytes == 100 * 15 * (
        2 * 24 * 2 + 6 * 4
    )  # 3 x 5 patches: two places of float16, six float32 maps
    finer = estimate(CLIP, TINY, sampling=Sampling(max_frames=100), input_side=64)
    assert finer.memory_bytes > 3.5 * cost.memory_bytes


def test_names_that_are_long_keep_their_ending():
    assert display_name("a" * 100 + ".mp4").endswith("aaaa.mp4")
    assert len(display_name("a" * 100 + ".mp4")) == 60


def test_the_end_of_a_training_stands_in_for_an_evaluation(model):
    training = [{"epoch": 1, "top1 none": 0.1}, {"epoch": 2, "top1 none": 0.7, "top1 1/2": 0.5, "loss 1/2": 3.0}]
    card = dataclasses.replace(model.card, metrics={"training": training})
    assert [(row.loc, row.num_tokens, row.top1) for row in measured_accuracies(card)] == [(1, 2, 0.5), (None, 0, 0.7)]
    assert accuracy_in_words(card) == "50 % top-1"


def test_a_model_with_two_questions_has_two_accuracies(model):
    training = [{"top1 object none": 0.3, "top1 motion none": 0.8, "top1 object 1/6": 0.36, "top1 motion 1/6": 0.81}]
    card = dataclasses.replace(model.card, metrics={"training": training})
    assert accuracy_in_words(card) == "object 36 %, motion 81 % top-1"
    assert headline_accuracy(card) == 0.36


def test_models_say_what_they_are_for(model):
    assert what_it_does(model) == "Image model: a photo, or every frame of a clip by itself; 7 classes."
    groups = (LabelGroup(name="object", num_classes=4), LabelGroup(name="motion", num_classes=3))
    config = dataclasses.replace(VIDEO, label_groups=groups)
    video = dataclasses.replace(model, card=dataclasses.replace(model.card, config=config))
    assert what_it_does(video) == (
        "Video model: 4 frames at once, so it can see motion; 4 answers to “object” and 3 answers to “motion”."
    )
    assert ordered([video, model]) == (model, video)


def test_a_clip_begins_with_the_first_trained_video_model_and_a_photo_with_the_first_model(model):
    video = dataclasses.replace(model, card=dataclasses.replace(model.card, config=VIDEO))
    raw = dataclasses.replace(model, card=dataclasses.replace(model.card, config=VIDEO, trained=False))
    assert first_for((model, raw, video), "video") == video
    assert first_for((model, raw, video), "image") == model
    assert first_for((model, raw), "video") == model


def test_within_a_budget_the_most_accurate_setting_wins(model):
    settings = priced(model.card, (32, 32))
    assert [one.macs for one in settings] == sorted(one.macs for one in settings)
    by_choice = {(one.loc, one.num_tokens): one for one in settings}
    assert set(by_choice) == {(1, 2), (1, 6), (3, 6), (None, 0)}
    assert by_choice[3, 6].macs == flops.compute(TINY, loc=3, num_tokens=6).total_macs
    assert best_within(settings, by_choice[3, 6].macs) == by_choice[3, 6]
    assert best_within(settings, by_choice[3, 6].macs - 1) == by_choice[1, 6]
    assert best_within(settings, by_choice[1, 2].macs - 1) is None
    worse = dataclasses.replace(by_choice[3, 6], top1=0.5)
    assert best_within((by_choice[1, 6], worse), 1e18) == by_choice[1, 6]


def test_a_setting_that_the_model_does_not_hold_is_not_offered(model):
    metrics = {"choices": [*METRICS["validation"]["choices"], {"loc": 2, "num_tokens": 6, "top1": 0.99}]}
    card = dataclasses.replace(model.card, metrics=metrics)
    assert 2 not in {one.loc for one in priced(card, (32, 32))}


def test_a_pace_leaves_out_the_opening_of_the_file_which_does_not_grow_with_the_frames(tmp_path):
    clip = write_clip(tmp_path / "disc.mp4", pictures(5, (46, 80)))
    found = Engine(tiny_model(), device="cpu").analyze(clip)
    assert 0 < found.timings.opening_s <= found.timings.decode_s
    timings = dataclasses.replace(found.timings, decode_s=3.0, opening_s=2.0)
    pace = Pace.of(dataclasses.replace(found, timings=timings))
    assert pace.decode_s_per_megapixel == pytest.approx(1.0 / (5 * 80 * 46 / 1e6))


def test_a_pace_leaves_out_the_first_batch_which_opens_the_file_and_warms_up(monkeypatch):
    monkeypatch.setattr(Pace, "of", classmethod(lambda cls, analysis: Pace(1.2, 0.6)))
    told: list[Progress] = []
    clock = BatchClock(told.append)
    for done, seconds in ((0, 2.0), (10, 7.0), (20, 8.0), (30, 9.0)):
        clock.report(Progress(done, 30, seconds, None, "analysing"))
    assert [progress.done for progress in told] == [0, 10, 20, 30]
    # Warm, ten frames took one second, so thirty take three of the nine.
    assert clock.pace(None) == Pace(pytest.approx(0.4), pytest.approx(0.2), is_warm=True)


def test_a_photo_does_not_replace_the_pace_of_a_clip(monkeypatch):
    monkeypatch.setattr(Pace, "of", classmethod(lambda cls, analysis: Pace(5.0, 5.0)))
    clock = BatchClock(lambda progress: None)
    clock.report(Progress(1, 1, 3.0, 0.0, "analysing"))
    photo, clip = clock.pace(None), Pace(1.0, 1.0, is_warm=True)
    assert photo == Pace(5.0, 5.0)
    assert photo.is_better_than(None)
    assert not photo.is_better_than(clip)
    assert clip.is_better_than(photo)
    assert Pace(2.0, 9.0).is_better_than(photo), "of two photos, the one that was not warming up"
    assert Pace(3.0, 1.0, is_warm=True).is_better_than(clip), "the machine is slower today"
