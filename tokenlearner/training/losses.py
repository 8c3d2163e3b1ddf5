"""What training minimises: classification at every (location, k), and maps that mean something.

With classification alone the maps drift to uniform and to one another, and accuracy does not notice.
Two terms on the maps keep them apart: the tokens must rebuild the feature map they were pooled from
(which makes regions), and their maps must not overlap (which makes them distinct).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def soft_cross_entropy(
    logits: Float[Tensor, "batch classes"],
    target: Float[Tensor, "batch classes"],
    groups: Iterable[slice],
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean cross entropy, in nats, against class probabilities, summed over the questions.

    Args:
        logits: Scores of all classes.
        target: Probabilities; those of each question sum to 1.
        groups: Where the classes of each question lie.
        label_smoothing: Of the target.
    """
    parts = [F.cross_entropy(logits[:, group], target[:, group], label_smoothing=label_smoothing) for group in groups]
    return torch.stack(parts).sum()


def distillation(
    student: Float[Tensor, "batch classes"], teacher: Float[Tensor, "batch classes"], groups: Iterable[slice]
) -> Float[Tensor, ""]:
    """Mean cross entropy, in nats, against the teacher's (detached) softmax, summed over the questions."""
    parts = [F.cross_entropy(student[:, group], teacher[:, group].detach().softmax(dim=1)) for group in groups]
    return torch.stack(parts).sum()


def rebuild_error(
    map_logits: Float[Tensor, "batch tokens patches"], features: Float[Tensor, "batch patches dim"]
) -> Float[Tensor, ""]:
    """How badly the tokens rebuild the feature map they were pooled from; 0 perfect, about 1 hopeless.

    Features are normalised per patch and detached. Each token is their mean under its map (softmax over the
    patches); each patch is rebuilt as a mixture of tokens (softmax over the tokens of the same logits). The
    squared error is divided by the features' variance around their mean over the patches.
    """
    target = F.layer_norm(features.detach().float(), features.shape[-1:])
    tokens = map_logits.softmax(dim=2) @ target
    rebuilt = map_logits.softmax(dim=1).transpose(1, 2) @ tokens
    variance = (target - target.mean(dim=1, keepdim=True)).square().mean()
    return (rebuilt - target).square().mean() / variance.clamp_min(1e-6)


def map_overlap(token_maps: Float[Tensor, "batch tokens patches"]) -> Float[Tensor, ""]:
    """Mean cosine between the maps of different tokens of one picture; 0 disjoint, 1 equal."""
    k = token_maps.shape[1]
    if k < 2:
        return token_maps.new_zeros(())
    unit = F.normalize(token_maps, dim=2)
    cosine = unit @ unit.transpose(1, 2)
    return (cosine.sum(dim=(1, 2)) - torch.diagonal(cosine, dim1=1, dim2=2).sum(dim=1)).mean() / (k * (k - 1))
