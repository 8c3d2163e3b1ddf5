"""Where each Flax parameter of a Scenic TokenLearner model goes in `TokenLearnerViT`, and in which layout.

One table, built from the configuration, serves the check (which parameters, of which shapes) and the conversion.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tokenlearner.config import ModelConfig, TokenLearnerConfig
from tokenlearner.errors import CheckpointError
from tokenlearner.scenic.flax_file import Array

MAX_NAMED = 3
"""Parameters that one message names before it only counts."""


@dataclass(frozen=True)
class Slot:
    """The place of one Flax parameter.

    Attributes:
        shape: Its shape in Flax.
        key: Its `state_dict` name. Slots that share one (query, key, value) are stacked along the first axis.
        convert: From the Flax layout to torch's.
    """

    shape: tuple[int, ...]
    key: str
    convert: Callable[[Array], Array]


Layout = dict[str, Slot]
"""Flax path to slot."""


def apply_layout(params: Mapping[str, Array], layout: Layout) -> dict[str, Tensor]:
    """Check parameters against a layout and convert them to a float32 `state_dict`.

    Raises:
        CheckpointError: If parameters are missing, left over, of another shape, or not finite real numbers.
    """
    missing = [name for name in layout if name not in params]
    if missing:
        raise CheckpointError(f"The checkpoint lacks {_named(missing, {n: layout[n].shape for n in missing})}.")
    unknown = sorted(name for name in params if name not in layout)
    if unknown:
        shapes = {name: params[name].shape for name in unknown}
        raise CheckpointError(f"The checkpoint holds {_named(unknown, shapes)}, for which the model has no place.")
    parts: dict[str, list[Array]] = {}
    for name, slot in layout.items():
        value = params[name]
        if value.shape != slot.shape:
            raise CheckpointError(shape_message(name, value.shape, slot.shape))
        if not np.issubdtype(value.dtype, np.floating):
            raise CheckpointError(f'The parameter "{name}" is of type {value.dtype}, not of real numbers.')
        if not np.isfinite(value).all():
            raise CheckpointError(f'The parameter "{name}" holds values that are not finite (NaN or infinity).')
        parts.setdefault(slot.key, []).append(slot.convert(value.astype(np.float32)))
    return {key: torch.from_numpy(np.ascontiguousarray(np.concatenate(values))) for key, values in parts.items()}


def shape_message(name: str, found: tuple[int, ...], needed: object) -> str:
    """The sentence for a parameter of another shape than the model's."""
    return f'The parameter "{name}" has shape {found} in the checkpoint, but the model needs {needed}.'


def model_layout(config: ModelConfig) -> Layout:
    """Layout of a whole model (the root of a Scenic parameter tree).

    Source: `scenic/projects/token_learner/model.py`, `TokenLearnerViT`, with `EncoderMod` or `EncoderModFuser`.
    """
    dim, (rows, columns) = config.embed_dim, config.grid_hw()
    steps = config.num_time_steps
    time = (config.tubelet_size,) if config.is_video else ()
    kernel = (*time, *config.patch_size, config.in_chans, dim)
    layout = {
        "embedding/kernel": Slot(kernel, "embed.proj.weight", _conv_kernel),
        "embedding/bias": Slot((dim,), "embed.proj.bias", _same),
        "Transformer/posembed_input/pos_embedding": Slot(
            (1, steps * rows * columns, dim), "pos_embed", lambda p: p.reshape(1, steps, rows * columns, dim)
        ),
    }
    for i in range(config.depth):
        layout |= _block(f"Transformer/encoderblock_{i}", f"blocks.{i}", config)
    tl = config.token_learner
    if tl is not None:
        module = "TokenLearnerModule" if tl.version == "1.0" else "TokenLearnerModuleV11"
        locs = range(config.tokenlearner_locs[0], config.depth) if tl.use_fuser else config.tokenlearner_locs
        for i, loc in enumerate(locs):
            layout |= token_learner_layout(tl, dim, f"Transformer/{module}_{i}/", f"token_learners.{loc}.")
            if tl.use_fuser:
                layout |= token_fuser_layout(tl, dim, f"Transformer/TokenFuser_{i}/", f"token_fusers.{loc}.")
    layout |= _norm("Transformer/encoder_norm", "norm", dim)
    width = config.representation_size or dim
    if config.representation_size:
        layout |= _dense("pre_logits", "pre_logits", dim, width)
    return layout | _dense("output_projection", "head", width, config.num_classes)


def token_learner_layout(tl: TokenLearnerConfig, dim: int, prefix: str = "", key: str = "") -> Layout:
    """Layout of one TokenLearner module of either version; `prefix` and `key` go before the names."""
    layout = _norm(f"{prefix}LayerNorm_0", f"{key}norm", dim)
    if tl.version == "1.0":
        widths = (dim, tl.num_tokens, tl.num_tokens, tl.num_tokens)
        for i, width in enumerate(widths):
            shape = (3, 3, width, tl.num_tokens)
            layout[f"{prefix}Conv_{i}/kernel"] = Slot(shape, f"{key}convs.{i}.weight", _conv_kernel)
        return layout
    return layout | _mlp(f"{prefix}token_masking", f"{key}mlp", dim, tl.bottleneck_dim, tl.num_tokens)


def token_fuser_layout(tl: TokenLearnerConfig, dim: int, prefix: str = "", key: str = "") -> Layout:
    """Layout of one TokenFuser; `prefix` and `key` go before the names."""
    layout = _dense(f"{prefix}Dense_0", f"{key}mix", tl.num_tokens, tl.num_tokens)
    if tl.fuser_norm:
        layout |= _norm(f"{prefix}fuser_mix_norm1", f"{key}mix_norm1", dim)
        layout |= _norm(f"{prefix}fuser_mix_norm2", f"{key}mix_norm2", dim)
    layout |= _norm(f"{prefix}LayerNorm_0", f"{key}norm", dim)
    return layout | _mlp(f"{prefix}token_masking", f"{key}mlp", dim, tl.bottleneck_dim, tl.num_tokens)


def _block(prefix: str, key: str, config: ModelConfig) -> Layout:
    dim, heads = config.embed_dim, config.num_heads
    head_dim = dim // heads
    attention = f"{prefix}/MultiHeadDotProductAttention_0"
    layout = _norm(f"{prefix}/LayerNorm_0", f"{key}.norm1", dim)
    for name in ("query", "key", "value"):
        layout[f"{attention}/{name}/kernel"] = Slot((dim, heads, head_dim), f"{key}.attn.qkv.weight", _heads_kernel)
        layout[f"{attention}/{name}/bias"] = Slot((heads, head_dim), f"{key}.attn.qkv.bias", lambda p: p.reshape(-1))
    layout[f"{attention}/out/kernel"] = Slot((heads, head_dim, dim), f"{key}.attn.proj.weight", _out_kernel)
    layout[f"{attention}/out/bias"] = Slot((dim,), f"{key}.attn.proj.bias", _same)
    layout |= _norm(f"{prefix}/LayerNorm_1", f"{key}.norm2", dim)
    return layout | _mlp(f"{prefix}/MlpBlock_0", f"{key}.mlp", dim, config.mlp_dim, dim)


def _norm(prefix: str, key: str, dim: int) -> Layout:
    return {
        f"{prefix}/scale": Slot((dim,), f"{key}.weight", _same),
        f"{prefix}/bias": Slot((dim,), f"{key}.bias", _same),
    }


def _dense(prefix: str, key: str, in_dim: int, out_dim: int) -> Layout:
    return {
        f"{prefix}/kernel": Slot((in_dim, out_dim), f"{key}.weight", lambda p: p.T),
        f"{prefix}/bias": Slot((out_dim,), f"{key}.bias", _same),
    }


def _mlp(prefix: str, key: str, in_dim: int, hidden_dim: int, out_dim: int) -> Layout:
    return _dense(f"{prefix}/Dense_0", f"{key}.fc1", in_dim, hidden_dim) | _dense(
        f"{prefix}/Dense_1", f"{key}.fc2", hidden_dim, out_dim
    )


def _same(p: Array) -> Array:
    return p


def _conv_kernel(p: Array) -> Array:
    """From `[*space, in, out]` to `[out, in, *space]`."""
    return np.moveaxis(p, (-1, -2), (0, 1))


def _heads_kernel(p: Array) -> Array:
    """From `[dim, heads, head_dim]` to `[heads * head_dim, dim]`."""
    return p.reshape(p.shape[0], -1).T


def _out_kernel(p: Array) -> Array:
    """From `[heads, head_dim, dim]` to `[dim, heads * head_dim]`."""
    return p.reshape(-1, p.shape[-1]).T


def _named(names: list[str], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Name the first few parameters with their shapes, and count the rest."""
    shown = ", ".join(f'"{name}" of shape {shapes[name]}' for name in names[:MAX_NAMED])
    more = len(names) - MAX_NAMED
    noun = "the parameter" if len(names) == 1 else "the parameters"
    return f"{noun} {shown}" + (f" and {more} more" if more > 0 else "")
