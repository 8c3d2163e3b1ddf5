"""An analysis as files: a clip or picture with its maps drawn over it, the maps as NPZ, the rest as JSON."""

from __future__ import annotations

import json
import math
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from tokenlearner import render
from tokenlearner.engine import Analysis
from tokenlearner.errors import Cancelled, ConfigError
from tokenlearner.media import MediaLimits, VideoWriter, open_media, write_png
from tokenlearner.media.files import replacing
from tokenlearner.palette import format_weight, text_color_on, token_color, token_number

ViewKind = Literal["tokens", "heat", "grid"]

UNTRAINED_MARK: Final = "UNTRAINED WEIGHTS"
_GROUND: Final = (20, 22, 26)
_INK: Final = (236, 238, 240)
_MIN_WIDTH: Final = 320  # smaller pictures are enlarged by a whole factor, so that the legend can be read
_MAX_ENLARGED: Final = 2160
_GRID_WIDTH: Final = 1280
_GAP: Final = 4


@dataclass(frozen=True)
class View:
    """How maps are drawn.

    Attributes:
        kind: "tokens" every token in its colour, "heat" one token's weights, "grid" one tile of heat a token.
        token: Index of the token that "heat" shows.
    """

    kind: ViewKind = "tokens"
    token: int = 0

    @classmethod
    def parse(cls, text: str) -> View:
        """Read "tokens", "grid" or "heat:N" with N the token's number, counted from 1 as on the picture.

        Raises:
            ConfigError: If it is none of them.
        """
        if text in ("tokens", "grid"):
            return cls("tokens" if text == "tokens" else "grid")
        match = re.fullmatch(r"heat:([1-9]\d*)", text)
        if match is None:
            raise ConfigError(f'"{text}" is not a view. Choose tokens, grid, or heat:N with the number of a token.')
        return cls("heat", int(match[1]) - 1)


class OverlayPainter:
    """Draws the maps of one analysis over its frames, all at one scale, with the legend below.

    Args:
        analysis: With token maps.
        view: How to draw them.

    Raises:
        ConfigError: If there are no maps, or no such token.
    """

    def __init__(self, analysis: Analysis, view: View | None = None) -> None:
        if analysis.token_maps is None:
            raise ConfigError("The plain network has no token maps that could be drawn. Choose a location.")
        self.view = view or View()
        if self.view.kind == "heat" and self.view.token >= analysis.num_tokens:
            raise ConfigError(
                f"There is no token {token_number(self.view.token)}: this analysis has {analysis.num_tokens}."
            )
        self._maps = analysis.token_maps
        self._analysis = analysis
        shown = self._maps[:, [self.view.token]] if self.view.kind == "heat" else self._maps
        self.scale_max = render.clip_scale(shown)
        self._token_ids = tuple(range(analysis.num_tokens))

    def paint(
        self, rgb: UInt8[np.ndarray, "height width 3"], timestamp_s: float
    ) -> UInt8[np.ndarray, "new_height new_width 3"]:
        """Draw what was seen at a time over the frame of that time.

        Args:
            rgb: The frame, as `open_media` gives it.
            timestamp_s: Its presentation time.
        """
        maps = self._maps[self._step(timestamp_s)]
        picture = self._grid(rgb, maps) if self.view.kind == "grid" else self._single(rgb, maps)
        if not self._analysis.provenance.trained:
            picture = render.label(picture, UNTRAINED_MARK, corner="bottom-right")
        return np.concatenate([picture, self._legend(picture.shape[1])])

    def _step(self, timestamp_s: float) -> int:
        """The time step that a moment belongs to: the last one that began before it."""
        begun = int(np.searchsorted(self._analysis.timestamps_s, timestamp_s + 1e-6, side="right"))
        return max(0, begun - 1)

    def _single(
        self, rgb: UInt8[np.ndarray, "height width 3"], maps: Float32[np.ndarray, "tokens rows cols"]
    ) -> UInt8[np.ndarray, "new_height new_width 3"]:
        frame, box = self._scaled(rgb, float(_whole_factor(rgb.shape[0], rgb.shape[1])))
        if self.view.kind == "heat":
            return render.overlay_heat(frame, maps[self.view.token], self.scale_max, box_xywh=box)
        return render.overlay_tokens(frame, maps, self.scale_max, token_ids=self._token_ids, box_xywh=box)

    def _grid(
        self, rgb: UInt8[np.ndarray, "height width 3"], maps: Float32[np.ndarray, "tokens rows cols"]
    ) -> UInt8[np.ndarray, "new_height new_width 3"]:
        columns = _grid_columns(len(maps), rgb.shape[1] / rgb.shape[0])
        tile_width = max(1, (_GRID_WIDTH - (columns - 1) * _GAP) // columns)
        frame, box = self._scaled(rgb, tile_width / rgb.shape[1])
        height, width = frame.shape[:2]
        rows = -(-len(maps) // columns)
        sheet = np.empty((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), np.uint8)
        sheet[:] = _GROUND
        for token, token_map in zip(self._token_ids, maps, strict=True):
            tile = render.overlay_heat(frame, token_map, self.scale_max, box_xywh=box)
            tile = render.label(tile, str(token_number(token)), corner="bottom-left")
            y, x = (token // columns) * (height + _GAP), (token % columns) * (width + _GAP)
            sheet[y : y + height, x : x + width] = tile
        return sheet

    def _scaled(
        self, rgb: UInt8[np.ndarray, "height width 3"], factor: float
    ) -> tuple[UInt8[np.ndarray, "new_height new_width 3"], render.Box]:
        """The frame at another size, and what the model saw of it in the new pixels."""
        left, top, width, height = self._analysis.geometry.box_normalized
        new_height, new_width = (max(1, round(side * factor)) for side in rgb.shape[:2])
        box = (left * new_width, top * new_height, width * new_width, height * new_height)
        if (new_height, new_width) == rgb.shape[:2]:
            return rgb, box
        method = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(rgb, (new_width, new_height), interpolation=method)), box

    def _legend(self, width: int) -> UInt8[np.ndarray, "height width 3"]:
        unit = self._analysis.map_unit
        note = "one scale for the whole clip" if self._analysis.media.kind == "video" else ""
        height = int(np.clip(width / 20, 34, 88))
        if self.view.kind == "tokens":
            return token_legend(width, self._token_ids, self.scale_max, unit, height=height, note=note)
        note = (
            f"{note}, its top {render.TOP_SHARE:.0%} drawn alike"
            if note
            else f"the top {render.TOP_SHARE:.0%} drawn alike"
        )
        return render.legend_strip(width, self.scale_max, unit, height=height, note=note)


def token_legend(
    width: int,
    token_ids: tuple[int, ...],
    scale_max: float,
    unit: str,
    *,
    height: int = 44,
    note: str = "",
    text: str | None = None,
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Legend of a picture with every token in its colour: the colours with their numbers, and the scale.

    Args:
        width: In pixels.
        token_ids: Index in the model of each token.
        scale_max: Weight drawn at full strength.
        unit: What a weight means.
        height: In pixels.
        note: How the scale was chosen, printed after the unit.
        text: What to print instead of the scale, where the picture has none.
    """
    strip = np.empty((height, width, 3), np.uint8)
    strip[:] = _GROUND
    margin, size = round(height * 0.15), max(9, round(height * 0.3))
    chips_end = round(height * 0.55)
    ends = margin, max(width - margin, margin + len(token_ids))
    edges = np.linspace(*ends, len(token_ids) + 1).round().astype(int).tolist()
    for token, left, right in zip(token_ids, edges[:-1], edges[1:], strict=True):
        color = token_color(token)
        strip[margin:chips_end, left : max(left + 1, right - 2)] = color
        number = str(token_number(token))
        text_width = render.measure_text(number, size)
        if text_width + 4 <= right - left:
            x = (left + right - text_width) // 2
            render.draw_text(strip, number, (x, chips_end - round(height * 0.07)), size, text_color_on(color))
    short = f"full colour: {format_weight(scale_max, unit)} or more"
    scale = f"{short} ({unit})"
    lines = (f"{scale}, {note}" if note else scale, scale, short) if text is None else (text,)
    line = next((line for line in lines if render.measure_text(line, size) <= width - 2 * margin), lines[-1])
    render.draw_text(strip, line, (margin, round(height * 0.9)), size, _INK)
    return strip


def write_overlay(
    media_path: str | os.PathLike[str],
    analysis: Analysis,
    out_path: str | os.PathLike[str],
    view: View | None = None,
    *,
    limits: MediaLimits | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> float:
    """Write the analysed frames with their maps: H.264 for a video, PNG for a photo.

    The media is decoded once more, frame by frame, so that memory does not grow with its length.

    Args:
        media_path: The file that was analysed.
        analysis: With token maps.
        out_path: The file to write; it appears whole or not at all.
        view: How to draw the maps; None for every token in its colour.
        limits: What media may be opened.
        progress: Called with (frames drawn, frames in all).
        cancel: Set it to stop.

    Returns:
        The weight drawn at full strength.

    Raises:
        ConfigError: If there are no maps, or no such token.
        MediaError: If the media cannot be read again, or the file cannot be written.
        Cancelled: If the caller asked to stop; no file is left.
    """
    painter = OverlayPainter(analysis, view)
    writer: VideoWriter | None = None
    with open_media(media_path, analysis.settings.sampling, limits or MediaLimits(), cancel=cancel) as reader:
        try:
            for done, frame in enumerate(reader, start=1):
                if cancel is not None and cancel.is_set():
                    raise Cancelled("Drawing the overlay was stopped.")
                picture = painter.paint(frame.rgb, frame.timestamp_s)
                if analysis.media.kind == "image":
                    write_png(out_path, picture)
                else:
                    writer = writer or VideoWriter(out_path, (picture.shape[0], picture.shape[1]))
                    writer.write(picture, frame.timestamp_s)
                if progress is not None:
                    progress(done, len(reader))
        except BaseException:
            if writer is not None:
                writer.discard()
            raise
    if writer is not None:
        writer.close()
    return painter.scale_max


def write_maps(path: str | os.PathLike[str], analysis: Analysis) -> None:
    """Write all arrays as a compressed NPZ that `numpy.load` reads without pickle.

    `token_maps` float32 [time, tokens, rows, cols] (absent for the plain network), `timestamps_s`, `logits`,
    `logits_timestamps_s`, `class_names`, `map_unit`, `muted`, and the geometry's `frame_hw`, `box_xywh`, `input_hw`,
    `grid_hw`.

    Raises:
        MediaError: If the file cannot be written.
    """
    arrays: dict[str, np.ndarray] = {
        "timestamps_s": analysis.timestamps_s,
        "logits": analysis.logits,
        "logits_timestamps_s": analysis.logits_timestamps_s,
        "class_names": np.array(analysis.class_names, dtype=np.str_),
        "map_unit": np.array(analysis.map_unit),
        "muted": np.array(analysis.muted, dtype=np.int64),
        **{name: np.array(values) for name, values in analysis.geometry.to_dict().items()},
    }
    if analysis.token_maps is not None:
        arrays["token_maps"] = analysis.token_maps
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, allow_pickle=False, **arrays)


def write_summary(path: str | os.PathLike[str], analysis: Analysis, **more: Any) -> None:
    """Write predictions, compute, timings, provenance and notes as JSON, with `more` fields added.

    Raises:
        MediaError: If the file cannot be written.
    """
    text = json.dumps({**analysis.summary(), **more}, indent=2, ensure_ascii=False, allow_nan=False)
    with replacing(path) as temporary:
        Path(temporary).write_text(text + "\n", encoding="utf-8")


def _whole_factor(height: int, width: int) -> int:
    """By how much a small picture is enlarged; one that is already long is not."""
    return max(1, min(-(-_MIN_WIDTH // width), _MAX_ENLARGED // height))


def _grid_columns(tiles: int, aspect: float) -> int:
    """Columns that make a grid of tiles (`aspect`: width / height) about 16:9 and leave few places empty."""

    def cost(columns: int) -> float:
        rows = -(-tiles // columns)
        shape = abs(math.log(columns * aspect / rows / (16 / 9)))
        return shape + 2 * (1 - tiles / (rows * columns))

    return min(range(1, tiles + 1), key=cost)
