"""The device a network runs on, and the precision it runs in."""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import torch

from tokenlearner.errors import DeviceError

_GIB: Final = 1024**3
_ASSUMED_MEMORY: Final = 4 * _GIB  # where the system does not say


@dataclass(frozen=True)
class ComputeDevice:
    """Where and in which precision a network runs.

    Attributes:
        device: The torch device.
        autocast_dtype: Precision of matrix products and convolutions; None for float32 throughout.
        label: Name for people, e.g. "NVIDIA H100 80GB HBM3" or "CPU, 2 threads".
    """

    device: torch.device
    autocast_dtype: torch.dtype | None = None
    label: str = ""

    @property
    def dtype_name(self) -> str:
        """Precision in words, e.g. "float32" or "bfloat16 autocast"."""
        if self.autocast_dtype is None:
            return "float32"
        return f"{str(self.autocast_dtype).removeprefix('torch.')} autocast"

    @property
    def is_cuda(self) -> bool:
        """Whether work is queued on a CUDA device rather than done at once."""
        return self.device.type == "cuda"

    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """Context in which a network is called: no gradients, and the precision of this device."""
        with torch.inference_mode():
            if self.autocast_dtype is None:
                yield
            else:
                with torch.autocast(self.device.type, dtype=self.autocast_dtype):
                    yield

    def synchronize(self) -> None:
        """Wait until everything queued on the device is done."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        elif self.device.type == "mps":
            torch.mps.synchronize()

    def free_bytes(self) -> int:
        """Memory that can be used now, in bytes."""
        if self.device.type == "cuda":
            free, _ = torch.cuda.mem_get_info(self.device)
            cached = torch.cuda.memory_reserved(self.device) - torch.cuda.memory_allocated(self.device)
            return int(free + cached)
        if self.device.type == "mps":
            return max(0, int(torch.mps.recommended_max_memory()) - int(torch.mps.current_allocated_memory()))
        return _free_system_bytes()

    def release_cache(self) -> None:
        """Give memory that torch holds in reserve back to the device."""
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        elif self.device.type == "mps":
            torch.mps.empty_cache()


def pick_device(name: str | None = None) -> ComputeDevice:
    """Choose a device: the one named, else CUDA, else Apple's MPS, else the CPU.

    On CUDA devices that have it, matrix products run in bfloat16 by autocast; elsewhere all is float32.

    Args:
        name: "cuda", "cuda:1", "mps" or "cpu"; None or "auto" to choose.

    Raises:
        DeviceError: If the name is unknown or this machine has no such device.
    """
    if name is None or name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cuda", "mps", "cpu"):
        raise DeviceError(f'"{name}" is not a device. Choose cuda, cuda:N, mps or cpu, or leave it out.')
    if device.type == "cuda":
        return _cuda_device(device)
    if device.type == "mps":
        if not torch.backends.mps.is_available():
            raise DeviceError("This machine has no Apple GPU that torch can use. Choose cpu, or leave the device out.")
        return ComputeDevice(torch.device("mps"), None, f"Apple GPU ({platform.machine()})")
    threads = torch.get_num_threads()
    return ComputeDevice(torch.device("cpu"), None, f"CPU, {threads} thread{'' if threads == 1 else 's'}")


def _cuda_device(device: torch.device) -> ComputeDevice:
    if not torch.cuda.is_available():
        raise DeviceError("This machine has no CUDA device that torch can use. Choose cpu, or leave the device out.")
    index = torch.cuda.current_device() if device.index is None else device.index
    count = torch.cuda.device_count()
    if index >= count:
        raise DeviceError(f"There is no device cuda:{index}; this machine has {count} (cuda:0 to cuda:{count - 1}).")
    dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else None
    return ComputeDevice(torch.device("cuda", index), dtype, torch.cuda.get_device_name(index))


def _free_system_bytes() -> int:
    """What Linux calls available memory (free, or cached and reclaimable); a cautious guess elsewhere."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, ValueError, StopIteration):
        return _ASSUMED_MEMORY


@dataclass
class StageClock:
    """Seconds that a device spent in named stages, without stalling its queue.

    CUDA stages are measured by events, which are read when asked for; elsewhere by the clock.
    """

    device: ComputeDevice
    _seconds: dict[str, float] = field(default_factory=dict)
    _events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = field(default_factory=list)

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time spent inside under `name`; nothing is counted if the block raises."""
        if self.device.is_cuda:
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            stream = torch.cuda.current_stream(self.device.device)
            start.record(stream)
            yield
            end.record(stream)
            self._events.append((name, start, end))
        else:
            begin = time.perf_counter()
            yield
            self.device.synchronize()  # on MPS work is queued as well
            self._seconds[name] = self._seconds.get(name, 0.0) + time.perf_counter() - begin

    def seconds(self, name: str) -> float:
        """Total of one stage; waits for the device first."""
        if self._events:
            self.device.synchronize()
            for stage, start, end in self._events:
                self._seconds[stage] = self._seconds.get(stage, 0.0) + start.elapsed_time(end) / 1000
            self._events.clear()
        return self._seconds.get(name, 0.0)
