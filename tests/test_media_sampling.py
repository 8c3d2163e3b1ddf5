import numpy as np
import pytest

from tokenlearner.errors import ConfigError
from tokenlearner.media.sampling import Sampling, choose_frames

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


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start_s": -0.5}, "must be 0 s or later, not -0.5 s"),
        ({"start_s": float("nan")}, "must be 0 s or later"),
        ({"start_s": 3.0, "end_s": 3.0}, r"The end \(3 s\) must lie after the start \(3 s\)"),
        ({"max_frames": 0}, "at least 1, not 0"),
    ],
)
def test_a_range_that_cannot_be_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(**settings)
