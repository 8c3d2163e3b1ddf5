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

from tokenlearner.data.photos import CUTOUT_SIDE, Cutouts, Photos, crop, uniform
from tokenlearner.training.recipe import AugmentSettings

_MAX_OBJECTS = 3
_PATCH_RADIUS, _PATCH_EDGE = 0.95, 0.2  # of a soft-edged patch, in halves of its side
_OBJECT_SIDE = (0.3, 0.62)  # of the canvas: square root of the object's box area
_CLUTTER_AREA = (0.03, 0.2)  # of a photograph: small enough that no object is whole


@dataclass(frozen=True)
class Batch:
    """Training input.

    Attributes:
        rgb: Colours in 0..1, not yet normalised; frames come second for clips.
        target: Class probabilities; a collage shares its mass between the objects it shows, and each
            question of a model that answers several has probabilities of its own.
    """

    rgb: Float[Tensor, "batch *frames 3 height width"]
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
    patch_share = settings.patch_share if len(cutouts) else 1.0
    some = len(cutouts) > 0 or settings.patch_share > 0
    num_collages = round(settings.collage_share * len(chosen)) if some else 0
    scale = torch.empty(len(chosen), device=photos.pixels.device)
    scale[num_collages:] = uniform(len(chosen) - num_collages, settings.min_scale, 1.0, generator)
    scale[:num_collages] = uniform(num_collages, *_CLUTTER_AREA, generator)
    rgb = random_crops(photos, chosen, canvas_hw, scale, generator)
    target = F.one_hot(photos.labels[chosen], num_classes).float()
    if num_collages:
        collage = add_objects(rgb[:num_collages], photos, cutouts, num_classes, generator, patch_share=patch_share)
        rgb[:num_collages], target[:num_collages] = collage.rgb, collage.target
    rgb[num_collages:], target[num_collages:] = _cutmix(
        rgb[num_collages:], target[num_collages:], settings.cutmix_share, generator
    )
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


@dataclass(frozen=True)
class Collage:
    """Pictures with objects laid over them.

    Attributes:
        rgb: Colours in 0..1.
        target: Class probabilities, shared evenly between the classes shown.
        cover: How much of each pixel belongs to an object, 0..1.
    """

    rgb: Float[Tensor, "batch 3 height width"]
    target: Float[Tensor, "batch classes"]
    cover: Float[Tensor, "batch height width"]


def add_objects(
    rgb: Float[Tensor, "batch 3 height width"],
    photos: Photos,
    cutouts: Cutouts,
    num_classes: int,
    generator: Generator,
    *,
    patch_share: float = 0.0,
) -> Collage:
    """Lay one to three objects over each picture and say which classes it now shows.

    Args:
        rgb: The grounds, 0..1.
        photos: Where soft-edged patches come from.
        cutouts: Where objects cut out of white ground come from; may be empty if `patch_share` is 1.
        num_classes: Width of the target.
        generator: Source of every random draw.
        patch_share: Part of the objects that are patches.
    """
    batch, _, height, width = rgb.shape
    device = rgb.device
    count = torch.randint(1, _MAX_OBJECTS + 1, (batch,), generator=generator, device=device)
    target = torch.zeros(batch, num_classes, device=device)
    free = torch.ones(batch, 1, height, width, device=device)
    for i in range(_MAX_OBJECTS):
        rgba, aspect, labels = _draw_objects(photos, cutouts, batch, patch_share, generator)
        shown = (i < count).float()
        side = uniform(batch, *_OBJECT_SIDE, generator) * math.sqrt(height * width)
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
        layer = F.grid_sample(rgba, grid, align_corners=False) * shown.view(-1, 1, 1, 1)
        rgb = rgb * (1 - layer[:, 3:]) + layer[:, :3]
        free = free * (1 - layer[:, 3:])
        target.scatter_add_(1, labels.unsqueeze(1), shown.unsqueeze(1))
    target = (target > 0).float()
    return Collage(rgb, target / target.sum(dim=1, keepdim=True), 1 - free[:, 0])


def _draw_objects(
    photos: Photos, cutouts: Cutouts, count: int, patch_share: float, generator: Generator
) -> tuple[Float[Tensor, "count 4 side side"], Float[Tensor, " count"], Int64[Tensor, " count"]]:
    """Colours times alpha with alpha (0..1), width / height, and class of random objects."""
    device = photos.pixels.device
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    if patch_share < 1:
        chosen = torch.randint(len(cutouts), (count,), generator=generator, device=device)
        parts.append((cutouts.rgba[chosen].float() / 255, cutouts.aspect[chosen], cutouts.labels[chosen]))
    if patch_share > 0:
        chosen = torch.randint(len(photos), (count,), generator=generator, device=device)
        rgb = F.interpolate(photos.pixels[chosen].float() / 255, (CUTOUT_SIDE, CUTOUT_SIDE), mode="area")
        axis = (torch.arange(CUTOUT_SIDE, device=device) + 0.5) * 2 / CUTOUT_SIDE - 1
        radius = (axis.square()[:, None] + axis.square()[None, :]).sqrt()
        alpha = ((_PATCH_RADIUS - radius) / _PATCH_EDGE).clamp(0, 1).expand(count, 1, -1, -1)
        parts.append((torch.cat([rgb * alpha, alpha], dim=1), photos.aspect[chosen], photos.labels[chosen]))
    if len(parts) == 1:
        return parts[0]
    is_patch = uniform(count, 0.0, 1.0, generator) < patch_share
    (cut, cut_aspect, cut_labels), (soft, soft_aspect, soft_labels) = parts
    return (
        torch.where(is_patch.view(-1, 1, 1, 1), soft, cut),
        torch.where(is_patch, soft_aspect, cut_aspect),
        torch.where(is_patch, soft_labels, cut_labels),
    )


def _cutmix(
    rgb: Float[Tensor, "batch 3 height width"],
    target: Float[Tensor, "batch classes"],
    share: float,
    generator: Generator,
) -> tuple[Float[Tensor, "batch 3 height width"], Float[Tensor, "batch classes"]]:
    """Put a rectangle of another picture of the batch into some pictures, and mix the targets by area."""
    n, _, height, width = rgb.shape
    if not share or n < 2:
        return rgb, target
    mixed = uniform(n, 0.0, 1.0, generator) < share
    kept = uniform(n, 0.2, 0.8, generator).sqrt()  # side of the rectangle, as a share of the picture's
    left, top = ((1 - kept) * uniform(n, 0.0, 1.0, generator) for _ in range(2))
    x = (torch.arange(width, device=rgb.device) + 0.5) / width
    y = (torch.arange(height, device=rgb.device) + 0.5) / height
    across = (x >= left[:, None]) & (x < (left + kept)[:, None])
    down = (y >= top[:, None]) & (y < (top + kept)[:, None])
    inside = down[:, None, :, None] & across[:, None, None, :] & mixed.view(-1, 1, 1, 1)
    area = inside.float().mean(dim=(1, 2, 3)).unsqueeze(1)
    return torch.where(inside, rgb.roll(1, 0), rgb), target * (1 - area) + target.roll(1, 0) * area


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
