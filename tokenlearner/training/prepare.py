"""From files to what a run holds on its device, with the split written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from tokenlearner.data.dataset import (
    load_split,
    photo_cache_dir,
    read_image_set,
    save_split,
    split_by_file,
)
from tokenlearner.data.photos import Photos, cut_out
from tokenlearner.training.batches import TrainingData
from tokenlearner.training.recipe import Recipe

SPLIT_FILE = "split.json"


def prepare_data(recipe: Recipe, sources: Sequence[str | Path], run_dir: Path, device: torch.device) -> TrainingData:
    """Read, split, decode and cut out.

    The split is drawn once and written to `run_dir`; a resumed run reads it back.

    Raises:
        DataError: If the sources hold no usable photographs, or differ from those of the run's split.
    """
    images = read_image_set(*sources)
    split_path = run_dir / SPLIT_FILE
    if split_path.exists():
        split = load_split(split_path)
    else:
        split = split_by_file(images, recipe.val_fraction, recipe.seed)
        run_dir.mkdir(parents=True, exist_ok=True)
        save_split(split_path, split)
    train, val = images.part(split, "train"), images.part(split, "val")
    cache = photo_cache_dir()
    train_store = train.load_pixels(recipe.store_side, cache_dir=cache)
    val_store = val.load_pixels(recipe.store_side, cache_dir=cache)
    return TrainingData(
        train=Photos.from_store(train_store, train.labels, device),
        cutouts=cut_out(train_store, train.labels, device),
        val=Photos.from_store(val_store, val.labels, device),
        class_names=images.class_names,
        val_cutouts=cut_out(val_store, val.labels, device),
    )
