"""Start a video model from an image model of the same shape."""

from __future__ import annotations

import torch
from torch import Tensor

from tokenlearner.config import ModelConfig
from tokenlearner.errors import ConfigError
from tokenlearner.model import TokenLearnerViT

_EMBEDDINGS = ("embed.proj.weight",)


@torch.no_grad()
def inflate_(video: TokenLearnerViT, image: TokenLearnerViT) -> tuple[str, ...]:
    """Give a video model the weights of an image model, changed in place.

    The embedding is divided over the frames of a tubelet, so that a clip of equal frames is embedded as that
    frame would be; the position embedding is repeated over the time steps (ViViT, arXiv:2103.15691, section 3.4).
    Rows of the classifier go over by class name; what has no counterpart keeps its values.

    Args:
        video: What is to be trained.
        image: Where it starts.

    Returns:
        Names of parameters and buffers that kept their own values, wholly or in part.

    Raises:
        ConfigError: If a weight of the image model does not fit.
    """
    own, given = video.state_dict(), image.state_dict()
    kept: list[str] = []
    for name, target in own.items():
        if name in ("head.weight", "head.bias"):
            if _copy_classes(target, given[name], video.config, image.config):
                kept.append(name)
            continue
        if name not in given:
            kept.append(name)
            continue
        source = given[name]
        if name in _EMBEDDINGS:
            frames = target.shape[2]
            source = (source / frames).unsqueeze(2).expand(-1, -1, frames, -1, -1)
        elif name == "pos_embed":
            source = source.expand(-1, target.shape[1], -1, -1)
        elif name.startswith("token_learners.") and len(source) > len(target):
            source = source[: len(target)]  # tokens are nested: the first are the ones to keep
        if source.shape != target.shape:
            raise ConfigError(
                f"The image model does not fit: {name} has the shape {tuple(given[name].shape)} there "
                f"and {tuple(target.shape)} in the video model."
            )
        target.copy_(source)
    return tuple(kept)


def _copy_classes(target: Tensor, source: Tensor, video: ModelConfig, image: ModelConfig) -> bool:
    """Copy the rows of classes that both know; whether any row of `target` was left alone."""
    places = {name: row for row, name in enumerate(image.class_names)}
    rows = [(row, places[name]) for row, name in enumerate(video.class_names) if name in places]
    for row, place in rows:
        target[row] = source[place]
    return len(rows) < len(target)
