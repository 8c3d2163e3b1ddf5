"""Batches that shrink when memory runs out."""

import dataclasses

import pytest
import torch

from tests.engine_cases import FUSED, PLAIN, TINY, VIDEO
from tokenlearner import flops
from tokenlearner.engine.batching import Batcher, Load, full_load, initial_batch_size, is_out_of_memory, suffix_load
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.errors import DeviceError


class SmallDevice:
    """Work that fails, like torch does, on more than `capacity` items."""

    def __init__(self, capacity, error=None):
        self.capacity = capacity
        self.error = error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1.21 GiB.")
        self.sizes = []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        if len(batch) > self.capacity:
            raise self.error
        return batch * 2


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("anything"), True),
        (MemoryError(), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 5 GB)"), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp:117] . DefaultCPUAllocator: can't allocate memory: 9"), True),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_told_from_other_errors_on_every_device(error, expected):
    assert is_out_of_memory(error) is expected


def test_batches_halve_until_they_fit_and_stay_small():
    device = SmallDevice(capacity=3)
    relieved = []
    batcher = Batcher(13, relieve=lambda: bool(relieved.append(batcher.size)))
    results = list(batcher.run(torch.arange(11), device))
    assert torch.equal(torch.cat(results), 2 * torch.arange(11))
    assert device.sizes == [11, 5, 2, 2, 2, 2, 2, 1]
    assert relieved == [5, 2]
    assert batcher.size == 2


def test_results_come_in_order_and_lazily():
    device = SmallDevice(capacity=9)
    results = Batcher(4).run(torch.arange(9), device)
    assert next(results).tolist() == [0, 2, 4, 6]
    assert device.sizes == [4]
    assert [result.tolist() for result in results] == [[8, 10, 12, 14], [16]]


def test_one_item_is_tried_again_as_long_as_something_can_be_freed_and_then_refused():
    device = SmallDevice(capacity=0)
    freed = [True, True, False]
    batcher = Batcher(2, relieve=lambda: freed.pop(0), item="one frame of 96 × 128 pixels")
    with pytest.raises(DeviceError, match=r"does not hold one frame of 96 × 128 pixels\. Choose a smaller input"):
        list(batcher.run(torch.arange(5), device))
    assert device.sizes == [2, 1, 1]


def test_relief_can_save_the_last_try():
    device = SmallDevice(capacity=0)

    def relieve():
        device.capacity = 1
        return True

    assert torch.cat(list(Batcher(1, relieve=relieve).run(torch.arange(3), device))).tolist() == [0, 2, 4]
    assert device.sizes == [1, 1, 1, 1]


def test_other_errors_are_not_swallowed():
    device = SmallDevice(capacity=1, error=RuntimeError("shapes cannot be multiplied"))
    with pytest.raises(RuntimeError, match="shapes"):
        list(Batcher(2).run(torch.arange(2), device))
    assert device.sizes == [2]


def test_what_a_failed_try_allocated_is_freed_before_the_next():
    alive = []

    class Allocation:
        def __init__(self):
            alive.append(self)

        def __del__(self):
            freed.append(True)

    freed = []

    def work(batch):
        if len(batch) > 1:
            held = Allocation()
            alive.clear()
            raise torch.OutOfMemoryError(f"out of memory {type(held)}")
        return len(freed)

    assert list(Batcher(2).run(torch.arange(2), work)) == [1, 1]


class FakeDevice(ComputeDevice):
    """A device with a given amount of free memory."""

    def free_bytes(self):
        return int(self.label)


@pytest.mark.parametrize(
    ("kind", "free_bytes", "item_bytes", "item_macs", "expected"),
    [
        ("cuda", 40_000, 1_000, 10**12, 10),  # a quarter of what is free, however long it takes
        ("cuda", 10**9, 1_000, 1, 256),
        ("cuda", 100, 1_000, 1, 1),
        ("mps", 10**9, 1_000, 1, 64),
        ("cpu", 10**9, 1_000, 1, 32),
        ("cpu", 10**9, 1_000, 3 * 10**9, 6),  # about a second
        ("cpu", 10**9, 1_000, 10**12, 1),
    ],
)
def test_the_first_guess_follows_memory_and_time(kind, free_bytes, item_bytes, item_macs, expected):
    device = FakeDevice(torch.device(kind), None, str(free_bytes))
    assert initial_batch_size(Load(item_bytes, item_macs), device) == expected


@pytest.mark.parametrize(("frames", "expected"), [(1, 64), (16, 4), (50, 1), (100, 1)])
def test_batches_that_have_to_be_decoded_stay_small_on_the_largest_device(frames, expected):
    device = FakeDevice(torch.device("cuda"), None, str(10**12))
    assert initial_batch_size(Load(1_000, 1, frames), device) == expected
    assert full_load(VIDEO, (32, 48)).item_frames == 4
    assert full_load(TINY, (32, 48)).item_frames == 1


def test_the_load_of_a_full_pass_grows_with_input_width_and_clip():
    base = full_load(TINY, (32, 48))
    assert full_load(TINY, (64, 48)).item_bytes == 2 * base.item_bytes
    assert full_load(dataclasses.replace(TINY, mlp_dim=400), (32, 48)).item_bytes > base.item_bytes
    assert full_load(VIDEO, (32, 48)).item_bytes > 2 * base.item_bytes
    assert base.item_macs == flops.baseline(TINY, image_hw=(32, 48)).total_macs


@pytest.mark.parametrize(("config", "loc", "tokens"), [(TINY, 3, 4), (FUSED, 2, 6), (VIDEO, 1, 5)])
def test_the_load_of_a_suffix_counts_only_what_lies_behind_the_features(config, loc, tokens):
    stages = flops.compute(config, image_hw=(32, 48), loc=loc, num_tokens=tokens).stages
    load = suffix_load(config, (32, 48), loc, tokens)
    assert load.item_macs == sum(stages.values()) - stages["patch embedding"] - stages["blocks before"]
    assert load.item_bytes < full_load(config, (32, 48)).item_bytes


def test_the_plain_network_needs_only_its_head_behind_the_last_block():
    assert suffix_load(PLAIN, (32, 48), None, 0).item_macs == flops.compute(PLAIN, image_hw=(32, 48)).stages["head"]
