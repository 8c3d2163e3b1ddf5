"""Choosing a device, its precision and its clock."""

import time

import pytest
import torch

from tokenlearner.engine.device import ComputeDevice, StageClock, pick_device
from tokenlearner.errors import DeviceError


def test_the_cpu_runs_in_float32_and_says_how_many_threads():
    device = pick_device("cpu")
    assert device.device == torch.device("cpu")
    assert device.dtype_name == "float32"
    assert device.label == f"CPU, {torch.get_num_threads()} thread" + ("" if torch.get_num_threads() == 1 else "s")
    assert device.free_bytes() > 10**7


@pytest.mark.parametrize("name", [None, "auto"])
def test_without_a_name_the_best_device_is_chosen(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device(name).device.type == "cpu"
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device(name).device.type == "mps"
    assert pick_device(name).dtype_name == "float32"
    pretend_cuda(monkeypatch, bf16=True)
    assert pick_device(name).device == torch.device("cuda", 0)


def pretend_cuda(monkeypatch, *, bf16):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: f"Pretend GPU {index}")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: bf16)


@pytest.mark.parametrize(("bf16", "dtype"), [(True, "bfloat16 autocast"), (False, "float32")])
def test_cuda_uses_bfloat16_where_the_device_has_it(monkeypatch, bf16, dtype):
    pretend_cuda(monkeypatch, bf16=bf16)
    device = pick_device("cuda:1")
    assert device.device == torch.device("cuda", 1)
    assert device.label == "Pretend GPU 1"
    assert device.dtype_name == dtype


def test_a_cuda_number_that_is_not_there_is_named(monkeypatch):
    pretend_cuda(monkeypatch, bf16=True)
    with pytest.raises(DeviceError, match=r"no device cuda:2; this machine has 2 \(cuda:0 to cuda:1\)"):
        pick_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "cuda:one", "meta", ""])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(DeviceError, match=rf'"{name}" is not a device\. Choose cuda, cuda:N, mps or cpu'):
        pick_device(name)


def test_a_device_that_is_missing_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(DeviceError, match=r"no CUDA device that torch can use\. Choose cpu"):
        pick_device("cuda")
    with pytest.raises(DeviceError, match=r"no Apple GPU that torch can use\. Choose cpu"):
        pick_device("mps")


@pytest.mark.parametrize(("autocast", "dtype"), [(None, torch.float32), (torch.bfloat16, torch.bfloat16)])
def test_inference_runs_without_gradients_in_the_precision_of_the_device(autocast, dtype):
    weight = torch.ones(2, 2, requires_grad=True)
    with ComputeDevice(torch.device("cpu"), autocast).inference():
        product = weight @ weight
    assert product.dtype == dtype
    assert not product.requires_grad
    assert (weight @ weight).dtype == torch.float32


def test_the_clock_adds_up_stages_apart():
    clock = StageClock(pick_device("cpu"))
    for _ in range(2):
        with clock.stage("prefix"):
            time.sleep(0.02)
    with clock.stage("suffix"):
        pass
    assert 0.04 <= clock.seconds("prefix") < 1
    assert 0 <= clock.seconds("suffix") < 0.02
    assert clock.seconds("never") == 0


def test_a_stage_that_fails_is_not_counted():
    clock = StageClock(pick_device("cpu"))
    with pytest.raises(MemoryError), clock.stage("prefix"):
        raise MemoryError
    assert clock.seconds("prefix") == 0


@pytest.mark.gpu
def test_cuda_stages_are_measured_by_events():
    device = pick_device("cuda")
    clock = StageClock(device)
    x = torch.randn(2048, 2048, device=device.device)
    with device.inference(), clock.stage("work"):
        for _ in range(20):
            x = x @ x / 2048
    begin = time.perf_counter()
    measured = clock.seconds("work")
    assert measured > 0
    assert clock.seconds("work") == measured
    assert time.perf_counter() - begin < 5
    assert device.free_bytes() > 0
