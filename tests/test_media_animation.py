import threading

import numpy as np
import pytest
from PIL import Image, features

from tests.media_cases import HEIGHT, WIDTH, mean_difference, number_in, numbers_in, pattern
from tokenlearner.errors import Cancelled, MediaError, MediaLimitError
from tokenlearner.media import MediaLimits, Sampling, open_media, probe
from tokenlearner.media.limits import DecodeClock

DURATIONS_MS = [70, 60, 200, 40]
TIMES_S = [0.0, 0.07, 0.13, 0.33]


def write(path, count=4, duration=None, **options):
    first, *others = [Image.fromarray(pattern(number)) for number in range(count)]
    first.save(path, save_all=True, append_images=others, duration=duration or DURATIONS_MS[:count], **options)
    return path


def read(path, **how):
    with open_media(path, **how) as reader:
        return list(reader), reader


@pytest.mark.parametrize(("suffix", "codec"), [("gif", "gif"), ("webp", "webp"), ("png", "apng"), ("avif", "avif")])
def test_animations_are_videos_with_the_durations_they_state(tmp_path, suffix, codec):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    frames, reader = read(write(tmp_path / f"a.{suffix}"))
    info = reader.info
    assert numbers_in(frames) == [0, 1, 2, 3]
    np.testing.assert_allclose([frame.timestamp_s for frame in frames], TIMES_S, atol=1e-9)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert (info.kind, info.codec, info.width, info.height, info.num_frames) == ("video", codec, WIDTH, HEIGHT, 4)
    assert info.duration_s == pytest.approx(0.37)
    assert info.fps == pytest.approx(4 / 0.37)
    assert mean_difference(frames[2].rgb, pattern(2)) < 3


@pytest.mark.parametrize("duration_ms", [0, 10])
def test_hurried_pictures_are_shown_for_a_tenth_of_a_second_as_in_browsers(tmp_path, duration_ms):
    frames, reader = read(write(tmp_path / "a.gif", duration=[duration_ms, 20, duration_ms, 20]))
    np.testing.assert_allclose([frame.timestamp_s for frame in frames], [0, 0.1, 0.12, 0.22])
    assert reader.info.duration_s == pytest.approx(0.24)


def test_disposal_and_transparency_are_composed_on_white(tmp_path):
    # Each picture draws one square and is cleared away before the next.
    pictures = []
    for number in range(3):
        picture = Image.new("RGBA", (30, 10))
        picture.paste((200, 0, 0, 255), (10 * number, 0, 10 * number + 10, 10))
        pictures.append(picture)
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=50, disposal=2)
    frames, _ = read(tmp_path / "a.gif")
    for number, frame in enumerate(frames):
        expected = np.full((10, 30, 3), 255, np.uint8)
        expected[:, 10 * number : 10 * number + 10] = (200, 0, 0)
        np.testing.assert_array_equal(frame.rgb, expected)


def test_the_still_for_programs_that_do_not_animate_is_left_out(tmp_path):
    frames, reader = read(write(tmp_path / "a.png", duration=[30, 50, 90], default_image=True))
    assert numbers_in(frames) == [1, 2, 3]
    np.testing.assert_allclose([frame.timestamp_s for frame in frames], [0, 0.03, 0.08])
    assert reader.info.num_frames == 3


def test_a_gif_of_one_picture_is_an_image(tmp_path):
    Image.fromarray(pattern(5)).save(tmp_path / "a.gif")
    info = probe(tmp_path / "a.gif")
    assert (info.kind, info.num_frames, info.duration_s) == ("image", 1, 0.0)


def test_sampling_picks_by_time(tmp_path):
    frames, reader = read(write(tmp_path / "a.webp"), sampling=Sampling(start_s=0.1, max_frames=2))
    # From 0.1 to 0.37 s in two parts: on screen at 0.1 s is picture 1, at 0.235 s picture 2.
    assert numbers_in(frames) == [1, 2]
    np.testing.assert_allclose(reader.planned_s, [0.07, 0.13])


def test_it_can_be_read_twice(tmp_path):
    with open_media(write(tmp_path / "a.gif")) as reader:
        assert numbers_in(list(reader)) == numbers_in(list(reader)) == [0, 1, 2, 3]


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_an_animation_that_breaks_off_gives_what_comes_before(tmp_path, suffix):
    path = write(tmp_path / f"a.{suffix}", 10, duration=[100] * 10)
    data = path.read_bytes()
    path.write_bytes(data[: 6 * len(data) // 10])
    frames, reader = read(path)
    assert 2 <= len(frames) < 10
    assert numbers_in(frames) == list(range(len(frames)))
    if suffix == "png":  # a GIF does not say how many pictures it should hold
        stop_s = len(frames) * 0.1
        assert reader.notes == (f"This file stops after {stop_s:.1f} s (damaged). The part before it is shown.",)


def test_an_animation_without_one_good_picture_is_refused(tmp_path):
    path = write(tmp_path / "a.png")
    data = bytearray(path.read_bytes())
    place = data.index(b"IDAT") + 4
    data[place : place + 40] = bytes(40)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"^a.png is damaged"):
        read(path)


def test_pixels_are_limited(tmp_path):
    with pytest.raises(MediaLimitError, match=rf"a.gif has {WIDTH} x {HEIGHT} pixels"):
        probe(write(tmp_path / "a.gif"), MediaLimits(max_frame_pixels=1000))


def test_decoding_time_is_limited(tmp_path):
    with pytest.raises(MediaLimitError, match=r"Reading a.gif takes longer than the limit of 1e-09 s"):
        probe(write(tmp_path / "a.gif"), MediaLimits(max_decode_s=1e-9))


def test_a_long_animation_keeps_nobody_from_opening_another_picture(tmp_path, monkeypatch):
    inside, release = threading.Event(), threading.Event()

    def check(clock, name):  # asked before each picture of an animation
        inside.set()
        release.wait(20)

    monkeypatch.setattr(DecodeClock, "check", check)
    write(tmp_path / "long.gif")
    Image.fromarray(pattern(0)).save(tmp_path / "photo.png")
    long = threading.Thread(target=probe, args=(tmp_path / "long.gif",))
    photo = threading.Thread(target=probe, args=(tmp_path / "photo.png",))
    long.start()
    assert inside.wait(20)
    photo.start()
    photo.join(5)
    opened = not photo.is_alive()
    release.set()
    long.join()
    photo.join()
    assert opened


def test_reading_can_be_stopped_between_two_wanted_pictures(tmp_path):
    cancel = threading.Event()
    with open_media(write(tmp_path / "a.gif"), Sampling(max_frames=2), cancel=cancel) as reader:
        frames = iter(reader)
        next(frames)
        cancel.set()
        with pytest.raises(Cancelled):
            next(frames)


def test_when_decoding_time_is_up_the_pictures_so_far_are_kept(tmp_path, monkeypatch):
    with open_media(write(tmp_path / "a.gif")) as reader:
        frames = []
        for frame in reader:
            frames.append(frame)
            if frame.index == 2:
                monkeypatch.setattr(DecodeClock, "is_up", lambda clock: True)
    assert numbers_in(frames) == [0, 1, 2]
    assert reader.notes == ("Reading took too long and was stopped at 0.1 s. The part before it is shown.",)


def test_frames_survive_the_next_one(tmp_path):
    with open_media(write(tmp_path / "a.gif")) as reader:
        first, second, *_ = reader
    assert (number_in(first.rgb), number_in(second.rgb)) == (0, 1)
