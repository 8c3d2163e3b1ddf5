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
        tokenized, map_logits = _tokenize(model, features[loc])
        logits = model.suffix(_first(tokenized, tail_tokens[loc])).logits.float()
        tails = tails + soft_cross_entropy(logits, target, settings.label_smoothing)
        taught = taught + distillation(logits, teacher)
        rebuild = rebuild + rebuild_error(map_logits[:, :map_tokens], features[loc].x[:, 0])
        overlap = overlap + map_overlap(tokenized.token_maps[:, 0, :map_tokens])
    tails, taught, rebuild, overlap = (part / len(locs) for part in (tails, taught, rebuild, overlap))
    total = (
        plain
        + (1 - settings.distill) * tails
        + settings.distill * taught
        + settings.rebuild * rebuild
        + settings.overlap * overlap
    )
    return StepLoss(total, plain.detach(), tails.detach(), rebuild.detach(), overlap.detach())


def _tokenize(model: TokenLearnerViT, features: FeatureMap) -> tuple[Tokenized, Float[Tensor, "batch tokens patches"]]:
    """As `TokenLearnerViT.tokenize`, in float32 and with the maps' logits beside."""
    module = model.token_learners[str(features.loc)]
    assert isinstance(module, TokenLearnerV11)
    x = features.x[:, 0]
    map_logits = module.map_logits(x.float())
    token_maps = map_logits.softmax(dim=2)
    tokens = token_maps.to(x.dtype) @ x
    return Tokenized(tokens.unsqueeze(1), token_maps.unsqueeze(1), features), map_logits


def _first(tokenized: Tokenized, k: int) -> Tokenized:
    return Tokenized(tokenized.tokens[:, :, :k], tokenized.token_maps[:, :, :k], tokenized.features)


def _dtype(model: TokenLearnerViT) -> torch.dtype:
    return model.head.weight.dtype
