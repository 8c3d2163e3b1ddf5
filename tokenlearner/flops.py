"""Compute and parameters of a network in closed form, from its configuration alone.

Automatic counters miss or mistake fused attention; these formulas do not, and need neither weights nor torch.
Counted are matrix products and convolutions (zero padding included, as torch's `FlopCounterMode` does).
Not counted are normalisations, activations, softmax, additions and the resampling of position embeddings.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Final, Literal

from tokenlearner.config import Loc, ModelConfig, TokenLearnerConfig

Stage = Literal["patch embedding", "blocks before", "TokenLearner", "TokenFuser", "blocks after", "head"]

CONVENTION: Final = (
    "One multiply-add is one MAC, FLOPs = 2 x MACs; matrix products and convolutions of one input are counted, "
    "normalisation, activations and additions are not."
)
"""What the numbers mean, printed beside them. The paper's "GFLOPs" are GMACs."""


@dataclass(frozen=True)
class Compute:
    """What one forward pass of one image or one clip costs.

    Attributes:
        stages: Multiply-adds by stage, in the order of the network; a stage that does not run holds 0.
            The plain network has all its blocks under "blocks before". With TokenFuser the stages from
            "TokenLearner" to "blocks after" take turns in every block from the location on.
        params: Trainable numbers of the whole model, modules that this call skips included.
    """

    stages: dict[Stage, int]
    params: int

    @property
    def total_macs(self) -> int:
        """Multiply-adds of all stages."""
        return sum(self.stages.values())

    @property
    def total_flops(self) -> int:
        """Floating-point operations: two per multiply-add."""
        return 2 * self.total_macs


def compute(
    config: ModelConfig,
    *,
    image_hw: tuple[int, int] | None = None,
    num_frames: int | None = None,
    loc: Loc = "default",
    num_tokens: int | None = None,
) -> Compute:
    """Count one forward pass with the module before block `loc` and its first `num_tokens` tokens.

    Args:
        config: The network.
        image_hw: Input as (height, width) in pixels; None for the configuration's standard size.
        num_frames: Frames of the clip; None for the configuration's standard length. Video models only.
        loc: Location of the module.
        num_tokens: Tokens per time step; None for all that the module holds.

    Raises:
        ConfigError: If the input is not a whole number of patches or tubelets, or the choice is not held.
    """
    chosen = config.default_loc if loc == "default" else loc
    k = config.check_choice(chosen, num_tokens)
    time = config.num_time_steps if num_frames is None else config.time_steps(num_frames)
    rows, columns = config.grid_hw(image_hw)
    patches = rows * columns
    before = config.depth if chosen is None else chosen
    after = config.depth - before
    module = fuser = 0
    if config.token_learner is not None and after:
        runs = after if config.uses_fuser else 1
        module = runs * time * _token_learner_macs(config.token_learner, config.embed_dim, patches, k)
        if config.uses_fuser:
            fuser = runs * time * _token_fuser_macs(config.token_learner, config.embed_dim, patches, k)
    stages: dict[Stage, int] = {
        "patch embedding": _embedding_macs(config, time, (rows, columns)),
        "blocks before": before * _block_macs(config, config.num_prefix_tokens + time * patches),
        "TokenLearner": module,
        "TokenFuser": fuser,
        "blocks after": after * _block_macs(config, config.num_prefix_tokens + time * k),
        "head": _head_macs(config, time * k if after else patches * time),
    }
    return Compute(stages, count_params(config))


def baseline(config: ModelConfig, *, image_hw: tuple[int, int] | None = None, num_frames: int | None = None) -> Compute:
    """Count the same network without TokenLearner; see `compute`."""
    return compute(plain(config), image_hw=image_hw, num_frames=num_frames)


def plain(config: ModelConfig) -> ModelConfig:
    """The same network without TokenLearner."""
    return dataclasses.replace(config, token_learner=None, tokenlearner_locs=(), default_loc=None)


def count_params(config: ModelConfig) -> int:
    """Trainable numbers of the model: weights, biases, position embedding, modules at every location."""
    dim = config.embed_dim
    total = _plain_params(config) if config.backbone is None else config.backbone.params
    if config.token_learner is not None:
        module = _token_learner_params(config.token_learner, dim)
        if config.uses_fuser:
            module += _token_fuser_params(config.token_learner, dim)
            total += (config.depth - config.tokenlearner_locs[0]) * module
        else:
            total += len(config.tokenlearner_locs) * module
    return total


def _plain_params(config: ModelConfig) -> int:
    dim, (rows, columns) = config.embed_dim, config.grid_hw()
    total = _embedding_params(config) + config.num_time_steps * rows * columns * dim
    attention = _linear_params(dim, 3 * dim) + _linear_params(dim, dim)
    mlp = _linear_params(dim, config.mlp_dim) + _linear_params(config.mlp_dim, dim)
    total += config.depth * (2 * _norm_params(dim) + attention + mlp)
    width = config.representation_size or dim
    total += _norm_params(dim) + _linear_params(width, config.num_classes)
    return total + (_linear_params(dim, width) if config.representation_size else 0)


def _embedding_macs(config: ModelConfig, time: int, grid_hw: tuple[int, int]) -> int:
    if config.stem == "patch":
        area = config.tubelet_size * config.patch_size[0] * config.patch_size[1]
        return time * grid_hw[0] * grid_hw[1] * area * config.in_chans * config.embed_dim
    height, width = grid_hw[0] * config.patch_size[0], grid_hw[1] * config.patch_size[1]
    macs, chans = 0, config.in_chans
    for dim, stride in zip(config.stem_dims, config.stem_strides, strict=True):
        height, width = height // stride, width // stride
        macs += height * width * 9 * chans * dim
        chans = dim
    frames = time * config.tubelet_size
    return frames * (macs + height * width * chans * config.embed_dim)


def _block_macs(config: ModelConfig, sequence: int) -> int:
    dim = config.embed_dim
    weights = 4 * dim * dim + 2 * dim * config.mlp_dim if config.backbone is None else config.backbone.block_weights
    projections = sequence * weights
    attention = 2 * sequence * sequence * dim
    return projections + attention


def _token_learner_macs(module: TokenLearnerConfig, dim: int, patches: int, k: int) -> int:
    """One module on one time step: the map branch, of whose last layer `k` outputs are computed, and the pooling."""
    pooling = k * patches * dim
    if module.version in ("average", "strided"):
        return pooling
    if module.version == "1.0":
        chans = module.num_tokens
        return patches * 9 * chans * (dim + 2 * chans + k) + pooling
    return patches * module.bottleneck_dim * (dim + k) + pooling


def _token_fuser_macs(module: TokenLearnerConfig, dim: int, patches: int, k: int) -> int:
    """One fuser on one time step: the mixing of tokens, the weights, and the way back to the grid."""
    return k * k * dim + patches * module.bottleneck_dim * (dim + k) + patches * k * dim


def _head_macs(config: ModelConfig, places: int) -> int:
    if (backbone := config.backbone) is not None:
        pooled = places + (backbone.num_prefix_tokens if backbone.head_pools_prefix else 0)
        return backbone.head_macs + backbone.head_macs_per_place * pooled
    if config.representation_size is None:
        return config.embed_dim * config.num_classes
    return config.representation_size * (config.embed_dim + config.num_classes)


def _embedding_params(config: ModelConfig) -> int:
    if config.stem == "patch":
        area = config.tubelet_size * config.patch_size[0] * config.patch_size[1]
        return _linear_params(area * config.in_chans, config.embed_dim)
    total, chans = 0, config.in_chans
    for dim in config.stem_dims:
        total += 9 * chans * dim + _norm_params(dim)  # batch norm: scale and shift; its statistics are not trained
        chans = dim
    return total + _linear_params(config.tubelet_size * chans, config.embed_dim)


def _token_learner_params(module: TokenLearnerConfig, dim: int) -> int:
    if module.version in ("average", "strided"):
        return 0
    if module.version == "1.0":
        return _norm_params(dim) + 9 * module.num_tokens * (dim + 3 * module.num_tokens)
    return _norm_params(dim) + _map_mlp_params(module, dim)


def _token_fuser_params(module: TokenLearnerConfig, dim: int) -> int:
    norms = 3 if module.fuser_norm else 1
    mixing = _linear_params(module.num_tokens, module.num_tokens)
    return norms * _norm_params(dim) + mixing + _map_mlp_params(module, dim)


def _map_mlp_params(module: TokenLearnerConfig, dim: int) -> int:
    return _linear_params(dim, module.bottleneck_dim) + _linear_params(module.bottleneck_dim, module.num_tokens)


def _linear_params(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _norm_params(dim: int) -> int:
    return 2 * dim
