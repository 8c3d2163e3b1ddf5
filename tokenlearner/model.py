"""The image and video Vision Transformer with TokenLearner, cut in three functions.

`prefix` (pixels to the feature map before block `loc`), `tokenize` (feature map to the first `k` tokens
and their maps) and `suffix` (tokens to logits) may run apart; `forward` is their composition. Nothing is
stored on the module during a call, so threads may share one model.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, UInt8
from timm.layers import GELUTanh, LayerNorm, PatchEmbed, resample_abs_pos_embed
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from tokenlearner.config import Loc, ModelConfig
from tokenlearner.errors import ConfigError
from tokenlearner.layers import ConvStem, TokenFuser, TubeletEmbed, build_token_learner


@dataclass(frozen=True)
class FeatureMap:
    """Features before a block, one per patch and time step.

    Attributes:
        x: The residual stream; an image has one time step. A network of timm may have class and register tokens: they
            come first, before the patches.
        grid_hw: Patch grid as (rows, columns); patches are row-major.
        loc: The block that comes next; None when all blocks have run.
    """

    x: Float[Tensor, "batch time places dim"]
    grid_hw: tuple[int, int]
    loc: int | None

    @property
    def patches(self) -> Float[Tensor, "batch time patches dim"]:
        """The features of the patches alone."""
        return self.x[:, :, self.x.shape[2] - self.grid_hw[0] * self.grid_hw[1] :]

    @property
    def prefix_tokens(self) -> Float[Tensor, "batch time prefix dim"]:
        """Class and register tokens; none in this project's own networks."""
        return self.x[:, :, : self.x.shape[2] - self.grid_hw[0] * self.grid_hw[1]]


@dataclass(frozen=True)
class Tokenized:
    """Tokens of every time step with the maps that pooled them.

    Attributes:
        tokens: Pooled features.
        token_maps: Spatial weights; v1.1 rows sum to 1, v1.0 values are sigmoids.
        features: What was pooled.
    """

    tokens: Float[Tensor, "batch time tokens dim"]
    token_maps: Float[Tensor, "batch time tokens patches"]
    features: FeatureMap


@dataclass(frozen=True)
class ModelOutput:
    """What one forward pass returns.

    Attributes:
        logits: Class scores.
        token_maps: Maps of the first TokenLearner that ran; None for the plain network.
        all_token_maps: With TokenFuser one entry per fused block, else one entry or none.
        grid_hw: Patch grid of the maps as (rows, columns).
        encoded: The normalised output of the last block (tokens or patches of all time steps).
        pooled: What the head saw, before the classifier.
    """

    logits: Float[Tensor, "batch classes"]
    token_maps: Float[Tensor, "batch time tokens patches"] | None
    all_token_maps: tuple[Float[Tensor, "batch time tokens patches"], ...]
    grid_hw: tuple[int, int]
    encoded: Float[Tensor, "batch sequence dim"]
    pooled: Float[Tensor, "batch width"]


_POOLS: Final = {
    "avg": lambda x: x.mean(dim=1),
    "max": lambda x: x.amax(dim=1),
    "sum": lambda x: x.sum(dim=1),
}


class TokenLearnerViT(nn.Module):
    """A ViT (images) or ViViT (clips) carrying TokenLearner before any of several blocks.

    Args:
        config: What to build.
        drop_path: Largest stochastic-depth rate, rising linearly over the blocks (training only).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig, *, drop_path: float = 0.0) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.tensor(config.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(config.std).view(3, 1, 1), persistent=False)
        self._build_body(drop_path)
        dim = config.embed_dim
        self.token_learners = nn.ModuleDict()
        self.token_fusers = nn.ModuleDict()
        if config.token_learner is not None:
            tl = config.token_learner
            locs = range(config.tokenlearner_locs[0], config.depth) if tl.use_fuser else config.tokenlearner_locs
            for loc in locs:
                self.token_learners[str(loc)] = build_token_learner(tl, dim)
                if tl.use_fuser:
                    self.token_fusers[str(loc)] = TokenFuser(dim, tl.num_tokens, tl.bottleneck_dim, tl.fuser_norm)
        self._build_head()

    def _build_body(self, drop_path: float) -> None:
        """Everything before the head, the modules aside."""
        config, dim = self.config, self.config.embed_dim
        self.embed: nn.Module
        if config.stem == "conv":
            tubelet = config.tubelet_size if config.is_video else None
            self.embed = ConvStem(config.in_chans, config.stem_dims, config.stem_strides, dim, tubelet)
        elif config.is_video:
            self.embed = TubeletEmbed(config.in_chans, config.tubelet_size, config.patch_size, dim)
        else:
            self.embed = PatchEmbed(
                None,
                config.patch_size,  # type: ignore[arg-type]  # timm annotates int, accepts a pair
                config.in_chans,
                dim,
                strict_img_size=False,
            )
        rows, columns = config.grid_hw()
        self.pos_embed = nn.Parameter(torch.empty(1, config.num_time_steps, rows * columns, dim))
        nn.init.trunc_normal_(self.pos_embed, std=0.02)
        self.blocks = nn.ModuleList(
            Block(
                dim,
                config.num_heads,
                mlp_ratio=(config.mlp_dim + 0.5) / dim,  # timm truncates dim * mlp_ratio
                qkv_bias=True,
                act_layer=GELUTanh,
                norm_layer=LayerNorm,  # timm's, with epsilon 1e-6
                drop_path=drop_path * i / max(config.depth - 1, 1),
            )
            for i in range(config.depth)
        )

    def _build_head(self) -> None:
        config, dim = self.config, self.config.embed_dim
        self.norm = LayerNorm(dim)
        width = config.representation_size or dim
        self.pre_logits = nn.Linear(dim, width) if config.representation_size else nn.Identity()
        self.head = nn.Linear(width, config.num_classes)

    def normalize(self, rgb: UInt8[Tensor, "*batch height width 3"]) -> Float[Tensor, "*batch 3 height width"]:
        """Turn RGB bytes into the network's input, by the constants it was trained with."""
        return (rgb.movedim(-1, -3).to(self.mean.dtype) / 255 - self.mean) / self.std

    def resolve_loc(self, loc: Loc) -> int | None:
        """The location that `loc` stands for.

        Raises:
            ConfigError: If the model holds no module there.
        """
        resolved = self.config.default_loc if loc == "default" else loc
        self.config.check_choice(resolved, None)
        return resolved

    def prefix(self, pixels: Float[Tensor, "batch *frames 3 height width"], loc: int | None) -> FeatureMap:
        """Run pixels up to the feature map before block `loc` (None: through all blocks).

        Args:
            pixels: Normalised input; `[batch, 3, height, width]` for an image model,
                `[batch, frames, 3, height, width]` for a video model.
            loc: Block that comes next.

        Raises:
            ConfigError: If the input is not a whole number of patches or tubelets.
        """
        return self.prefixes(pixels, (loc,))[loc]

    def prefixes(
        self, pixels: Float[Tensor, "batch *frames 3 height width"], locs: Sequence[int | None]
    ) -> dict[int | None, FeatureMap]:
        """Feature maps before several blocks, from one pass; see `prefix`."""
        grid_hw = self.config.grid_hw((pixels.shape[-2], pixels.shape[-1]))
        return self.advance(FeatureMap(self._embed(pixels, grid_hw), grid_hw, 0), locs)

    def advance(self, features: FeatureMap, locs: Sequence[int | None]) -> dict[int | None, FeatureMap]:
        """Run blocks on feature maps of patches, from where they are to several later locations.

        Raises:
            ConfigError: If no location is named, or one lies before the one that `features` have reached, or behind
                the last block.
        """
        x, grid_hw, time = features.x, features.grid_hw, features.x.shape[1]
        depth = self.config.depth
        first = depth if features.loc is None else features.loc
        stops = {depth if loc is None else loc: loc for loc in locs}
        if not stops:
            raise ConfigError("Name at least one location to run to.")
        if max(stops) > depth:
            raise ConfigError(f"This model has {depth} blocks; there is no place before block {max(stops)}.")
        if min(stops) < first:
            raise ConfigError(f"Features before block {first} cannot go back to block {min(stops)}.")
        reached: dict[int | None, FeatureMap] = {}
        for i in range(first, max(stops) + 1):
            if i in stops:
                reached[stops[i]] = FeatureMap(x, grid_hw, stops[i])
            if i < max(stops):
                x = self.block(i)(x.flatten(1, 2)).unflatten(1, (time, -1))
        return reached

    def tokenize(self, features: FeatureMap, num_tokens: int | None = None) -> Tokenized:
        """Pool a feature map into its first `num_tokens` tokens, per time step.

        Raises:
            ConfigError: If there is no module at `features.loc`, or not so many tokens.
        """
        k = self.config.check_choice(features.loc, num_tokens)
        if not k:
            raise ConfigError("These features have passed all blocks; TokenLearner sits before a block.")
        batch, time = features.x.shape[:2]
        tokens, token_maps = self.token_learners[str(features.loc)](features.patches.flatten(0, 1), features.grid_hw, k)
        shape = (batch, time)
        return Tokenized(tokens.unflatten(0, shape), token_maps.unflatten(0, shape), features)

    def suffix(self, source: Tokenized | FeatureMap, *, keep: Bool[Tensor, " tokens"] | None = None) -> ModelOutput:
        """Run tokens through the remaining blocks and the head.

        Args:
            source: Tokens, or for the plain network the feature map behind all blocks.
            keep: Which tokens go on (the others are dropped, as if they had not been computed); None for all.

        Raises:
            ConfigError: If no token is kept, or tokens are dropped from a model with TokenFuser.
        """
        if isinstance(source, FeatureMap):
            if source.loc is not None:
                raise ConfigError(f"Features before block {source.loc} must be tokenized first.")
            return self._output(source.x.flatten(1, 2), (), source.grid_hw)
        features = source.features
        assert features.loc is not None
        if self.config.uses_fuser:
            if keep is not None:
                raise ConfigError("Tokens can be dropped only in a model without TokenFuser.")
            return self._fused_suffix(source, features.loc)
        tokens = source.tokens
        if keep is not None:
            if not bool(keep.any()):
                raise ConfigError("At least one token must be kept.")
            tokens = tokens[:, :, keep]
        x = torch.cat([features.prefix_tokens, tokens], dim=2) if self.config.num_prefix_tokens else tokens
        x = x.flatten(1, 2)
        for i in range(features.loc, self.config.depth):
            x = self.block(i)(x)
        return self._output(x, (source.token_maps,), features.grid_hw)

    def forward(
        self,
        pixels: Float[Tensor, "batch *frames 3 height width"],
        *,
        loc: Loc = "default",
        num_tokens: int | None = None,
    ) -> ModelOutput:
        """Classify images or clips with the module before block `loc` and its first `num_tokens` tokens.

        Args:
            pixels: Normalised input; see `prefix`.
            loc: A location that the model holds, None for the plain network.
            num_tokens: Tokens per time step; None for all that the module holds.

        Raises:
            ConfigError: If the input does not fit the patches, or the choice is not held.
        """
        features = self.prefix(pixels, self.resolve_loc(loc))
        return self.suffix(features if features.loc is None else self.tokenize(features, num_tokens))

    def block(self, i: int) -> nn.Module:
        """The transformer block of this number, from 0."""
        return self.blocks[i]

    def _embed(
        self, pixels: Float[Tensor, "batch *frames 3 height width"], grid_hw: tuple[int, int]
    ) -> Float[Tensor, "batch time patches dim"]:
        expected = 5 if self.config.is_video else 4
        if pixels.ndim != expected:
            shape = "clips [batch, frames, 3, height, width]" if expected == 5 else "images [batch, 3, height, width]"
            raise ConfigError(f"This model takes {shape}, not an array of {pixels.ndim} dimensions.")
        if self.config.is_video:
            self.config.time_steps(pixels.shape[1])
            x = self.embed(pixels)
        else:
            x = self.embed(pixels).unsqueeze(1)
        return x + self._pos_embed(x.shape[1], grid_hw).to(x.dtype)

    def _pos_embed(self, time: int, grid_hw: tuple[int, int]) -> Float[Tensor, "1 time patches dim"]:
        own_time, own_grid = self.config.num_time_steps, self.config.grid_hw()
        pos: Tensor = self.pos_embed
        if grid_hw != own_grid:
            folded = pos.permute(0, 2, 1, 3).flatten(2)  # time rides along with the channels
            folded = resample_abs_pos_embed(folded, list(grid_hw), list(own_grid), num_prefix_tokens=0)
            pos = folded.unflatten(2, (own_time, -1)).permute(0, 2, 1, 3)
        if time != own_time:
            series = pos.permute(0, 2, 3, 1).flatten(0, 1)
            series = F.interpolate(series, size=time, mode="linear", align_corners=False)
            pos = series.permute(2, 0, 1).unsqueeze(0)
        return pos

    def _fused_suffix(self, first: Tokenized, loc: int) -> ModelOutput:
        """TokenLearner, block on tokens, TokenFuser and residual, in every block from `loc` on."""
        x, grid_hw = first.features.x, first.features.grid_hw
        batch, time, _, _ = x.shape
        k = first.tokens.shape[2]
        tokens, all_maps = first.tokens, [first.token_maps]
        for i in range(loc, self.config.depth):
            if i > loc:
                flat_tokens, flat_maps = self.token_learners[str(i)](x.flatten(0, 1), grid_hw, k)
                tokens = flat_tokens.unflatten(0, (batch, time))
                all_maps.append(flat_maps.unflatten(0, (batch, time)))
            tokens = self.block(i)(tokens.flatten(1, 2)).unflatten(1, (time, k))
            fused = self.token_fusers[str(i)](tokens.flatten(0, 1), x.flatten(0, 1))
            x = x + fused.unflatten(0, (batch, time))
        return self._output(x.flatten(1, 2), tuple(all_maps), grid_hw)

    def _output(
        self,
        x: Float[Tensor, "batch sequence dim"],
        token_maps: tuple[Float[Tensor, "batch time tokens patches"], ...],
        grid_hw: tuple[int, int],
    ) -> ModelOutput:
        # Not under autocast: in bfloat16, classes that are nearly as probable get the same score.
        kind = x.device.type
        with torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext():
            encoded, pooled, logits = self._read_out(x.to(next(self.parameters()).dtype))
        return ModelOutput(
            logits=logits,
            token_maps=token_maps[0] if token_maps else None,
            all_token_maps=token_maps,
            grid_hw=grid_hw,
            encoded=encoded,
            pooled=pooled,
        )

    def _read_out(
        self, x: Float[Tensor, "batch sequence dim"]
    ) -> tuple[Float[Tensor, "batch sequence dim"], Float[Tensor, "batch width"], Float[Tensor, "batch classes"]]:
        """What stands behind the last block: `encoded`, `pooled` and `logits` of `ModelOutput`."""
        encoded = self.norm(x)
        pooled = self.pre_logits(_POOLS[self.config.head_pool](encoded))
        if self.config.representation_size:
            pooled = pooled.tanh()
        return encoded, pooled, self.head(pooled)
