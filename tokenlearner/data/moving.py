"""Labelled clips made on the device: one object moves over a photograph, seen by a camera that may move itself.

The class answer needs the motion (other objects stay still beside the one that moves), and the motion answer needs
the scene: the camera carries background and objects along alike, so what counts is the object's way over the
photograph. One `grid_sample` for the background and one for each object draw all frames of all clips.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from tokenlearner.data.moving_layers import (
    Bars,
    Layer,
    cover_views,
    draw_bars,
    draw_objects,
)
from tokenlearner.data.moving_paths import (
    MOTIONS,
    STILL,
    ClipSettings,
    Poses,
    Views,
    draw_poses,
    draw_tilt,
    draw_views,
    frame_times,
)
from tokenlearner.data.photos import Cutouts, Photos, uniform

__all__ = ["MOTIONS", "ClipSettings", "Clips", "freeze", "make_clips"]

_SUBSTEPS: Final = 3  # of an exposure, for motion blur
_STILL_LEAD: Final = 0.65  # beside a labelled object that stands still, others are at most this large in proportion
_TRIES: Final = 4  # places drawn for a distractor; the freest is taken
_REACH: Final = 0.42  # of the canvas: how far from its centre a distractor's middle may lie


@dataclass(frozen=True)
class Clips:
    """Clips and what they show.

    Attributes:
        rgb: Colours in 0..1, not yet normalised.
        label: Class of the labelled object: the one that moves; in "still" clips the largest.
        motion: Index into `MOTIONS`.
        mask: Visible part of each pixel that the labelled object covers, 0..1: what is faded out, hidden or out of
            the picture does not count, and the soft edge of a patch counts in part.
    """

    rgb: Float[Tensor, "batch frames 3 height width"]
    label: Int64[Tensor, " batch"]
    motion: Int64[Tensor, " batch"]
    mask: Float[Tensor, "batch frames height width"]

    def __len__(self) -> int:
        return self.rgb.shape[0]


def make_clips(
    photos: Photos,
    chosen: Int64[Tensor, " batch"],
    cutouts: Cutouts,
    canvas_hw: tuple[int, int],
    num_frames: int,
    settings: ClipSettings,
    generator: Generator,
    *,
    motion: Int64[Tensor, " batch"] | None = None,
) -> Clips:
    """Draw and render one clip for each chosen photograph.

    The motion is the labelled object's motion relative to the scene (the photograph behind). Distractors lie still in
    the scene, so any other motion names one object; in "still" clips the labelled object is the largest. Objects that
    appear or vanish are named though some frames do not show them. Objects are drawn evenly over classes.

    Args:
        photos: Photographs, for backgrounds and patches.
        chosen: Which of them lie behind; in random order, for motion blur goes to the first of the batch.
        cutouts: Objects; with none, all objects are patches.
        canvas_hw: Output size in pixels as (height, width).
        num_frames: Frames of a clip.
        settings: Strength and frequency of everything.
        generator: Source of every random draw, on the photographs' device.
        motion: Index into `MOTIONS` for each clip; None draws them evenly.
    """
    n, device = len(chosen), photos.pixels.device
    if motion is None:
        motion = torch.randint(len(MOTIONS), (n,), generator=generator, device=device)
    times = frame_times(num_frames, _SUBSTEPS, device)
    poses = draw_poses(times, num_frames, motion, canvas_hw, settings, generator)
    views = draw_views(times, n, canvas_hw, settings, generator)
    middle = poses.at(slice(len(times) // 2, len(times) // 2 + 1))
    distractors = _distractors(photos, cutouts, middle, motion == STILL, canvas_hw, settings, generator)
    moving = draw_objects(photos, cutouts, poses, settings, generator)
    background = cover_views(photos, chosen, views, canvas_hw, settings, generator)
    bars = draw_bars(times, middle.x[:, 0], middle.y[:, 0], middle.side[:, 0], canvas_hw, settings, generator)
    blurred = round(settings.blur_share * n)
    rgbm = torch.empty(n, 4, num_frames, *canvas_hw, device=device)
    for clips, substeps in ((slice(0, blurred), _SUBSTEPS), (slice(blurred, n), 1)):
        if clips.start == clips.stop:
            continue
        instants = slice(None) if substeps > 1 else slice(_SUBSTEPS // 2, None, _SUBSTEPS)
        drawn = _compose(
            background[clips],
            [layer[clips].at(instants) for layer in (*distractors, moving)],
            bars[clips].at(instants) if settings.occluder_share else None,
            views[clips].at(instants),
            canvas_hw,
        )
        rgbm[clips] = drawn.unflatten(2, (num_frames, substeps)).mean(3)
    rgb = _spoil(rgbm[:, :3], settings, generator).transpose(1, 2).contiguous()
    return Clips(rgb, moving.labels, motion, rgbm[:, 3].contiguous())


def freeze(clips: Clips, frame: int) -> Clips:
    """The same clips without motion: every frame is that one frame. What the motion was is still written beside.

    A network that names the motion of these better than chance has another clue than motion.

    Args:
        clips: Any clips.
        frame: Which frame stays; negative numbers count from the end.
    """
    return Clips(
        clips.rgb[:, frame].unsqueeze(1).expand_as(clips.rgb).contiguous(),
        clips.label,
        clips.motion,
        clips.mask[:, frame].unsqueeze(1).expand_as(clips.mask).contiguous(),
    )


def _distractors(
    photos: Photos,
    cutouts: Cutouts,
    middle: Poses,
    is_still: Bool[Tensor, " batch"],
    canvas_hw: tuple[int, int],
    settings: ClipSettings,
    generator: Generator,
) -> list[Layer]:
    """Objects that stay still, from none to all of them shown, away from the labelled object's middle and each other.

    Their places and sizes do not depend on the motion, but beside a labelled object that stands still they are smaller.
    """
    n, (height, width) = len(is_still), canvas_hw
    count = torch.randint(settings.distractors + 1, (n,), generator=generator, device=generator.device)
    taken_x, taken_y = middle.x, middle.y
    layers = []
    for i in range(settings.distractors):
        x = uniform(n * _TRIES, -_REACH, _REACH, generator).view(n, _TRIES) * width
        y = uniform(n * _TRIES, -_REACH, _REACH, generator).view(n, _TRIES) * height
        gap = torch.hypot(x.unsqueeze(2) - taken_x.unsqueeze(1), y.unsqueeze(2) - taken_y.unsqueeze(1)).amin(2)
        best = gap.argmax(1, keepdim=True)
        x, y = x.gather(1, best), y.gather(1, best)
        taken_x, taken_y = torch.cat([taken_x, x], dim=1), torch.cat([taken_y, y], dim=1)
        side = uniform(n, *settings.object_side, generator) * math.sqrt(height * width)
        side = torch.where(is_still, torch.minimum(side, _STILL_LEAD * middle.side[:, 0]), side)
        poses = Poses.standing(x[:, 0], y[:, 0], side, draw_tilt(n, generator), (i < count).float())
        layers.append(draw_objects(photos, cutouts, poses, settings, generator))
    return layers


def _compose(
    background: Layer, objects: list[Layer], bars: Bars | None, views: Views, canvas_hw: tuple[int, int]
) -> Float[Tensor, "batch 4 times height width"]:
    """Lay everything over each other; the last channel is what is seen of the last object."""
    rgb = background.draw(views, canvas_hw)
    alpha = torch.zeros_like(rgb[:, :1])
    for layer in objects:
        drawn = layer.draw(views, canvas_hw) * layer.poses.opacity[:, None, :, None, None]
        alpha = drawn[:, 3:]
        rgb = rgb * (1 - alpha) + drawn[:, :3]
    if bars is not None:
        hidden = bars.cover(views, canvas_hw).unsqueeze(1)
        rgb = rgb + hidden * (bars.colour[:, :, None, None, None] - rgb)
        alpha = alpha * (1 - hidden)
    return torch.cat([rgb, alpha], dim=1)


def _spoil(
    rgb: Float[Tensor, "batch 3 frames height width"], settings: ClipSettings, generator: Generator
) -> Float[Tensor, "batch 3 frames height width"]:
    """Flickering light and sensor noise."""
    n, _, frames = rgb.shape[:3]
    if settings.flicker:
        light = torch.randn(n, 1, frames, 1, 1, generator=generator, device=rgb.device)
        rgb = rgb * (1 + settings.flicker * light)
    if settings.noise:
        strength = uniform(n, 0.0, settings.noise, generator).view(n, 1, 1, 1, 1)
        rgb = rgb + strength * torch.randn(rgb.shape, generator=generator, device=rgb.device)
    return rgb.clamp(0, 1)
