"""How the cost of a design moves with one of its choices, and what a budget leaves room for."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.tradeoffs.design import Design, frames_of, most_tokens, sides_of
from tokenlearner import flops
from tokenlearner.config import ModelConfig

CLIP_TUBELET = 2
"""Frames per tubelet where a picture's network is imagined as a video network."""

_KEPT = 64
"""Curves of each kind that are remembered: a move of one control leaves most of them as they were."""


@dataclass(frozen=True)
class Point:
    """A design at one value of the choice that varies.

    Attributes:
        value: Of the choice.
        macs: Of the design there.
        plain_macs: Of the same network without TokenLearner.
        attention_macs: What comparing every patch with every other takes in the plain network.
        sequence: Patches that the plain network's attention compares, all time steps together.
    """

    value: int
    macs: int
    plain_macs: int
    attention_macs: int
    sequence: int


@functools.lru_cache(maxsize=_KEPT)
def over_locations(design: Design) -> tuple[Point, ...]:
    """The design with its module before each of its blocks."""
    return _vary(design, "loc", range(design.depth))


@functools.lru_cache(maxsize=_KEPT)
def over_tokens(design: Design) -> tuple[Point, ...]:
    """The design with every number of tokens that makes sense."""
    return _vary(design, "num_tokens", range(1, most_tokens(design.patch, design.side) + 1))


@functools.lru_cache(maxsize=_KEPT)
def over_sides(design: Design) -> tuple[Point, ...]:
    """The design on larger and larger pictures, as long as these hold its tokens."""
    return _vary(design, "side", (s for s in sides_of(design.patch) if (s // design.patch) ** 2 >= design.num_tokens))


@functools.lru_cache(maxsize=_KEPT)
def over_clips(design: Design) -> tuple[Point, ...]:
    """The design on longer and longer clips; that of a picture as if it were a video network."""
    clip = design if design.num_frames else design.but(num_frames=CLIP_TUBELET, tubelet_size=CLIP_TUBELET)
    return _vary(clip, "num_frames", frames_of(clip.tubelet_size))


@functools.lru_cache(maxsize=_KEPT)
def every_side(design: Design) -> tuple[Point, ...]:
    """The design on every picture of whole patches up to the largest that the bench offers: a smooth curve."""
    sides = sides_of(design.patch)
    return _vary(design, "side", range(sides[0], sides[-1] + 1, design.patch))


@functools.lru_cache(maxsize=_KEPT)
def every_clip(design: Design) -> tuple[Point, ...]:
    """The design on every clip of whole tubelets up to the longest that the bench offers; see `over_clips`."""
    clip = design if design.num_frames else design.but(num_frames=CLIP_TUBELET, tubelet_size=CLIP_TUBELET)
    lengths = frames_of(clip.tubelet_size)
    return _vary(clip, "num_frames", range(lengths[0], lengths[-1] + 1, clip.tubelet_size))


def attention_macs(design: Design) -> int:
    """Multiply-adds of the two matrix products in which every patch meets every other, in the plain network.

    They grow with the square of the sequence; all else grows with the sequence.
    """
    return _attention_macs(design.config, design.patches * design.time_steps)


def _attention_macs(config: ModelConfig, sequence: int) -> int:
    return 2 * config.depth * sequence * sequence * config.embed_dim


def best_within(points: Iterable[Point], budget_macs: float) -> Point | None:
    """The point with the largest value that costs no more than a budget; None if none fits."""
    return max((point for point in points if point.macs <= budget_macs), key=lambda point: point.value, default=None)


def _vary(design: Design, field: str, values: Iterable[int]) -> tuple[Point, ...]:
    return tuple(_point(design, field, value) for value in values)


def _point(design: Design, field: str, value: int) -> Point:
    change: dict[str, Any] = {field: value}
    there = design.but(**change)
    config = there.config
    sequence = there.patches * there.time_steps
    return Point(
        value=value,
        macs=flops.compute(config).total_macs,
        plain_macs=flops.baseline(config).total_macs,
        attention_macs=_attention_macs(config, sequence),
        sequence=sequence,
    )
