"""Times a designed network against timm's plain ViT on a device. Random weights: time does not depend on them."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from timm.layers import GELUTanh
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from app.text import seconds, size
from app.tradeoffs.design import Design
from app.tradeoffs.memory import peak_bytes
from tokenlearner import flops
from tokenlearner.config import ModelConfig
from tokenlearner.engine import ComputeDevice, Progress
from tokenlearner.errors import Cancelled, DeviceError
from tokenlearner.model import TokenLearnerViT

LIMIT_S: Final = 120.0
"""What a measurement may take at the very least; a design that would take longer is refused."""
MEMORY_SHARE: Final = 0.5
"""Of the free memory, what a measurement may take."""
WARM_UP: Final = 1
MIN_PASSES: Final = 3
MAX_PASSES: Final = 15
LEAST_COMPARISONS: Final = 2
"""Designs that have to be timed before the time of others is extrapolated."""
LEAST_SPREAD: Final = 1.5
"""Between the multiply-adds of the largest and the smallest network that was timed."""
POWERS: Final = (0.3, 1.2)
"""Of the multiply-adds, with which time can grow: small networks fill a device less, no network outruns its work."""
_BUDGET_S: Final = 12.0
_FLOAT_BYTES: Final = 4


@dataclass(frozen=True)
class Timed:
    """Passes of one network, one input at a time.

    Attributes:
        macs: What one pass computes.
        median_ms: Of its passes.
        q1_ms: First quartile.
        q3_ms: Third quartile.
        peak_bytes: Weights and the largest work of a pass; None where the device does not say.
    """

    macs: int
    median_ms: float
    q1_ms: float
    q3_ms: float
    peak_bytes: int | None


@dataclass(frozen=True)
class Comparison:
    """A design and its plain network, timed in turns.

    Attributes:
        design: The design.
        here: The designed network.
        plain: Without TokenLearner.
        passes: Passes measured of each, after the warm-up.
        device: Name of the device.
        dtype: Precision.
    """

    design: Design
    here: Timed
    plain: Timed
    passes: int
    device: str
    dtype: str

    @property
    def mac_ratio(self) -> float:
        """How many times as many multiply-adds the plain network needs."""
        return self.plain.macs / self.here.macs

    @property
    def speed_up(self) -> float:
        """How many times as long the plain network takes."""
        return self.plain.median_ms / self.here.median_ms


@dataclass(frozen=True)
class PaceFit:
    """How time follows multiply-adds on a device: `ms = scale * macs ** power`, fitted to what was measured.

    Attributes:
        scale: Milliseconds of one multiply-add, so to speak.
        power: 1 if time follows the count exactly.
        comparisons: How many it was fitted to.
    """

    scale: float
    power: float
    comparisons: int

    def expected_ms(self, macs: int) -> float:
        """Time of a pass, extrapolated."""
        return self.scale * float(macs) ** self.power

    @classmethod
    def of(cls, measured: Sequence[Comparison]) -> PaceFit | None:
        """Least squares of the logarithms; None if too little was measured to say.

        The power stays within `POWERS`: noise between two small networks must not make larger ones faster.
        """
        timed = [one for comparison in measured for one in (comparison.here, comparison.plain)]
        if len(measured) < LEAST_COMPARISONS or max(t.macs for t in timed) < LEAST_SPREAD * min(t.macs for t in timed):
            return None
        x, y = np.log([one.macs for one in timed]), np.log([one.median_ms for one in timed])
        power = float(np.clip(np.polyfit(x, y, 1)[0], *POWERS))
        return cls(math.exp(float(np.mean(y - power * x))), power, len(measured))


def needed_bytes(design: Design) -> int:
    """Memory of both networks with their weights in 32-bit numbers, and of the larger one's work."""
    config = design.config
    weights = flops.count_params(config) + flops.count_params(flops.plain(config))
    sequence = design.patches * design.time_steps
    # In a block: input, normalised input, q, k, v, attention's output and the MLP's hidden layer twice.
    work = sequence * (7 * config.embed_dim + 2 * config.mlp_dim)
    if config.token_learner is not None:
        work += design.time_steps * design.patches * design.num_tokens * 3
    return _FLOAT_BYTES * (weights + work)


def needed_s(design: Design, macs_per_s: float) -> float:
    """Seconds of the shortest measurement: warming up and the least number of passes of both networks."""
    return (WARM_UP + MIN_PASSES) * (design.compute.total_macs + design.baseline.total_macs) / macs_per_s


def refusal(design: Design, free_bytes: int, macs_per_s: float | None) -> str | None:
    """Why a design is not timed on a device, in a sentence; None if it can be.

    Args:
        design: The design.
        free_bytes: Free memory of the device.
        macs_per_s: Its pace, None if that is not known yet.
    """
    needed = needed_bytes(design)
    if needed > MEMORY_SHARE * free_bytes:
        return (
            f"Timing this design takes about {size(needed)} of memory, more than half of the {size(free_bytes)} that "
            "are free on this device. Choose a smaller size, fewer blocks or a smaller input."
        )
    if macs_per_s is not None and (needed_time := needed_s(design, macs_per_s)) > LIMIT_S:
        return (
            f"Timing this design would take about {seconds(needed_time)} on this device, more than the "
            f"{seconds(LIMIT_S)} a measurement may take. Choose a smaller size, fewer blocks or a smaller input."
        )
    return None


def device_pace(device: ComputeDevice) -> float:
    """Multiply-adds a second of a matrix product as a ViT has them; an optimistic pace, in a few milliseconds."""
    a = torch.randn(512, 768, device=device.device)
    b = torch.randn(768, 3072, device=device.device)
    best = math.inf
    with device.inference():
        for _ in range(4):
            device.synchronize()
            begin = time.perf_counter()
            a @ b
            device.synchronize()
            best = min(best, time.perf_counter() - begin)
    return 512 * 768 * 3072 / best


def timm_vit(config: ModelConfig) -> VisionTransformer:
    """A plain image ViT of the same size by timm, with the same mean of patches in front of the classifier."""
    return VisionTransformer(
        img_size=config.img_size,
        patch_size=config.patch_size,
        num_classes=config.num_classes,
        global_pool="avg",
        embed_dim=config.embed_dim,
        depth=config.depth,
        num_heads=config.num_heads,
        mlp_ratio=(config.mlp_dim + 0.5) / config.embed_dim,  # timm truncates dim * mlp_ratio
        class_token=False,
        weight_init="skip",
        act_layer=GELUTanh,
    )


def plain_network(config: ModelConfig) -> nn.Module:
    """The rival: timm's ViT; for clips, which it does not take, the plain network made of timm's blocks."""
    return TokenLearnerViT(flops.plain(config)) if config.is_video else timm_vit(config)


def compare(
    design: Design,
    device: ComputeDevice,
    *,
    report: Callable[[Progress], None] = lambda progress: None,
    cancel: threading.Event | None = None,
    budget_s: float = _BUDGET_S,
) -> Comparison:
    """Time both networks in turns, so that whatever else the machine does strikes both.

    Args:
        design: What to time.
        device: Where.
        report: Receives the progress, between passes.
        cancel: Set it to stop; acts within one pass.
        budget_s: Stop early after so many seconds, with at least three passes of each.

    Raises:
        DeviceError: If the device cannot do it in reasonable time or memory.
        Cancelled: If the caller asked to stop.
    """
    begin = time.perf_counter()

    def note(done: int, total: int | None, stage: str) -> None:
        if cancel is not None and cancel.is_set():
            raise Cancelled("The measurement was stopped.")
        spent = time.perf_counter() - begin
        left = None if not (done and total) else spent / done * (total - done)
        report(Progress(done, total, spent, left, stage))

    note(0, None, "measuring the device's pace")
    reason = refusal(design, device.free_bytes(), device_pace(device))
    if reason is not None:
        raise DeviceError(reason)
    note(0, None, "building both networks with random weights")
    config = design.config
    with _memory_told(design):
        networks = [_ready(TokenLearnerViT(config), device), _ready(plain_network(config), device)]
        clip = () if config.num_frames is None else (config.num_frames,)
        pixels = torch.rand(1, *clip, 3, *config.img_size, device=device.device)
        spent: list[list[float]] = [[], []]
        passes, start = 0, time.perf_counter()
        while passes < WARM_UP + MAX_PASSES:
            for i, network in enumerate(networks):
                note(2 * passes + i, 2 * (WARM_UP + MAX_PASSES), "timing")
                seconds_ = _one_pass(network, pixels, device)
                if passes >= WARM_UP:
                    spent[i].append(seconds_)
            passes += 1
            if time.perf_counter() - start > budget_s and passes >= WARM_UP + MIN_PASSES:
                break
        note(2 * passes, 2 * (WARM_UP + MAX_PASSES), "measuring memory")
        peaks = [peak_bytes(network, pixels, device) for network in networks]
    macs = design.compute.total_macs, design.baseline.total_macs
    here, plain = (_timed(*one) for one in zip(macs, spent, peaks, strict=True))
    return Comparison(design, here, plain, passes - WARM_UP, device.label, device.dtype_name)


def _ready(network: nn.Module, device: ComputeDevice) -> nn.Module:
    return network.eval().to(device.device)


def _one_pass(network: nn.Module, pixels: torch.Tensor, device: ComputeDevice) -> float:
    """Seconds."""
    with device.inference():
        device.synchronize()
        begin = time.perf_counter()
        network(pixels)
        device.synchronize()
        return time.perf_counter() - begin


def _timed(macs: int, spent: list[float], peak: int | None) -> Timed:
    q1, median, q3 = (float(quantile) * 1000 for quantile in np.quantile(spent, (0.25, 0.5, 0.75)))
    return Timed(macs, median, q1, q3, peak)


@contextmanager
def _memory_told(design: Design) -> Iterator[None]:
    """Say in a sentence that memory ran out."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise DeviceError(f"The device's memory does not hold {design.name()}. Choose a smaller design.") from error
