"""Colours and number formats that tokens keep everywhere: player, charts, exports. RGB, 0..255."""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from jaxtyping import UInt8

Rgb = tuple[int, int, int]

UNIT_SHARE: Final = "share of the frame's attention"
UNIT_SIGMOID: Final = "sigmoid weight 0..1"

TOKEN_PALETTE: Final[tuple[Rgb, ...]] = (
    # Okabe & Ito (2008), "Color Universal Design". Their black would vanish on a dark page: a light grey stands in.
    (0xE6, 0x9F, 0x00),
    (0x56, 0xB4, 0xE9),
    (0x00, 0x9E, 0x73),
    (0xF0, 0xE4, 0x42),
    (0x00, 0x72, 0xB2),
    (0xD5, 0x5E, 0x00),
    (0xCC, 0x79, 0xA7),
    (0xC8, 0xC8, 0xC8),
    # The same hues one lightness step down (dark hues: up), chosen so that the closest two of the sixteen stay
    # 4.5 CIEDE2000 apart for normal, protanopic, deuteranopic and tritanopic eyes, at a lightness of 30 or more.
    (0x6E, 0x4A, 0x02),
    (0x00, 0x56, 0x79),
    (0x00, 0x5B, 0x40),
    (0x88, 0x82, 0x00),
    (0x4E, 0x9B, 0xDF),
    (0xFF, 0xAF, 0x7F),
    (0x7E, 0x32, 0x5F),
    (0x69, 0x69, 0x69),
)


def _inferno() -> UInt8[np.ndarray, "256 3"]:
    ramp = np.arange(256, dtype=np.uint8).reshape(256, 1)
    lut = cv2.cvtColor(cv2.applyColorMap(ramp, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB).reshape(256, 3)
    lut.setflags(write=False)
    return lut


HEAT_LUT: Final = _inferno()
"""Inferno as `[256, 3]` RGB: viridis' sister, as even in lightness and as safe for colour-blind eyes.

It starts at black, so that laid over a picture it dims what has no weight, where viridis would tint it violet.
"""


def token_color(token_id: int) -> Rgb:
    """Colour of a token, by its index in the model (0-based). Colours repeat after sixteen; numbers do not."""
    return TOKEN_PALETTE[token_id % len(TOKEN_PALETTE)]


def token_number(token_id: int) -> int:
    """Number that a person reads for a token: its index in the model, counted from 1."""
    return token_id + 1


def token_name(token_id: int) -> str:
    """Name that a person reads for a token, such as "Token 3" for index 2."""
    return f"Token {token_number(token_id)}"


def hex_color(rgb: Rgb) -> str:
    """CSS notation of a colour, such as "#e69f00"."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def text_color_on(rgb: Rgb) -> Rgb:
    """Black or white, whichever stands out more on `rgb` (WCAG contrast ratio)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return (0, 0, 0) if (luminance + 0.05) ** 2 > 0.05 * 1.05 else (255, 255, 255)


def is_share(unit: str) -> bool:
    """Whether weights of this unit are shares, printed in percent."""
    return unit == UNIT_SHARE


def format_weight(value: float, unit: str) -> str:
    """Print a weight with two significant digits: "6.1 %" for shares, "0.61" for anything else.

    Small ones keep two decimals of a percent (three of a weight) and then read "<0.01 %" ("<0.001").
    """
    shown, most, suffix = (value * 100, 2, " %") if is_share(unit) else (value, 3, "")
    least = 10.0**-most
    if 0 < shown < least:
        return f"<{least:.{most}f}{suffix}"
    rounded = float(f"{shown:.1e}")
    decimals = 0 if rounded == 0 else min(max(1 - math.floor(math.log10(abs(rounded))), 0), most)
    return f"{rounded:.{decimals}f}{suffix}"
