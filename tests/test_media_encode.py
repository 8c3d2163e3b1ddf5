import io
import struct

import av
import numpy as np
import pytest
from PIL import Image

from tests.media_cases import HEIGHT, WIDTH, mean_difference, numbers_in, pattern
from tokenlearner.errors import MediaError
from tokenlearner.media import VideoWriter, encode_jpeg, encode_png, open_media, write_png
from tokenlearner.media.files import replacing

TIMES_S = [0.0, 0.04, 0.1, 0.5, 0.52, 3.0]


def write(path, times_s=TIMES_S, size=(WIDTH, HEIGHT), **options):
    with VideoWriter(path, size[::-1], **options) as writer:
        for number, time_s in enumerate(times_s):
            writer.write(pattern(number, *size), time_s)
    return path


def packets_of(path):
    with av.open(str(path)) as container:
        return [packet for packet in container.demux(video=0) if packet.size]


def test_every_picture_keeps_its_time(tmp_path):
    path = write(tmp_path / "a.mp4", last_frame_s=0.25)
    with open_media(path) as reader:
        frames = list(reader)
    assert numbers_in(frames) == list(range(6))
    np.testing.assert_allclose([frame.timestamp_s for frame in frames], TIMES_S, atol=1e-4)
    assert reader.info.duration_s == pytest.approx(3.25, abs=1e-3)
    assert reader.notes == ()


def test_the_first_picture_starts_the_clip(tmp_path):
    path = write(tmp_path / "a.mp4", [12.5, 12.54, 12.7])
    first = packets_of(path)[0]
    assert (first.pts, first.dts) == (0, 0)
    with av.open(str(path)) as container:
        assert container.start_time == 0


def test_the_last_picture_lasts_as_long_as_the_one_before(tmp_path):
    with open_media(write(tmp_path / "a.mp4", [0.0, 0.1, 0.4])) as reader:
        assert reader.info.duration_s == pytest.approx(0.7, abs=1e-3)


def test_it_is_what_browsers_play(tmp_path):
    path = write(tmp_path / "a.mp4", np.arange(60) / 30)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        # ITU-T H.273: 1 is BT.709 in each of the three; range 1 is limited.
        colours = (context.color_primaries, context.color_trc, context.colorspace, context.color_range)
        assert colours == (1, 1, 1, 1)
    data = path.read_bytes()
    assert data[4:8] == b"ftyp"
    assert 0 < data.index(b"moov") < data.index(b"mdat")
    packets = packets_of(path)
    assert [packet.pts for packet in packets] == [packet.dts for packet in packets]
    keys = [number for number, packet in enumerate(packets) if packet.is_keyframe]
    assert keys[0] == 0
    assert max(np.diff([*keys, 60])) <= 24


def test_colours_come_back(tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (180, 90, 200), (90, 160, 40)]
    rgb = np.array(colours, np.uint8).repeat(32, 0)[None].repeat(96, 0)
    with VideoWriter(tmp_path / "a.mp4", rgb.shape[:2], crf=4) as writer:
        writer.write(rgb, 0.0)
    with av.open(str(tmp_path / "a.mp4")) as container:
        frame = next(container.decode(video=0))
    luma, *chroma = [
        np.frombuffer(bytes(plane), np.uint8).reshape(-1, plane.line_size)[plane.height // 2] for plane in frame.planes
    ]
    for number, colour in enumerate(np.array(colours) / 255):
        # ITU-R BT.709, section 3.
        y = colour @ [0.2126, 0.7152, 0.0722]
        expected = (16 + 219 * y, 128 + 224 * (colour[2] - y) / 1.8556, 128 + 224 * (colour[0] - y) / 1.5748)
        stored = (luma[32 * number + 16], chroma[0][16 * number + 8], chroma[1][16 * number + 8])
        np.testing.assert_allclose(stored, expected, atol=3)
    with open_media(tmp_path / "a.mp4") as reader:
        shown = next(iter(reader)).rgb
    np.testing.assert_allclose(shown[48, 16::32].astype(int), colours, atol=5)


@pytest.mark.parametrize(("size", "stored"), [((97, 64), (98, 64)), ((96, 65), (96, 66)), ((1, 1), (2, 2))])
def test_odd_sizes_are_padded_by_repeating_the_edge(tmp_path, size, stored):
    path = write(tmp_path / "a.mp4", [0.0, 0.1], size=size)
    writer = VideoWriter(tmp_path / "b.mp4", size[::-1])
    assert writer.encoded_hw == stored[::-1]
    writer.discard()
    with open_media(path) as reader:
        rgb = list(reader)[1].rgb
    assert (reader.info.width, reader.info.height) == stored
    expected = np.pad(pattern(1, *size), ((0, stored[1] - size[1]), (0, stored[0] - size[0]), (0, 0)), mode="edge")
    assert mean_difference(rgb, expected) < 8


def files_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_lies_at_the_path_until_the_clip_is_whole(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", (HEIGHT, WIDTH)) as writer:
        writer.write(pattern(0), 0.0)
        assert not (tmp_path / "a.mp4").exists()
    assert files_in(tmp_path) == ["a.mp4"]


def test_an_error_on_the_way_leaves_what_was_there(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"precious")
    with pytest.raises(ValueError, match="does not come after"):
        write(tmp_path / "a.mp4", [0.0, 0.1, 0.1])
    assert (tmp_path / "a.mp4").read_bytes() == b"precious"
    assert files_in(tmp_path) == ["a.mp4"]


def test_a_clip_can_be_given_up(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", (HEIGHT, WIDTH))
    writer.write(pattern(0), 0.0)
    writer.discard()
    writer.close()
    assert files_in(tmp_path) == []


def test_closing_twice_is_fine(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", (HEIGHT, WIDTH))
    writer.write(pattern(0), 0.0)
    writer.close()
    writer.close()
    assert files_in(tmp_path) == ["a.mp4"]


def test_a_clip_without_pictures_is_refused(tmp_path):
    with pytest.raises(MediaError, match=r"a\.mp4 cannot be written: a video needs at least one picture"):
        VideoWriter(tmp_path / "a.mp4", (HEIGHT, WIDTH)).close()
    assert files_in(tmp_path) == []


@pytest.mark.parametrize("time_s", [0.5, 0.2])
def test_time_must_advance(tmp_path, time_s):
    writer = VideoWriter(tmp_path / "a.mp4", (HEIGHT, WIDTH))
    writer.write(pattern(0), 0.5)
    with pytest.raises(ValueError, match=rf"{time_s} s does not come after"):
        writer.write(pattern(1), time_s)
    writer.discard()


def test_another_size_is_refused_with_both(tmp_path):
    writer = VideoWriter(tmp_path / "a.mp4", (HEIGHT, WIDTH))
    with pytest.raises(ValueError, match=r"pictures of \(64, 96\), not \(32, 48\)"):
        writer.write(pattern(0, 48, 32), 0.0)
    writer.discard()


def test_a_size_of_nothing_is_refused(tmp_path):
    with pytest.raises(MediaError, match="A video of 0 x 9 pixels cannot be written"):
        VideoWriter(tmp_path / "a.mp4", (9, 0))


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(MediaError, match=r"The folder .*gone does not exist, so a\.mp4 cannot be written there"):
        VideoWriter(tmp_path / "gone" / "a.mp4", (HEIGHT, WIDTH))


def test_a_folder_at_the_path_is_refused(tmp_path):
    (tmp_path / "a.mp4").mkdir()
    with pytest.raises(MediaError, match=r"a\.mp4 cannot be written \(is a directory\)"):
        write(tmp_path / "a.mp4")
    assert files_in(tmp_path) == ["a.mp4"]


def test_replacing_keeps_the_old_file_on_any_exception(tmp_path):
    (tmp_path / "a").write_text("old")

    def write_half():
        with replacing(tmp_path / "a") as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half()
    assert (tmp_path / "a").read_text() == "old"
    assert files_in(tmp_path) == ["a"]


def test_png_is_exact_and_whole(tmp_path):
    write_png(tmp_path / "a.png", pattern(77))
    assert files_in(tmp_path) == ["a.png"]
    for data in ((tmp_path / "a.png").read_bytes(), encode_png(pattern(77))):
        with Image.open(io.BytesIO(data)) as image:
            np.testing.assert_array_equal(np.array(image), pattern(77))


def test_jpeg_quality_is_passed_on():
    smooth = np.array(Image.fromarray(pattern(5)).resize((192, 128), Image.Resampling.BICUBIC))
    good, poor = encode_jpeg(smooth, quality=95), encode_jpeg(smooth, quality=10)
    assert struct.unpack(">H", good[:2])[0] == 0xFFD8
    assert len(poor) < len(good)
    with Image.open(io.BytesIO(good)) as image:
        assert mean_difference(np.array(image), smooth) < 3
