import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc

from tests.media_cases import write_planes, ycbcr_from_rgb
from tokenlearner.media import Sampling, open_media
from tokenlearner.media.convert import FrameConverter

BT601, BT709, BT2020 = (0.299, 0.114), (0.2126, 0.0722), (0.2627, 0.0593)
TAGS = {BT601: 6, BT709: 1, BT2020: 9}  # AVColorSpace: SMPTE170M, BT709, BT2020_NCL


def patches(width=48, height=32) -> np.ndarray:
    """Sixteen flat colours, saturated and pale, bright and dark."""
    colours = np.random.default_rng(11).integers(0, 256, (4, 4, 3))
    colours[0] = [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]]
    colours[1, 0] = 0
    return colours.astype(np.uint8).repeat(height // 4, 0).repeat(width // 4, 1)


def read_one(path):
    with open_media(path, Sampling(max_frames=1)) as reader:
        (frame,) = list(reader)
        return frame.rgb, reader.notes


@pytest.mark.parametrize("weights", [BT601, BT709, BT2020])
@pytest.mark.parametrize("full_range", [False, True])
def test_the_named_matrix_and_range_are_used(tmp_path, weights, full_range):
    def setup(stream):
        stream.codec_context.colorspace = TAGS[weights]
        stream.codec_context.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG

    planes = ycbcr_from_rgb(patches(), kr=weights[0], kb=weights[1], full_range=full_range)
    rgb, notes = read_one(write_planes(tmp_path / "a.mkv", planes, setup))
    np.testing.assert_allclose(rgb.astype(int), patches(), atol=3)
    assert notes == ()


@pytest.mark.parametrize(
    ("size", "weights"), [((720, 576), BT601), ((1280, 720), BT709), ((400, 640), BT709), ((1280, 320), BT709)]
)
def test_an_unnamed_matrix_is_guessed_by_size_as_players_do(tmp_path, size, weights):
    rgb = patches(*size)
    planes = ycbcr_from_rgb(rgb, kr=weights[0], kb=weights[1], full_range=False)
    shown, _ = read_one(write_planes(tmp_path / "a.mkv", planes, lambda stream: None))
    np.testing.assert_allclose(shown.astype(int), rgb, atol=3)


def srgb(linear: np.ndarray) -> np.ndarray:
    """Brightness 0..1 to 0..255 (IEC 61966-2-1)."""
    return 255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def grey_ramp(signal: np.ndarray, transfer: ColorTrc) -> av.VideoFrame:
    """A 10-bit grey picture, 16 columns for each value of the signal (0..1, limited range)."""
    values = np.round(64 + 876 * signal).astype(np.uint16).repeat(16)
    frame = av.VideoFrame(len(values), 64, "yuv420p10le")
    for plane, row in zip(
        frame.planes, (values, np.full(len(values) // 2, 512), np.full(len(values) // 2, 512)), strict=True
    ):
        rows = np.zeros((plane.height, plane.line_size // 2), np.uint16)
        rows[:, : len(row)] = row
        plane.update(rows.tobytes())
    frame.colorspace, frame.color_range = Colorspace.BT2020, ColorRange.MPEG
    frame.color_primaries, frame.color_trc = ColorPrimaries.BT2020, transfer
    return frame


@pytest.mark.slow
def test_pq_is_brought_to_standard_range_with_203_candela_as_white():
    candela = np.array([0, 1, 10, 50, 100, 203, 1000])
    # SMPTE ST 2084, equation 5.2.
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (candela / 10_000) ** m1
    frame = grey_ramp(((c1 + c2 * power) / (1 + c3 * power)) ** m2, ColorTrc.SMPTE2084)
    converter = FrameConverter(frame, None)
    shown = converter(frame)[32, 8::16]
    np.testing.assert_allclose(shown, np.repeat(srgb(np.minimum(candela / 203, 1))[:, None], 3, axis=1), atol=6)
    assert converter.note.startswith("This HDR video (PQ) is shown in standard range")


def test_hlg_is_shown_by_its_compatible_part_and_says_so():
    signal = np.linspace(0, 1, 5)
    converter = FrameConverter(grey_ramp(signal, ColorTrc.ARIB_STD_B67), None)
    shown = converter(grey_ramp(signal, ColorTrc.ARIB_STD_B67))[32, 8::16, 1]
    np.testing.assert_allclose(shown, 255 * signal, atol=3)
    assert converter.note.startswith("This HDR video (HLG) is shown by its standard-range part")


def test_conversion_leaves_the_frame_as_it_was():
    frame = grey_ramp(np.linspace(0, 1, 5), ColorTrc.BT709)
    before = [bytes(plane) for plane in frame.planes]
    converter = FrameConverter(frame, None)
    np.testing.assert_array_equal(converter(frame), converter(frame))
    assert [bytes(plane) for plane in frame.planes] == before
