"""A model placed on a device, run in the pieces that the engine needs."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8
from torch import Tensor

from tokenlearner import flops
from tokenlearner.config import ModelConfig
from tokenlearner.engine.batching import is_out_of_memory
from tokenlearner.engine.device import ComputeDevice, StageClock
from tokenlearner.engine.features import to_half
from tokenlearner.errors import ConfigError, DeviceError
from tokenlearner.model import FeatureMap, ModelOutput, Tokenized, TokenLearnerViT

_BLOCK_BYTES: Final = 64 * 1024**2


@dataclass(frozen=True)
class Choice:
    """What a pass computes.

    Attributes:
        loc: Block before which the module sits; None for the plain network.
        num_tokens: Tokens per time step; 0 for the plain network.
        muted: Tokens that are dropped before the remaining blocks, ascending.
    """

    loc: int | None
    num_tokens: int
    muted: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.muted:
            return
        if self.loc is None:
            raise ConfigError("The plain network has no tokens that could be muted.")
        for token in self.muted:
            if not 0 <= token < self.num_tokens:
                raise ConfigError(f"Token {token} cannot be muted: there are tokens 0 to {self.num_tokens - 1}.")
        if len(set(self.muted)) == self.num_tokens:
            raise ConfigError("All tokens are muted. Leave at least one.")

    def cost(self, config: ModelConfig, image_hw: tuple[int, int]) -> flops.Compute:
        """What one pass costs on an input of (height, width) pixels; muted tokens are not taken off."""
        return flops.compute(config, image_hw=image_hw, loc=self.loc, num_tokens=self.num_tokens or None)

    def keep(self, device: torch.device) -> Bool[Tensor, " tokens"] | None:
        """Which tokens go on, or None for all."""
        if not self.muted:
            return None
        keep = torch.ones(self.num_tokens, dtype=torch.bool)
        keep[list(self.muted)] = False
        return keep.to(device)


class Network:
    """A model on a device. Nothing is stored during a call, so threads may share one.

    Args:
        model: Copied if it has to be moved, or is in training mode.
        device: Where it shall run.

    Raises:
        DeviceError: If the device's memory does not hold it.
    """

    def __init__(self, model: TokenLearnerViT, device: ComputeDevice) -> None:
        self.device = device
        if model.training or any(tensor.device != device.device for tensor in model.state_dict().values()):
            model = self._placed(model)
        self.model = model

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self.model.config

    def full(
        self,
        rgb: UInt8[Tensor, "batch *frames height width 3"],
        choice: Choice,
        *,
        keep_locs: Sequence[int | None] = (),
        clock: StageClock | None = None,
    ) -> tuple[ModelOutput, dict[int | None, FeatureMap]]:
        """Run pixels to logits.

        Args:
            rgb: RGB, 0..255, on any device.
            choice: What to compute.
            keep_locs: Locations whose features are returned as well, in 16 bits.
            clock: Told the time of the stages "prefix" and "suffix".
        """
        clock = clock or StageClock(self.device)
        with self.device.inference():
            with clock.stage("prefix"):
                pixels = self.model.normalize(rgb.to(self.device.device, non_blocking=True))
                features = self.model.prefixes(pixels, list(dict.fromkeys((choice.loc, *keep_locs))))
            with clock.stage("suffix"):
                output = self._after(features[choice.loc], choice)
            return output, {loc: to_half(features[loc]) for loc in keep_locs}

    def suffix(self, features: FeatureMap, choice: Choice, *, clock: StageClock | None = None) -> ModelOutput:
        """Run kept features at `choice.loc` to logits."""
        clock = clock or StageClock(self.device)
        with self.device.inference(), clock.stage("suffix"):
            return self._after(_whole_precision(features), choice)

    def tokenize(self, features: FeatureMap, choice: Choice) -> Tokenized:
        """Pool kept features at `choice.loc` into tokens, muted ones included."""
        with self.device.inference():
            return self.model.tokenize(_whole_precision(features), choice.num_tokens)

    def advance(self, features: FeatureMap, loc: int | None, *, clock: StageClock | None = None) -> FeatureMap:
        """Run kept features through the blocks up to a later location, in 16 bits again."""
        clock = clock or StageClock(self.device)
        with self.device.inference(), clock.stage("prefix"):
            return to_half(self.model.advance(_whole_precision(features), (loc,))[loc])

    def _after(self, features: FeatureMap, choice: Choice) -> ModelOutput:
        if choice.loc is None:
            return self.model.suffix(features)
        tokenized = self.model.tokenize(features, choice.num_tokens)
        return self.model.suffix(tokenized, keep=choice.keep(self.device.device))

    def _placed(self, model: TokenLearnerViT) -> TokenLearnerViT:
        try:
            return copy.deepcopy(model).to(self.device.device).eval()
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
        raise DeviceError(
            f"The memory of {self.device.label} does not hold this model. Choose a smaller model, or another device."
        )


class OutputGatherer:
    """Logits and maps of a run, gathered batch by batch on the CPU in float32."""

    def __init__(self) -> None:
        self._logits = _Rows()
        self._maps = _Rows()

    def add(self, output: ModelOutput) -> None:
        """Append one batch; waits until the device has computed it."""
        self._logits.add(output.logits)
        if output.token_maps is not None:
            self._maps.add(output.token_maps)

    def logits(self) -> Float32[np.ndarray, "clips classes"]:
        """Class scores of all batches."""
        return self._logits.all().numpy()

    def token_maps(
        self, time_steps: int, grid_hw: tuple[int, int]
    ) -> Float32[np.ndarray, "time tokens rows cols"] | None:
        """Maps of the first `time_steps` steps, None for the plain network.

        Any steps behind those saw only frames that filled up the last clip.
        """
        if not self._maps:
            return None
        flat = self._maps.all().flatten(0, 1)[:time_steps]
        return flat.unflatten(-1, grid_hw).contiguous().numpy()


class _Rows:
    """Rows of one shape, appended to large blocks on the CPU in float32.

    A small tensor kept from every batch would lie between the large ones that a pass frees, and the C library could not
    join their places again: over 18,000 frames that cost 1.7 GiB. A block is memory only as far as it is filled.
    """

    def __init__(self) -> None:
        self._blocks: list[Tensor] = []
        self._filled = 0

    def __bool__(self) -> bool:
        return bool(self._blocks)

    def add(self, rows: Tensor) -> None:
        """Append rows; waits until the device has computed them."""
        while len(rows):
            if not self._blocks or self._filled == len(self._blocks[-1]):
                most = max(len(rows), _BLOCK_BYTES // max(4 * rows[0].numel(), 1))
                self._blocks.append(torch.empty((most, *rows.shape[1:]), dtype=torch.float32))
                self._filled = 0
            part = rows[: len(self._blocks[-1]) - self._filled]
            self._blocks[-1][self._filled : self._filled + len(part)].copy_(part)
            self._filled += len(part)
            rows = rows[len(part) :]

    def all(self) -> Tensor:
        """All rows so far, as a copy."""
        return torch.cat([*self._blocks[:-1], self._blocks[-1][: self._filled]])


def measure_passes(
    network: Network,
    rgb: UInt8[Tensor, "batch *frames height width 3"],
    choice: Choice,
    *,
    warm_up: int,
    repeats: int,
    budget_s: float,
    between: Callable[[], None] = lambda: None,
) -> list[float]:
    """Time whole passes, pixels on the device to logits, one after the other.

    Args:
        network: What runs.
        rgb: Its input.
        choice: What to compute.
        warm_up: Passes that are not counted.
        repeats: Passes that are.
        budget_s: No further pass is begun after so many seconds, but three are always measured.
        between: Called before each pass; may raise to stop.

    Returns:
        Seconds of each counted pass.
    """
    rgb = rgb.to(network.device.device)
    begin = time.perf_counter()
    seconds: list[float] = []
    for attempt in range(warm_up + repeats):
        if len(seconds) >= 3 and time.perf_counter() - begin > budget_s:
            break
        between()
        network.device.synchronize()
        start = time.perf_counter()
        network.full(rgb, choice)
        network.device.synchronize()
        if attempt >= warm_up:
            seconds.append(time.perf_counter() - start)
    return seconds


def locs_to_keep(config: ModelConfig, loc: int | None, keep: str) -> tuple[int | None, ...]:
    """Locations whose features an analysis keeps, the most useful first.

    Features at any location can be had from those at an earlier one by running the blocks between,
    so after the chosen location the earliest is worth most.

    Args:
        config: The model.
        loc: The chosen location.
        keep: "all", "chosen" or "none"; see `AnalysisSettings`.
    """
    if keep == "none":
        return ()
    carried: Mapping[int | None, None] = dict.fromkeys((loc, *config.tokenlearner_locs))
    if keep == "all" or loc is None:
        return tuple(carried)
    return tuple(at for at in carried if at is not None and at <= loc)


def _whole_precision(features: FeatureMap) -> FeatureMap:
    """Features as the network takes them: float16 is for keeping only, bfloat16 is what autocast computes in."""
    x = features.x.float() if features.x.dtype == torch.float16 else features.x
    return FeatureMap(x, features.grid_hw, features.loc)
