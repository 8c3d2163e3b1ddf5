"""The loss of one training step: of an elastic network at several settings at once, or of one setting alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tokenlearner.layers import TokenLearnerV10, TokenLearnerV11
from tokenlearner.model import FeatureMap, Tokenized, TokenLearnerViT
from tokenlearner.training.losses import distillation, map_overlap, rebuild_error, soft_cross_entropy
from tokenlearner.training.recipe import LossSettings


@dataclass(frozen=True)
class StepLoss:
    """Loss of one batch and its parts, all means over the batch and the locations.

    Attributes:
        total: What is minimised.
        plain: Of the network without a module, cross entropy or difference from a teacher; 0 if it was not run.
        tails: The same of all (location, k) tails.
        rebuild: See `rebuild_error`.
        overlap: See `map_overlap`.
    """

    total: Float[Tensor, ""]
    plain: Float[Tensor, ""]
    tails: Float[Tensor, ""]
    rebuild: Float[Tensor, ""]
    overlap: Float[Tensor, ""]


def elastic_loss(
    model: TokenLearnerViT,
    pixels: Float[Tensor, "batch *frames 3 height width"],
    target: Float[Tensor, "batch classes"],
    settings: LossSettings,
    *,
    tail_tokens: Mapping[int, int],
    map_tokens: int,
) -> StepLoss:
    """Loss of the plain network and of one tail a location.

    After the sandwich rule with in-place distillation (Yu and Huang, arXiv:1903.05134): the largest setting,
    the plain network, learns in every step, and teaches the smaller ones in part by its own prediction.

    Args:
        model: An elastic v1.1 model.
        pixels: Normalised input.
        target: Class probabilities, of each question if the model answers several.
        settings: Weights of the parts.
        tail_tokens: Token count of the tail at each location that learns in this step.
        map_tokens: Token count for which the maps' own losses are computed.
    """
    locs = tuple(tail_tokens)
    groups = tuple(model.config.group_slices().values())
    features = model.prefixes(pixels.to(_dtype(model)), (*locs, None))
    teacher = model.suffix(features[None]).logits.float()
    plain = soft_cross_entropy(teacher, target, groups, settings.label_smoothing)
    zero = plain.new_zeros(())
    tails, taught, rebuild, overlap = zero, zero, zero, zero
    for loc in locs:
        logits = model.suffix(first_tokens(tokenize_exactly(model, features[loc]), tail_tokens[loc])).logits.float()
        tails = tails + soft_cross_entropy(logits, target, groups, settings.label_smoothing)
        taught = taught + distillation(logits, teacher, groups)
        rebuild_here, overlap_here = map_losses(model, features[loc], map_tokens)
        rebuild, overlap = rebuild + rebuild_here, overlap + overlap_here
    tails, taught, rebuild, overlap = (part / len(locs) for part in (tails, taught, rebuild, overlap))
    total = (
        plain
        + (1 - settings.distill) * tails
        + settings.distill * taught
        + settings.rebuild * rebuild
        + settings.overlap * overlap
    )
    return StepLoss(total, plain.detach(), tails.detach(), rebuild.detach(), overlap.detach())


def single_loss(
    model: TokenLearnerViT,
    pixels: Float[Tensor, "batch *frames 3 height width"],
    target: Float[Tensor, "batch classes"],
    settings: LossSettings,
) -> StepLoss:
    """Loss of the default location with all its tokens, or of the plain network where there is no module.

    Modules that learn maps (v1.0, v1.1) get the maps' own losses as in `elastic_loss`, at the first module
    if there are several behind one another (TokenFuser).
    """
    groups = tuple(model.config.group_slices().values())
    loc = model.config.default_loc
    features = model.prefix(pixels.to(_dtype(model)), loc)
    logits = model.suffix(features if loc is None else model.tokenize(features)).logits.float()
    loss = soft_cross_entropy(logits, target, groups, settings.label_smoothing)
    zero = loss.new_zeros(())
    if loc is None:
        return StepLoss(loss, loss.detach(), zero, zero, zero)
    rebuild, overlap = zero, zero
    if isinstance(model.token_learners[str(loc)], TokenLearnerV10 | TokenLearnerV11):
        rebuild, overlap = map_losses(model, features, model.config.num_tokens)
    total = loss + settings.rebuild * rebuild + settings.overlap * overlap
    return StepLoss(total, zero, loss.detach(), rebuild.detach(), overlap.detach())


def tokenize_exactly(model: TokenLearnerViT, features: FeatureMap) -> Tokenized:
    """As `TokenLearnerViT.tokenize`, with the maps in float32 whatever the features are."""
    module = model.token_learners[str(features.loc)]
    assert isinstance(module, TokenLearnerV11)
    batch_time = features.x.shape[:2]
    x = features.patches.flatten(0, 1)
    token_maps = module.map_logits(x.float()).softmax(dim=2)
    tokens = token_maps.to(x.dtype) @ x
    return Tokenized(tokens.unflatten(0, batch_time), token_maps.unflatten(0, batch_time), features)


def map_losses(
    model: TokenLearnerViT, features: FeatureMap, num_tokens: int
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Rebuilding error and overlap of the first maps; they teach the module, not the blocks before it."""
    module = model.token_learners[str(features.loc)]
    x = features.patches.flatten(0, 1).detach()
    if isinstance(module, TokenLearnerV10):
        logits = module.map_logits(x.to(module.norm.weight.dtype), features.grid_hw, num_tokens).float()
        return rebuild_error(logits, x), map_overlap(logits.sigmoid())
    assert isinstance(module, TokenLearnerV11)
    logits = module.map_logits(x.to(module.norm.weight.dtype), num_tokens).float()
    return rebuild_error(logits, x), map_overlap(logits.softmax(dim=2))


def first_tokens(tokenized: Tokenized, k: int) -> Tokenized:
    """The first `k` tokens with their maps, as if no more had been computed."""
    return Tokenized(tokenized.tokens[:, :, :k], tokenized.token_maps[:, :, :k], tokenized.features)


def _dtype(model: TokenLearnerViT) -> torch.dtype:
    return model.head.weight.dtype
