"""Files that cannot be read, or only in part: one sentence each, nothing on the terminal."""

import os
import threading

import av
import numpy as np
import pytest
from PIL import Image

from tests.media_cases import numbers_in, pattern, write_sound, write_video
from tokenlearner.errors import Cancelled, ConfigError, MediaError, MediaLimitError
from tokenlearner.media import MediaLimits, Sampling, content_sha256, open_media, probe
from tokenlearner.media import limits as limits_module
from tokenlearner.media.limits import DecodeClock


def read(path, sampling=None, limits=None):
    with open_media(path, sampling or Sampling(), limits or MediaLimits()) as reader:
        return list(reader), reader


def refusal(path):
    with pytest.raises(MediaError) as caught:
        read(path)
    message = str(caught.value)
    assert path.name in message
    assert len(message) < 200
    assert "\n" not in message
    return message


def test_a_missing_file(tmp_path):
    assert refusal(tmp_path / "gone.mp4").startswith("There is no file gone.mp4.")


def test_a_folder(tmp_path):
    assert refusal(tmp_path) == f"{tmp_path.name} is a folder. Choose one photo or video in it."


def test_an_empty_file(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert refusal(tmp_path / "a.mp4") == "a.mp4 is empty (0 bytes). Copy or upload it again."


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.mp4")
    assert refusal(tmp_path / "a.mp4").startswith("a.mp4 is not an ordinary file.")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="everything may be read by root")
def test_a_file_that_may_not_be_read(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"x")
    (tmp_path / "a.mp4").chmod(0)
    assert refusal(tmp_path / "a.mp4") == "a.mp4 cannot be opened (permission denied)."


NOT_MEDIA = "is not a photo or video that can be read here. Choose a JPEG or PNG picture, or an MP4 video."


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes.jpg"])
def test_text(tmp_path, name):
    (tmp_path / name).write_text("Dear diary,\n" * 40)
    assert refusal(tmp_path / name) == f"{name} {NOT_MEDIA}"


def test_a_coloured_log_is_not_a_video_of_a_terminal(tmp_path):
    (tmp_path / "log.ans").write_bytes(b"\x1b[2J\x1b[31mred\x1b[0m plain \x1b[1;32mgreen\x1b[0m\r\n" * 200)
    assert refusal(tmp_path / "log.ans") == f"log.ans {NOT_MEDIA}"


def test_noise(tmp_path):
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(5).bytes(50_000))
    refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}\n#EXT-X-ENDLIST\n"),
        ("a.ffconcat", "ffconcat version 1.0\nfile '{0}'\n"),
    ],
)
def test_a_playlist_cannot_make_us_open_other_files(tmp_path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "secret.mp4")
    (tmp_path / name).write_text(text.format("secret.mp4"))
    assert refusal(tmp_path / name) == f"{name} {NOT_MEDIA}"


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.mkv", "aac")])
def test_sound_alone(tmp_path, name, codec):
    write_sound(tmp_path / name, codec)
    assert refusal(tmp_path / name) == f"{name} holds sound but no video. Choose a photo or a video file."


def test_a_video_under_a_pictures_name(tmp_path):
    write_video(tmp_path / "a.mp4", 3).rename(tmp_path / "a.jpg")
    frames, reader = read(tmp_path / "a.jpg")
    assert numbers_in(frames) == [0, 1, 2]
    assert reader.info.kind == "video"


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    return path


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_an_mp4_whose_index_is_missing_or_torn(tmp_path, share):
    message = refusal(cut(write_video(tmp_path / "a.mp4", 50), share))
    assert message.startswith("a.mp4 is incomplete or damaged: its index cannot be read.")


def test_a_matroska_file_that_breaks_off(tmp_path):
    frames, reader = read(cut(write_video(tmp_path / "a.mkv", 200), 0.6))
    count = len(frames)
    assert 80 < count < 190
    assert numbers_in(frames) == [number % 256 for number in range(count)]
    assert reader.notes == (
        f"This file announces 8.0 s but stops after {reader.info.duration_s:.1f} s (damaged or incomplete). "
        "The part before it is shown.",
    )
    assert reader.info.num_frames == count


def test_an_mp4_that_breaks_off_behind_its_index(tmp_path):
    path = write_video(tmp_path / "a.mp4", 200, container_options={"movflags": "+faststart"})
    frames, reader = read(cut(path, 0.6))
    count = len(frames)
    assert 50 < count < 190
    assert numbers_in(frames) == list(range(count))
    (note,) = reader.notes
    assert note.startswith("This file announces 8.0 s but stops after ")


def test_a_transport_stream_that_breaks_off_is_just_shorter(tmp_path):
    path = cut(write_video(tmp_path / "a.ts", 200, options={"bf": "0"}), 0.5)
    frames, reader = read(path)
    count = len(frames)
    assert 50 < count < 150
    assert numbers_in(frames) == list(range(count))
    assert reader.info.num_frames == pytest.approx(count, abs=1)


def spoil(path, begin, end):
    """Overwrite a part of a file, given in shares of its length, with zeros."""
    data = bytearray(path.read_bytes())
    first, last = int(begin * len(data)), int(end * len(data))
    data[first:last] = bytes(last - first)
    path.write_bytes(data)
    return path


def test_a_hole_in_the_middle_is_read_past(tmp_path):
    path = write_video(tmp_path / "a.mp4", 200, codec="mpeg4", container_options={"movflags": "+faststart"})
    frames, reader = read(spoil(path, 0.5, 0.55))
    numbers = numbers_in(frames)
    assert numbers[:50] == list(range(50))
    assert numbers[-20:] == list(range(180, 200))
    assert len(frames) < 200
    assert reader.notes == ("Parts of this file are damaged; pictures there may be missing or spoilt.",)


def test_a_picture_that_stood_in_for_a_damaged_one_does_not_come_again(tmp_path):
    path = write_video(tmp_path / "a.mp4", 300, keyframe_every=100, options={"sc_threshold": "0", "bf": "0"})
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        for number, packet in enumerate(container.demux(container.streams.video[0])):
            if 110 <= number < 200:  # up to the keyframe at which the next stretch begins
                data[packet.pos : packet.pos + packet.size] = bytes(packet.size)
    path.write_bytes(data)
    frames, _ = read(path, Sampling(max_frames=6))
    assert [frame.index for frame in frames] == [0, 50, 100, 200, 250]
    assert len({frame.timestamp_s for frame in frames}) == len(frames)


def test_a_file_that_is_spoilt_to_the_end_gives_what_comes_before(tmp_path):
    path = write_video(tmp_path / "a.mp4", 200, codec="mpeg4", container_options={"movflags": "+faststart"})
    frames, reader = read(spoil(path, 0.6, 1.0))
    count = len(frames)
    assert 80 < count < 190
    assert numbers_in(frames[: count - 2]) == list(range(count - 2))
    stop_s = frames[-1].timestamp_s
    assert reader.notes == (f"This file stops after {stop_s:.1f} s (damaged). The part before it is shown.",)
    assert reader.info.duration_s == pytest.approx(8.0)


def test_a_range_in_which_nothing_can_be_decoded(tmp_path):
    path = write_video(tmp_path / "a.mp4", 200, codec="mpeg4", container_options={"movflags": "+faststart"})
    spoil(path, 0.6, 1.0)
    with pytest.raises(MediaError, match=r"a.mp4 is damaged: not one picture in the chosen range can be decoded"):
        read(path, Sampling(start_s=7.5))


def test_a_video_in_which_nothing_can_be_decoded(tmp_path):
    path = write_video(tmp_path / "a.mp4", 20, codec="mpeg4", container_options={"movflags": "+faststart"})
    data = bytearray(path.read_bytes())
    place = data.index(b"mdat") + 4
    data[place:] = b"\xff" * (len(data) - place)
    path.write_bytes(data)
    assert refusal(path) == "a.mp4 is damaged: not one picture in it can be decoded."


def test_a_wrong_duration_in_the_header_is_not_believed(tmp_path):
    path = write_video(tmp_path / "a.mkv", 25)
    data = bytearray(path.read_bytes())
    place = data.index(b"\x44\x89\x88") + 3  # Matroska's Duration: an 8-byte float, in milliseconds
    data[place : place + 8] = np.array([90_000.0], ">f8").tobytes()
    path.write_bytes(data)
    frames, reader = read(path)
    assert numbers_in(frames) == list(range(25))
    assert reader.info.duration_s == pytest.approx(1.0, abs=2e-3)
    assert reader.notes[0].startswith("This file announces 90.0 s but stops after 1.0 s")


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "ts"])
def test_a_late_start_is_no_damage(tmp_path, suffix):
    path = write_video(tmp_path / f"a.{suffix}", times_ms=[500_000 + 40 * number for number in range(20)])
    frames, reader = read(path)
    assert numbers_in(frames) == list(range(20))
    assert (frames[0].timestamp_s, reader.notes) == (0, ())
    assert reader.info.duration_s == pytest.approx(0.8, abs=0.01)


def test_a_wrong_number_of_frames_in_the_header_is_not_believed(tmp_path):
    path = write_video(tmp_path / "a.avi", 25, codec="mpeg4")
    data = bytearray(path.read_bytes())
    place = data.index(b"avih") + 8 + 16
    data[place : place + 4] = (7).to_bytes(4, "little")
    path.write_bytes(data)
    frames, reader = read(path)
    assert (len(frames), reader.info.num_frames) == (25, 25)


def test_damage_is_silent_on_the_terminal(tmp_path, capfd):
    video = spoil(write_video(tmp_path / "a.mkv", 60), 0.3, 0.5)
    read(video)
    picture = tmp_path / "a.png"
    Image.fromarray(pattern(3)).save(picture)
    refusal(spoil(picture, 0.1, 0.4))
    assert capfd.readouterr() == ("", "")


def test_random_damage_never_gives_anything_but_pictures_or_a_media_error(tmp_path):
    random = np.random.default_rng(2)
    sources = [
        write_video(tmp_path / "a.mp4", 20),
        write_video(tmp_path / "a.mkv", 20, codec="libvpx-vp9"),
        write_video(tmp_path / "a.ts", 20),
        write_video(tmp_path / "a.avi", 20, codec="mpeg4"),
    ]
    for suffix in ("png", "gif", "webp", "tiff", "jpg"):
        first, *others = [Image.fromarray(pattern(number)) for number in range(3)]
        first.save(tmp_path / f"b.{suffix}", save_all=suffix != "jpg", append_images=others)
        sources.append(tmp_path / f"b.{suffix}")
    outcomes = []
    for turn in range(90):
        source = sources[turn % len(sources)]
        data = np.frombuffer(source.read_bytes(), np.uint8).copy()
        places = random.integers(0, min(len(data), 800 if turn % 2 else len(data)), 12)
        data[places] = random.integers(0, 256, len(places))
        (tmp_path / f"damaged{source.suffix}").write_bytes(data.tobytes())
        try:
            frames, reader = read(tmp_path / f"damaged{source.suffix}")
        except MediaError:
            outcomes.append("refused")
            continue
        outcomes.append("read")
        assert all(frame.rgb.shape == (reader.info.height, reader.info.width, 3) for frame in frames)
    assert {"refused", "read"} <= set(outcomes)


def test_size_of_file_is_limited(tmp_path):
    (tmp_path / "a.mp4").write_bytes(bytes(2500))
    with pytest.raises(MediaLimitError, match=r"a.mp4 is 2.5 kB large; the limit is 999 bytes"):
        probe(tmp_path / "a.mp4", MediaLimits(max_file_bytes=999))


def test_pixels_of_a_video_are_limited_before_decoding(tmp_path):
    path = write_video(tmp_path / "a.mp4", size=(128, 80))
    assert probe(path, MediaLimits(max_frame_pixels=128 * 80)).width == 128
    with pytest.raises(MediaLimitError, match=r"a.mp4 has 128 x 80 pixels"):
        probe(path, MediaLimits(max_frame_pixels=128 * 80 - 1))


def test_pixels_are_limited_as_displayed_too(tmp_path):
    def setup(stream):
        stream.codec_context.sample_aspect_ratio = 3

    path = write_video(tmp_path / "a.mkv", setup=setup)
    with pytest.raises(MediaLimitError, match=r"a.mkv has 288 x 64 pixels"):
        probe(path, MediaLimits(max_frame_pixels=10_000))


def test_duration_is_limited_over_the_chosen_range(tmp_path):
    path = write_video(tmp_path / "a.mkv", times_ms=[1000 * second for second in range(100)])
    limits = MediaLimits(max_duration_s=65.0)
    assert probe(path, limits).duration_s > 65
    with pytest.raises(MediaLimitError, match=r"range of a.mkv lasts 1:3\d min; the limit is 1:05 min"):
        read(path, limits=limits)
    frames, _ = read(path, Sampling(start_s=30.0, end_s=90.0), limits)
    assert numbers_in(frames) == list(range(30, 90))


def test_decoding_time_is_limited_before_the_first_picture(tmp_path):
    with pytest.raises(MediaLimitError, match=r"Reading a.mp4 takes longer than the limit of 1e-09 s"):
        probe(write_video(tmp_path / "a.mp4"), MediaLimits(max_decode_s=1e-9))


def test_when_decoding_time_is_up_the_pictures_so_far_are_kept(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 100, options={"bf": "0"})
    with open_media(path) as reader:
        frames = []
        for frame in reader:
            frames.append(frame)
            if frame.index == 30:
                monkeypatch.setattr(DecodeClock, "is_up", lambda clock: True)
    assert numbers_in(frames)[:31] == list(range(31))
    assert len(frames) < 60
    stop_s = frames[-1].timestamp_s
    assert reader.notes == (f"Reading took too long and was stopped at {stop_s:.1f} s. The part before it is shown.",)


class SetLater(threading.Event):
    """An event that is set once it has been asked so many times."""

    def __init__(self, asked):
        super().__init__()
        self.left = asked

    def is_set(self):
        self.left -= 1
        return self.left < 0


def test_reading_can_be_stopped_between_two_wanted_pictures(tmp_path):
    path = write_video(tmp_path / "a.mp4", 300, keyframe_every=300, options={"sc_threshold": "0"})
    frames = []
    with open_media(path, Sampling(max_frames=2), cancel=SetLater(60)) as reader, pytest.raises(Cancelled):
        frames.extend(reader)
    assert numbers_in(frames) == [0]


def test_opening_can_be_stopped(tmp_path):
    cancel = threading.Event()
    cancel.set()
    with pytest.raises(Cancelled):
        open_media(write_video(tmp_path / "a.mp4"), cancel=cancel)


def test_the_clock_counts_what_happens_inside_and_not_in_between(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(limits_module.time, "perf_counter", lambda: now[0])
    clock = DecodeClock(5.0)
    for _ in range(2):
        with clock.running():
            now[0] += 2.0
        now[0] += 100.0
    assert clock.spent_s == 4.0
    assert not clock.is_up()
    with clock.running():
        now[0] += 1.5
        assert clock.is_up()


@pytest.mark.parametrize(
    ("name", "zero"), [("max_file_bytes", 0), ("max_frame_pixels", 0), ("max_duration_s", 0.0), ("max_decode_s", 0.0)]
)
def test_limits_must_be_positive(name, zero):
    with pytest.raises(ConfigError, match=rf"{name} must be positive, not 0"):
        MediaLimits(**{name: zero})


def test_a_digest_of_a_missing_file(tmp_path):
    with pytest.raises(MediaError, match=r"gone.mp4 cannot be opened"):
        content_sha256(tmp_path / "gone.mp4")


def test_the_digest_is_sha256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # FIPS 180-2, appendix B.1
    assert content_sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
