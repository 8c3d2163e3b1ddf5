"""Scenic (JAX/Flax) checkpoints of TokenLearner models, read without jax or flax.

`read_scenic` goes from a file to a configuration and a `state_dict`; `convert_params` from a parameter tree
that is already in memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tokenlearner.config import ModelConfig
from tokenlearner.scenic.flax_file import Tree, find_params, flatten, read_flax_file
from tokenlearner.scenic.infer import ScenicOptions, infer_config
from tokenlearner.scenic.layout import apply_layout, model_layout

__all__ = ["ScenicModel", "ScenicOptions", "convert_params", "find_params", "read_scenic"]


@dataclass(frozen=True)
class ScenicModel:
    """A Scenic checkpoint in this library's terms.

    Attributes:
        config: Inferred from the shapes and the options.
        state_dict: For `TokenLearnerViT(config).load_state_dict`, float32.
        found_at: Path of the parameters inside the checkpoint, "" for its root.
    """

    config: ModelConfig
    state_dict: dict[str, Tensor]
    found_at: str


def read_scenic(path: Path, options: ScenicOptions | None = None) -> ScenicModel:
    """Read a Scenic checkpoint (Flax msgpack).

    Args:
        path: The file.
        options: What the parameter shapes do not tell.

    Raises:
        CheckpointError: If the file cannot be read, or is not a model that this library can hold; names the
            parameter and both shapes.
        ConfigError: If the sizes in it cannot make a model.
    """
    found_at, tree = find_params(read_flax_file(path))
    config, state_dict = convert_params(tree, options)
    return ScenicModel(config, state_dict, found_at)


def convert_params(params: Tree, options: ScenicOptions | None = None) -> tuple[ModelConfig, dict[str, Tensor]]:
    """Convert a Flax parameter tree, nested or flat (`{"a/b/c": array}`), of a whole model.

    Raises:
        CheckpointError: If a parameter is missing, unknown or of another shape.
        ConfigError: If the sizes cannot make a model.
    """
    flat = flatten(params)
    config = infer_config(flat, options)
    if config.is_video and flat["embedding/kernel"].ndim == 4:
        # Clips embedded frame by frame (Scenic's `temporal_sampling`) are tubelets of one frame.
        flat["embedding/kernel"] = flat["embedding/kernel"][None]
    return config, apply_layout(flat, model_layout(config))
