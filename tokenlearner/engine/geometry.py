"""What a model sees of a frame: the part it looks at, its input size, and where each grid cell lies.

A whole frame keeps its shape: the patch grid takes the frame's aspect ratio and about as many patches as the
model's standard input, and the position embedding is resampled to it. The grid fits an aspect ratio only
approximately; what remains is a stretch of at most `MAX_STRETCH`, and where the fit is worse than that
(frames longer than the grid can be), the middle of the frame is taken instead. Both are reported.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from jaxtyping import UInt8

from tokenlearner.config import ModelConfig
from tokenlearner.errors import ConfigError

Resize = Literal["whole", "crop"]
Box = tuple[float, float, float, float]

MAX_STRETCH: Final = 0.05
"""Largest change of aspect ratio that is taken instead of cutting something off."""
MAX_PATCHES: Final = 16_384
"""Largest grid: beyond it, self-attention over patches no longer fits ordinary machines."""
_NOTED_STRETCH: Final = 0.01
_STRETCH_WEIGHT: Final = 4.0  # one per cent of stretch weighs as much as four per cent of patches more or fewer


@dataclass(frozen=True)
class Geometry:
    """How frames of one size become inputs of a model, and how its grid maps back.

    Attributes:
        frame_hw: Frame as (height, width) in pixels, upright, as displayed.
        box_xywh: The part that the model saw as (left, top, width, height) in frame pixels.
        input_hw: What that part was resized to, (height, width) in pixels.
        grid_hw: Patches over the box as (rows, columns).
    """

    frame_hw: tuple[int, int]
    box_xywh: tuple[int, int, int, int]
    input_hw: tuple[int, int]
    grid_hw: tuple[int, int]

    @property
    def box_normalized(self) -> Box:
        """The box as fractions of the frame: (left, top, width, height) in 0..1."""
        left, top, width, height = self.box_xywh
        frame_height, frame_width = self.frame_hw
        return left / frame_width, top / frame_height, width / frame_width, height / frame_height

    @property
    def stretch(self) -> float:
        """Relative change of the box's aspect ratio (width / height) by the resize; 0 keeps the shape."""
        _, _, width, height = self.box_xywh
        return (self.input_hw[1] * height) / (self.input_hw[0] * width) - 1

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on what was left out or stretched, for people."""
        found = []
        _, _, width, height = self.box_xywh
        if (height, width) != self.frame_hw:
            found.append(
                f"The model saw the middle {width} × {height} pixels of each "
                f"{self.frame_hw[1]} × {self.frame_hw[0]} frame; nothing is shown outside of them."
            )
        if abs(self.stretch) >= _NOTED_STRETCH:
            side = "width" if self.stretch > 0 else "height"
            grow = max(self.stretch, 1 / (1 + self.stretch) - 1)
            found.append(f"To fit the patch grid, the model saw the {side} stretched by {100 * grow:.1f} %.")
        return tuple(found)

    def to_input(self, rgb: UInt8[np.ndarray, "height width 3"]) -> UInt8[np.ndarray, "input_height input_width 3"]:
        """Cut out the box and resize it to the model's input.

        Shrinking averages areas (OpenCV's INTER_AREA), so fine patterns do not alias; enlarging is bicubic.

        Args:
            rgb: A frame. If its size is not `frame_hw`, the same fractions of it are taken.
        """
        frame_height, frame_width = rgb.shape[:2]
        left, top, width, height = self.box_xywh
        if (frame_height, frame_width) != self.frame_hw:
            scale_y, scale_x = frame_height / self.frame_hw[0], frame_width / self.frame_hw[1]
            left, width = round(left * scale_x), max(1, round(width * scale_x))
            top, height = round(top * scale_y), max(1, round(height * scale_y))
        part = rgb[top : top + height, left : left + width]
        input_height, input_width = self.input_hw
        if part.shape[0] == input_height and part.shape[1] == input_width:
            return np.ascontiguousarray(part)
        if input_height <= part.shape[0] and input_width <= part.shape[1]:
            return _resize(part, self.input_hw, cv2.INTER_AREA)
        if input_height >= part.shape[0] and input_width >= part.shape[1]:
            return _resize(part, self.input_hw, cv2.INTER_CUBIC)
        # One axis shrinks, the other grows: each by its own filter.
        shrunk_hw = (min(input_height, part.shape[0]), min(input_width, part.shape[1]))
        return _resize(_resize(part, shrunk_hw, cv2.INTER_AREA), self.input_hw, cv2.INTER_CUBIC)

    def to_dict(self) -> dict[str, list[int]]:
        """The four fields as plain lists, for JSON."""
        return {
            "frame_hw": list(self.frame_hw),
            "box_xywh": list(self.box_xywh),
            "input_hw": list(self.input_hw),
            "grid_hw": list(self.grid_hw),
        }


def plan_geometry(
    config: ModelConfig, frame_hw: tuple[int, int], *, resize: Resize = "whole", input_side: int | None = None
) -> Geometry:
    """Decide what a model sees of frames of one size.

    Args:
        config: The model; its standard input sets the number of patches and, for "crop", the shape.
        frame_hw: Frame as (height, width) in pixels.
        resize: "whole" keeps the frame's aspect ratio with a grid of that shape; "crop" takes the largest
            centred part that has the shape of the model's standard input (a square, for most).
        input_side: Side in pixels of a square input whose area the input shall have, for a finer or coarser
            grid; None for the model's standard area.

    Raises:
        ConfigError: If the frame is empty, or `input_side` gives no patch at all or too many.
    """
    height, width = frame_hw
    if height < 1 or width < 1:
        raise ConfigError(f"A frame of {width} x {height} pixels cannot be analysed.")
    if resize == "crop":
        grid_hw = _scaled_grid(config, input_side)
        whole = False
    else:
        grid_hw = _fitting_grid(config, width / height, _patch_budget(config, input_side))
        whole = abs(math.log(_aspect(config, grid_hw) * height / width)) <= math.log1p(MAX_STRETCH)
    input_hw = (grid_hw[0] * config.patch_size[0], grid_hw[1] * config.patch_size[1])
    box = (0, 0, width, height) if whole else _centre_box(frame_hw, input_hw)
    return Geometry(frame_hw, box, input_hw, grid_hw)


def _patch_budget(config: ModelConfig, input_side: int | None) -> float:
    """Patches that the input shall have, about."""
    patch_area = config.patch_size[0] * config.patch_size[1]
    if input_side is None:
        return config.img_size[0] * config.img_size[1] / patch_area
    patches = input_side**2 / patch_area if input_side > 0 else 0.0
    if patches < 1:
        raise ConfigError(
            f"An input side of {input_side} pixels is smaller than one patch of "
            f"{config.patch_size[0]} x {config.patch_size[1]} pixels."
        )
    if patches > MAX_PATCHES:
        side = math.isqrt(MAX_PATCHES * patch_area)
        raise ConfigError(
            f"An input side of {input_side} pixels makes {patches:.0f} patches, more than the {MAX_PATCHES} that "
            f"can be analysed. Choose at most {side}."
        )
    return patches


def _scaled_grid(config: ModelConfig, input_side: int | None) -> tuple[int, int]:
    """The standard grid, or one of the same shape with the area of a square of `input_side`."""
    rows, columns = config.grid_hw()
    scale = math.sqrt(_patch_budget(config, input_side) / (rows * columns))
    return max(1, round(rows * scale)), max(1, round(columns * scale))


def _aspect(config: ModelConfig, grid_hw: tuple[int, int]) -> float:
    return grid_hw[1] * config.patch_size[1] / (grid_hw[0] * config.patch_size[0])


def _fitting_grid(config: ModelConfig, aspect: float, budget: float) -> tuple[int, int]:
    """The grid nearest to an aspect ratio (width / height) and a number of patches, both as ratios."""

    def cost(grid_hw: tuple[int, int]) -> float:
        stretch = abs(math.log(_aspect(config, grid_hw) / aspect))
        return _STRETCH_WEIGHT * stretch + abs(math.log(grid_hw[0] * grid_hw[1] / budget))

    cell_aspect = aspect * config.patch_size[0] / config.patch_size[1]  # columns per row
    candidates = set()
    for count in range(1, math.ceil(math.sqrt(2 * budget)) + 1):  # the shorter side of the grid, in cells
        for other in (math.floor(count * cell_aspect), math.ceil(count * cell_aspect)):
            candidates.add((count, min(max(other, 1), math.ceil(2 * budget))))
        for other in (math.floor(count / cell_aspect), math.ceil(count / cell_aspect)):
            candidates.add((min(max(other, 1), math.ceil(2 * budget)), count))
    return min(sorted(candidates), key=cost)


def _centre_box(frame_hw: tuple[int, int], input_hw: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest centred box with the aspect ratio of the input, to the pixel."""
    height, width = frame_hw
    input_height, input_width = input_hw
    if width * input_height >= height * input_width:
        box_height, box_width = height, max(1, min(width, round(height * input_width / input_height)))
    else:
        box_height, box_width = max(1, min(height, round(width * input_height / input_width))), width
    return (width - box_width) // 2, (height - box_height) // 2, box_width, box_height


def _resize(
    rgb: UInt8[np.ndarray, "height width 3"], hw: tuple[int, int], interpolation: int
) -> UInt8[np.ndarray, "new_height new_width 3"]:
    return np.asarray(cv2.resize(np.ascontiguousarray(rgb), (hw[1], hw[0]), interpolation=interpolation))
