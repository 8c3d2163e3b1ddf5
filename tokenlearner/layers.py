"""TokenLearner v1.0 and v1.1, TokenFuser and the two stems, on timm's layers.

Source: Ryoo et al., arXiv:2106.11297; reference implementation `scenic/projects/token_learner/model.py`.
Two details decide parity with it: GELU is the tanh approximation and LayerNorm's epsilon is 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from timm.layers import ConvNormAct, GELUTanh, LayerNorm, Mlp
from torch import Tensor, nn

from tokenlearner.config import Pooling, TokenLearnerConfig


class TokenLearnerV11(nn.Module):
    """TokenLearner v1.1: LayerNorm, an MLP to one logit per token, softmax over space.

    Args:
        embed_dim: Width of the features.
        num_tokens: Maps the module holds.
        bottleneck_dim: Hidden width of the MLP.
    """

    def __init__(self, embed_dim: int, num_tokens: int, bottleneck_dim: int = 64) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.norm = LayerNorm(embed_dim)
        self.mlp = Mlp(embed_dim, bottleneck_dim, num_tokens, act_layer=GELUTanh)

    def map_logits(
        self, x: Float[Tensor, "batch patches dim"], num_tokens: int | None = None
    ) -> Float[Tensor, "batch tokens patches"]:
        """Compute the maps before the softmax, for the first `num_tokens` tokens."""
        hidden = self.mlp.act(self.mlp.fc1(self.norm(x)))
        k = self.num_tokens if num_tokens is None else num_tokens
        return _first_outputs(self.mlp.fc2, hidden, k).transpose(1, 2)

    def forward(
        self,
        x: Float[Tensor, "batch patches dim"],
        grid_hw: tuple[int, int],
        num_tokens: int | None = None,
    ) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch tokens patches"]]:
        """Pool features into tokens.

        Args:
            x: Features of one time step, before normalisation; these are what is pooled.
            grid_hw: Unused: v1.1 looks at each patch alone. Part of the signature of both versions.
            num_tokens: Compute only the first so many tokens; None for all.

        Returns:
            Tokens, and their maps, whose rows are >= 0 and sum to 1 over the patches.
        """
        token_maps = self.map_logits(x, num_tokens).float().softmax(dim=-1)
        return token_maps.to(x.dtype) @ x, token_maps


class TokenLearnerV10(nn.Module):
    """TokenLearner v1.0: LayerNorm, four bias-free 3x3 convolutions, sigmoid, sum or mean pooling.

    The reference accepts square grids only; here the grid is given, so any grid works.

    Args:
        embed_dim: Width of the features.
        num_tokens: Maps the module holds.
        pooling: "sum" (reference default) or "mean" over the patches.
    """

    def __init__(self, embed_dim: int, num_tokens: int, pooling: Pooling = "sum") -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.pooling = pooling
        self.norm = LayerNorm(embed_dim)
        self.convs = nn.ModuleList(
            nn.Conv2d(embed_dim if i == 0 else num_tokens, num_tokens, 3, padding=1, bias=False) for i in range(4)
        )
        self.act = GELUTanh()

    def map_logits(
        self, x: Float[Tensor, "batch patches dim"], grid_hw: tuple[int, int], num_tokens: int | None = None
    ) -> Float[Tensor, "batch tokens patches"]:
        """Compute the maps before the sigmoid, for the first `num_tokens` tokens."""
        k = self.num_tokens if num_tokens is None else num_tokens
        selected = self.norm(x).transpose(1, 2).unflatten(2, grid_hw)
        *hidden, last = self.convs
        assert isinstance(last, nn.Conv2d)
        for conv in hidden:
            selected = self.act(conv(selected))
        return F.conv2d(selected, last.weight[:k], padding=1).flatten(2)

    def forward(
        self,
        x: Float[Tensor, "batch patches dim"],
        grid_hw: tuple[int, int],
        num_tokens: int | None = None,
    ) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch tokens patches"]]:
        """Pool features into tokens.

        Args:
            x: Features of one time step, before normalisation; these are what is pooled.
            grid_hw: Patch grid as (rows, columns).
            num_tokens: Compute only the first so many tokens; None for all.

        Returns:
            Tokens, and their maps, each value in 0..1 and independent of the others.
        """
        token_maps = self.map_logits(x, grid_hw, num_tokens).float().sigmoid()
        # Row by row, then over the rows: sums over many patches lose half as much to rounding as in one product.
        by_row = token_maps.to(x.dtype).unflatten(2, grid_hw).transpose(1, 2) @ x.unflatten(1, grid_hw)
        tokens = by_row.sum(dim=1)
        return (tokens / x.shape[1] if self.pooling == "mean" else tokens), token_maps


class FixedPooling(nn.Module):
    """Tokens without learning: the grid is cut into equal cells, and each gives one token.

    The rival that shows whether learned maps are needed (section 4.4 of the paper).

    Args:
        num_tokens: Cells; asked for fewer, the grid is cut into fewer.
        strided: Take each cell's centre patch instead of the cell's mean.
    """

    def __init__(self, num_tokens: int, *, strided: bool) -> None:
        super().__init__()
        self.num_tokens = num_tokens
        self.strided = strided

    def forward(
        self,
        x: Float[Tensor, "batch patches dim"],
        grid_hw: tuple[int, int],
        num_tokens: int | None = None,
    ) -> tuple[Float[Tensor, "batch tokens dim"], Float[Tensor, "batch tokens patches"]]:
        """Pool features into tokens.

        Args:
            x: Features of one time step.
            grid_hw: Patch grid as (rows, columns).
            num_tokens: Cells to cut the grid into; None for all that the module holds.

        Returns:
            Tokens, and their maps, the same for every picture; rows sum to 1 over the patches.
        """
        rows, columns = cells_hw(self.num_tokens if num_tokens is None else num_tokens, grid_hw)
        down, across = (self._shares(size, cells, x) for size, cells in zip(grid_hw, (rows, columns), strict=True))
        cells = (down[:, None, :, None] * across[None, :, None, :]).flatten(2).flatten(0, 1)
        token_maps = cells.expand(len(x), -1, -1)
        return token_maps.to(x.dtype) @ x, token_maps

    def _shares(self, size: int, cells: int, like: Tensor) -> Float[Tensor, "cells size"]:
        """How much of each place along one side a cell takes; rows sum to 1."""
        place = torch.arange(size, device=like.device)
        edges = torch.arange(cells + 1, device=like.device) * (size / cells)
        if self.strided:
            centre = ((edges[:-1] + edges[1:]) / 2).floor().clamp(max=size - 1)
            return (place == centre[:, None]).float()
        covered = torch.minimum(edges[1:, None], place + 1) - torch.maximum(edges[:-1, None], place)
        return covered.clamp(min=0) * (cells / size)


def cells_hw(num_cells: int, grid_hw: tuple[int, int]) -> tuple[int, int]:
    """Cut a grid into `num_cells` cells, as (rows, columns), as near to square as the number allows."""
    shapes = [(rows, num_cells // rows) for rows in range(1, num_cells + 1) if num_cells % rows == 0]
    return min(shapes, key=lambda shape: abs(math.log(grid_hw[0] / shape[0] / (grid_hw[1] / shape[1]))))


class TokenFuser(nn.Module):
    """Maps tokens back to the patch grid: mixes them, then spreads them by sigmoid weights.

    Args:
        embed_dim: Width of the features.
        num_tokens: Tokens the fuser holds.
        bottleneck_dim: Hidden width of the MLP that computes the weights.
        use_norm: Whether to normalise before and after the token mixing.
    """

    def __init__(self, embed_dim: int, num_tokens: int, bottleneck_dim: int = 64, use_norm: bool = True) -> None:
        super().__init__()
        self.mix_norm1 = LayerNorm(embed_dim) if use_norm else nn.Identity()
        self.mix = nn.Linear(num_tokens, num_tokens)
        self.mix_norm2 = LayerNorm(embed_dim) if use_norm else nn.Identity()
        self.norm = LayerNorm(embed_dim)
        self.mlp = Mlp(embed_dim, bottleneck_dim, num_tokens, act_layer=GELUTanh)

    def forward(
        self, tokens: Float[Tensor, "batch tokens dim"], original: Float[Tensor, "batch patches dim"]
    ) -> Float[Tensor, "batch patches dim"]:
        """Spread tokens over the grid of `original` (the features before TokenLearner), without the residual."""
        k = tokens.shape[1]
        mixed = F.linear(self.mix_norm1(tokens).transpose(1, 2), self.mix.weight[:k, :k], self.mix.bias[:k])
        mixed = self.mix_norm2(mixed.transpose(1, 2))
        hidden = self.mlp.act(self.mlp.fc1(self.norm(original)))
        weights = _first_outputs(self.mlp.fc2, hidden, k).sigmoid()
        return weights @ mixed


class ConvStem(nn.Module):
    """Stride-2 3x3 convolutions with batch norm and ReLU, then a 1x1 projection.

    Trains faster and on less data than one large-stride patch convolution.
    Source: Xiao et al., "Early Convolutions Help Transformers See Better", arXiv:2106.14881.

    Args:
        in_chans: Colour channels.
        dims: Output channels of the 3x3 convolutions.
        strides: Their strides.
        embed_dim: Output channels of the projection.
        tubelet_size: Frames that the projection of a clip spans; None for images.
    """

    def __init__(
        self,
        in_chans: int,
        dims: Sequence[int],
        strides: Sequence[int],
        embed_dim: int,
        tubelet_size: int | None = None,
    ) -> None:
        super().__init__()
        widths = (in_chans, *dims)
        self.convs = nn.Sequential(
            *(
                ConvNormAct(widths[i], widths[i + 1], kernel_size=3, stride=stride, act_layer=nn.ReLU)
                for i, stride in enumerate(strides)
            )
        )
        self.proj: nn.Module
        if tubelet_size is None:
            self.proj = nn.Conv2d(widths[-1], embed_dim, 1)
        else:
            kernel = (tubelet_size, 1, 1)
            self.proj = nn.Conv3d(widths[-1], embed_dim, kernel_size=kernel, stride=kernel)

    def forward(self, x: Float[Tensor, "batch *frames chans height width"]) -> Float[Tensor, "batch *time patches dim"]:
        """Embed normalised pixels, or frames of clips; the grid is row-major."""
        if x.ndim == 4:
            return self.proj(self.convs(x)).flatten(2).transpose(1, 2)
        frames = self.convs(x.flatten(0, 1)).unflatten(0, x.shape[:2])
        return self.proj(frames.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)


class TubeletEmbed(nn.Module):
    """Non-overlapping 3-D convolution from clips to tubelets (ViViT, arXiv:2103.15691, section 3.2)."""

    def __init__(self, in_chans: int, tubelet_size: int, patch_size: tuple[int, int], embed_dim: int) -> None:
        super().__init__()
        kernel = (tubelet_size, *patch_size)
        self.proj = nn.Conv3d(in_chans, embed_dim, kernel_size=kernel, stride=kernel)

    def forward(self, x: Float[Tensor, "batch frames chans height width"]) -> Float[Tensor, "batch time patches dim"]:
        """Embed normalised clips."""
        return self.proj(x.transpose(1, 2)).flatten(3).permute(0, 2, 3, 1)


def _first_outputs(
    layer: nn.Module, x: Float[Tensor, "batch patches width"], k: int
) -> Float[Tensor, "batch patches tokens"]:
    """Apply the rows of a linear layer that make its first `k` outputs."""
    assert isinstance(layer, nn.Linear)
    return F.linear(x, layer.weight[:k], None if layer.bias is None else layer.bias[:k])


def build_token_learner(config: TokenLearnerConfig, embed_dim: int) -> TokenLearnerV10 | TokenLearnerV11 | FixedPooling:
    """The module that a configuration describes."""
    if config.version in ("average", "strided"):
        return FixedPooling(config.num_tokens, strided=config.version == "strided")
    if config.version == "1.0":
        return TokenLearnerV10(embed_dim, config.num_tokens, config.pooling)
    return TokenLearnerV11(embed_dim, config.num_tokens, config.bottleneck_dim)


def init_map_logits_(module: TokenLearnerV10 | TokenLearnerV11, std: float) -> None:
    """Draw the last layer of the map branch anew with standard deviation `std`.

    The usual initialisation makes all maps nearly uniform and nearly equal, and training leaves them so;
    a standard deviation around 0.5 starts tokens at different places.
    """
    last = module.mlp.fc2 if isinstance(module, TokenLearnerV11) else module.convs[-1]
    assert isinstance(last, nn.Linear | nn.Conv2d)
    nn.init.normal_(last.weight, std=std)
    if last.bias is not None:
        nn.init.zeros_(last.bias)


__all__ = [
    "ConvStem",
    "FixedPooling",
    "TokenFuser",
    "TokenLearnerV10",
    "TokenLearnerV11",
    "TubeletEmbed",
    "build_token_learner",
    "cells_hw",
    "init_map_logits_",
]
