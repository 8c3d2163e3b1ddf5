"""Pictures of a model's maps for its card: what each token looks at in sample photographs and clips.

Only samples whose licence allows to pass them on are drawn: photographs of scikit-image that are in the public domain
or CC0, and clips that the project renders from such.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image

from tokenlearner.analysis.maps import as_shares
from tokenlearner.cards import discard, maps_picture, temporary_path
from tokenlearner.engine.geometry import Geometry, plan_geometry
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.evaluation.collect import Choice, evaluating, run_choices
from tokenlearner.media import Sampling, open_media
from tokenlearner.palette import HEAT_LUT, text_color_on, token_color, token_number
from tokenlearner.render import clip_scale, draw_text, mark_unseen, measure_text, overlay_heat
from tokenlearner.samples import list_samples, sample_path
from tokenlearner.weights import LoadedModel

PHOTOGRAPHS: Final = ("cat", "astronaut", "coffee", "rocket", "photographer")
CLIPS: Final = ("shapes", "lawn", "portrait")
STEPS: Final = 3
MAX_TOKENS: Final = 8

_TILE_AREA: Final = 110 * 110
_GAP: Final = 3
_CAPTION: Final = 17
_HEADER: Final = 62
_GROUND: Final = (20, 22, 26)
_INK: Final = (236, 238, 240)
_QUALITY: Final = 82

Picture = UInt8[np.ndarray, "_ _ 3"]


@dataclass(frozen=True, eq=False)
class SheetRow:
    """One picture with the maps over it.

    Attributes:
        rgb: The picture or frame.
        maps: Weights of the tokens, normalised over space.
        geometry: What the model saw of it.
        scale_max: Weight drawn at full strength.
        caption: Written above.
    """

    rgb: Picture
    maps: Float[np.ndarray, "tokens rows columns"]
    geometry: Geometry
    scale_max: float
    caption: str


def photo_row(loaded: LoadedModel, rgb: Picture, caption: str, choice: Choice) -> SheetRow:
    """Run an image model on a photograph; its answer is added to the caption."""
    geometry = plan_geometry(loaded.model.config, rgb.shape[:2])
    maps, answer = _run(loaded, geometry.to_input(rgb)[None], choice)
    return SheetRow(rgb, maps[0], geometry, clip_scale(maps), f"{caption}: {answer}")


def clip_rows(
    loaded: LoadedModel, frames: Sequence[Picture], caption: str, choice: Choice, steps: int = STEPS
) -> list[SheetRow]:
    """Run a video model on one clip of its length, or an image model on its frames, and show a few moments.

    Args:
        loaded: The model.
        frames: All of one size; if there are too few for a video model, the last is repeated.
        caption: What the clip is called.
        choice: Module and tokens.
        steps: Moments shown, from the first to the last, evenly.
    """
    config = loaded.model.config
    geometry = plan_geometry(config, frames[0].shape[:2])
    length = config.num_frames or len(frames)
    inputs = np.stack([geometry.to_input(frames[min(i, len(frames) - 1)]) for i in range(length)])
    maps, answer = _run(loaded, inputs[None] if config.is_video else inputs, choice)
    shown = [round(step) for step in np.linspace(0, len(maps) - 1, min(steps, len(maps)))]
    scale = clip_scale(maps)
    return [
        SheetRow(
            frames[min(step * config.tubelet_size, len(frames) - 1)],
            maps[step],
            geometry,
            scale,
            f"{caption}, frame {step * config.tubelet_size}" + (f": {answer}" if not place else ""),
        )
        for place, step in enumerate(shown)
    ]


def draw_sheet(rows: Sequence[SheetRow], title: str, *, mark: str = "") -> Picture:
    """Pictures down, tokens across: each picture, and beside it the heat of every token.

    Raises:
        ValueError: If there are no rows.
    """
    if not rows:
        raise ValueError("a sheet needs at least one picture")
    tokens = rows[0].maps.shape[0]
    sizes = [_tile_hw(row.rgb) for row in rows]
    tile_width = max(width for _, width in sizes)
    width = _GAP + (1 + tokens) * (tile_width + _GAP)
    height = _HEADER + sum(_CAPTION + tile_height + _GAP for tile_height, _ in sizes)
    sheet = np.empty((height, width, 3), np.uint8)
    sheet[:] = _GROUND
    draw_text(sheet, title, (_GAP + 2, 18), 14, _INK)
    _draw_legend(sheet, mark)
    for token in range(tokens):
        _draw_chip(sheet, token, (_GAP + (token + 1) * (tile_width + _GAP) + tile_width // 2, 48))
    y = _HEADER
    for row, (tile_height, own_width) in zip(rows, sizes, strict=True):
        draw_text(sheet, row.caption, (_GAP + 2, y + 13), 11, _INK)
        y += _CAPTION
        left, top, box_width, box_height = row.geometry.box_xywh
        box = float(left), float(top), float(box_width), float(box_height)
        tiles = [mark_unseen(row.rgb, box)]
        tiles += [overlay_heat(row.rgb, one, row.scale_max, box_xywh=box) for one in row.maps]
        for column, tile in enumerate(tiles):
            x = _GAP + column * (tile_width + _GAP)
            small = cv2.resize(tile, (own_width, tile_height), interpolation=cv2.INTER_AREA)
            sheet[y : y + tile_height, x : x + own_width] = small
        y += tile_height + _GAP
    return sheet


def sample_rows(loaded: LoadedModel, cache_dir: Path | None = None) -> Iterator[SheetRow]:
    """The samples that may be passed on, as the model sees them: photographs, or clips for a video model."""
    choice = default_choice(loaded)
    titles = {sample.name: sample.title for sample in list_samples()}
    config = loaded.model.config
    if not config.is_video:
        for name in PHOTOGRAPHS:
            with open_media(sample_path(name)) as reader:
                yield photo_row(loaded, next(iter(reader)).rgb, titles[name], choice)
        return
    for name in CLIPS:
        with open_media(sample_path(name, cache_dir), Sampling(start_s=1.0)) as reader:
            frames = [frame.rgb for frame, _ in zip(reader, range(config.num_frames or 1), strict=False)]
        yield from clip_rows(loaded, frames, titles[name], choice)


def default_choice(loaded: LoadedModel) -> Choice:
    """The module at its default place with at most eight tokens.

    Raises:
        ConfigError: If the model holds no module.
    """
    config = loaded.model.config
    loc = config.default_loc
    if loc is None:
        loc = config.tokenlearner_locs[0] if config.tokenlearner_locs else None
    if loc is None:
        raise ConfigError(f"{loaded.card.name} has no TokenLearner, so there are no maps to draw.")
    return Choice(loc, min(config.num_tokens, MAX_TOKENS))


def sample_sheet(loaded: LoadedModel, cache_dir: Path | None = None) -> Picture:
    """The card's picture: the samples with all tokens of the default module."""
    choice = default_choice(loaded)
    return draw_sheet(list(sample_rows(loaded, cache_dir)), sheet_title(loaded, choice), mark=_mark(loaded))


def sheet_title(loaded: LoadedModel, choice: Choice) -> str:
    """What a sheet shows, in words."""
    return (
        f"{loaded.card.name}: TokenLearner before block {choice.loc}, "
        f"tokens 1 to {choice.num_tokens} of {loaded.model.config.num_tokens}"
    )


def write_sheet(path: Path, sheet: Picture) -> None:
    """Write a sheet as JPEG, in one step.

    Raises:
        CheckpointError: If it cannot be written.
    """
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(temporary, "JPEG", quality=_QUALITY)
        temporary.replace(path)
    except OSError as error:
        discard(temporary)
        raise CheckpointError(f'"{path}" cannot be written: {error.strerror or error}.') from error


def save_card_picture(loaded: LoadedModel) -> Path:
    """Draw the card's picture and write it beside the weights; the card shows it when it is written next.

    Raises:
        CheckpointError: If the model has no file, or the picture cannot be written.
    """
    if loaded.path is None:
        raise CheckpointError("This model has no file, so there is no card for its pictures.")
    path = maps_picture(loaded.path)
    write_sheet(path, sample_sheet(loaded))
    return path


def _run(
    loaded: LoadedModel, inputs: UInt8[np.ndarray, "inputs *frames height width 3"], choice: Choice
) -> tuple[Float[np.ndarray, "moments tokens rows columns"], str]:
    """Maps of all moments, and what the model says to the first input."""
    model = loaded.model
    with evaluating(model), torch.inference_mode():
        pixels = model.normalize(torch.from_numpy(inputs).to(model.mean.device))
        logits, maps = run_choices(model, pixels, [choice])
    assert choice.loc is not None
    shares = as_shares(maps[choice.loc].float().cpu().numpy()).astype(np.float32)
    return shares.reshape(-1, *shares.shape[2:]), _answer(loaded, logits[choice][0].float().cpu())


def _answer(loaded: LoadedModel, logits: torch.Tensor) -> str:
    """The most probable class of each question with its probability."""
    config = loaded.model.config
    words = []
    for held in config.group_slices().values():
        probs = logits[held].softmax(dim=0)
        best = int(probs.argmax())
        name = config.class_names[held][best] if config.class_names else f"class {best}"
        words.append(f"{name.replace('_', ' ')} {100 * float(probs[best]):.0f} %")
    return ", ".join(words)


def _mark(loaded: LoadedModel) -> str:
    return "" if loaded.card.trained else "UNTRAINED WEIGHTS"


def _tile_hw(rgb: Picture) -> tuple[int, int]:
    """Tile of one area for all shapes, as (height, width)."""
    height, width = rgb.shape[:2]
    scale = (_TILE_AREA / (height * width)) ** 0.5
    return max(1, round(height * scale)), max(1, round(width * scale))


def _draw_chip(sheet: Picture, token: int, center_xy: tuple[int, int]) -> None:
    color = token_color(token)
    cv2.circle(sheet, center_xy, 11, color, -1, cv2.LINE_AA)
    text = str(token_number(token))
    x = center_xy[0] - measure_text(text, 13) // 2 - 1
    draw_text(sheet, text, (x, center_xy[1] + 5), 13, text_color_on(color))


def _draw_legend(sheet: Picture, mark: str) -> None:
    """What the colours mean, below the title; to its right, what is untrained says so."""
    ramp = HEAT_LUT[np.linspace(0, 255, 60).round().astype(np.uint8)]
    sheet[28:36, _GAP + 2 : _GAP + 62] = ramp
    draw_text(sheet, "one scale a photo or clip", (_GAP + 2, 52), 10, _INK)
    if mark:
        draw_text(sheet, mark, (sheet.shape[1] - measure_text(mark, 14) - 8, 18), 14, _INK)
