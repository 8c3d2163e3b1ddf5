"""What is measured after each epoch: accuracy at a few settings, and whether the maps collapse."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tokenlearner.model import TokenLearnerViT
from tokenlearner.training.augment import Photos, centre_crops

_BATCH = 128
_FEW = (2, 8)


@dataclass(frozen=True)
class EpochMeasures:
    """Measured on the validation part with the averaged weights.

    Attributes:
        top1: Accuracy in 0..1 by setting: "none", or "<loc>/<k>".
        entropy: Of the maps, as a share of the uniform map's, by location.
        overlap: Mean cosine between the maps of two tokens, by location.
        adaptivity: Share of the maps' variance around uniform that their mean over pictures does not explain.
    """

    top1: dict[str, float]
    entropy: dict[str, float]
    overlap: dict[str, float]
    adaptivity: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, rounded to four digits."""
        rounded = dataclasses.asdict(self)
        return {name: {key: round(v, 4) for key, v in values.items()} for name, values in rounded.items()}


@torch.inference_mode()
def measure(model: TokenLearnerViT, val: Photos, img_size: int, *, map_tokens: int = 8) -> EpochMeasures:
    """Evaluate on centred squares of every validation photograph."""
    config = model.config
    device = val.pixels.device
    settings = [(loc, min(k, config.num_tokens)) for loc in config.tokenlearner_locs for k in _FEW]
    hits = dict.fromkeys(["none", *(f"{loc}/{k}" for loc, k in settings)], 0)
    maps: dict[int, list[Tensor]] = {loc: [] for loc in config.tokenlearner_locs}
    model.eval()
    for chosen in torch.arange(len(val), device=device).split(_BATCH):
        rgb = centre_crops(val, chosen, (img_size, img_size))
        features = model.prefixes((rgb - model.mean) / model.std, (*config.tokenlearner_locs, None))
        labels = val.labels[chosen]
        hits["none"] += int((model.suffix(features[None]).logits.argmax(1) == labels).sum())
        for loc, k in settings:
            tokenized = model.tokenize(features[loc], k)
            hits[f"{loc}/{k}"] += int((model.suffix(tokenized).logits.argmax(1) == labels).sum())
            if k == min(map_tokens, config.num_tokens):
                maps[loc].append(tokenized.token_maps[:, 0])
    stacked = {str(loc): torch.cat(parts) for loc, parts in maps.items()}
    return EpochMeasures(
        top1={key: count / len(val) for key, count in hits.items()},
        entropy={loc: _entropy(m) for loc, m in stacked.items()},
        overlap={loc: _overlap(m) for loc, m in stacked.items()},
        adaptivity={loc: _adaptivity(m) for loc, m in stacked.items()},
    )


def _entropy(maps: Float[Tensor, "pictures tokens patches"]) -> float:
    nats = -(maps * maps.clamp_min(1e-12).log()).sum(-1).mean()
    return float(nats / torch.log(torch.tensor(float(maps.shape[-1]))))


def _overlap(maps: Float[Tensor, "pictures tokens patches"]) -> float:
    unit = F.normalize(maps, dim=-1)
    k = maps.shape[1]
    cosine = unit @ unit.transpose(1, 2)
    return float(((cosine.sum((1, 2)) - k) / (k * (k - 1))).mean())


def _adaptivity(maps: Float[Tensor, "pictures tokens patches"]) -> float:
    around_uniform = (maps - 1 / maps.shape[-1]).square().mean()
    around_mean = (maps - maps.mean(dim=0)).square().mean()
    return float(around_mean / around_uniform.clamp_min(1e-12))
