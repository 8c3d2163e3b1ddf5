import numpy as np
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from tokenlearner.palette import (
    HEAT_LUT,
    TOKEN_PALETTE,
    UNIT_SHARE,
    UNIT_SIGMOID,
    format_weight,
    hex_color,
    text_color_on,
    token_color,
    token_name,
)

# Machado, Oliveira & Fernandes (2009), severity 1.0, for linear RGB.
COLOR_VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def seen_as(colors: np.ndarray, vision: str) -> np.ndarray:
    """CIELAB of sRGB colours (0..1) as an eye with this colour vision sees them."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    linear = (linear @ np.asarray(COLOR_VISION[vision]).T).clip(0, 1)
    srgb = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    return rgb2lab(srgb[None])[0]


def closest_pair(colors: np.ndarray, vision: str) -> float:
    lab = seen_as(colors, vision)
    distances = deltaE_ciede2000(lab[:, None], lab[None])
    return float(distances[~np.eye(len(lab), dtype=bool)].min())


@pytest.mark.parametrize("vision", COLOR_VISION)
@pytest.mark.parametrize(("count", "least"), [(8, 10.8), (16, 4.4)])
def test_token_colors_differ_for_every_color_vision(vision, count, least):
    assert closest_pair(np.array(TOKEN_PALETTE[:count]) / 255, vision) >= least


def test_token_colors_stand_out_on_a_dark_page():
    lightness = rgb2lab(np.array(TOKEN_PALETTE)[None] / 255)[0, :, 0]
    assert lightness.min() >= 30


def test_heat_gets_lighter_evenly_from_black():
    lightness = rgb2lab(HEAT_LUT[None] / 255)[0, :, 0]
    assert lightness[0] < 1
    assert lightness[-1] > 95
    assert (np.diff(lightness[::8]) > 0).all()
    halfway = np.interp(128, np.arange(256), lightness)
    assert halfway == pytest.approx(lightness[-1] / 2, abs=8)


def test_heat_is_rgb():
    red, _, blue = HEAT_LUT[190].astype(int)
    assert red > 200 > 60 > blue


def test_a_seventeenth_token_repeats_a_color_with_its_own_name():
    assert token_color(16) == token_color(0) != token_color(15)
    assert token_name(16) == "Token 17"


def test_hex_color_is_css():
    assert hex_color((0, 158, 115)) == "#009e73"


@pytest.mark.parametrize(
    ("rgb", "ink"), [((255, 255, 255), (0, 0, 0)), ((0x7E, 0x32, 0x5F), (255, 255, 255)), ((0, 0, 0), (255, 255, 255))]
)
def test_text_color_contrasts(rgb, ink):
    assert text_color_on(rgb) == ink


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.0612, UNIT_SHARE, "6.1 %"),
        (0.0996, UNIT_SHARE, "10 %"),
        (1.0, UNIT_SHARE, "100 %"),
        (0.00049, UNIT_SHARE, "0.05 %"),
        (0.00004, UNIT_SHARE, "<0.01 %"),
        (0.0, UNIT_SHARE, "0 %"),
        (0.0612, UNIT_SIGMOID, "0.061"),
        (0.996, UNIT_SIGMOID, "1.0"),
        (0.0004, UNIT_SIGMOID, "<0.001"),
        (0.0, UNIT_SIGMOID, "0"),
    ],
)
def test_weights_print_with_two_significant_digits(value, unit, text):
    assert format_weight(value, unit) == text
