from fractions import Fraction

import numpy as np
import pytest

from tokenlearner.media.timeline import PacketTime, build_timeline

MS = Fraction(1, 1000)


def packets(pts, *, dts=None, keys=(0,), duration=40):
    dts = pts if dts is None else dts
    return [PacketTime(p, d, duration, number in keys) for number, (p, d) in enumerate(zip(pts, dts, strict=True))]


def timeline(pts, *, closes_gaps=False, rate=None, **how):
    return build_timeline(packets(pts, **how), time_base=MS, rate=rate, closes_gaps=closes_gaps)


def test_pictures_come_in_order_of_presentation():
    result = timeline([0, 160, 80, 40, 120])
    assert result.clock == "stamped"
    assert result.ticks.tolist() == [0, 40, 80, 120, 160]
    assert result.duration_s == 0.2
    assert result.fps == pytest.approx(25)


def test_time_begins_with_the_first_picture():
    np.testing.assert_allclose(timeline([5000, 5040, 5080]).times_s, [0, 0.04, 0.08])


def test_one_picture_lasts_as_long_as_its_packet_says():
    assert timeline([700], duration=33).duration_s == 0.033


def test_one_picture_without_a_duration_lasts_one_over_the_announced_rate():
    assert timeline([700], duration=0, rate=Fraction(20)).duration_s == 0.05


def test_a_last_picture_with_an_absurd_duration_lasts_one_step():
    assert timeline([0, 40, 80], duration=10**9).duration_s == 0.12


def test_two_packets_of_one_time_are_one_picture():
    assert timeline([0, 40, 40, 80]).ticks.tolist() == [0, 40, 80]


def test_missing_times_are_counted_at_the_announced_rate():
    result = timeline([0, None, 80], dts=[None] * 3, rate=Fraction(10))
    assert result.clock == "counted"
    np.testing.assert_allclose(result.times_s, [0, 0.1, 0.2])
    assert result.duration_s == pytest.approx(0.3)


def test_missing_times_without_a_rate_are_counted_at_25():
    assert timeline([None, None], dts=[None, None]).duration_s == pytest.approx(0.08)


def test_times_that_start_anew_continue_where_the_first_part_ends():
    result = timeline([9000, 9040, 9080, 0, 80, 40, 120], dts=[8960, 9000, 9040, -80, -40, 0, 40])
    assert result.clock == "restamped"
    assert result.packet_ticks.tolist() == [9000, 9040, 9080, 9120, 9200, 9160, 9240]
    np.testing.assert_allclose(result.times_s, np.arange(7) * 0.04)


def test_a_third_part_continues_after_the_second():
    result = timeline([9000, 9040, 3000, 3040, 500, 540])
    assert result.packet_ticks.tolist() == [9000, 9040, 9080, 9120, 9160, 9200]


def test_reordering_of_b_frames_is_no_new_start_however_far_they_are_apart():
    result = timeline([0, 60_040, 40, 60_000], dts=[None, None, 0, 40])
    assert result.clock == "stamped"
    assert result.ticks.tolist() == [0, 40, 60_000, 60_040]


def test_decoding_times_that_stumble_a_little_are_no_new_start():
    assert timeline([0, 40, 80, 120], dts=[0, 900, 80, 120]).clock == "stamped"


def test_a_leap_is_a_cut_where_the_clock_may_be_reset():
    result = timeline([0, 40, 80, 95_000_000, 95_000_040], closes_gaps=True)
    assert result.packet_ticks.tolist() == [0, 40, 80, 120, 160]


def test_a_leap_is_a_picture_held_long_where_the_clock_can_be_trusted():
    result = timeline([0, 40, 80, 60_000, 60_040])
    assert result.clock == "stamped"
    np.testing.assert_allclose(result.times_s, [0, 0.04, 0.08, 60, 60.04])


LONG = [40 * number for number in range(200)]


def test_wanted_pictures_close_together_are_one_run_from_the_start():
    result = timeline(LONG, keys=range(0, 200, 50))
    (run,) = result.runs(np.array(LONG[:30]))
    assert run.seek is None
    assert run.ticks.tolist() == LONG[:30]


def test_far_ones_are_reached_from_the_keyframe_before_them():
    result = timeline(LONG, keys=range(0, 200, 50), dts=[pts - 80 for pts in LONG])
    runs = list(result.runs(np.array([LONG[3], LONG[149], LONG[150], LONG[199]])))
    assert [(run.seek, run.ticks.tolist()) for run in runs] == [
        (None, [LONG[3]]),
        (LONG[100] - 80, [LONG[149], LONG[150], LONG[199]]),
    ]


def test_a_short_stretch_is_decoded_rather_than_jumped_over():
    result = timeline(LONG, keys=range(200))
    assert len(list(result.runs(np.array([LONG[0], LONG[24]])))) == 1
    assert len(list(result.runs(np.array([LONG[0], LONG[26]])))) == 2


def test_pictures_before_an_open_gop_keyframe_need_the_keyframe_before():
    # Packets 100.. : a keyframe shown at 4080, then in the file two pictures shown before it.
    pts = [*LONG[:100], 4080, 4000, 4040, *LONG[103:]]
    result = timeline(pts, keys=(0, 50, 100))
    ((seek, ticks),) = [(run.seek, run.ticks.tolist()) for run in result.runs(np.array([4040]))]
    assert (seek, ticks) == (LONG[50], [4040])
    ((seek, _),) = [(run.seek, run.ticks) for run in result.runs(np.array([4080]))]
    assert seek == 4080


def test_without_sound_times_there_is_no_seeking():
    result = timeline([None] * 200, dts=[None] * 200, keys=range(200))
    (run,) = result.runs(result.ticks[[0, 199]])
    assert run.seek is None


def test_a_missing_decoding_time_is_replaced_by_the_earliest_presentation_time_from_there_on():
    result = timeline([0, 80, 40, 120], dts=[None, None, 40, None])
    assert result.packet_dts.tolist() == [0, 40, 40, 120]
