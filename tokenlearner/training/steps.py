"""One training step of an elastic network: one pass through all blocks, one short tail per location and token count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from tokenlearner.layers import TokenLearnerV11
from tokenlearner.model import FeatureMap, Tokenized, TokenLearnerViT
from tokenlearner.training.losses import distillation, map_overlap, rebuild_error, soft_cross_entropy
from tokenlearner.training.recipe import LossSettings


@dataclass(frozen=True)
class StepLoss:
    """Loss of one batch and its parts, all means over the batch and the locations.

    Attributes:
        total: What is minimised.
        plain: Cross entropy of the network without a module.
        tails: Mean cross entropy of all (location, k) tails.
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
    pixels: Float[Tensor, "batch 3 height width"],
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
        model: An elastic v1.1 image model.
        pixels: Normalised input.
        target: Class probabilities.
        settings: Weights of the parts.
        tail_tokens: Token count of each location's tail.
        map_tokens: Token count for which the maps' own losses are computed.
    """
    locs = model.config.tokenlearner_locs
    features = model.prefixes(pixels.to(_dtype(model)), (*locs, None))
    teacher = model.suffix(features[None]).logits.float()
    plain = soft_cross_entropy(teacher, target, settings.label_smoothing)
    zero = plain.new_zeros(())
    tails, taught, rebuild, overlap = zero, zero, zero, zero
    for loc in locs:
        logits = model.suffix(_first(_tokenize(model, features[loc]), tail_tokens[loc])).logits.float()
        tails = tails + soft_cross_entropy(logits, target, settings.label_smoothing)
        taught = taught + distillation(logits, teacher)
        rebuild_here, overlap_here = _map_losses(model, features[loc], map_tokens)
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


def _tokenize(model: TokenLearnerViT, features: FeatureMap) -> Tokenized:
    """As `TokenLearnerViT.tokenize`, with the maps in float32 whatever the features are."""
    module = model.token_learners[str(features.loc)]
    assert isinstance(module, TokenLearnerV11)
    x = features.x[:, 0]
    token_maps = module.map_logits(x.float()).softmax(dim=2)
    tokens = token_maps.to(x.dtype) @ x
    return Tokenized(tokens.unsqueeze(1), token_maps.unsqueeze(1), features)


def _map_losses(
    model: TokenLearnerViT, features: FeatureMap, num_tokens: int
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Rebuilding error and overlap of the first maps; they teach the module, not the blocks before it."""
    module = model.token_learners[str(features.loc)]
    assert isinstance(module, TokenLearnerV11)
    x = features.x[:, 0].detach()
    map_logits = module.map_logits(x.float(), num_tokens)
    return rebuild_error(map_logits, x), map_overlap(map_logits.softmax(dim=2))


def _first(tokenized: Tokenized, k: int) -> Tokenized:
    return Tokenized(tokenized.tokens[:, :, :k], tokenized.token_maps[:, :, :k], tokenized.features)


def _dtype(model: TokenLearnerViT) -> torch.dtype:
    return model.head.weight.dtype
