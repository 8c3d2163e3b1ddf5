"""What a run holds on its device, and the batches it draws from it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Int64
from torch import Generator, Tensor

from tokenlearner.config import ModelConfig
from tokenlearner.data.moving import MOTIONS, make_clips
from tokenlearner.data.photos import Cutouts, Photos
from tokenlearner.training.augment import Batch, make_batch
from tokenlearner.training.recipe import Recipe


@dataclass(frozen=True)
class TrainingData:
    """What a run sees and is measured on, on one device.

    Attributes:
        train: Photographs to learn from.
        cutouts: Objects on white ground among them.
        val: Photographs that training never sees.
        class_names: In label order.
        val_cutouts: Objects on white ground among `val`.
    """

    train: Photos
    cutouts: Cutouts
    val: Photos
    class_names: tuple[str, ...]
    val_cutouts: Cutouts


def draw_batch(
    data: TrainingData,
    chosen: Int64[Tensor, " batch"],
    canvas_hw: tuple[int, int],
    config: ModelConfig,
    recipe: Recipe,
    generator: Generator,
) -> Batch:
    """Pictures or clips for one step.

    Args:
        data: Where photographs and objects come from.
        chosen: Photographs of the training part: to be learned, or grounds of the clips.
        canvas_hw: Size in pixels as (height, width).
        config: The network that will see them.
        recipe: How they are made.
        generator: Source of every random draw, on the photographs' device.
    """
    if recipe.clips is None:
        return make_batch(data.train, chosen, data.cutouts, canvas_hw, config.num_classes, recipe.augment, generator)
    assert config.num_frames is not None
    clips = make_clips(data.train, chosen, data.cutouts, canvas_hw, config.num_frames, recipe.clips, generator)
    what = F.one_hot(clips.label, config.num_classes - len(MOTIONS))
    how = F.one_hot(clips.motion, len(MOTIONS))
    return Batch(clips.rgb, torch.cat([what, how], dim=1).float())
