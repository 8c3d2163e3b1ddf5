"""What is measured while a run goes on: accuracy at a few settings, and whether maps collapse or find objects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int64
from torch import Tensor

from tokenlearner.analysis.maps import MapQuality, as_shares, quality
from tokenlearner.config import ModelConfig
from tokenlearner.data.moving import make_clips
from tokenlearner.model import FeatureMap, TokenLearnerViT
from tokenlearner.training.augment import add_objects, centre_crops
from tokenlearner.training.batches import TrainingData
from tokenlearner.training.recipe import Recipe

_BATCH = 128
_CLIP_BATCH = 16
_FEW = (2, 8)
_SEED = 20211  # every measurement sees the same collages and clips


@dataclass(frozen=True)
class EpochMeasures:
    """Measured on the validation part with the averaged weights.

    Attributes:
        top1: Accuracy in 0..1 by setting: "none", or "<loc>/<k>"; a model that answers several questions has
            the question's name before it.
        maps: Measures of the maps, by location.
        object_mass: Mean share of the best token's attention on objects whose place is known (pasted on other
            photographs, or moving in a clip), 0..1, by location.
    """

    top1: dict[str, float]
    maps: dict[int, MapQuality]
    object_mass: dict[int, float]

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
        record["object_mass"] = {str(loc): round(value, 4) for loc, value in self.object_mass.items()}
        return record


@dataclass(frozen=True)
class _Shown:
    """A batch to measure on: `labels` by question where accuracy counts, `cover` where the object's place is known."""

    rgb: Float[Tensor, "batch *frames 3 height width"]
    labels: dict[str, Int64[Tensor, " batch"]] | None
    cover: Float[Tensor, "batch time height width"] | None


@torch.inference_mode()
def measure(
    model: TokenLearnerViT,
    data: TrainingData,
    img_size: int,
    recipe: Recipe,
    *,
    map_tokens: int = 8,
    max_photos: int | None = None,
) -> EpochMeasures:
    """Evaluate on the validation part: centred squares and collages of photographs, or clips made of them.

    Args:
        model: What is measured; it is put in evaluation mode.
        data: Its validation part is used.
        img_size: Side of the pictures in pixels.
        recipe: How clips are made, and which settings the model was trained for.
        map_tokens: Tokens whose maps are measured.
        max_photos: So many photographs, spread evenly over the classes; None for all.
    """
    config = model.config
    model.eval()
    k_maps = min(map_tokens, config.num_tokens)
    settings = _settings(config, elastic=recipe.elastic)
    hits: dict[str, int] = {}
    seen = 0
    maps: dict[int, list[np.ndarray]] = {loc: [] for loc, k in settings if loc is not None and k == k_maps}
    masses: dict[int, list[Tensor]] = {loc: [] for loc in maps}
    stop = None if None in dict(settings) else max(loc for loc, _ in settings if loc is not None)
    shown = (
        _clips(data, img_size, config, recipe, max_photos) if config.is_video else _pictures(data, img_size, max_photos)
    )
    for batch in shown:
        locs = tuple(dict.fromkeys(loc for loc, _ in settings if loc is not None))
        features = model.prefixes((batch.rgb - model.mean) / model.std, (*locs, stop) if stop is None else locs)
        seen += len(batch.rgb) if batch.labels else 0
        for loc, k in settings:
            source: Any = features[loc]
            if loc is not None:
                source = model.tokenize(features[loc], k)
                if k == k_maps:
                    if batch.labels:
                        by_step = source.token_maps.float().flatten(0, 1).unflatten(2, features[loc].grid_hw)
                        maps[loc].extend(as_shares(by_step.cpu().numpy()))  # those of v1.0 do not sum to 1
                    if batch.cover is not None:
                        masses[loc].append(_best_mass(source.token_maps, batch.cover, features[loc]))
            if batch.labels:
                logits = model.suffix(source).logits
                for question, held in config.group_slices().items():
                    key = _key(question, loc, k, config)
                    hit = int((logits[:, held].argmax(1) == batch.labels[question]).sum())
                    hits[key] = hits.get(key, 0) + hit
    return EpochMeasures(
        top1={key: hit / seen for key, hit in hits.items()},
        maps={loc: quality(found, (found[0].shape[1], found[0].shape[2])) for loc, found in maps.items()},
        object_mass={loc: float(torch.cat(found).mean()) for loc, found in masses.items() if found},
    )


def _settings(config: ModelConfig, *, elastic: bool) -> list[tuple[int | None, int]]:
    """What is measured: a few token counts at each location and the plain network, or the one setting trained."""
    if not elastic:
        return [(config.default_loc, config.num_tokens)]
    few = sorted({min(k, config.num_tokens) for k in _FEW})
    return [(None, 0), *((loc, k) for loc in config.tokenlearner_locs for k in few)]


def _key(question: str, loc: int | None, k: int, config: ModelConfig) -> str:
    setting = "none" if loc is None else f"{loc}/{k}"
    return f"{question} {setting}" if config.label_groups else setting


def _best_mass(
    token_maps: Float[Tensor, "batch time tokens patches"],
    cover: Float[Tensor, "batch time height width"],
    features: FeatureMap,
) -> Float[Tensor, " seen"]:
    """Largest share that one token of a time step has on the object, where there is an object."""
    fractions = F.adaptive_avg_pool2d(cover, features.grid_hw).flatten(2)
    shares = token_maps / token_maps.sum(dim=3, keepdim=True)
    best = (shares * fractions.unsqueeze(2)).sum(dim=3).amax(dim=2)
    return best[fractions.sum(dim=2) > 1]


def _pictures(data: TrainingData, img_size: int, max_photos: int | None) -> Iterator[_Shown]:
    """Centred squares with their class, then the same number of collages without."""
    val, side = data.val, (img_size, img_size)
    count = min(len(val), max_photos or len(val))
    chosen = torch.linspace(0, len(val) - 1, count, device=val.pixels.device).round().long()
    for part in chosen.split(_BATCH):
        yield _Shown(centre_crops(val, part, side), {"class": val.labels[part]}, None)
    if not len(data.val_cutouts):
        return
    generator = torch.Generator(val.pixels.device).manual_seed(_SEED)
    for part in chosen.split(_BATCH):
        collage = add_objects(
            centre_crops(val, part, side), val, data.val_cutouts, int(val.labels.max()) + 1, generator
        )
        yield _Shown(collage.rgb, None, collage.cover.unsqueeze(1))


def _clips(
    data: TrainingData, img_size: int, config: ModelConfig, recipe: Recipe, max_photos: int | None
) -> Iterator[_Shown]:
    """Clips made of validation photographs, with what moves, how, and where."""
    assert recipe.clips is not None
    assert config.num_frames is not None
    val = data.val
    count = min(len(val), max_photos or len(val))
    generator = torch.Generator(val.pixels.device).manual_seed(_SEED)
    chosen = torch.linspace(0, len(val) - 1, count, device=val.pixels.device).round().long()
    for part in chosen.split(_CLIP_BATCH):
        clips = make_clips(
            val, part, data.val_cutouts, (img_size, img_size), config.num_frames, recipe.clips, generator
        )
        cover = clips.mask.unflatten(1, (config.num_time_steps, config.tubelet_size)).mean(dim=2)
        yield _Shown(clips.rgb, {"object": clips.label, "motion": clips.motion}, cover)
