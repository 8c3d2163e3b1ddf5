"""The most memory that one pass of a network takes, as PyTorch's own allocators count it."""

from __future__ import annotations

import os

# Read when the profiler starts for the first time: without it every measurement writes two lines to the server's log.
os.environ.setdefault("KINETO_LOG_LEVEL", "99")

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from tokenlearner.engine import ComputeDevice


def peak_bytes(network: nn.Module, pixels: Tensor, device: ComputeDevice) -> int | None:
    """Run one pass and return the bytes of the weights and of the largest work at one time; the input is not counted.

    On CUDA the allocator keeps the highest mark itself. On a CPU every piece of memory that is taken and given back
    during the pass is recorded and added up; that makes the pass slower, so it is not one of those that are timed.

    Args:
        network: On the device, ready to run.
        pixels: Its input, on the device.
        device: Where.

    Returns:
        None on devices whose allocator does not say.
    """
    if device.is_cuda:
        work = _cuda_work_bytes(network, pixels, device)
    elif device.device.type == "cpu":
        work = _cpu_work_bytes(network, pixels, device)
    else:
        return None
    return work + sum(p.numel() * p.element_size() for p in network.parameters())


def _cuda_work_bytes(network: nn.Module, pixels: Tensor, device: ComputeDevice) -> int:
    device.synchronize()
    torch.cuda.reset_peak_memory_stats(device.device)
    held = torch.cuda.memory_allocated(device.device)
    with device.inference():
        network(pixels)
    device.synchronize()
    return torch.cuda.max_memory_allocated(device.device) - held


def _cpu_work_bytes(network: nn.Module, pixels: Tensor, device: ComputeDevice) -> int:
    with device.inference(), profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        network(pixels)
    events = [event for event in recorded.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = highest = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        highest = max(highest, held)
    return highest
