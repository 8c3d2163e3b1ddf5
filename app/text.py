"""Numbers and sentences as people read them. Nothing here touches the page."""

from __future__ import annotations

import math
import re
import unicodedata
from typing import Final

from tokenlearner.config import ModelConfig

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$^&\"'])")
_NAME_LIMIT: Final = 60
_SPELLING: Final = {
    # As the data sets spell them, and as they are spelt.
    "water lilly": "water lily",
    "car side": "car from the side",
    "cougar body": "cougar (body)",
    "cougar face": "cougar (face)",
    "crocodile head": "crocodile (head)",
    "flamingo head": "flamingo (head)",
    "binocular": "binoculars",
    "headphone": "headphones",
    "outwear": "outerwear",
    "longsleeve": "long-sleeved top",
    "t-shirt": "T-shirt",
    "joshua tree": "Joshua tree",
    "windsor chair": "Windsor chair",
    "yin yang": "yin and yang",
    "garfield": "Garfield",
    "snoopy": "Snoopy",
    "buddha": "Buddha",
    "rhino": "rhinoceros",
    "sea horse": "seahorse",
    "cellphone": "mobile phone",
}


def plain(text: str) -> str:
    """Escape a text, such as a file's name inside a message, for where Markdown is read; it shows as it is."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def display_name(name: str) -> str:
    """A file's name as it is shown: no folders, nothing invisible or that turns the direction of writing, not long.

    The ending stays, so that a long name still says what it is.
    """
    last = re.split(r"[/\\]", name)[-1]
    visible = "".join(c for c in last if unicodedata.category(c)[0] != "C")
    clean = " ".join(visible.split()) or "unnamed file"
    if len(clean) <= _NAME_LIMIT:
        return clean
    tail = 12
    return f"{clean[: _NAME_LIMIT - tail - 1]}…{clean[-tail:]}"


def class_label(name: str) -> str:
    """A class's name as people write it: "water_lilly" is "water lily", "Motorbikes" is "motorbikes"."""
    words = " ".join(name.replace("_", " ").split())
    return _SPELLING.get(words.lower(), words.lower())


def significant(value: float, digits: int = 2) -> str:
    """A number with so many significant digits, without exponent: "0.31", "12", "1200"."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else str(value)
    exponent = math.floor(math.log10(abs(value)))
    rounded = round(value, digits - 1 - exponent)
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:.{decimals}f}"


def operations(count: int, unit: str, like: int | None = None) -> tuple[str, str]:
    """A count of operations and its unit, in billions or, if that gives tiny numbers, in millions: ("0.31", "GMACs").

    Args:
        count: To be shown.
        unit: "MACs" or "FLOPs".
        like: A count that it is compared with, which chooses between billions and millions for both.
    """
    prefix, scale = ("G", 1e9) if (like or count) >= 5e7 else ("M", 1e6)
    return significant(count / scale), f"{prefix}{unit}"


def millions(count: int) -> str:
    """A count in millions: "2.9 M"."""
    return f"{significant(count / 1e6)} M"


def percent(share: float) -> str:
    """A share as a percentage with two significant digits, and one decimal between 99 and 100: "6.1 %"."""
    if 0 < share < 0.001:
        return "<0.1 %"
    value = 100 * share
    if 99 < value < 100:
        return f"{min(value, 99.9):.1f} %"
    return f"{significant(value)} %" if value < 100 else f"{value:.0f} %"


def seconds(duration_s: float) -> str:
    """A duration: "0.42 s", "12 s", "3 min 20 s"."""
    if duration_s < 10:
        return f"{significant(duration_s)} s" if duration_s > 0 else "0 s"
    if duration_s < 99.5:
        return f"{duration_s:.0f} s"
    minutes, rest = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def clock(time_s: float) -> str:
    """A time in a clip, to the hundredth: "4.20 s", from a minute on "1:04.20"."""
    minutes, hundredths = divmod(round(100 * time_s), 6000)
    return f"{minutes}:{hundredths / 100:05.2f}" if minutes else f"{hundredths / 100:.2f} s"


def milliseconds(duration_ms: float) -> str:
    """A short duration with two significant digits, three from 100 on: "8.4 ms"."""
    return f"{significant(duration_ms, 3 if duration_ms >= 100 else 2)} ms"


def size(size_bytes: int) -> str:
    """A file's size: "420 kB", "3.1 MB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{significant(size_bytes / scale)} {unit}"
    return f"{size_bytes} bytes"


def count(number: int, thing: str) -> str:
    """A number with its noun: "1 frame", "12 frames"."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def rows_of(number: int, clip_frames: int) -> str:
    """Inputs of a network in words: "12 frames", or "2 clips of 16 frames" of a video model."""
    return count(number, "frame") if clip_frames == 1 else f"{count(number, 'clip')} of {clip_frames} frames"


def ordinal(number: int) -> str:
    """A place in line: "1st", "2nd", "11th"."""
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def place_name(loc: int | None, config: ModelConfig) -> str:
    """Where in the network the module sits, in words that need no convention for counting blocks."""
    if loc is None:
        return "nowhere: plain ViT"
    return f"after {loc} of {config.depth} blocks" if loc else "before the first block"
