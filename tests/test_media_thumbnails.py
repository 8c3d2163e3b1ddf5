"""Small pictures of a clip: the right ones, truthfully timed, with little decoded, whatever state the file is in."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from PIL import Image

from tests.media_cases import HEIGHT, WIDTH, number_in, patch_display_matrix, pattern, write_video
from tokenlearner.errors import ConfigError, MediaError, MediaLimitError
from tokenlearner.media import MediaLimits, Sampling, open_media, open_thumbnails, thumbnails
from tokenlearner.media.decode import Decoder


def read(path, count, height=HEIGHT, **how):
    """What comes out, in the order of the parts."""
    with open_thumbnails(path, count, height, **how) as reader:
        return sorted(reader, key=lambda one: one.part), reader


def numbers(found):
    return [number_in(one.rgb) for one in found]


@pytest.fixture
def decoded(monkeypatch):
    """How many pictures were asked of the decoder from here on: with what leads to them, and alone."""
    counts = {"led to": 0, "alone": 0}
    read_run, read_alone = Decoder.read, Decoder.read_alone

    def counting(self, *arguments):
        for item in read_run(self, *arguments):
            counts["led to"] += 1
            yield item

    def counting_alone(self, *arguments):
        counts["alone"] += 1
        return read_alone(self, *arguments)

    monkeypatch.setattr(Decoder, "read", counting)
    monkeypatch.setattr(Decoder, "read_alone", counting_alone)
    return counts


def test_parts_with_a_keyframe_are_shown_by_it_and_nothing_else_is_decoded(tmp_path, decoded):
    path = write_video(tmp_path / "a.mp4", 240, keyframe_every=40, options={"bf": "2"})
    found, reader = read(path, 6)
    assert [one.part for one in found] == [0, 1, 2, 3, 4, 5]
    assert numbers(found) == [0, 40, 80, 120, 160, 200]
    np.testing.assert_allclose([one.timestamp_s for one in found], np.arange(6) * 1.6)
    assert decoded == {"led to": 0, "alone": 6}
    assert (reader.info.num_frames, len(reader.times_s)) == (240, 240)


def test_parts_without_a_keyframe_are_shown_by_the_picture_in_their_middle(tmp_path, decoded):
    path = write_video(tmp_path / "a.mp4", 240, keyframe_every=40, options={"bf": "0"})
    found, _ = read(path, 12)
    # Parts of 20 pictures: every other one begins with a keyframe, the middle of the others is 10 pictures in.
    assert numbers(found) == [20 * part if part % 2 == 0 else 20 * part + 10 for part in range(12)]
    assert decoded["alone"] == 6


def test_of_two_keyframes_in_a_part_the_one_nearer_to_its_middle_is_taken(tmp_path):
    path = write_video(tmp_path / "a.mp4", 60, keyframe_every=8, options={"sc_threshold": "0"})
    found, _ = read(path, 2)
    assert numbers(found) == [16, 48]  # middles 15 and 45; keyframes 0, 8, 16, ... 56, of which 40 and 48 are near 45


def test_all_pictures_are_thumbnails_of_those_that_the_reader_gives(tmp_path):
    path = write_video(tmp_path / "a.mkv", 100, keyframe_every=30, options={"bf": "3"})
    with open_media(path, Sampling(max_frames=100)) as reader:
        every = list(reader)
    found, _ = read(path, 7, 20)
    times = [frame.timestamp_s for frame in every]
    for one in found:
        frame = every[times.index(one.timestamp_s)]
        np.testing.assert_array_equal(one.rgb, cv2.resize(frame.rgb, (30, 20), interpolation=cv2.INTER_AREA))


def test_keyframes_come_first_so_that_a_strip_fills_at_once(tmp_path):
    path = write_video(tmp_path / "a.mp4", 80, keyframe_every=40)
    with open_thumbnails(path, 4, 16) as reader:
        assert [one.part for one in reader] == [0, 2, 1, 3]


def test_a_variable_frame_rate_gives_the_pictures_on_screen(tmp_path):
    # One picture stands from 0.3 to 5.3 s; parts of one second.
    times_ms = [0, 100, 200, 300, 5300, 5400, 5500, 5600, 5700, 5960]
    path = write_video(tmp_path / "a.mkv", times_ms=times_ms, keyframe_every=100, options={"bf": "0"})
    found, reader = read(path, 6)
    assert reader.num_parts == 6
    assert numbers(found) == [0, 3, 3, 3, 3, 6]
    np.testing.assert_allclose([one.timestamp_s for one in found], [0, 0.3, 0.3, 0.3, 0.3, 5.5])


def test_long_clips_are_decoded_roughly_and_still_say_their_true_times(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "_EXACT_PIXELS", 0)
    path = write_video(tmp_path / "a.mp4", 200, keyframe_every=100, options={"bf": "3", "b_strategy": "0"})
    found, _ = read(path, 10)
    assert [one.part for one in found] == list(range(10))
    np.testing.assert_allclose([one.timestamp_s for one in found], np.array(numbers(found)) / 25)
    middles = (np.arange(10) + 0.5) * 0.8
    assert np.abs(np.array([one.timestamp_s for one in found]) - middles)[1:5].max() <= 4 / 25


def test_pictures_without_times_are_numbered_right_even_when_decoded_roughly(tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "_EXACT_PIXELS", 0)
    path = write_video(tmp_path / "a.h264", 40, container_format="h264", options={"bf": "3"})
    found, _ = read(path, 4)
    np.testing.assert_allclose([one.timestamp_s for one in found], np.array(numbers(found)) / 25)
    assert numbers(found) == [5, 15, 25, 35]


def test_rotation_and_the_shape_of_pixels_are_applied(tmp_path):
    def wide(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = write_video(tmp_path / "a.mp4", 4, setup=wide)
    patch_display_matrix(path, 0, 1, -1, 0)  # a quarter turn clockwise
    found, reader = read(path, 1, 32)
    assert (reader.info.width, reader.info.height) == (HEIGHT, WIDTH * 4 // 3)
    assert found[0].rgb.shape == (32, 16, 3)
    left, right = found[0].rgb[16, 2], found[0].rgb[16, -3]
    assert left.max() < 250
    assert left[0] > left[2] or left[2] > left[0]  # the coloured half has turned to the left ...
    assert np.ptp(right.astype(int)) < 30  # ... and the black and white one to the right


def test_a_damaged_middle_is_left_out_and_the_rest_shown(tmp_path):
    path = write_video(tmp_path / "a.ts", 200, keyframe_every=20, options={"bf": "0"})
    data = bytearray(path.read_bytes())
    data[len(data) * 4 // 10 : len(data) * 6 // 10] = bytes(len(data) * 2 // 10)
    path.write_bytes(data)
    found, reader = read(path, 10)
    parts = [one.part for one in found]
    assert {0, 1, 2, 8, 9} <= set(parts)
    part_s = reader.info.duration_s / reader.num_parts
    until = np.append(reader.times_s[1:], reader.info.duration_s)
    for one in found:  # each is on screen within its part, or comes soon after it
        gone_s = until[np.searchsorted(reader.times_s, one.timestamp_s - 1e-6)]
        assert gone_s > one.part * part_s
        assert one.timestamp_s < (one.part + 1.5) * part_s


def test_a_file_that_breaks_off_is_divided_as_far_as_it_goes(tmp_path):
    path = write_video(tmp_path / "a.ts", 100, keyframe_every=20)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    found, reader = read(path, 5)
    assert reader.info.duration_s < 3
    assert len(found) >= 4
    assert max(one.timestamp_s for one in found) <= reader.info.duration_s


def test_a_photo_has_one(tmp_path):
    Image.fromarray(pattern(5)).save(tmp_path / "a.png")
    found, reader = read(tmp_path / "a.png", 12, 32)
    assert (reader.num_parts, [one.part for one in found]) == (1, [0])
    assert found[0].rgb.shape == (32, 48, 3)
    assert (numbers(found), found[0].timestamp_s) == ([5], 0.0)


@pytest.mark.parametrize(
    ("image_hw", "expected_hw"),
    [
        ((1, 3000), (1, 384)),
        ((3000, 1), (48, 1)),
        ((20, 30), (20, 30)),
        ((96, 200), (48, 100)),
        ((96, 1000), (37, 384)),
    ],
)
def test_thumbnails_are_never_enlarged_and_never_wider_than_eight_times_their_height(tmp_path, image_hw, expected_hw):
    Image.new("RGB", image_hw[::-1]).save(tmp_path / "a.png")
    (found,), _ = read(tmp_path / "a.png", 4, 48)
    assert found.rgb.shape[:2] == expected_hw


def test_an_animation_is_divided_by_its_own_times(tmp_path):
    first, *others = [Image.fromarray(pattern(number)) for number in range(4)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others, duration=[150, 100, 500, 50])
    found, _ = read(tmp_path / "a.gif", 4)
    assert numbers(found) == [0, 2, 2, 2]  # middles at 0.1, 0.3, 0.5 and 0.7 s


def test_a_clip_of_few_pictures_gives_all_it_has(tmp_path):
    found, reader = read(write_video(tmp_path / "a.mp4", 3), 50)
    assert (reader.num_parts, numbers(found)) == (3, [0, 1, 2])


def test_when_time_is_up_what_there_is_stays(tmp_path):
    path = write_video(tmp_path / "a.mp4", 100, keyframe_every=50)
    with open_thumbnails(path, 10, 16) as reader:
        pictures = iter(reader)
        assert [next(pictures).part for _ in range(3)] == [0, 5, 1]
        reader._clock._budget_s = 0.0
        assert list(pictures) == []


def test_a_file_that_takes_too_long_to_understand_is_refused(tmp_path):
    with pytest.raises(MediaLimitError, match="takes longer than the limit of 1e-09 s"):
        open_thumbnails(write_video(tmp_path / "a.mp4"), 3, 16, budget_s=1e-9)


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(MediaError, match=r"clip\.mp4 is not a photo or video"):
        open_thumbnails(tmp_path / "a.mp4", 3, 16, name="clip.mp4")
    with pytest.raises(MediaLimitError, match="96 x 64 pixels"):
        open_thumbnails(write_video(tmp_path / "b.mp4"), 3, 16, MediaLimits(max_frame_pixels=100))


@pytest.mark.parametrize(("count", "height"), [(0, 16), (3, 0)])
def test_no_thumbnails_or_of_no_height_are_refused(tmp_path, count, height):
    with pytest.raises(ConfigError, match=f"not {count} and {height}"):
        open_thumbnails(tmp_path / "a.mp4", count, height)
