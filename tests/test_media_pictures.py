import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, features

from tokenlearner.errors import MediaError, MediaLimitError
from tokenlearner.media import MediaLimits, Sampling, open_media, probe

HEIGHT, WIDTH = 12, 20


def coloured() -> np.ndarray:
    rgb = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    rgb[..., 0] = np.linspace(0, 255, WIDTH).astype(np.uint8)
    rgb[..., 1] = np.linspace(250, 30, HEIGHT).astype(np.uint8)[:, None]
    rgb[3:6, 2:9] = (20, 60, 240)
    return rgb


def read(path, **how):
    with open_media(path, **how) as reader:
        (frame,) = list(reader)
        return frame, reader


def test_a_photo_is_one_picture_at_zero(tmp_path):
    Image.fromarray(coloured()).save(tmp_path / "a.png")
    frame, reader = read(tmp_path / "a.png", sampling=Sampling(start_s=5.0, max_frames=7))
    np.testing.assert_array_equal(frame.rgb, coloured())
    assert (frame.timestamp_s, frame.index, len(reader)) == (0.0, 0, 1)
    info = reader.info
    assert (info.kind, info.width, info.height, info.num_frames) == ("image", WIDTH, HEIGHT, 1)
    assert (info.duration_s, info.fps, info.codec, info.name, info.notes) == (0.0, 0.0, "png", "a.png", ())
    assert info.size_bytes == (tmp_path / "a.png").stat().st_size


def test_the_picture_is_the_callers_own(tmp_path):
    Image.fromarray(coloured()).save(tmp_path / "a.png")
    with open_media(tmp_path / "a.png") as reader:
        next(iter(reader)).rgb[:] = 0
        np.testing.assert_array_equal(next(iter(reader)).rgb, coloured())


@pytest.mark.parametrize("suffix", ["bmp", "gif", "png", "ppm", "tiff", "webp", "qoi", "ico", "jp2"])
def test_lossless_formats_come_back_exactly(tmp_path, suffix):
    picture = Image.fromarray(coloured()).quantize(40).convert("RGB")
    options = {"webp": {"lossless": True}, "ico": {"sizes": [(WIDTH, HEIGHT)]}}.get(suffix, {})
    picture.save(tmp_path / f"a.{suffix}", **options)
    frame, reader = read(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(frame.rgb, np.array(picture))
    assert reader.info.kind == "image"


@pytest.mark.parametrize("suffix", ["jpg", "webp", "avif"])
def test_lossy_formats_come_back_nearly(tmp_path, suffix):
    if suffix == "avif" and not features.check("avif"):
        pytest.skip("this Pillow was built without AVIF")
    smooth = np.array(Image.fromarray(coloured()).resize((80, 48), Image.Resampling.BICUBIC))
    Image.fromarray(smooth).save(tmp_path / f"a.{suffix}", quality=95)
    frame, _ = read(tmp_path / f"a.{suffix}")
    assert np.abs(frame.rgb.astype(int) - smooth).mean() < 6


@pytest.mark.parametrize("value", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, value):
    exif = Image.Exif()
    exif[274] = value
    Image.fromarray(coloured()).save(tmp_path / "a.png", exif=exif)
    frame, reader = read(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        expected = np.array(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(frame.rgb, expected)
    assert (reader.info.height, reader.info.width) == expected.shape[:2]
    assert reader.info.rotation_deg == {1: 0, 2: 0, 3: 180, 4: 180, 5: 270, 6: 90, 7: 90, 8: 270}[value]


@pytest.mark.parametrize("suffix", ["jpg", "webp", "tiff"])
def test_orientation_is_read_from_every_format_that_holds_it(tmp_path, suffix):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(coloured()).save(tmp_path / f"a.{suffix}", exif=exif)
    info = probe(tmp_path / f"a.{suffix}")
    assert (info.width, info.height) == (HEIGHT, WIDTH)


def test_damaged_exif_data_does_not_cost_the_picture(tmp_path):
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(coloured()).save(tmp_path / "a.jpg", exif=exif)
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    place = data.index(b"Exif\0\0") + 6
    data[place + 8 : place + 20] = b"\xff" * 12
    (tmp_path / "a.jpg").write_bytes(data)
    assert probe(tmp_path / "a.jpg").width == WIDTH


def test_odd_metadata_is_not_warned_of(tmp_path):
    Image.fromarray(coloured()).save(tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\x08\0\0\0\x05\0")
    code = f"from tokenlearner.media import probe; probe({str(tmp_path / 'a.jpg')!r})"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_transparency_is_laid_on_white(tmp_path):
    rgba = np.dstack((coloured(), np.linspace(0, 255, WIDTH).astype(np.uint8)[None].repeat(HEIGHT, 0)))
    Image.fromarray(rgba).save(tmp_path / "a.png")
    frame, _ = read(tmp_path / "a.png")
    alpha = rgba[..., 3:] / 255
    expected = rgba[..., :3] * alpha + 255 * (1 - alpha)
    np.testing.assert_allclose(frame.rgb, expected, atol=1)


def test_a_transparent_palette_colour_becomes_white(tmp_path):
    palette = Image.fromarray(np.array([[0, 1], [2, 0]], np.uint8))
    palette.putpalette([9, 9, 9, 200, 10, 20, 30, 40, 250])
    palette.save(tmp_path / "a.png", transparency=0)
    frame, _ = read(tmp_path / "a.png")
    assert frame.rgb.tolist() == [[[255] * 3, [200, 10, 20]], [[30, 40, 250], [255] * 3]]


def test_grey_with_alpha_is_laid_on_white(tmp_path):
    Image.fromarray(np.array([[[100, 255], [100, 0]]], np.uint8)).convert("LA").save(tmp_path / "a.png")
    frame, _ = read(tmp_path / "a.png")
    assert frame.rgb.tolist() == [[[100] * 3, [255] * 3]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_simple_modes_become_rgb(tmp_path, mode):
    picture = Image.fromarray(coloured()).convert(mode)
    picture.save(tmp_path / "a.png")
    frame, _ = read(tmp_path / "a.png")
    np.testing.assert_array_equal(frame.rgb, np.array(picture.convert("RGB")))


def test_printing_inks_become_rgb(tmp_path):
    cmyk = np.zeros((16, 16, 4), np.uint8)
    cmyk[:8, :, 1:3] = 255  # magenta and yellow: red
    cmyk[8:, :, 3] = 255  # black
    Image.fromarray(cmyk, mode="CMYK").save(tmp_path / "a.tiff")
    frame, _ = read(tmp_path / "a.tiff")
    assert frame.rgb[4, 4].tolist() == [255, 0, 0]
    assert frame.rgb[12, 4].tolist() == [0, 0, 0]


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_16_bit_grey_keeps_its_brightness(tmp_path, suffix):
    values = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    frame, reader = read(tmp_path / f"a.{suffix}")
    assert frame.rgb[..., 1].tolist() == [[0, 100], [200, 255]]
    assert reader.notes == ()


def test_16_bit_grey_that_uses_low_bits_alone_is_made_visible_and_says_so(tmp_path):
    Image.fromarray(np.array([[0, 300], [600, 1200]], np.uint16)).save(tmp_path / "a.tiff")
    frame, reader = read(tmp_path / "a.tiff")
    assert frame.rgb[..., 0].tolist() == [[0, 64], [128, 255]]
    assert reader.notes == ("Its values 0 to 1200 are shown from black to white.",)


def test_floating_point_between_0_and_1_is_brightness(tmp_path):
    Image.fromarray(np.array([[0, 0.2], [0.6, 1.0]], np.float32)).save(tmp_path / "a.tiff")
    frame, reader = read(tmp_path / "a.tiff")
    assert frame.rgb[..., 0].tolist() == [[0, 51], [153, 255]]
    assert reader.notes == ()


def test_other_floating_point_goes_from_darkest_to_brightest_and_says_so(tmp_path):
    Image.fromarray(np.array([[-50, np.nan], [50, 150]], np.float32)).save(tmp_path / "a.tiff")
    frame, reader = read(tmp_path / "a.tiff")
    assert frame.rgb[..., 0].tolist() == [[0, 64], [128, 255]]
    assert reader.notes == ("Its values -50 to 150 are shown from black to white.",)


def test_a_picture_of_one_value_is_no_division_by_zero(tmp_path):
    Image.fromarray(np.full((3, 4), -7, np.float32)).save(tmp_path / "a.tiff")
    frame, _ = read(tmp_path / "a.tiff")
    assert frame.rgb.max() == 0


def test_an_embedded_colour_profile_is_converted_to_srgb(tmp_path):
    # sRGB with the red and green primaries exchanged: its red is our green.
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack_from(">I", profile, 128)[0]
    entry = {profile[132 + 12 * n : 136 + 12 * n].decode(): 132 + 12 * n for n in range(count)}
    profile[entry["rXYZ"] : entry["rXYZ"] + 4], profile[entry["gXYZ"] : entry["gXYZ"] + 4] = b"gXYZ", b"rXYZ"
    profile = profile.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0], picture[1] = (255, 0, 0), (0, 0, 255)
    Image.fromarray(picture).save(tmp_path / "a.png", icc_profile=bytes(profile))
    frame, _ = read(tmp_path / "a.png")
    np.testing.assert_allclose(frame.rgb[0], [[0, 255, 0]] * 3, atol=2)
    np.testing.assert_allclose(frame.rgb[1], [[0, 0, 255]] * 3, atol=2)


def test_a_colour_profile_that_is_rubbish_is_ignored(tmp_path):
    Image.fromarray(coloured()).save(tmp_path / "a.png", icc_profile=b"rubbish")
    frame, _ = read(tmp_path / "a.png")
    np.testing.assert_array_equal(frame.rgb, coloured())


@pytest.mark.parametrize(("suffix", "word"), [("tiff", "pages"), ("mpo", "pictures")])
def test_of_several_pages_or_views_the_first_is_shown(tmp_path, suffix, word):
    first, second = Image.new("RGB", (16, 24), (210, 40, 30)), Image.new("RGB", (16, 24), (0, 0, 250))
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second])
    frame, reader = read(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(frame.rgb.reshape(-1, 3).mean(0), (210, 40, 30), atol=3)
    assert reader.info.kind == "image"
    assert reader.notes == (f"This file holds 2 {word}; the first is shown.",)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tiff"])
def test_a_picture_that_breaks_off_is_refused_in_one_sentence(tmp_path, suffix):
    rgb = np.random.default_rng(3).integers(0, 256, (90, 70, 3), np.uint8)
    Image.fromarray(rgb).save(tmp_path / f"a.{suffix}")
    data = (tmp_path / f"a.{suffix}").read_bytes()
    (tmp_path / f"a.{suffix}").write_bytes(data[: len(data) // 2])
    with pytest.raises(MediaError, match=rf"^a\.{suffix} is (a picture that is )?damaged"):
        read(tmp_path / f"a.{suffix}")


def bomb(path, width, height):
    """A PNG of a few bytes whose header promises a huge picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize("side", [12_000, 30_000])
def test_a_decompression_bomb_is_refused_before_it_unfolds(tmp_path, side):
    bomb(tmp_path / "a.png", side, side)
    with pytest.raises(MediaLimitError, match=r"^a.png "):
        probe(tmp_path / "a.png")


def test_too_many_pixels_are_refused_with_both_numbers(tmp_path):
    Image.fromarray(coloured()).save(tmp_path / "a.png")
    limits = MediaLimits(max_frame_pixels=WIDTH * HEIGHT)
    assert probe(tmp_path / "a.png", limits).width == WIDTH
    with pytest.raises(
        MediaLimitError, match=rf"a.png has {WIDTH} x {HEIGHT} pixels; the limit is 0.000239 megapixels"
    ):
        probe(tmp_path / "a.png", MediaLimits(max_frame_pixels=WIDTH * HEIGHT - 1))


def test_a_heic_photo_says_what_to_do(tmp_path):
    (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200))
    with pytest.raises(MediaError, match=r"IMG_1.HEIC is a HEIC photo.*Export it as JPEG"):
        probe(tmp_path / "IMG_1.HEIC")


def test_the_ending_of_the_name_does_not_matter(tmp_path):
    Image.fromarray(coloured()).save(tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.mp4")
    frame, _ = read(tmp_path / "a.mp4")
    np.testing.assert_array_equal(frame.rgb, coloured())
