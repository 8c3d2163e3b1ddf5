"""Batch sizes: a first guess from the device and the model, halved whenever memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar, runtime_checkable

import torch

from tokenlearner import flops
from tokenlearner.config import ModelConfig
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.errors import DeviceError

_MAX_BATCH: Final = {"cuda": 256, "mps": 64, "cpu": 32}
_MAX_DECODED: Final = 64  # frames: more at once, and the network waits for them instead of running meanwhile
_FLOAT_BYTES: Final = 4
_MEMORY_SHARE: Final = 0.25  # of what is free: others use the machine too, and the guess is rough
_CPU_MACS_PER_BATCH: Final = 2e10  # about a second on two cores, so that Cancel acts within one
_OUT_OF_MEMORY_TEXTS: Final = (
    "out of memory",  # CUDA and MPS
    "not enough memory",  # CPU allocator
    "can't allocate memory",  # CPU allocator, elsewhere
    "alloc_failed",  # CUBLAS_STATUS_ALLOC_FAILED, CUDNN_STATUS_ALLOC_FAILED
)


@runtime_checkable
class Sliceable(Protocol):
    """What can be cut into batches: a tensor, an array, a list."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: slice, /) -> Any: ...


Items = TypeVar("Items", bound=Sliceable)
Result = TypeVar("Result")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on whichever device."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _OUT_OF_MEMORY_TEXTS)


@dataclass(frozen=True)
class Load:
    """What one image, or one clip of a video model, asks of a device.

    Attributes:
        item_bytes: Memory that lives at once, in float32, roughly.
        item_macs: Multiply-adds.
        item_frames: Frames that have to be decoded for it.
    """

    item_bytes: int
    item_macs: int
    item_frames: int = 0


def full_load(config: ModelConfig, image_hw: tuple[int, int]) -> Load:
    """Load of a pass from pixels to logits, for inputs of (height, width) pixels."""
    rows, columns = config.grid_hw(image_hw)
    places = config.num_time_steps * rows * columns
    # In a block: residual, its norm, queries, keys, values and their product; the MLP's hidden layer twice.
    in_block = places * (6 * config.embed_dim + 2 * config.mlp_dim)
    pixels = (config.num_frames or 1) * image_hw[0] * image_hw[1]
    in_stem = 2 * pixels * config.in_chans + pixels * max(config.stem_dims, default=0) // 2  # its first stride is 2
    macs = flops.baseline(config, image_hw=image_hw).total_macs
    return Load(_FLOAT_BYTES * (in_block + in_stem), macs, config.num_frames or 1)


def suffix_load(config: ModelConfig, image_hw: tuple[int, int], loc: int | None, num_tokens: int) -> Load:
    """Load of a pass from kept features to logits, with the module before block `loc`."""
    rows, columns = config.grid_hw(image_hw)
    stages = flops.compute(config, image_hw=image_hw, loc=loc, num_tokens=num_tokens or None).stages
    macs = stages["head"] + (
        0 if loc is None else stages["TokenLearner"] + stages["TokenFuser"] + stages["blocks after"]
    )
    places = config.num_time_steps * rows * columns
    hidden = config.token_learner.bottleneck_dim if config.token_learner else 0
    in_module = places * (3 * config.embed_dim + 2 * hidden + 2 * num_tokens)
    in_block = config.num_time_steps * num_tokens * (6 * config.embed_dim + 2 * config.mlp_dim)
    return Load(_FLOAT_BYTES * (in_module + in_block), max(1, macs))


def initial_batch_size(load: Load, device: ComputeDevice) -> int:
    """Guess how many items fit and are worth running at once; on the CPU, about a second of work at most."""
    size = int(device.free_bytes() * _MEMORY_SHARE) // load.item_bytes
    if device.device.type == "cpu":
        size = min(size, int(_CPU_MACS_PER_BATCH // load.item_macs))
    if load.item_frames:
        size = min(size, _MAX_DECODED // load.item_frames)
    return max(1, min(size, _MAX_BATCH[device.device.type]))


class Batcher:
    """Runs a function over batches and halves their size when memory runs out.

    The size that worked stays for what follows.

    Args:
        size: First batch size, at least 1.
        relieve: Called each time memory ran out, before the next try, to free what can be freed; says whether there
            was anything.
        item: What one item is, for the message when not even one fits.
    """

    def __init__(self, size: int, *, relieve: Callable[[], bool] = lambda: False, item: str = "one frame") -> None:
        self._size = max(1, size)
        self._relieve = relieve
        self._item = item

    @property
    def size(self) -> int:
        """Items in the next batch; other threads may look."""
        return self._size

    def run(self, items: Items, work: Callable[[Items], Result]) -> Iterator[Result]:
        """Yield `work` of successive slices of `items`.

        Args:
            items: All items; the last slice may be shorter.
            work: Called with one slice; may raise an out-of-memory error, whatever it allocated being lost.

        Raises:
            DeviceError: If memory does not hold even one item.
        """
        start = 0
        while start < len(items):
            tried = min(self._size, len(items) - start)
            result = self._attempt(items[start : start + tried], work)
            if not isinstance(result, _OutOfMemory):
                yield result
                start += tried
                continue
            self._size = max(1, tried // 2)
            if not self._relieve() and tried == 1:
                raise DeviceError(
                    f"The memory of the device does not hold {self._item}. "
                    "Choose a smaller input, a smaller model, or another device."
                )

    @staticmethod
    def _attempt(batch: Items, work: Callable[[Items], Result]) -> Result | _OutOfMemory:
        """One try. What the failed one allocated is freed on return, with the exception and its frames."""
        try:
            return work(batch)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return _OutOfMemory()


class _OutOfMemory:
    """Stands for a result that memory did not allow."""
