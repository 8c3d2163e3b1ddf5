import io
import threading
import weakref
from fractions import Fraction

import av
import numpy as np
import pytest
from av.stream import Disposition
from PIL import Image

from tests.media_cases import (
    HEIGHT,
    WIDTH,
    mean_difference,
    number_in,
    numbers_in,
    patch_display_matrix,
    pattern,
    write_video,
)
from tokenlearner.errors import MediaError
from tokenlearner.media import Sampling, content_sha256, open_media, probe
from tokenlearner.media.decode import Decoder
from tokenlearner.media.video import VideoSource

MATRICES = {
    90: ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1)),
    180: ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2)),
    270: ((0, -1, 1, 0), lambda rgb: np.rot90(rgb, 1)),
    0: ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1]),
}
CODECS = [
    ("a.mp4", "libx264", "yuv420p", "h264"),
    ("a.mp4", "libx264", "yuv420p10le", "h264"),
    ("a.mkv", "libx264", "yuv444p", "h264"),
    ("a.mp4", "libx265", "yuv420p", "hevc"),
    ("a.mp4", "libx265", "yuv420p10le", "hevc"),
    ("a.webm", "libvpx-vp9", "yuv420p", "vp9"),
    ("a.webm", "libvpx", "yuv420p", "vp8"),
    ("a.mkv", "libsvtav1", "yuv420p10le", "av1"),
    ("a.mov", "prores", "yuv422p10le", "prores"),
    ("a.avi", "mpeg4", "yuv420p", "mpeg4"),
    ("a.avi", "mjpeg", "yuvj420p", "mjpeg"),
    ("a.mpg", "mpeg2video", "yuv420p", "mpeg2video"),
    ("a.ts", "libx264", "yuv420p", "h264"),
    ("a.flv", "libx264", "yuv420p", "h264"),
    ("a.mkv", "ffv1", "yuv420p", "ffv1"),
]


def read(path, sampling=None):
    with open_media(path, sampling or Sampling()) as reader:
        return list(reader), reader


def times_of(frames):
    return [frame.timestamp_s for frame in frames]


@pytest.mark.parametrize(("name", "encoder", "pix_fmt", "codec"), CODECS)
def test_codecs_and_containers(tmp_path, monkeypatch, name, encoder, pix_fmt, codec):
    monkeypatch.setenv("SVT_LOG", "1")  # the AV1 encoder of this test is talkative
    frames, reader = read(write_video(tmp_path / name, 14, codec=encoder, pix_fmt=pix_fmt))
    info = reader.info
    assert numbers_in(frames) == list(range(14))
    assert [frame.index for frame in frames] == list(range(14))
    np.testing.assert_allclose(times_of(frames), np.arange(14) / 25, atol=2e-3)
    assert (info.kind, info.codec, info.width, info.height) == ("video", codec, WIDTH, HEIGHT)
    assert (info.num_frames, info.rotation_deg, reader.notes) == (14, 0, ())
    assert info.duration_s == pytest.approx(0.56, abs=3e-3)
    assert info.fps == pytest.approx(25, rel=0.01)
    assert mean_difference(frames[9].rgb, pattern(9)) < 8


def test_frames_are_contiguous_writable_uint8(tmp_path):
    frames, _ = read(write_video(tmp_path / "a.mp4", 2))
    rgb = frames[0].rgb
    assert (rgb.dtype, rgb.shape) == (np.uint8, (HEIGHT, WIDTH, 3))
    assert rgb.flags.c_contiguous
    rgb[:] = 0
    assert number_in(frames[1].rgb) == 1


@pytest.mark.parametrize(("codec", "pix_fmt"), [("libvpx-vp9", "yuv420p"), ("ffv1", "yuv420p"), ("libx264", "yuv444p")])
def test_odd_sizes_keep_their_last_row_and_column(tmp_path, codec, pix_fmt):
    frames, reader = read(write_video(tmp_path / "a.mkv", 3, codec=codec, pix_fmt=pix_fmt, size=(101, 67)))
    assert (reader.info.width, reader.info.height) == (101, 67)
    assert mean_difference(frames[1].rgb, pattern(1, 101, 67)) < 8
    np.testing.assert_allclose(frames[1].rgb[-1, 80:].mean(0), pattern(0, 101, 67)[-1, -1], atol=16)


def test_one_picture_is_a_video_of_one(tmp_path):
    frames, reader = read(write_video(tmp_path / "a.mp4", 1))
    assert times_of(frames) == [0.0]
    assert (reader.info.kind, reader.info.num_frames) == ("video", 1)
    assert reader.info.duration_s == pytest.approx(0.04)


@pytest.mark.parametrize("degrees", MATRICES)
def test_a_display_matrix_is_baked_in(tmp_path, degrees):
    numbers, turned = MATRICES[degrees]
    path = write_video(tmp_path / "a.mp4", 4)
    patch_display_matrix(path, *numbers)
    frames, reader = read(path)
    expected = turned(pattern(2))
    assert mean_difference(frames[2].rgb, expected) < 8
    assert (reader.info.height, reader.info.width) == expected.shape[:2]
    assert reader.info.rotation_deg == degrees
    assert frames[2].rgb.flags.c_contiguous


def test_a_turn_is_found_beside_side_data_that_pyav_has_no_name_for(tmp_path):
    # Motion JPEG whose pictures carry Exif data.
    exif = Image.Exif()
    exif[271] = "A camera maker"
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        for number in range(3):
            jpeg = io.BytesIO()
            Image.fromarray(pattern(number)).save(jpeg, "JPEG", exif=exif)
            packet = av.Packet(jpeg.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, number, number, Fraction(1, 25)
            packet.is_keyframe = True
            container.mux(packet)
    patch_display_matrix(tmp_path / "a.mp4", *MATRICES[90][0])
    frames, reader = read(tmp_path / "a.mp4")
    assert reader.info.rotation_deg == 90
    assert mean_difference(frames[2].rgb, np.rot90(pattern(2), -1)) < 8


@pytest.mark.parametrize(
    ("aspect", "size"),
    [(Fraction(4, 3), (128, 64)), (Fraction(1, 2), (96, 128)), (Fraction(1, 99), (96, 64))],
)
def test_pixels_that_are_not_square_are_made_square_unless_absurd(tmp_path, aspect, size):
    def setup(stream):
        stream.codec_context.sample_aspect_ratio = aspect

    frames, reader = read(write_video(tmp_path / "a.mkv", 5, setup=setup))
    assert (reader.info.width, reader.info.height) == size
    assert mean_difference(frames[3].rgb, pattern(3, *size)) < 8


def test_rotation_and_pixel_shape_together(tmp_path):
    def setup(stream):
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)

    path = write_video(tmp_path / "a.mp4", 2, setup=setup)
    patch_display_matrix(path, 0, 1, -1, 0)
    frames, reader = read(path)
    assert (reader.info.width, reader.info.height) == (64, 128)
    assert mean_difference(frames[1].rgb, np.rot90(pattern(1, 128, 64), -1)) < 8


VARIABLE_MS = [0, 40, 60, 500, 520, 1900, 1940, 4000]


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_variable_frame_rates_keep_each_time(tmp_path, name):
    frames, reader = read(write_video(tmp_path / name, times_ms=VARIABLE_MS))
    assert numbers_in(frames) == list(range(8))
    np.testing.assert_allclose(times_of(frames), np.array(VARIABLE_MS) / 1000, atol=1e-6)
    assert reader.info.duration_s >= 4.0


def test_sampling_a_variable_rate_is_uniform_in_time(tmp_path):
    path = write_video(tmp_path / "a.mkv", times_ms=VARIABLE_MS)
    frames, _ = read(path, Sampling(end_s=4.0, max_frames=4))
    # On screen at 0 s, 1 s, and at both 2 s and 3 s.
    assert numbers_in(frames) == [0, 4, 6]


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.mp4"])
def test_a_late_start_counts_from_the_first_picture(tmp_path, name):
    frames, reader = read(write_video(tmp_path / name, times_ms=[7000 + 40 * number for number in range(9)]))
    assert numbers_in(frames) == list(range(9))
    np.testing.assert_allclose(times_of(frames), np.arange(9) / 25, atol=2e-3)
    assert reader.info.duration_s == pytest.approx(0.36, abs=3e-3)


def test_recordings_joined_end_to_end_play_one_after_the_other(tmp_path):
    part = write_video(tmp_path / "part.ts", times_ms=[40 * number for number in range(60)])
    (tmp_path / "a.ts").write_bytes(2 * part.read_bytes())
    frames, reader = read(tmp_path / "a.ts")
    assert numbers_in(frames) == 2 * list(range(60))
    np.testing.assert_allclose(times_of(frames), np.arange(120) / 25, atol=2e-3)
    assert reader.info.duration_s == pytest.approx(4.8, abs=3e-3)


def test_a_leap_of_a_transport_streams_clock_is_closed(tmp_path):
    times = [*range(0, 400, 40), *range(900_000, 900_400, 40)]
    frames, _ = read(write_video(tmp_path / "a.ts", times_ms=times, options={"bf": "0"}))
    assert numbers_in(frames) == list(range(20))
    np.testing.assert_allclose(times_of(frames), np.arange(20) / 25, atol=2e-3)


def test_a_picture_held_for_a_minute_elsewhere_is_held(tmp_path):
    frames, reader = read(write_video(tmp_path / "a.mkv", times_ms=[0, 40, 60_000, 60_040]))
    np.testing.assert_allclose(times_of(frames), [0, 0.04, 60, 60.04])
    assert reader.info.duration_s == pytest.approx(60.08, abs=0.01)


def test_missing_times_are_counted_in_order_of_presentation(tmp_path):
    path = write_video(tmp_path / "a.h264", 20, container_format="h264", options={"bf": "3"})
    frames, reader = read(path)
    assert numbers_in(frames) == list(range(20))
    np.testing.assert_allclose(times_of(frames), np.arange(20) / 25)
    assert reader.info.num_frames == 20


def test_a_change_of_size_is_fitted_with_black_bars(tmp_path):
    first = write_video(tmp_path / "1.h264", 4, container_format="h264", options={"bf": "0"})
    second = write_video(tmp_path / "2.h264", 4, size=(64, 64), container_format="h264", options={"bf": "0"})
    (tmp_path / "a.h264").write_bytes(first.read_bytes() + second.read_bytes())
    frames, _ = read(tmp_path / "a.h264")
    assert numbers_in(frames[:4]) == [0, 1, 2, 3]
    for number, frame in enumerate(frames[4:]):
        assert frame.rgb.shape == (HEIGHT, WIDTH, 3)
        assert mean_difference(frame.rgb[:, 16:80], pattern(number, 64, 64)) < 8
        assert frame.rgb[:, :16].max() == frame.rgb[:, 80:].max() == 0
    assert len(frames) == 8


def with_two_videos(path, *, attached=False, default=()):
    """A small video and a large one, which spells other numbers, or a cover picture beside a small video."""
    with av.open(str(path), "w") as container:
        small = container.add_stream("libx264", rate=25)
        small.width, small.height, small.pix_fmt = 64, 48, "yuv420p"
        large = container.add_stream("mjpeg" if attached else "libx264", rate=25)
        large.width, large.height, large.pix_fmt = 160, 96, "yuvj420p" if attached else "yuv420p"
        if attached:
            large.disposition = Disposition.attached_pic
        if default:
            for number, stream in enumerate((small, large)):
                stream.disposition = Disposition.default if number in default else Disposition(0)
        for number in range(6):
            for stream, shift in ((small, 0), (large, 100)):
                if stream is large and attached and number:
                    continue
                rgb = pattern(number + shift, stream.width, stream.height)
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in (small, large):
            container.mux(stream.encode(None))
    return path


def test_of_several_videos_the_largest_is_shown(tmp_path):
    frames, reader = read(with_two_videos(tmp_path / "a.mkv", default=(0, 1)))
    assert numbers_in(frames) == list(range(100, 106))
    assert reader.notes == ("This file holds 2 videos; the main one (160 x 96) is shown.",)


def test_of_several_videos_the_default_one_is_shown(tmp_path):
    frames, reader = read(with_two_videos(tmp_path / "a.mkv", default=(0,)))
    assert numbers_in(frames) == list(range(6))
    assert reader.notes == ("This file holds 2 videos; the main one (64 x 48) is shown.",)


def test_a_cover_picture_is_no_video(tmp_path):
    frames, reader = read(with_two_videos(tmp_path / "a.mp4", attached=True))
    assert numbers_in(frames) == list(range(6))
    assert reader.notes == ()


def test_probing_equals_reading(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    _, reader = read(path)
    assert probe(path) == reader.info
    assert reader.info.sha256 == content_sha256(path)
    assert reader.info.container.startswith("mov")


def test_a_given_name_is_shown_instead_of_the_files(tmp_path):
    assert probe(write_video(tmp_path / "a.mp4"), name="Holiday.mov").name == "Holiday.mov"


SEEKING = [
    ("a.mp4", "libx264", {"bf": "3"}),
    ("a.mkv", "libx264", {"x264-params": "open-gop=1:keyint=40:scenecut=0:bframes=3"}),
    ("a.mp4", "libx265", {"x265-params": "log-level=none:open-gop=1:keyint=40:bframes=4"}),
    ("a.ts", "libx264", {"bf": "2"}),
    ("a.avi", "mpeg4", {"bf": "2"}),
    ("a.webm", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8"}),
]


@pytest.mark.parametrize(("name", "codec", "options"), SEEKING)
def test_jumping_between_keyframes_gives_the_same_pictures(tmp_path, name, codec, options):
    path = write_video(tmp_path / name, 240, codec=codec, options=options, keyframe_every=40)
    every, _ = read(path, Sampling(max_frames=1000))
    some, reader = read(path, Sampling(max_frames=5))
    assert len(every) == 240
    assert [frame.index for frame in some] == [0, 48, 96, 144, 192]
    for frame in some:
        np.testing.assert_array_equal(frame.rgb, every[frame.index].rgb)
        assert frame.timestamp_s == every[frame.index].timestamp_s
    assert len(reader) == 5
    np.testing.assert_allclose(reader.planned_s, times_of(some))


def test_wanted_pictures_are_not_reached_by_decoding_everything(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 240, keyframe_every=40, options={"bf": "0"})
    decoded = []
    original = Decoder.read

    def counting(self, *arguments):
        for tick, frame in original(self, *arguments):
            decoded.append(tick)
            yield tick, frame

    monkeypatch.setattr(Decoder, "read", counting)
    frames, _ = read(path, Sampling(start_s=8.0, max_frames=1))
    assert [frame.index for frame in frames] == [200]
    assert len(decoded) == 1


def test_an_index_that_leads_too_far_costs_time_and_no_pictures(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mkv", 120, keyframe_every=20)
    misled = []
    original = Decoder._decode

    def late(self, *arguments):
        # As if seeking had landed a group of pictures too late, the first time.
        frames = original(self, *arguments)
        if not misled:
            misled.append(True)
            frames = (pair for pair in list(frames) if pair[0] >= 3600)
        yield from frames

    monkeypatch.setattr(Decoder, "_decode", late)
    frames, _ = read(path, Sampling(start_s=3.2, max_frames=1))
    assert misled
    assert numbers_in(frames) == [80]


def test_pictures_are_streamed_and_not_kept(tmp_path):
    path = write_video(tmp_path / "a.mp4", 30)
    with open_media(path) as reader:
        seen = [weakref.ref(frame.rgb) for frame in reader]
    assert len(seen) == 30
    assert all(reference() is None for reference in seen)


def test_leaving_early_is_fine(tmp_path):
    with open_media(write_video(tmp_path / "a.mp4", 30)) as reader:
        for frame in reader:
            if frame.index == 3:
                break
        assert number_in(next(iter(reader)).rgb) == 0


def test_several_threads_read_their_own_files(tmp_path):
    paths = [write_video(tmp_path / f"{n}.mp4", 10 + n, size=(96 + 16 * n, 64)) for n in range(3)]
    results = {}

    def work(path):
        results[path] = numbers_in(read(path)[0])

    threads = [threading.Thread(target=work, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {path: list(range(10 + number)) for number, path in enumerate(paths)}


def test_a_start_behind_the_end_is_refused_with_both_times(tmp_path):
    with pytest.raises(MediaError, match=r"chosen start \(9.0 s\) lies behind the end of a.mp4 \(0.5 s\)"):
        read(write_video(tmp_path / "a.mp4"), Sampling(start_s=9.0))


def test_extra_pictures_come_between_the_chosen_ones_and_behind_them(tmp_path):
    path = write_video(tmp_path / "a.mp4", 50)
    chosen, extra = Sampling(start_s=0.4, max_frames=4), Sampling(start_s=0.4, max_fps=12.5)
    alone, _ = read(path, chosen)
    with open_media(path, chosen, extra=extra) as reader:
        assert (len(reader), reader.num_in_range) == (4, 40)
        frames = list(reader)
    assert numbers_in(frames) == sorted({10, 20, 30, 40} | set(range(10, 50, 2)))
    assert (
        [frame.index for frame in frames if not frame.is_extra] == [frame.index for frame in alone] == [10, 20, 30, 40]
    )
    for frame, expected in zip((frame for frame in frames if not frame.is_extra), alone, strict=True):
        assert np.array_equal(frame.rgb, expected.rgb)


def test_the_first_picture_is_never_an_extra_one(tmp_path):
    path = write_video(tmp_path / "a.mp4", 20)
    with open_media(path, Sampling(start_s=0.4, max_frames=2), extra=Sampling(max_frames=20)) as reader:
        assert [(frame.index, frame.is_extra) for frame in reader][:2] == [(10, False), (11, True)]


def test_an_extra_picture_stands_in_for_a_chosen_one_that_is_missing(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", 20)
    whole = VideoSource.frames
    monkeypatch.setattr(
        VideoSource, "frames", lambda self, wanted: (frame for frame in whole(self, wanted) if frame.index != 12)
    )
    with open_media(path, Sampling(max_frames=5), extra=Sampling()) as reader:
        assert [frame.index for frame in reader if not frame.is_extra] == [0, 4, 8, 13, 16]


def test_what_is_neither_wanted_nor_referred_to_is_not_decoded_and_wanted_pictures_stay_exact(tmp_path, monkeypatch):
    options = {"bf": "3", "b-adapt": "0", "sc_threshold": "0"}
    path = write_video(tmp_path / "a.mp4", 96, keyframe_every=96, options=options)
    with open_media(path) as reader:
        whole = list(reader)
    decoded, original = [], Decoder.read

    def counting(self, *arguments):
        for item in original(self, *arguments):
            decoded.append(item[0])
            yield item

    monkeypatch.setattr(Decoder, "read", counting)
    for count in (5, 11, 31):
        decoded.clear()
        with open_media(path, Sampling(max_frames=count)) as reader:
            some = list(reader)
        assert len(some) == count
        assert all(np.array_equal(frame.rgb, whole[frame.index].rgb) for frame in some)
        assert len(decoded) < 0.8 * (some[-1].index + 1)
