"""Packs a clip and its token maps into the one bytes blob that the player in the browser reads.

Layout, little endian::

    0   4 bytes   magic "TLP1"
    4   uint32    length of the header that follows, padding included
    8   header    UTF-8 JSON, padded with spaces to a multiple of 8
    ... body      sections at offsets that the header gives, relative to the body, each a multiple of 8:
                  media (the file as it is), maps (uint8 [time, tokens, rows, cols], see `quantize`),
                  timestamps_s (float64 [time]), heat (uint8 [256, 3] RGB)

Bytes are only passed through by Streamlit where they are the whole `data` of a component, hence one blob.
No Streamlit here.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import av
import numpy as np
from jaxtyping import Float, Float32, UInt8

from tokenlearner.analysis.maps import as_shares
from tokenlearner.analysis.switches import find_switches
from tokenlearner.palette import HEAT_LUT, hex_color, is_share, token_color, token_number

MAGIC: Final = b"TLP1"
ALIGNMENT: Final = 8
MEDIA_KINDS: Final = ("video", "image")
SINGLE_VIEWS: Final = ("one", "some", "owner")
VIEWS: Final = (*SINGLE_VIEWS, "grid", "beside")
SCALES: Final = ("fixed", "largest", "token")


@dataclass(frozen=True, kw_only=True)
class PlayerState:
    """Where a viewer stopped or clicked, and what was on show. All of it can start a player as well.

    Attributes:
        time_s: Presentation time on the source's clock.
        view: "one", "some", "owner", "grid" or "beside".
        tokens: Indices in the model of the tokens on show; None for the player's own choice.
        pin: Pinned place as (x, y), 0..1 across and down the area that the model saw.
        base: "one", "some" or "owner": what lies on the right of the divider in the view "beside".
        opacity: Of the maps, 0..1.
        smooth: Whether maps are interpolated between patches.
        scale: "fixed", "largest" or "token".
        trails: Whether the paths of the tokens are drawn.
        hidden: Whether the maps are hidden.
        divider: Where the view "beside" is divided, 0..1.
    """

    time_s: float = 0.0
    view: str = "some"
    tokens: tuple[int, ...] | None = None
    pin: tuple[float, float] | None = None
    base: str = "some"
    opacity: float = 0.7
    smooth: bool = True
    scale: str = "fixed"
    trails: bool = False
    hidden: bool = False
    divider: float = 0.5

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary; `from_dict` is its inverse."""
        return {**dataclasses.asdict(self), "tokens": None if self.tokens is None else list(self.tokens)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PlayerState:
        """Read what the browser or a link sent; what is missing or makes no sense is as at the start."""
        usual = cls()
        pin, tokens = data.get("pin"), data.get("tokens")
        place = tuple(_share(part, 0.5) for part in pin) if isinstance(pin, list | tuple) and len(pin) == 2 else None
        return cls(
            time_s=max(0.0, _number(data.get("time_s"), 0.0)),
            view=_one_of(VIEWS, data.get("view"), usual.view),
            tokens=_tokens(tokens) if isinstance(tokens, list | tuple) else None,
            pin=None if place is None else (place[0], place[1]),
            base=_one_of(SINGLE_VIEWS, data.get("base"), usual.base),
            opacity=_share(data.get("opacity"), usual.opacity),
            smooth=bool(data.get("smooth", usual.smooth)),
            scale=_one_of(SCALES, data.get("scale"), usual.scale),
            trails=bool(data.get("trails", usual.trails)),
            hidden=bool(data.get("hidden", usual.hidden)),
            divider=_share(data.get("divider"), usual.divider),
        )


def _tokens(sent: Sequence[object]) -> tuple[int, ...] | None:
    """The indices among what was sent; None if there is none where some were meant."""
    known = tuple(token for token in sent if type(token) is int and token >= 0)
    return known if known or not sent else None


def _number(value: object, otherwise: float) -> float:
    """A finite number, or else another."""
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else otherwise


def _share(value: object, otherwise: float) -> float:
    number = _number(value, otherwise)
    return number if 0 <= number <= 1 else otherwise


def _one_of(known: Sequence[str], value: object, otherwise: str) -> str:
    return value if isinstance(value, str) and value in known else otherwise


@dataclass(frozen=True, kw_only=True)
class PlayerOptions:
    """How the player starts.

    Attributes:
        key: Name of the player on the page.
        autoplay: Start a new clip by itself (muted; not where the viewer asked for reduced motion).
        start: State that a new player begins with.
    """

    key: str
    autoplay: bool = False
    start: PlayerState | None = None


def quantize(
    maps: Float32[np.ndarray, "time tokens rows cols"], top: float
) -> UInt8[np.ndarray, "time tokens rows cols"]:
    """Store weights as levels 0..255 of their cube root: level `n` stands for `top * (n / 255) ** 3`.

    A sharp map has few large weights and many small ones; the cube root keeps the digits of both. With `top` 1 the
    error of a weight `w` is at most `0.006 * w ** (2 / 3)` (and 1e-8): 0.0008 at 0.05, 0.0002 at 0.007. Larger
    weights than `top` are cut to it.

    Raises:
        ValueError: If a weight is negative or not finite.
    """
    if maps.size and not (np.isfinite(maps).all() and maps.min() >= 0):
        raise ValueError("Token maps must be finite and not negative.")
    return np.rint(np.cbrt(np.minimum(maps / np.float32(top), 1)) * 255).astype(np.uint8)


def media_hw(media: bytes) -> tuple[int, int] | None:
    """Height and width in pixels of an encoded clip or picture; None if FFmpeg cannot tell."""
    try:
        with av.open(io.BytesIO(media)) as container:
            stream = container.streams.video[0]
            return (stream.height, stream.width) if stream.height and stream.width else None
    except (av.FFmpegError, IndexError, ValueError):
        return None


def pack(
    media: bytes,
    mime: str,
    maps: Float32[np.ndarray, "time tokens rows cols"] | None,
    timestamps_s: Float[np.ndarray, " time"] | Sequence[float],
    *,
    scale_max: float,
    unit: str,
    options: PlayerOptions,
    box: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0),
    token_ids: Sequence[int] | None = None,
    muted: Collection[int] = (),
    caption: str | None = None,
    start_s: float = 0.0,
    frame_hw: tuple[int, int] | None = None,
    clip_id: str | None = None,
) -> bytes:
    """Pack everything the player shows. Arguments are those of `app.player.token_player`.

    Raises:
        ValueError: If the arguments do not fit one another; the message says which.
    """
    kind = mime.partition("/")[0]
    if kind not in MEDIA_KINDS:
        raise ValueError(f'The player shows video/... and image/..., not "{mime}".')
    if not (scale_max > 0 and math.isfinite(scale_max)):
        raise ValueError(f"scale_max must be a positive number, not {scale_max}.")
    weights = np.zeros((0, 0, 1, 1), np.float32) if maps is None else maps
    # One top for shares and sigmoids alike: a weight then reads the same whichever tokens travel with it.
    top = float(weights.max(initial=1.0))
    levels = quantize(weights, top)
    times = np.asarray(timestamps_s, np.float64)
    ids = list(range(levels.shape[1]) if token_ids is None else token_ids)
    _check(levels, times, ids, box)
    turns = find_switches(as_shares(weights), times) if levels.size else ()

    hw = media_hw(media) if frame_hw is None else frame_hw
    sections = {
        "media": media,
        "maps": levels.tobytes(),
        "timestamps_s": times.astype("<f8").tobytes(),
        "heat": HEAT_LUT.tobytes(),
    }
    body, places = _lay_out(sections)
    meta = {
        "shape": levels.shape,
        "top": top,
        "scale_max": scale_max,
        "above": float((weights > scale_max).mean()) if levels.size else 0.0,
        "token_tops": weights.max(axis=(0, 2, 3)).tolist() if levels.size else [],
        "unit": unit,
        "percent": is_share(unit),
    }
    header: dict[str, Any] = {
        "key": options.key,
        "media": {
            "mime": mime,
            "kind": kind,
            "sha256": hashlib.sha256(media).hexdigest(),
            "clip": clip_id,
            "height": hw[0] if hw else None,
            "width": hw[1] if hw else None,
        },
        "maps": meta if levels.size else None,
        "tokens": [
            {
                "id": token,
                "number": token_number(token),
                "color": hex_color(token_color(token)),
                "muted": token in muted,
                "switches": [turn.time_s for turn in turns if turn.token == at],
            }
            for at, token in enumerate(ids)
        ],
        "box": list(box),
        "start_s": start_s,
        "caption": caption,
        "autoplay": options.autoplay,
        "start": options.start.to_dict() if options.start else None,
        "sections": places,
    }
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(sections["maps"] + sections["timestamps_s"])
    header["id"] = digest.hexdigest()
    text = json.dumps(header, ensure_ascii=False, sort_keys=True).encode()
    text += b" " * (-len(text) % ALIGNMENT)
    return b"".join((MAGIC, struct.pack("<I", len(text)), text, *body))


def _lay_out(sections: Mapping[str, bytes]) -> tuple[list[bytes], dict[str, tuple[int, int]]]:
    """The sections with padding between them, and the (offset, length) of each."""
    parts: list[bytes] = []
    places: dict[str, tuple[int, int]] = {}
    offset = 0
    for name, content in sections.items():
        padding = -len(content) % ALIGNMENT
        places[name] = (offset, len(content))
        parts += [content, bytes(padding)]
        offset += len(content) + padding
    return parts, places


def _check(
    levels: UInt8[np.ndarray, "time tokens rows cols"],
    times: Float[np.ndarray, " steps"],
    ids: Sequence[int],
    box: tuple[float, float, float, float],
) -> None:
    if levels.size and times.shape != levels.shape[:1]:
        raise ValueError(f"{len(times)} timestamps were given for {levels.shape[0]} maps.")
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise ValueError("Timestamps must be finite and ascend.")
    if len(ids) != levels.shape[1] or len(set(ids)) != len(ids):
        raise ValueError(f"{len(ids)} token ids were given for {levels.shape[1]} tokens; each needs its own.")
    x, y, width, height = box
    if not (x >= 0 and y >= 0 and width > 0 and height > 0 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6):
        raise ValueError(f"The box (x, y, width, height) must lie within 0..1, not {box}.")
