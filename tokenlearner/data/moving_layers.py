"""The layers of a clip: background photograph, objects, and bars in front, each drawn for all frames at once.

The frames of a clip are stacked along the height of one sampling grid, so that a texture is held once however many
frames show it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from tokenlearner.data.moving_paths import ClipSettings, Poses, Views
from tokenlearner.data.photos import CUTOUT_SIDE, Cutouts, Photos, uniform

_MAX_ENLARGED: Final = 1.6  # a background photograph is at most this much larger than it must be
_PATCH_PART: Final = (0.6, 0.9)  # of a photograph's width and height
_PATCH_EDGE: Final = 0.3  # of a patch's radius: from opaque to nothing
_BAR_WIDTH: Final = (0.08, 0.2)  # of the root of the canvas's area
_PLATE_SHARE: Final = 0.3  # of the occluders
_PLATE_LENGTH: Final = (0.12, 0.25)
_BAR_WAY: Final = (0.9, 1.6)
_BAR_OFFSET: Final = 0.5  # of the object's side: how far from its middle a bar may pass


@dataclass(frozen=True)
class Layer:
    """A texture and its way through the scene.

    Attributes:
        texture: Colours in 0..1; with a fourth channel, colours times alpha, and alpha.
        aspect: Width / height of the box that the texture fills.
        flip: -1 where the texture is mirrored, else 1.
        labels: Class of each.
        poses: Of the box.
    """

    texture: Float[Tensor, "batch chans texels texels"]
    aspect: Float[Tensor, " batch"]
    flip: Float[Tensor, " batch"]
    labels: Int64[Tensor, " batch"]
    poses: Poses

    def __getitem__(self, clips: slice) -> Layer:
        return Layer(self.texture[clips], self.aspect[clips], self.flip[clips], self.labels[clips], self.poses[clips])

    def at(self, instants: slice) -> Layer:
        """The same layer at some of its times."""
        return dataclasses.replace(self, poses=self.poses.at(instants))

    def draw(self, views: Views, canvas_hw: tuple[int, int]) -> Float[Tensor, "batch chans times height width"]:
        """What the camera sees of it: clear (0) beyond a texture with alpha, the border's colour beyond one without."""
        poses, (height, width) = self.poses, canvas_hw
        # canvas pixel f -> scene: R(-roll) f / zoom + pan -> texture: shift to the centre, turn back, scale to -1..1
        root = self.aspect.sqrt().unsqueeze(1)
        across, down = 2 * self.flip.unsqueeze(1) / (poses.side * root), 2 * root / poses.side
        cos, sin = (poses.angle + views.roll).cos() / views.zoom, (poses.angle + views.roll).sin() / views.zoom
        shift_x, shift_y = views.pan_x - poses.x, views.pan_y - poses.y
        shift_u = across * (poses.angle.cos() * shift_x + poses.angle.sin() * shift_y)
        shift_v = down * (poses.angle.cos() * shift_y - poses.angle.sin() * shift_x)
        grid = torch.stack(
            [
                affine(across * cos, across * sin, shift_u, canvas_hw),
                affine(-down * sin, down * cos, shift_v, canvas_hw),
            ],
            dim=-1,
        )
        batch, times = views.pan_x.shape
        padding = "zeros" if self.texture.shape[1] == 4 else "border"
        drawn = F.grid_sample(
            self.texture, grid.view(batch, times * height, width, 2), padding_mode=padding, align_corners=False
        )
        return drawn.view(batch, -1, times, height, width)


@dataclass(frozen=True)
class Bars:
    """Plain plates and bars in front of everything, each standing in the scene or passing through it.

    Attributes:
        angle: Direction across the bar, radians.
        centre: Position of the middle line along that direction in scene pixels.
        centre_along: Position of the middle along the bar.
        half_width: Half of its width in scene pixels.
        half_length: Half of its length in scene pixels.
        shown: 1 where there is one, else 0.
        colour: Colour in 0..1.
    """

    angle: Float[Tensor, " batch"]
    centre: Float[Tensor, "batch times"]
    centre_along: Float[Tensor, " batch"]
    half_width: Float[Tensor, " batch"]
    half_length: Float[Tensor, " batch"]
    shown: Float[Tensor, " batch"]
    colour: Float[Tensor, "batch 3"]

    def __getitem__(self, clips: slice) -> Bars:
        return Bars(
            self.angle[clips],
            self.centre[clips],
            self.centre_along[clips],
            self.half_width[clips],
            self.half_length[clips],
            self.shown[clips],
            self.colour[clips],
        )

    def at(self, instants: slice) -> Bars:
        """The same bars at some of their times."""
        return dataclasses.replace(self, centre=self.centre[:, instants])

    def cover(self, views: Views, canvas_hw: tuple[int, int]) -> Float[Tensor, "batch times height width"]:
        """How much of each pixel the bar hides, 0..1; edges are one pixel soft."""
        angle, (cos, sin) = self.angle.unsqueeze(1), (self.angle.cos().unsqueeze(1), self.angle.sin().unsqueeze(1))
        zoom_cos, zoom_sin = (angle + views.roll).cos(), (angle + views.roll).sin()
        across = (cos * views.pan_x + sin * views.pan_y - self.centre) * views.zoom
        along = (cos * views.pan_y - sin * views.pan_x - self.centre_along.unsqueeze(1)) * views.zoom
        sides = (
            (self.half_width, affine(zoom_cos, zoom_sin, across, canvas_hw)),
            (self.half_length, affine(-zoom_sin, zoom_cos, along, canvas_hw)),
        )
        cover = self.shown.view(-1, 1, 1, 1)
        for half, distance in sides:
            reach = (half.unsqueeze(1) * views.zoom + 0.5)[..., None, None]
            cover = cover * (reach - distance.abs()).clamp(0, 1)
        return cover


def affine(
    per_x: Float[Tensor, "batch times"],
    per_y: Float[Tensor, "batch times"],
    shift: Float[Tensor, "batch times"],
    canvas_hw: tuple[int, int],
) -> Float[Tensor, "batch times height width"]:
    """`per_x * x + per_y * y + shift` at the pixel centres, counted from the middle of the canvas.

    Written without a matrix product, which a GPU may round to ten bits.
    """
    height, width = canvas_hw
    x = torch.arange(width, device=shift.device) - (width - 1) / 2
    y = torch.arange(height, device=shift.device) - (height - 1) / 2
    rows = per_y[..., None] * y + shift[..., None]
    return rows[..., None] + (per_x[..., None] * x).unsqueeze(2)


def cover_views(
    photos: Photos,
    chosen: Int64[Tensor, " batch"],
    views: Views,
    canvas_hw: tuple[int, int],
    settings: ClipSettings,
    generator: Generator,
) -> Layer:
    """Lay photographs behind the scene, in true proportion, so large that no view looks beyond them."""
    n, (height, width) = len(chosen), canvas_hw
    cos, sin = views.roll.cos().abs(), views.roll.sin().abs()
    half_x = (width * cos + height * sin) / (2 * views.zoom)
    half_y = (height * cos + width * sin) / (2 * views.zoom)
    left, right = (views.pan_x - half_x).amin(1), (views.pan_x + half_x).amax(1)
    top, bottom = (views.pan_y - half_y).amin(1), (views.pan_y + half_y).amax(1)
    aspect = photos.aspect[chosen]
    photo_w = torch.maximum(right - left, (bottom - top) * aspect) * uniform(n, 1.0, _MAX_ENLARGED, generator)
    photo_h = photo_w / aspect
    x = (left + right) / 2 + (photo_w - (right - left)) * uniform(n, -0.5, 0.5, generator)
    y = (top + bottom) / 2 + (photo_h - (bottom - top)) * uniform(n, -0.5, 0.5, generator)
    texture = photos.pixels[chosen].float() / 255
    if texture.shape[-1] >= 2 * max(canvas_hw):
        texture = F.avg_pool2d(texture, texture.shape[-1] // max(canvas_hw))
    texture = _jitter(texture, settings.jitter, generator)
    poses = Poses.standing(x, y, photo_w / aspect.sqrt(), torch.zeros_like(x), torch.ones_like(x))
    return Layer(texture, aspect, _flips(n, generator), photos.labels[chosen], poses)


def draw_objects(photos: Photos, cutouts: Cutouts, poses: Poses, settings: ClipSettings, generator: Generator) -> Layer:
    """Draw an object for each path: a cut-out, or a soft-edged patch of a photograph, evenly over classes."""
    n = len(poses.x)
    patch = draw_evenly(photos.labels, n, generator)
    texture, aspect = _patches(photos, patch, generator)
    labels = photos.labels[patch]
    if len(cutouts):
        cut = draw_evenly(cutouts.labels, n, generator)
        is_patch = uniform(n, 0.0, 1.0, generator) < settings.patch_share
        texture = torch.where(is_patch.view(-1, 1, 1, 1), texture, cutouts.rgba[cut].float() / 255)
        aspect = torch.where(is_patch, aspect, cutouts.aspect[cut])
        labels = torch.where(is_patch, labels, cutouts.labels[cut])
    # small objects are drawn from a softer texture, so that fine detail does not glitter as they move
    softer = F.interpolate(F.avg_pool2d(texture, 2), size=texture.shape[-2:], mode="bilinear", align_corners=False)
    softness = (CUTOUT_SIDE / poses.side.mean(1)).log2().clamp(0, 1).view(-1, 1, 1, 1)
    texture = _jitter(texture + softness * (softer - texture), settings.jitter, generator)
    return Layer(texture, aspect, _flips(n, generator), labels, poses)


def draw_bars(
    times: Float[Tensor, " times"],
    x: Float[Tensor, " batch"],
    y: Float[Tensor, " batch"],
    side: Float[Tensor, " batch"],
    canvas_hw: tuple[int, int],
    settings: ClipSettings,
    generator: Generator,
) -> Bars:
    """Draw occluders near objects with middle (x, y) and this side, in scene pixels.

    Plates stand still, half of the bars too; the others pass through the whole picture.
    """
    n, root = len(x), math.sqrt(canvas_hw[0] * canvas_hw[1])
    angle = uniform(n, -math.pi, math.pi, generator)
    is_plate = uniform(n, 0.0, 1.0, generator) < _PLATE_SHARE
    passes = (uniform(n, 0.0, 1.0, generator) < 0.5) & ~is_plate
    way = uniform(n, *_BAR_WAY, generator) * root * passes
    middle = angle.cos() * x + angle.sin() * y + side * uniform(n, -_BAR_OFFSET, _BAR_OFFSET, generator)
    length = torch.where(is_plate, uniform(n, *_PLATE_LENGTH, generator), 4.0) * root
    return Bars(
        angle=angle,
        centre=middle.unsqueeze(1) + way.unsqueeze(1) * times,
        centre_along=angle.cos() * y - angle.sin() * x,
        half_width=uniform(n, *_BAR_WIDTH, generator) * root / 2,
        half_length=length / 2,
        shown=(uniform(n, 0.0, 1.0, generator) < settings.occluder_share).float(),
        colour=torch.rand(n, 3, generator=generator, device=generator.device),
    )


def draw_evenly(labels: Int64[Tensor, " items"], n: int, generator: Generator) -> Int64[Tensor, " n"]:
    """Draw `n` items, each class as often as any other, each item of a class as often as any other."""
    ordered, _ = labels.sort()
    first, last = torch.searchsorted(ordered, labels), torch.searchsorted(ordered, labels, right=True)
    share = (1 / (last - first)).cumsum(0)
    drawn = torch.rand(n, generator=generator, device=generator.device) * share[-1]
    return torch.searchsorted(share, drawn, right=True).clamp(max=len(labels) - 1)


def _patches(
    photos: Photos, chosen: Int64[Tensor, " batch"], generator: Generator
) -> tuple[Float[Tensor, "batch 4 texels texels"], Float[Tensor, " batch"]]:
    """Ellipses from the centre of photographs, squashed to squares, and their true width / height."""
    n = len(chosen)
    source = photos.pixels[chosen].float() / 255
    pooled = round(sum(_PATCH_PART) / 2 * source.shape[-1] / CUTOUT_SIDE)
    if pooled > 1:
        source = F.avg_pool2d(source, pooled)
    width, height = (uniform(n, *_PATCH_PART, generator) for _ in range(2))
    texels = (torch.arange(CUTOUT_SIDE, device=source.device) + 0.5) * (2 / CUTOUT_SIDE) - 1
    across = (width[:, None, None] * texels).expand(n, CUTOUT_SIDE, CUTOUT_SIDE)
    down = (height[:, None, None] * texels[:, None]).expand(n, CUTOUT_SIDE, CUTOUT_SIDE)
    rgb = F.grid_sample(source, torch.stack([across, down], dim=-1), padding_mode="border", align_corners=False)
    radius = (texels.square() + texels.square()[:, None]).sqrt()
    edge = ((1 - radius) / _PATCH_EDGE).clamp(0, 1)
    alpha = (edge * edge * (3 - 2 * edge)).expand(n, 1, CUTOUT_SIDE, CUTOUT_SIDE)
    return torch.cat([rgb * alpha, alpha], dim=1), photos.aspect[chosen] * width / height


def _jitter(
    texture: Float[Tensor, "batch chans texels texels"], strength: float, generator: Generator
) -> Float[Tensor, "batch chans texels texels"]:
    """Change saturation, contrast and brightness of each texture; with a fourth channel, colours are times alpha."""
    n = len(texture)
    saturation, contrast, brightness = (
        uniform(n, 1 - strength, 1 + strength, generator).view(-1, 1, 1, 1) for _ in range(3)
    )
    rgb, alpha = texture[:, :3], texture[:, 3:]
    full = alpha if alpha.shape[1] else torch.ones_like(rgb[:, :1])
    grey = rgb[:, :1] * 0.299 + rgb[:, 1:2] * 0.587 + rgb[:, 2:] * 0.114
    rgb = grey + (rgb - grey) * saturation
    rgb = (full / 2 + (rgb - full / 2) * contrast) * brightness
    return torch.cat([torch.minimum(rgb.clamp(min=0), full), alpha], dim=1)


def _flips(n: int, generator: Generator) -> Float[Tensor, " n"]:
    return torch.where(uniform(n, 0.0, 1.0, generator) < 0.5, -1.0, 1.0)
