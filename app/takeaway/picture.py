"""What the player shows, drawn in Python: the same views by the same formulas, with a legend below."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from app.player.payload import PlayerState
from tokenlearner import render
from tokenlearner.analysis.tracks import track_maps, trail
from tokenlearner.engine import Analysis
from tokenlearner.export import UNTRAINED_MARK, token_legend
from tokenlearner.palette import text_color_on, token_color, token_number

Picture = UInt8[np.ndarray, "height width 3"]

TRAIL_S: Final = 2.0
_MIN_WIDTH: Final = 480  # smaller pictures are enlarged by a whole factor, so that numbers and legend can be read
_GRID_WIDTH: Final = 1280
_GAP: Final = 4
_GROUND: Final = (20, 22, 26)
_MUTED: Final = "muted"
_TICK_S: Final = 1e-4  # clips round times to their own ticks


class StatePainter:
    """Draws frames of one analysis as the player shows them in one state.

    Args:
        found: The analysis; without maps, frames stay as they are.
        state: View, tokens, scale and the rest.
        scale_max: Weight drawn at full strength by the fixed scale; None for that of these maps.
    """

    def __init__(self, found: Analysis, state: PlayerState, scale_max: float | None = None) -> None:
        self._found, self._state = found, state
        self._kind = state.base if state.view == "beside" else state.view
        maps = found.token_maps
        self._maps = None if state.hidden else maps
        if maps is None:
            return
        count = maps.shape[1]
        chosen = tuple(range(count))
        if state.tokens is not None:
            chosen = tuple(sorted({token for token in state.tokens if token < count}))
        # A muted token is drawn where one looks at it alone, or at all of them side by side.
        self._audible = tuple(token for token in range(count) if token not in found.muted)
        self._tokens = tuple(token for token in chosen if token in self._audible)
        self._one = chosen[0] if chosen else 0
        fixed = render.clip_scale(maps) if scale_max is None else scale_max
        largest = maps.max(axis=(0, 2, 3))
        self._tops = {
            "fixed": np.full(count, fixed),
            "largest": np.full(count, largest.max()),
            "token": largest,
        }[state.scale]
        self._tops = np.where(self._tops > 0, self._tops, 1.0).astype(np.float32)
        self._tracks = track_maps(maps, found.timestamps_s) if state.trails else None

    def paint(self, rgb: Picture, timestamp_s: float) -> Picture:
        """A frame with what was seen at its time.

        Args:
            rgb: The frame, in any size.
            timestamp_s: Its presentation time in the source.
        """
        if self._maps is None:
            return self._marked(rgb)
        step = max(0, int(np.searchsorted(self._found.timestamps_s, timestamp_s + _TICK_S, side="right")) - 1)
        picture = self._grid(rgb, step) if self._state.view == "grid" else self._single(rgb, step)
        return np.concatenate([self._marked(picture), self._legend(picture.shape[1])])

    def _marked(self, picture: Picture) -> Picture:
        if self._found.provenance.trained:
            return picture
        return render.label(picture, UNTRAINED_MARK, corner="bottom-right")

    def _single(self, rgb: Picture, step: int) -> Picture:
        factor = -(-_MIN_WIDTH // rgb.shape[1])
        frame = _scaled(rgb, rgb.shape[1] * factor)
        picture = self._overlay(frame, step)
        if self._state.view == "beside":
            left = round(self._state.divider * frame.shape[1])
            picture[:, :left] = frame[:, :left]
            cv2.line(picture, (left, 0), (left, frame.shape[0]), (255, 255, 255), 2)
        return picture

    def _overlay(self, frame: Picture, step: int) -> Picture:
        state, maps = self._state, self._step(step)
        box, method = self._box(frame), self._method
        if self._kind == "one":
            top = float(self._tops[self._one])
            picture = render.overlay_heat(
                frame, maps[self._one], top, opacity=state.opacity, box_xywh=box, method=method
            )
            return self._trails(picture, step, (self._one,))
        if not self._tokens:
            return frame.copy()
        if self._kind == "owner":
            audible = list(self._audible)
            picture = render.overlay_owner(
                frame, maps[audible], token_ids=audible, opacity=state.opacity, box_xywh=box, method=method
            )
            if self._tokens != self._audible:
                picture = self._only_chosen(frame, picture, maps[audible], box)
        else:
            chosen = list(self._tokens)
            picture = render.overlay_tokens(
                frame,
                maps[chosen] / self._tops[chosen, None, None],
                1.0,
                token_ids=chosen,
                opacity=state.opacity,
                box_xywh=box,
                method=method,
            )
        picture = self._trails(picture, step, self._tokens)
        for token in self._tokens:
            row, col = np.unravel_index(int(maps[token].argmax()), maps[token].shape)
            x, y = (col + 0.5) / maps.shape[2], (row + 0.5) / maps.shape[1]
            _tag(picture, token, (round(box[0] + x * box[2]), round(box[1] + y * box[3])))
        return picture

    def _only_chosen(
        self, frame: Picture, picture: Picture, maps: Float32[np.ndarray, "tokens rows cols"], box: render.Box
    ) -> Picture:
        """Regions of tokens that are not chosen stay clear."""
        left, top, width, height = (round(value) for value in box)
        owner = render.owner_map(render.upsample_token_maps(maps, (height, width), self._method))
        clear = ~np.isin(np.array(self._audible)[owner], self._tokens)
        area = picture[top : top + height, left : left + width]
        area[clear] = frame[top : top + height, left : left + width][clear]
        return picture

    def _grid(self, rgb: Picture, step: int) -> Picture:
        maps = self._step(step)
        columns = max(1, round((len(maps) * rgb.shape[0] / rgb.shape[1] * 16 / 9) ** 0.5))
        frame = _scaled(rgb, max(1, (_GRID_WIDTH - (columns - 1) * _GAP) // columns))
        height, width = frame.shape[:2]
        rows = -(-len(maps) // columns)
        sheet = np.empty((rows * (height + _GAP) - _GAP, columns * (width + _GAP) - _GAP, 3), np.uint8)
        sheet[:] = _GROUND
        for token, token_map in enumerate(maps):
            tile = render.overlay_heat(
                frame,
                token_map,
                float(self._tops[token]),
                opacity=self._state.opacity,
                box_xywh=self._box(frame),
                method=self._method,
            )
            tile = self._trails(tile, step, (token,))
            _tag(tile, token, (16, 16))
            if token in self._found.muted:
                tile = render.label(tile, _MUTED, corner="top-right")
            y, x = (token // columns) * (height + _GAP), (token % columns) * (width + _GAP)
            sheet[y : y + height, x : x + width] = tile
        return sheet

    def _trails(self, picture: Picture, step: int, tokens: tuple[int, ...]) -> Picture:
        """Where the centres of mass came from, fading with age."""
        if self._tracks is None:
            return picture
        now_s = float(self._tracks.timestamps_s[step])
        left, top, width, height = self._box(picture)
        for token in tokens:
            path, age = trail(self._tracks, token, now_s, seconds=TRAIL_S)
            points = [(int(x), int(y)) for x, y in (path * (width, height) + (left, top)).round()]
            strength = np.zeros(picture.shape[:2], np.uint8)
            for i in range(1, len(points)):
                cv2.line(strength, points[i - 1], points[i], int(255 * (1 - age[i])), 3, cv2.LINE_AA)
            share = strength[..., None].astype(np.float32) / 255
            picture = np.rint(picture + (np.array(token_color(token), np.float32) - picture) * share).astype(np.uint8)
            cv2.circle(picture, points[-1], 5, token_color(token), -1, cv2.LINE_AA)
            cv2.circle(picture, points[-1], 5, (255, 255, 255), 1, cv2.LINE_AA)
        return picture

    def _legend(self, width: int) -> Picture:
        unit, state = self._found.map_unit, self._state
        height = int(np.clip(width / 20, 34, 88))
        notes = {
            "fixed": "one scale for the whole clip",
            "largest": "up to the largest weight of the whole clip",
            "token": "each token to its own largest weight",
        }
        note = notes[state.scale] if self._found.media.kind == "video" or state.scale == "token" else ""
        if self._kind == "owner":
            place = "colour of the token with the largest weight at each place"
            return token_legend(width, self._tokens, 1.0, unit, height=height, text=place)
        if self._kind == "some":
            words = f"full colour: its own largest weight ({unit})" if state.scale == "token" else None
            return token_legend(width, self._tokens, float(self._tops[0]), unit, height=height, note=note, text=words)
        if self._kind == "one":
            token = f"token {token_number(self._one)}{', muted' if self._one in self._found.muted else ''}"
            note = ", ".join(filter(None, (token, note)))
        top = float(self._tops[self._one] if self._kind == "one" else self._tops.max())
        return render.legend_strip(width, top, unit, height=height, note=note)

    def _step(self, step: int) -> Float32[np.ndarray, "tokens rows cols"]:
        assert self._maps is not None
        return self._maps[step]

    @property
    def _method(self) -> render.Method:
        return "smooth" if self._state.smooth else "nearest"

    def _box(self, frame: Picture) -> render.Box:
        left, top, width, height = self._found.geometry.box_normalized
        rows, cols = frame.shape[:2]
        return (left * cols, top * rows, width * cols, height * rows)


def _scaled(rgb: Picture, width: int) -> Picture:
    if width == rgb.shape[1]:
        return rgb
    height = max(1, round(rgb.shape[0] * width / rgb.shape[1]))
    method = cv2.INTER_AREA if width < rgb.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, (width, height), interpolation=method))


def _tag(picture: Picture, token: int, center_xy: tuple[int, int]) -> None:
    """A token's colour with its number, in place."""
    size = max(11, round(min(picture.shape[:2]) / 34))
    color, text = token_color(token), str(token_number(token))
    cv2.circle(picture, center_xy, size, (255, 255, 255), -1, cv2.LINE_AA)
    cv2.circle(picture, center_xy, size - 1, color, -1, cv2.LINE_AA)
    x = center_xy[0] - render.measure_text(text, size) // 2 - 1
    render.draw_text(picture, text, (x, center_xy[1] + round(0.36 * size)), size, text_color_on(color))
