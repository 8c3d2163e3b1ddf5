"""Tiny networks and tiny media for the tests of the engine and of what is built on it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tokenlearner.config import ModelConfig, TokenLearnerConfig
from tokenlearner.engine import Analysis, Engine, Geometry
from tokenlearner.errors import FeaturesGone, FeaturesNotKept
from tokenlearner.layers import init_map_logits_
from tokenlearner.media import VideoWriter
from tokenlearner.weights import LoadedModel, untrained

TINY = ModelConfig(
    img_size=(32, 32),
    patch_size=(8, 8),
    embed_dim=24,
    depth=5,
    num_heads=3,
    mlp_dim=40,
    num_classes=7,
    token_learner=TokenLearnerConfig(num_tokens=6, bottleneck_dim=10),
    tokenlearner_locs=(1, 3),
    default_loc=1,
    class_names=("ant", "bee", "cat", "dog", "elk", "fox", "gnu"),
)
PLAIN = dataclasses.replace(TINY, token_learner=None, tokenlearner_locs=(), default_loc=None)
V10 = dataclasses.replace(TINY, token_learner=TokenLearnerConfig(num_tokens=6, version="1.0"))
FUSED = dataclasses.replace(
    TINY, token_learner=TokenLearnerConfig(num_tokens=6, use_fuser=True), tokenlearner_locs=(2,), default_loc=2
)
VIDEO = dataclasses.replace(TINY, num_frames=4, tubelet_size=2)


def tiny_model(config: ModelConfig = TINY, *, seed: int = 0, trained: bool = True) -> LoadedModel:
    """A random network whose maps and logits are far from uniform, presented as trained unless asked otherwise."""
    loaded = untrained(config, seed)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for module in loaded.model.token_learners.values():
            init_map_logits_(module, std=1.0)
        loaded.model.pos_embed.normal_(std=0.5)
        loaded.model.head.weight.normal_(std=0.5)
    card = dataclasses.replace(loaded.card, name="tiny", trained=trained)
    return dataclasses.replace(loaded, card=card, sha256=f"{config!r}/{seed}")


def can_rerun(engine: Engine, analysis: Analysis, loc: Any = "same") -> bool:
    """Whether the engine still has what a second look needs."""
    try:
        engine.rerun(analysis, loc=loc)
    except (FeaturesGone, FeaturesNotKept):
        return False
    return True


def cell_xywh(geometry: Geometry, row: int, column: int) -> tuple[float, float, float, float]:
    """The frame pixels under one grid cell as (left, top, width, height)."""
    left, top, width, height = geometry.box_xywh
    rows, columns = geometry.grid_hw
    return left + column * width / columns, top + row * height / rows, width / columns, height / rows


def pictures(count: int, frame_hw: tuple[int, int], seed: int = 0) -> list[np.ndarray]:
    """RGB pictures of a bright disc moving over blurred noise; every one differs from the others."""
    rng = np.random.default_rng(seed)
    height, width = frame_hw
    coarse = rng.integers(0, 255, (4, 6, 3), dtype=np.uint8)
    ground = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    y, x = np.mgrid[:height, :width]
    frames = []
    for i in range(count):
        frame = ground.copy()
        centre = width * (i + 0.5) / count
        frame[(x - centre) ** 2 + (y - height / 2) ** 2 < (height / 4) ** 2] = (250, 240, 30)
        frames.append(frame)
    return frames


def write_clip(path: Path, frames: list[np.ndarray], times_s: list[float] | None = None) -> Path:
    """Write an H.264 clip, 10 pictures a second unless times are given."""
    times_s = times_s or [i / 10 for i in range(len(frames))]
    with VideoWriter(path, frames[0].shape[:2], crf=4, last_frame_s=0.1) as writer:
        for frame, time_s in zip(frames, times_s, strict=True):
            writer.write(frame, time_s)
    return path


def write_photo(path: Path, frame_hw: tuple[int, int] = (40, 64), **options: Any) -> Path:
    """Write one picture in the format that the name's ending says."""
    Image.fromarray(pictures(1, frame_hw)[0]).save(path, **options)
    return path
