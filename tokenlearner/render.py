"""Pictures from token maps: overlays, owners, contact sheets, legends. NumPy and OpenCV, RGB uint8 throughout.

One scale holds for a whole clip: every function takes `scale_max`, the weight drawn at full strength
(`clip_scale` finds it), and never looks at a single frame's own range. The player in the browser draws the same
pixels by the same formulas.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import Float, Integer, UInt8

from tokenlearner.palette import HEAT_LUT, Rgb, format_weight, text_color_on, token_color, token_number

Method = Literal["smooth", "nearest"]
Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
Box = tuple[float, float, float, float]
"""Left, top, width, height of the area that a model saw, in pixels of the frame."""

OPACITY: Final = 0.7
"""Usual share of the colour in a blend."""
TOP_SHARE: Final = 0.01
"""Share of a clip's weights that `clip_scale` lets be drawn like its top."""
BLEND_DIM: Final = 0.4
"""How far, at opacity 1, a blend of tokens dims what has no weight."""
OWNER_FILL: Final = 0.7
"""Strength of an owned region at opacity 1, so that the picture stays readable beneath."""
NOT_SEEN: Final = "not seen by the model"
_INK: Final[Rgb] = (236, 238, 240)
_GROUND: Final[Rgb] = (20, 22, 26)


def clip_scale(maps: Float[np.ndarray, "time tokens rows cols"]) -> float:
    """The one scale of a clip: the weight, in the maps' own unit, that only `TOP_SHARE` of all weights exceed.

    A sharp map holds most of its weight in few places: scaled by the largest of the clip, all others would vanish.
    Where nearly all weights are zero it is the largest after all, and 1.0 where all are.
    """
    if not maps.size:
        return 1.0
    common = float(np.quantile(maps, 1 - TOP_SHARE))
    largest = float(maps.max())
    return common if common > 0 else largest if largest > 0 else 1.0


def upsample_token_maps(
    maps: Float[np.ndarray, "tokens rows cols"],
    image_hw: tuple[int, int],
    method: Method = "smooth",
) -> Float[np.ndarray, "tokens height width"]:
    """Upsample token maps from the patch grid to pixels.

    Values stay weight per patch: nothing is rescaled per map or per frame, so two frames can be compared.

    Args:
        maps: TokenLearner weights of one time step.
        image_hw: Output size in pixels as (height, width).
        method: "smooth" interpolates bilinearly between patch centres, "nearest" shows the patches as they are.
    """
    height, width = image_hw
    if method == "nearest":
        rows = _nearest(maps.shape[1], height)
        cols = _nearest(maps.shape[2], width)
        return maps[:, rows[:, None], cols]
    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR) for plane in maps]
    return np.stack(planes) if planes else np.zeros((0, height, width), maps.dtype)


def _nearest(cells: int, pixels: int) -> Integer[np.ndarray, " pixels"]:
    """Cell in which each pixel's centre lies."""
    return ((np.arange(pixels) + 0.5) * cells / pixels).astype(np.intp)


def owner_map(maps: Float[np.ndarray, "tokens rows cols"]) -> Integer[np.ndarray, "rows cols"]:
    """Which token holds the largest weight at each place, as an index into `maps` (the first among equals)."""
    return maps.argmax(axis=0)


def overlay_heat(
    frame: UInt8[np.ndarray, "height width 3"],
    token_map: Float[np.ndarray, "rows cols"],
    scale_max: float,
    *,
    opacity: float = OPACITY,
    box_xywh: Box | None = None,
    method: Method = "smooth",
) -> UInt8[np.ndarray, "height width 3"]:
    """Blend one token's map over the frame as heat (`HEAT_LUT`).

    Args:
        frame: RGB.
        token_map: Weights of one token at one time; covers `box_xywh`.
        scale_max: Weight at the top of the colour map; larger ones are drawn like it.
        opacity: Share of the heat in the blend, 0..1.
        box_xywh: Area of the frame that the model saw; None for all of it. The rest is marked as not seen.
        method: See `upsample_token_maps`.
    """
    area = _pixels(box_xywh, frame.shape)
    strength = upsample_token_maps(token_map[None], _size(area), method)[0] / scale_max
    heat = HEAT_LUT[np.rint(strength.clip(0, 1) * 255).astype(np.uint8)]
    return _around(frame, area, _blend(frame[area], heat, np.float32(opacity)))


def overlay_tokens(
    frame: UInt8[np.ndarray, "height width 3"],
    maps: Float[np.ndarray, "tokens rows cols"],
    scale_max: float,
    *,
    token_ids: Sequence[int],
    opacity: float = OPACITY,
    box_xywh: Box | None = None,
    method: Method = "smooth",
) -> UInt8[np.ndarray, "height width 3"]:
    """Blend several tokens over the frame, each in its own colour.

    Where tokens meet, their colours mix by the squares of their weights, so that many faint tokens do not grey a
    strong one; the blend is as strong as the largest weight. What has no weight is dimmed a little, so that the
    colours tell on bright pictures too.

    Args:
        frame: RGB.
        maps: Weights of the tokens at one time; cover `box_xywh`.
        scale_max: Weight drawn at full strength.
        token_ids: Index in the model of each map (chooses its colour).
        opacity: Share of the colour where a weight reaches `scale_max`, 0..1.
        box_xywh: See `overlay_heat`.
        method: See `upsample_token_maps`.
    """
    area = _pixels(box_xywh, frame.shape)
    if not token_ids:
        return mark_unseen(frame, box_xywh)
    strength = (upsample_token_maps(maps, _size(area), method) / scale_max).clip(0, 1)
    colors = np.array([token_color(token) for token in token_ids], np.float32)
    shares = strength**2
    mixed = np.einsum("khw,kc->hwc", shares, colors) / np.maximum(shares.sum(axis=0), 1e-9)[..., None]
    largest = strength.max(axis=0)[..., None]
    cover = BLEND_DIM + (1 - BLEND_DIM) * largest
    return _around(frame, area, _blend(frame[area], mixed * largest / cover, opacity * cover))


def overlay_owner(
    frame: UInt8[np.ndarray, "height width 3"],
    maps: Float[np.ndarray, "tokens rows cols"],
    *,
    token_ids: Sequence[int],
    opacity: float = OPACITY,
    box_xywh: Box | None = None,
    method: Method = "smooth",
) -> UInt8[np.ndarray, "height width 3"]:
    """Colour each place by the token with the largest weight there, with the borders drawn.

    Takes no scale: only the order of the weights at a place matters. Arguments as for `overlay_tokens`.
    """
    area = _pixels(box_xywh, frame.shape)
    owner = owner_map(upsample_token_maps(maps, _size(area), method))
    colors = np.array([token_color(token) for token in token_ids], np.uint8)
    inside = _blend(frame[area], colors[owner], np.float32(opacity * OWNER_FILL))
    edges = np.zeros(owner.shape, bool)
    edges[:, 1:] |= owner[:, 1:] != owner[:, :-1]
    edges[1:] |= owner[1:] != owner[:-1]
    thickness = max(1, round(max(_size(area)) / 400))
    inside[cv2.dilate(edges.astype(np.uint8), np.ones((thickness, thickness), np.uint8)) > 0] = 255
    return _around(frame, area, inside)


def mark_unseen(
    frame: UInt8[np.ndarray, "height width 3"], box_xywh: Box | None
) -> UInt8[np.ndarray, "height width 3"]:
    """Copy of the frame with everything outside `box_xywh` dimmed, hatched and captioned as not seen."""
    area = _pixels(box_xywh, frame.shape)
    return _around(frame, area, frame[area])


def label(
    picture: UInt8[np.ndarray, "height width 3"], text: str, *, corner: Corner = "top-left"
) -> UInt8[np.ndarray, "height width 3"]:
    """Copy of the picture with a short text on a dark plate in a corner, such as "UNTRAINED WEIGHTS"."""
    marked = picture.copy()
    height, width = picture.shape[:2]
    size = int(np.clip(min(height, width) / 22, 10, 28))
    text_width = measure_text(text, size)
    while size > 6 and text_width + size > width:
        size -= 1
        text_width = measure_text(text, size)
    margin, plate_hw = size // 2, (round(size * 1.7), text_width + size)
    x = margin if corner.endswith("left") else max(0, width - plate_hw[1] - margin)
    y = margin if corner.startswith("top") else max(0, height - plate_hw[0] - margin)
    plate = marked[y : y + plate_hw[0], x : x + plate_hw[1]]
    plate[:] = _blend(plate, np.array(_GROUND, np.float32), np.float32(0.75))
    draw_text(marked, text, (x + size // 2, y + round(size * 1.2)), size, _INK)
    return marked


def legend_strip(
    width: int, scale_max: float, unit: str, *, height: int = 44, note: str = "one scale for the whole clip"
) -> UInt8[np.ndarray, "{height} {width} 3"]:
    """Legend of the heat: the colour map with its ends, its unit and how the scale was chosen.

    Args:
        width: In pixels.
        scale_max: Weight at the right end; the left end is 0.
        unit: What a weight means, printed as it is.
        height: In pixels.
        note: How the scale was chosen, printed after the unit.
    """
    strip = np.empty((height, width, 3), np.uint8)
    strip[:] = _GROUND
    size, margin = max(9, round(height * 0.3)), round(height * 0.2)
    bar = slice(margin, max(margin + 2, round(height * 0.45)))
    ramp = HEAT_LUT[np.linspace(0, 255, max(width - 2 * margin, 1)).round().astype(np.uint8)]
    strip[bar, margin : margin + len(ramp)] = ramp[: max(width - margin, 0)]
    baseline = round(height * 0.85)
    top = format_weight(scale_max, unit)
    draw_text(strip, f"0   {unit}" + (f", {note}" if note else ""), (margin, baseline), size, _INK)
    top_width = measure_text(top, size)
    x = max(0, width - margin - top_width)
    strip[baseline - size : height, max(0, x - size) :] = _GROUND
    draw_text(strip, top, (x, baseline), size, _INK)
    return strip


def contact_sheet(
    frames: Sequence[UInt8[np.ndarray, "height width 3"]],
    maps: Float[np.ndarray, "time tokens rows cols"],
    timestamps_s: Float[np.ndarray, " time"],
    scale_max: float,
    unit: str,
    *,
    token_ids: Sequence[int],
    tile_width: int = 160,
    opacity: float = OPACITY,
    box_xywh: Box | None = None,
    mark: str | None = None,
) -> UInt8[np.ndarray, "sheet_height sheet_width 3"]:
    """Tokens down, time across: the frames in the first row, then one row of heat for each token.

    Args:
        frames: RGB frames, one for each time step, all of one size.
        maps: Weights at those times.
        timestamps_s: Presentation times, printed above the columns.
        scale_max: The clip's scale, printed in the legend below.
        unit: What a weight means.
        token_ids: Index in the model of each row.
        tile_width: Width of one tile in pixels.
        opacity: See `overlay_heat`.
        box_xywh: See `overlay_heat`.
        mark: Caption for the whole sheet, such as "UNTRAINED WEIGHTS".

    Raises:
        ValueError: If there are no frames, or not as many frames as time steps.
    """
    if len(frames) != len(maps) or not len(frames):
        raise ValueError(f"A contact sheet needs one frame a time step: {len(frames)} frames, {len(maps)} time steps.")
    frame_hw = frames[0].shape[:2]
    tile_hw = (max(1, round(tile_width * frame_hw[0] / frame_hw[1])), tile_width)
    gap, gutter, legend = 4, 44, 44
    header = 24 if mark is None else 56
    rows = 1 + len(token_ids)
    sheet_hw = (header + rows * (tile_hw[0] + gap) + legend, gutter + len(frames) * (tile_hw[1] + gap))
    sheet = np.empty((*sheet_hw, 3), np.uint8)
    sheet[:] = _GROUND
    for row, token in enumerate(token_ids, start=1):
        _draw_chip(sheet, token, (gutter // 2, header + row * (tile_hw[0] + gap) + tile_hw[0] // 2))
    for column, (frame, time_s) in enumerate(zip(frames, timestamps_s, strict=True)):
        x = gutter + column * (tile_hw[1] + gap)
        draw_text(sheet, f"{time_s:.2f} s", (x, header - 8), 13, _INK)
        tiles = [mark_unseen(frame, box_xywh)]
        tiles += [
            overlay_heat(frame, token_map, scale_max, opacity=opacity, box_xywh=box_xywh) for token_map in maps[column]
        ]
        for row, tile in enumerate(tiles):
            y = header + row * (tile_hw[0] + gap)
            sheet[y : y + tile_hw[0], x : x + tile_hw[1]] = cv2.resize(
                tile, tile_hw[::-1], interpolation=cv2.INTER_AREA
            )
    sheet[-legend:] = legend_strip(sheet_hw[1], scale_max, unit, height=legend)
    if mark is not None:
        draw_text(sheet, mark, (gutter, 23), 18, _INK)
    return sheet


def draw_text(
    picture: UInt8[np.ndarray, "height width 3"], text: str, origin_xy: tuple[int, int], size: int, rgb: Rgb
) -> None:
    """Write text into the picture, in place; `origin_xy` is the left end of its baseline, `size` in pixels."""
    cv2.putText(picture, text, origin_xy, rgb, _font(), size, 500)


def measure_text(text: str, size: int) -> int:
    """Width in pixels that `draw_text` needs."""
    _, _, width, _ = cv2.getTextSize((0, 0), text, (0, 0), _font(), size, 500)
    return int(width)


def _font() -> cv2.FontFace:
    return cv2.FontFace("sans")


def _draw_chip(picture: UInt8[np.ndarray, "height width 3"], token: int, center_xy: tuple[int, int]) -> None:
    """A token's colour with its number, in place."""
    color = token_color(token)
    cv2.circle(picture, center_xy, 14, color, -1, cv2.LINE_AA)
    text = str(token_number(token))
    x = center_xy[0] - measure_text(text, 15) // 2 - 1
    draw_text(picture, text, (x, center_xy[1] + 5), 15, text_color_on(color))


def _pixels(box_xywh: Box | None, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of the frame that a box covers, as whole pixels inside the frame."""
    height, width = shape[:2]
    if box_xywh is None:
        return slice(0, height), slice(0, width)
    x, y, w, h = box_xywh
    top, left = (min(max(round(v), 0), size - 1) for v, size in ((y, height), (x, width)))
    bottom, right = min(max(round(y + h), top + 1), height), min(max(round(x + w), left + 1), width)
    return slice(top, bottom), slice(left, right)


def _around(
    frame: UInt8[np.ndarray, "height width 3"],
    area: tuple[slice, slice],
    inside: UInt8[np.ndarray, "rows cols 3"],
) -> UInt8[np.ndarray, "height width 3"]:
    """`inside` in its place, and around it the frame as not seen."""
    height, width = frame.shape[:2]
    if _size(area) == (height, width):
        return inside.copy()
    rows, cols = np.ogrid[:height, :width]
    period = max(6, round(min(height, width) / 40))
    hatch = ((rows + cols) % period < max(1, period // 5))[..., None]
    picture: UInt8[np.ndarray, "height width 3"] = np.rint(0.35 * frame + 55 * hatch).astype(np.uint8)
    picture[area] = inside
    top, left = area[0].start, area[1].start
    strips: dict[Corner, int] = {
        "top-left": max(top * width, left * height),
        "bottom-left": (height - area[0].stop) * width,
        "top-right": (width - area[1].stop) * height,
    }
    return label(picture, NOT_SEEN, corner=max(strips, key=strips.__getitem__))


def _size(area: tuple[slice, slice]) -> tuple[int, int]:
    return area[0].stop - area[0].start, area[1].stop - area[1].start


def _blend(
    under: UInt8[np.ndarray, "height width 3"], over: np.ndarray, share: np.ndarray | np.floating
) -> UInt8[np.ndarray, "height width 3"]:
    """`share` of `over` and the rest of `under`, rounded."""
    return np.rint(under + (over - under.astype(np.float32)) * share).clip(0, 255).astype(np.uint8)
