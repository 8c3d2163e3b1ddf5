"""Read a model's configuration off the shapes of its Scenic parameters."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tokenlearner.config import HeadPool, ModelConfig, Pooling, TokenLearnerConfig, Version
from tokenlearner.errors import CheckpointError, ConfigError, OptionError
from tokenlearner.scenic.flax_file import Array
from tokenlearner.scenic.layout import shape_message

CLASSIFIERS: Final[Mapping[str, HeadPool]] = {"gap": "avg", "gmp": "max", "gsp": "sum"}
"""Scenic's `classifier` in this library's words."""

Channels = tuple[float, float, float]
"""A number for red, green and blue."""

_POS: Final = "Transformer/posembed_input/pos_embedding"


@dataclass(frozen=True, kw_only=True)
class ScenicOptions:
    """What parameter shapes do not tell, or tell only for square images.

    Attributes:
        loc: Block before which TokenLearner sits (`tokenlearner_loc`). With TokenFuser the shapes tell.
        img_size: Input as (height, width) in pixels; None for a square of the size that the position
            embedding implies.
        num_frames: Frames of a clip, for a video model.
        pooling: v1.0: "sum" (Scenic's default) or "mean".
        head_pool: Scenic's `classifier`: "avg" (`gap`), "max" (`gmp`) or "sum" (`gsp`).
        mean: Normalisation mean per channel, for pixels in 0..1; Scenic's input in -1..1 is 0.5 and 0.5.
        std: Normalisation standard deviation per channel.
        class_names: Names of the classes in logit order, if known.
    """

    loc: int | None = None
    img_size: tuple[int, int] | None = None
    num_frames: int | None = None
    pooling: Pooling = "sum"
    head_pool: HeadPool = "avg"
    mean: Channels = (0.5, 0.5, 0.5)
    std: Channels = (0.5, 0.5, 0.5)
    class_names: tuple[str, ...] = ()


def read_channels(text: str, *, positive: bool = False) -> Channels:
    """Numbers for the three channels as people write them: "0.5" for all, or "0.485,0.456,0.406".

    Args:
        text: What was written.
        positive: Whether they must be above 0, as what pixels are divided by.

    Raises:
        ConfigError: If it is something else.
    """
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 3) or not all(map(math.isfinite, values)):
        raise ConfigError(f'"{text}" is not one number, nor three such as 0.485,0.456,0.406')
    if positive and min(values) <= 0:
        raise ConfigError(f'"{text}" must be above 0: pixels are divided by it')
    red, green, blue = values * 3 if len(values) == 1 else values
    return red, green, blue


def infer_config(params: Mapping[str, Array], options: ScenicOptions | None = None) -> ModelConfig:
    """Infer the configuration of a Scenic TokenLearner (or plain ViT or ViViT) model.

    Args:
        params: Flat parameters, `{"Transformer/encoderblock_0/...": array}`.
        options: What the shapes do not tell.

    Raises:
        CheckpointError: If a parameter that decides is missing or of another rank.
        OptionError: If an option is needed, or contradicts the parameters.
        ConfigError: If the sizes cannot make a model.
    """
    options = options or ScenicOptions()
    kernel = _shape(params, "embedding/kernel", "(patch height, patch width, 3, width), for video with time before")
    if len(kernel) not in (4, 5):
        needed = "4 axes (patch height, patch width, 3, width), or 5 for video with time before"
        raise CheckpointError(shape_message("embedding/kernel", kernel, needed))
    is_video = len(kernel) == 5 or options.num_frames is not None
    tubelet = kernel[0] if len(kernel) == 5 else 1
    patch = (kernel[-4], kernel[-3])
    block = "Transformer/encoderblock_0"
    query = f"{block}/MultiHeadDotProductAttention_0/query/kernel"
    depth = _count(params, r"Transformer/encoderblock_(\d+)/")
    token_learner, loc = _infer_token_learner(params, depth, options)
    img_size, steps = _infer_input(params, patch, tubelet, is_video, options)
    return ModelConfig(
        img_size=img_size,
        patch_size=patch,
        embed_dim=kernel[-1],
        depth=depth,
        num_heads=_shape(params, query, "(width, heads, width / heads)", 3)[1],
        mlp_dim=_shape(params, f"{block}/MlpBlock_0/Dense_0/kernel", "(width, hidden width)", 2)[1],
        num_classes=_shape(params, "output_projection/kernel", "(width, classes)", 2)[1],
        representation_size=(
            _shape(params, "pre_logits/kernel", "(width, representation size)", 2)[1]
            if "pre_logits/kernel" in params
            else None
        ),
        head_pool=options.head_pool,
        num_frames=(steps * tubelet if is_video else None) if options.num_frames is None else options.num_frames,
        tubelet_size=tubelet if is_video else 1,
        token_learner=token_learner,
        tokenlearner_locs=() if loc is None else (loc,),
        default_loc=loc,
        mean=options.mean,
        std=options.std,
        class_names=options.class_names,
    )


def infer_token_learner(
    params: Mapping[str, Array], *, version: Version, pooling: Pooling = "sum", prefix: str = ""
) -> TokenLearnerConfig:
    """Infer one TokenLearner module's configuration (without a fuser) from its parameters."""
    if version == "1.0":
        kernel = _shape(params, f"{prefix}Conv_0/kernel", "(3, 3, width, tokens)", 4)
        return TokenLearnerConfig(version="1.0", num_tokens=kernel[3], pooling=pooling)
    bottleneck, num_tokens = _shape(params, f"{prefix}token_masking/Dense_1/kernel", "(bottleneck, tokens)", 2)
    return TokenLearnerConfig(num_tokens=num_tokens, bottleneck_dim=bottleneck)


def infer_token_fuser(
    params: Mapping[str, Array], *, version: Version = "1.1", pooling: Pooling = "sum", prefix: str = ""
) -> TokenLearnerConfig:
    """Infer a TokenFuser's configuration, as that of the module of `version` in front of it."""
    bottleneck, num_tokens = _shape(params, f"{prefix}token_masking/Dense_1/kernel", "(bottleneck, tokens)", 2)
    return TokenLearnerConfig(
        version=version,
        num_tokens=num_tokens,
        bottleneck_dim=bottleneck,
        pooling=pooling,
        use_fuser=True,
        fuser_norm=f"{prefix}fuser_mix_norm1/scale" in params or f"{prefix}fuser_mix_norm2/scale" in params,
    )


def _infer_token_learner(
    params: Mapping[str, Array], depth: int, options: ScenicOptions
) -> tuple[TokenLearnerConfig | None, int | None]:
    """The module and its location; (None, None) for a plain ViT."""
    module = "Transformer/TokenLearnerModule_0/"
    v10 = any(name.startswith(module) for name in params)
    version: Version = "1.0" if v10 else "1.1"
    if not v10:
        module = "Transformer/TokenLearnerModuleV11_0/"
    fusers = _count(params, r"Transformer/TokenFuser_(\d+)/")
    if fusers:
        loc = depth - fusers
        if options.loc is not None and options.loc != loc:
            raise OptionError(
                f"The checkpoint has {fusers} TokenFusers in {depth} blocks, which puts the first module before block "
                f"{loc}, not {options.loc}.",
                "loc",
            )
        fuser = "Transformer/TokenFuser_0/"
        return infer_token_fuser(params, version=version, pooling=options.pooling, prefix=fuser), loc
    if not any(name.startswith(module) for name in params):
        if options.loc is not None:
            raise OptionError(
                "The checkpoint is a plain Vision Transformer without TokenLearner: there is no block to be named.",
                "loc",
            )
        return None, None
    if options.loc is None:
        raise OptionError(
            f"The parameters do not tell before which of the {depth} blocks TokenLearner sits (0 to {depth - 1}; "
            '"tokenlearner_loc" in the training configuration).',
            "loc",
        )
    return infer_token_learner(params, version=version, pooling=options.pooling, prefix=module), options.loc


def _infer_input(
    params: Mapping[str, Array], patch: tuple[int, int], tubelet: int, is_video: bool, options: ScenicOptions
) -> tuple[tuple[int, int], int]:
    """Standard input as (height, width), and its time steps."""
    shape = _shape(params, _POS, "(1, places, width)", 3)
    places = shape[1]
    if not is_video:
        steps = 1
    elif options.num_frames is not None:
        steps = max(options.num_frames // tubelet, 1)
    elif options.img_size is not None:
        grid = max(options.img_size[0] // patch[0], 1) * max(options.img_size[1] // patch[1], 1)
        steps = max(places // grid, 1)
    else:
        raise OptionError(
            f"The parameters do not tell how many frames a clip has ({places} places in space and time together).",
            "num_frames",
        )
    if options.img_size is not None:
        return options.img_size, steps
    if places % steps:
        raise CheckpointError(shape_message(_POS, shape, f"a multiple of {steps} time steps as its second size"))
    side = math.isqrt(places // steps)
    if side * side != places // steps:
        raise OptionError(
            f"The position embedding has {places // steps} places, which is not a square grid: the input size is "
            "needed.",
            "img_size",
        )
    return (side * patch[0], side * patch[1]), steps


def _shape(params: Mapping[str, Array], name: str, meaning: str, axes: int | None = None) -> tuple[int, ...]:
    if name not in params:
        raise CheckpointError(f'The checkpoint lacks the parameter "{name}" of shape {meaning}.')
    shape = params[name].shape
    if axes is not None and len(shape) != axes:
        raise CheckpointError(shape_message(name, shape, meaning))
    return shape


def _count(params: Mapping[str, Array], pattern: str) -> int:
    """How many numbered parts there are (the highest number + 1; gaps show up later as missing parameters)."""
    found = [int(match.group(1)) for name in params if (match := re.match(pattern, name))]
    return max(found, default=-1) + 1
