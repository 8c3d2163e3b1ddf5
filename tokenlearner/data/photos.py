"""Photographs and cut-out objects on a device, and what every generator of pictures does with them.

Photographs are held once, as bytes, squashed to squares (`PhotoStore`); a crop undoes the squash while it
resamples, so one `grid_sample` makes the whole batch, on CPU and GPU alike.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64, UInt8
from torch import Generator, Tensor

from tokenlearner.data.cutouts import white_ground_mask
from tokenlearner.data.dataset import PhotoStore

CUTOUT_SIDE = 64


@dataclass(frozen=True)
class Photos:
    """Photographs on a device.

    Attributes:
        pixels: RGB bytes, squashed to squares, channels first.
        aspect: Width / height before the squash.
        labels: Class of each photograph.
    """

    pixels: UInt8[Tensor, "photos 3 side side"]
    aspect: Float[Tensor, " photos"]
    labels: Int64[Tensor, " photos"]

    def __len__(self) -> int:
        return self.pixels.shape[0]

    @classmethod
    def from_store(cls, store: PhotoStore, labels: Int64[np.ndarray, " photos"], device: torch.device) -> Photos:
        """Move decoded photographs to a device."""
        pixels = torch.from_numpy(store.pixels).permute(0, 3, 1, 2).contiguous()
        return cls(pixels.to(device), torch.from_numpy(store.aspect).to(device), torch.from_numpy(labels).to(device))


@dataclass(frozen=True)
class Cutouts:
    """Objects cut out of white ground, on a device.

    Attributes:
        rgba: Colours times alpha, and alpha, 0..255; each object's box squashed to a square.
        aspect: Width / height of the box in the photograph.
        labels: Class of each object.
    """

    rgba: UInt8[Tensor, "objects 4 side side"]
    aspect: Float[Tensor, " objects"]
    labels: Int64[Tensor, " objects"]

    def __len__(self) -> int:
        return self.rgba.shape[0]


def cut_out(
    store: PhotoStore,
    labels: Int64[np.ndarray, " photos"],
    device: torch.device,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Cutouts:
    """Cut out every object of `store` that stands on white; photographs without white ground are passed over."""
    rgba, aspects, kept = [], [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for i, found in enumerate(pool.map(_cut, store.pixels)):
            if progress is not None and i % 256 == 0:
                progress(i, len(store))
            if found is None:
                continue
            rgba.append(cv2.resize(found, (CUTOUT_SIDE, CUTOUT_SIDE), interpolation=cv2.INTER_AREA))
            aspects.append(float(store.aspect[i]) * found.shape[1] / found.shape[0])
            kept.append(int(labels[i]))
    stacked = np.stack(rgba) if rgba else np.zeros((0, CUTOUT_SIDE, CUTOUT_SIDE, 4), np.uint8)
    return Cutouts(
        torch.from_numpy(stacked).permute(0, 3, 1, 2).contiguous().to(device),
        torch.tensor(aspects, dtype=torch.float32, device=device),
        torch.tensor(kept, dtype=torch.int64, device=device),
    )


def _cut(rgb: UInt8[np.ndarray, "side side 3"]) -> UInt8[np.ndarray, "rows columns 4"] | None:
    """The box of an object on white ground, colours times alpha with alpha."""
    mask = white_ground_mask(rgb)
    if mask is None:
        return None
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    inside = mask[box][..., None]
    return np.concatenate([np.where(inside, rgb[box], 0), inside * np.uint8(255)], axis=2, dtype=np.uint8)


def crop(
    pixels: UInt8[Tensor, "batch chans side side"],
    left: Float[Tensor, " batch"],
    top: Float[Tensor, " batch"],
    width: Float[Tensor, " batch"],
    height: Float[Tensor, " batch"],
    canvas_hw: tuple[int, int],
    flip: Float[Tensor, " batch"] | float,
) -> Float[Tensor, "batch chans height width"]:
    """Resample boxes given in 0..1 of each square; blurred first where many pixels become one."""
    source = pixels.float() / 255
    shrink = float(
        torch.stack([width * source.shape[-1] / canvas_hw[1], height * source.shape[-2] / canvas_hw[0]]).mean()
    )
    if shrink >= 1.5:
        source = F.avg_pool2d(source, 2)
    theta = torch.zeros(len(left), 2, 3, device=pixels.device)
    theta[:, 0, 0], theta[:, 0, 2] = width * flip, 2 * left + width - 1
    theta[:, 1, 1], theta[:, 1, 2] = height, 2 * top + height - 1
    grid = F.affine_grid(theta, [len(left), source.shape[1], *canvas_hw], align_corners=False)
    return F.grid_sample(source, grid, padding_mode="border", align_corners=False)


def uniform(n: int, low: float, high: float, generator: Generator) -> Float[Tensor, " n"]:
    """Draw `n` numbers evenly between `low` and `high`, on the generator's device."""
    return torch.rand(n, generator=generator, device=generator.device) * (high - low) + low
