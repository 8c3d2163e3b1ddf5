"""What is measured after each epoch: accuracy at a few settings, and whether the maps collapse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tokenlearner.analysis.maps import MapQuality, quality
from tokenlearner.data.photos import Photos
from tokenlearner.model import TokenLearnerViT
from tokenlearner.training.augment import centre_crops

_BATCH = 128
_FEW = (2, 8)


@dataclass(frozen=True)
class EpochMeasures:
    """Measured on the validation part with the averaged weights.

    Attributes:
        top1: Accuracy in 0..1 by setting: "none", or "<loc>/<k>".
        maps: Measures of the maps, by location.
    """

    top1: dict[str, float]
    maps: dict[int, MapQuality]

    @property
    def collapsed(self) -> list[int]:
        """Locations whose maps say nothing; see `MapQuality.collapsed`."""
        return [loc for loc, measures in self.maps.items() if measures.collapsed]

    def to_dict(self) -> dict[str, Any]:
        """Plain dictionary, rounded to four digits: `top1` by setting, each map measure by location."""
        record: dict[str, Any] = {"top1": {key: round(value, 4) for key, value in self.top1.items()}}
        for measure_name in ("entropy", "overlap", "adaptivity"):
            values = {str(loc): getattr(measures, measure_name) for loc, measures in self.maps.items()}
            record[measure_name] = {loc: None if value is None else round(value, 4) for loc, value in values.items()}
        return record


@torch.inference_mode()
def measure(
    model: TokenLearnerViT, val: Photos, img_size: int, *, map_tokens: int = 8, max_photos: int | None = None
) -> EpochMeasures:
    """Evaluate on centred squares of the validation photographs, or of so many spread evenly over them."""
    config = model.config
    device = val.pixels.device
    settings = [(loc, min(k, config.num_tokens)) for loc in config.tokenlearner_locs for k in _FEW]
    hits = dict.fromkeys(["none", *(f"{loc}/{k}" for loc, k in settings)], 0)
    maps: dict[int, list[np.ndarray]] = {loc: [] for loc in config.tokenlearner_locs}
    grid_hw = config.grid_hw((img_size, img_size))
    model.eval()
    count = min(len(val), max_photos or len(val))
    for chosen in torch.linspace(0, len(val) - 1, count, device=device).round().long().split(_BATCH):
        rgb = centre_crops(val, chosen, (img_size, img_size))
        features = model.prefixes((rgb - model.mean) / model.std, (*config.tokenlearner_locs, None))
        labels = val.labels[chosen]
        hits["none"] += int((model.suffix(features[None]).logits.argmax(1) == labels).sum())
        for loc, k in settings:
            tokenized = model.tokenize(features[loc], k)
            hits[f"{loc}/{k}"] += int((model.suffix(tokenized).logits.argmax(1) == labels).sum())
            if k == min(map_tokens, config.num_tokens):
                maps[loc].extend(tokenized.token_maps[:, 0].unflatten(2, grid_hw).cpu().numpy())
    return EpochMeasures(
        top1={key: hit / count for key, hit in hits.items()},
        maps={loc: quality(seen, grid_hw) for loc, seen in maps.items()},
    )
