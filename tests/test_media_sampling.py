import numpy as np
import pytest

from tokenlearner.errors import ConfigError
from tokenlearner.media.sampling import Sampling, choose_frames, rate_note

STEADY = np.arange(100) / 25
END = 4.0


def test_a_short_video_is_taken_whole():
    assert choose_frames(STEADY[:7], 0.28, Sampling()).tolist() == list(range(7))


def test_a_steady_rate_gives_an_even_stride():
    assert choose_frames(STEADY, END, Sampling(max_frames=25)).tolist() == list(range(0, 100, 4))


def test_a_stride_that_does_not_divide_stays_uniform_in_time():
    chosen = choose_frames(STEADY, END, Sampling(max_frames=30))
    assert chosen.tolist() == [10 * part // 3 for part in range(30)]


def test_one_picture_is_the_first_of_the_range():
    assert choose_frames(STEADY, END, Sampling(start_s=1.0, max_frames=1)).tolist() == [25]


def test_the_end_is_not_included_and_the_start_is():
    assert choose_frames(STEADY, END, Sampling(start_s=0.2, end_s=0.36)).tolist() == [5, 6, 7, 8]


def test_a_start_between_two_pictures_begins_with_the_one_on_screen():
    assert choose_frames(STEADY, END, Sampling(start_s=0.21, end_s=0.3)).tolist() == [5, 6, 7]


def test_a_range_inside_one_picture_gives_that_picture():
    times = np.array([0.0, 1.0, 9.0])
    assert choose_frames(times, 10.0, Sampling(start_s=4.0, end_s=5.0)).tolist() == [1]


def test_sampling_goes_by_time_and_not_by_number():
    # 50 pictures in the first second, then one a second: four parts of 2.5 s each.
    times = np.concatenate((np.arange(50) / 50, np.arange(1, 10)))
    chosen = choose_frames(times, 10.0, Sampling(max_frames=4))
    assert times[chosen].tolist() == [0.0, 2.0, 5.0, 7.0]


def test_a_picture_that_is_held_long_is_taken_once():
    times = np.array([0.0, 0.1, 0.2, 0.3, 9.0])
    assert choose_frames(times, 9.1, Sampling(max_frames=4)).tolist() == [0, 3]


def test_a_start_behind_the_end_gives_nothing():
    assert choose_frames(STEADY, END, Sampling(start_s=4.0)).tolist() == []


def test_an_end_behind_the_video_is_the_end_of_the_video():
    assert choose_frames(STEADY, END, Sampling(start_s=3.9, end_s=99.0)).tolist() == [97, 98, 99]


def test_no_more_than_the_most_pictures_come_out_for_any_length():
    for count in range(1, 60):
        chosen = choose_frames(np.arange(count) / 30, count / 30, Sampling(max_frames=17))
        assert len(chosen) == min(count, 17)
        assert chosen[0] == 0


def test_a_lower_frame_rate_is_even_in_time():
    assert choose_frames(STEADY, END, Sampling(max_fps=5.0)).tolist() == list(range(0, 100, 5))
    # 25 pictures per second at 10: at 0, 0.1, 0.2, ... s number 0, 2, 5, 7, 10, ... is on screen.
    assert choose_frames(STEADY, END, Sampling(max_fps=10.0)).tolist() == [5 * step // 2 for step in range(40)]


def test_a_frame_rate_counts_from_the_start_of_the_range():
    # From 0.5 s on, every 0.4 s, up to 1.4 s: pictures 12, 22 and 32 are on screen (12.5, 22.5, 32.5 x 40 ms).
    assert choose_frames(STEADY, END, Sampling(start_s=0.5, end_s=1.4, max_fps=2.5)).tolist() == [12, 22, 32]


@pytest.mark.parametrize("rate", [25.0, 26.0, 60.0, 1e9])
def test_a_frame_rate_above_the_clips_own_takes_every_picture(rate):
    assert choose_frames(STEADY, END, Sampling(max_fps=rate)).tolist() == list(range(100))


@pytest.mark.parametrize("rate", [24, 24000 / 1001, 25, 30000 / 1001, 30, 50, 60])
def test_times_rounded_to_milliseconds_lose_no_picture_at_the_clips_own_rate(rate):
    for rounding in (np.round, np.floor):
        times = rounding(1000 * np.arange(500) / rate) / 1000
        assert len(choose_frames(times, 500 / rate, Sampling(max_fps=float(rate), max_frames=1000))) == 500


def test_a_frame_rate_holds_for_a_variable_one():
    # 50 pictures in the first second, then one every 0.7 s.
    times = np.concatenate((np.arange(50) / 50, 1 + 0.7 * np.arange(9)))
    chosen = choose_frames(times, 7.3, Sampling(max_fps=4.0)).tolist()
    on_screen = {max(i for i, time in enumerate(times) if time <= moment / 4 + 0.002) for moment in range(30)}
    assert chosen == sorted(on_screen)
    assert chosen[:4] == [0, 12, 25, 37]
    assert chosen[4:] == list(range(50, 59))


def test_the_most_frames_hold_for_a_lower_frame_rate_too():
    assert choose_frames(STEADY, END, Sampling(max_fps=5.0, max_frames=20)).tolist() == list(range(0, 100, 5))
    assert choose_frames(STEADY, END, Sampling(max_fps=5.0, max_frames=4)).tolist() == [0, 25, 50, 75]
    assert choose_frames(STEADY, END, Sampling(max_fps=1.0, max_frames=50)).tolist() == [0, 25, 50, 75]


def test_one_frame_in_many_seconds_is_a_frame_rate_too():
    assert choose_frames(STEADY, END, Sampling(max_fps=0.5)).tolist() == [0, 50]
    assert choose_frames(STEADY, END, Sampling(max_fps=0.001)).tolist() == [0]


def test_a_photograph_has_its_one_picture_at_any_frame_rate():
    assert choose_frames(np.zeros(1), float("inf"), Sampling(max_fps=5.0)).tolist() == [0]


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({}, ""),
        ({"max_fps": 5.0}, "Resampled to 5 frames per second."),
        ({"max_fps": 1.0}, "Resampled to 1 frame per second."),
        ({"max_fps": 7.5, "end_s": 2.0}, "Resampled to 7.5 frames per second."),
        ({"max_fps": 30.0}, ""),
        ({"max_fps": 5.0, "max_frames": 19}, ""),
        ({"max_fps": 5.0, "start_s": 3.99}, ""),
    ],
)
def test_a_note_says_when_the_frame_rate_leaves_pictures_out(settings, note):
    assert rate_note(STEADY, END, Sampling(**settings)) == note


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_s": -0.5}, "must be 0 s or later, not -0.5 s"),
        ({"start_s": float("nan")}, "must be 0 s or later"),
        ({"start_s": 3.0, "end_s": 3.0}, r"The end \(3 s\) must lie after the start \(3 s\)"),
        ({"max_frames": 0}, "at least 1, not 0"),
        ({"max_fps": 0.0}, "must be above 0, not 0"),
        ({"max_fps": -2.0}, "must be above 0, not -2"),
        ({"max_fps": float("nan")}, "must be above 0, not nan"),
        ({"max_fps": float("inf")}, "must be above 0, not inf"),
    ],
)
def test_a_range_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(**settings)
