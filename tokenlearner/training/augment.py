"""Batches made on the device: random crops of photographs, and collages of cut-out objects on clutter.

Every change is one operation on the whole batch (`tokenlearner.data.photos`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from tokenlearner.data.photos import Cutouts as Cutouts  # importable from here as well
from tokenlearner.data.photos import Photos as Photos
from tokenlearner.data.photos import crop, uniform
from tokenlearner.training.recipe import AugmentSettings

_MAX_OBJECTS = 3
_OBJECT_SIDE = (0.3, 0.62)  # of the canvas: square root of the object's box area
_CLUTTER_AREA = (0.03, 0.2)  # of a photograph: small enough that no object is whole


@dataclass(frozen=True)
class Batch:
    """Training input.

    Attributes:
        rgb: Colours in 0..1, not yet normalised.
        target: Class probabilities; a collage shares its mass between the objects it shows.
    """

    rgb: Float[Tensor, "batch 3 height width"]
    target: Float[Tensor, "batch classes"]


def make_batch(
    photos: Photos,
    chosen: Int64[Tensor, " batch"],
    cutouts: Cutouts,
    canvas_hw: tuple[int, int],
    num_classes: int,
    settings: AugmentSettings,
    generator: Generator,
) -> Batch:
    """Crop the chosen photographs, turn the first of them into collages, and change colours.

    Args:
        photos: Where the photographs lie.
        chosen: Which of them; the first `collage_share` of them serve as clutter of a collage.
        cutouts: Objects for the collages; with none, no collages are made.
        canvas_hw: Output size in pixels as (height, width).
        num_classes: Width of the target.
        settings: Strength of each change.
        generator: Source of every random draw, on the photographs' device.
    """
    num_collages = round(settings.collage_share * len(chosen)) if len(cutouts) else 0
    scale = torch.empty(len(chosen), device=photos.pixels.device)
    scale[num_collages:] = uniform(len(chosen) - num_collages, settings.min_scale, 1.0, generator)
    scale[:num_collages] = uniform(num_collages, *_CLUTTER_AREA, generator)
    rgb = random_crops(photos, chosen, canvas_hw, scale, generator)
    target = F.one_hot(photos.labels[chosen], num_classes).float()
    if num_collages:
        rgb[:num_collages], target[:num_collages] = _add_objects(rgb[:num_collages], cutouts, num_classes, generator)
    return Batch(_jitter(rgb, settings, generator), target)


def random_crops(
    photos: Photos,
    chosen: Int64[Tensor, " batch"],
    canvas_hw: tuple[int, int],
    scale: Float[Tensor, " batch"],
    generator: Generator,
) -> Float[Tensor, "batch 3 height width"]:
    """Random crops holding `scale` of each photograph's area, in shape within 3:4 to 4:3, flipped half the time."""
    n = len(chosen)
    shape = torch.exp(uniform(n, math.log(3 / 4), math.log(4 / 3), generator)) * (canvas_hw[1] / canvas_hw[0])
    aspect = photos.aspect[chosen]
    width = (scale * shape / aspect).sqrt().clamp(max=1)
    height = (scale * aspect / shape).sqrt().clamp(max=1)
    left = (1 - width) * uniform(n, 0.0, 1.0, generator)
    top = (1 - height) * uniform(n, 0.0, 1.0, generator)
    flip = torch.where(uniform(n, 0.0, 1.0, generator) < 0.5, -1.0, 1.0)
    return crop(photos.pixels[chosen], left, top, width, height, canvas_hw, flip)


def centre_crops(
    photos: Photos, chosen: Int64[Tensor, " batch"], canvas_hw: tuple[int, int]
) -> Float[Tensor, "batch 3 height width"]:
    """The largest centred crop of the canvas's shape, in true proportion, colours in 0..1."""
    shape = canvas_hw[1] / canvas_hw[0]
    aspect = photos.aspect[chosen]
    width, height = (shape / aspect).clamp(max=1), (aspect / shape).clamp(max=1)
    return crop(photos.pixels[chosen], (1 - width) / 2, (1 - height) / 2, width, height, canvas_hw, 1.0)


def _add_objects(
    rgb: Float[Tensor, "batch 3 height width"], cutouts: Cutouts, num_classes: int, generator: Generator
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch classes"]]:
    """Lay one to three objects over each picture and say which classes it now shows."""
    batch, _, height, width = rgb.shape
    device = rgb.device
    count = torch.randint(1, _MAX_OBJECTS + 1, (batch,), generator=generator, device=device)
    target = torch.zeros(batch, num_classes, device=device)
    for i in range(_MAX_OBJECTS):
        chosen = torch.randint(len(cutouts), (batch,), generator=generator, device=device)
        shown = (i < count).float()
        side = uniform(batch, *_OBJECT_SIDE, generator) * math.sqrt(height * width)
        aspect = cutouts.aspect[chosen]
        object_w, object_h = side * aspect.sqrt(), side / aspect.sqrt()
        angle = uniform(batch, -0.3, 0.3, generator)
        flip = torch.where(uniform(batch, 0.0, 1.0, generator) < 0.5, -1.0, 1.0)
        x = (uniform(batch, 0.0, 1.0, generator) * (width - object_w) + object_w / 2) * 2 / width - 1
        y = (uniform(batch, 0.0, 1.0, generator) * (height - object_h) + object_h / 2) * 2 / height - 1
        # canvas -> object: shift to the object's centre (in pixels), turn back, scale to the object's box
        cos, sin = angle.cos(), angle.sin()
        theta = torch.zeros(batch, 2, 3, device=device)
        theta[:, 0, 0], theta[:, 0, 1] = flip * cos * width / object_w, flip * sin * height / object_w
        theta[:, 1, 0], theta[:, 1, 1] = -sin * width / object_h, cos * height / object_h
        theta[:, :, 2] = -(theta[:, :, :2] @ torch.stack([x, y], dim=1).unsqueeze(2)).squeeze(2)
        grid = F.affine_grid(theta, [batch, 4, height, width], align_corners=False)
        layer = F.grid_sample(cutouts.rgba[chosen].float() / 255, grid, align_corners=False) * shown.view(-1, 1, 1, 1)
        rgb = rgb * (1 - layer[:, 3:]) + layer[:, :3]
        target.scatter_add_(1, cutouts.labels[chosen].unsqueeze(1), shown.unsqueeze(1))
    target = (target > 0).float()
    return rgb, target / target.sum(dim=1, keepdim=True)


def _jitter(
    rgb: Float[Tensor, "batch 3 height width"], settings: AugmentSettings, generator: Generator
) -> Float[Tensor, "batch 3 height width"]:
    """Change brightness, contrast and saturation of each picture, and take the colour from some."""
    n, strength = len(rgb), settings.jitter
    weights = torch.tensor([0.299, 0.587, 0.114], device=rgb.device).view(1, 3, 1, 1)
    grey = (rgb * weights).sum(dim=1, keepdim=True)
    saturation = uniform(n, 1 - strength, 1 + strength, generator)
    saturation = torch.where(uniform(n, 0.0, 1.0, generator) < settings.grey, 0.0, saturation).view(-1, 1, 1, 1)
    contrast = uniform(n, 1 - strength, 1 + strength, generator).view(-1, 1, 1, 1)
    brightness = uniform(n, 1 - strength, 1 + strength, generator).view(-1, 1, 1, 1)
    rgb = grey + (rgb - grey) * saturation
    mean = grey.mean(dim=(2, 3), keepdim=True)
    return ((mean + (rgb - mean) * contrast) * brightness).clamp(0, 1)
