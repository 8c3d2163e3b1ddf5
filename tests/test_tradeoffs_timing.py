"""Timing on this device: fair rivals, a guard that refuses before it runs, progress and cancel."""

import dataclasses
import threading

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from app.tradeoffs import counters, timing
from app.tradeoffs.counting import words
from app.tradeoffs.counting_figure import four_counts
from app.tradeoffs.design import Design
from app.tradeoffs.measure import expected_words, result_words
from app.tradeoffs.measure_figure import speed_ups
from app.tradeoffs.memory import peak_bytes
from app.tradeoffs.timing import Comparison, PaceFit, Timed
from tokenlearner.engine import pick_device
from tokenlearner.errors import Cancelled, DeviceError

SMALL = Design(size="Ti", patch=16, side=96, depth=3, num_tokens=4, loc=1)


@pytest.fixture(scope="module")
def device():
    return pick_device("cpu")


@pytest.fixture(autouse=True)
def _pace_unknown(monkeypatch):
    """A busy machine must not make the guard refuse."""
    monkeypatch.setattr(timing, "device_pace", lambda device: 1e12)


def comparison(design, here_ms, plain_ms):
    here, plain = design.compute.total_macs, design.baseline.total_macs
    return Comparison(
        design,
        Timed(here, here_ms, 0.9 * here_ms, 1.1 * here_ms, 420_000_000),
        Timed(plain, plain_ms, 0.9 * plain_ms, 1.1 * plain_ms, 510_000_000),
        5,
        "CPU",
        "float32",
    )


def test_the_rival_is_the_plain_network_of_the_same_size():
    for design in (SMALL, Design(size="S", patch=32, side=64, depth=2, loc=0)):
        rival = timing.timm_vit(design.config)
        assert sum(p.numel() for p in rival.parameters()) == design.baseline.params
        x = torch.rand(1, 3, design.side, design.side)
        with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as count:
            assert rival.eval()(x).shape == (1, 1000)
        assert count.get_total_flops() == design.baseline.total_flops


@pytest.mark.parametrize("design", [SMALL, SMALL.but(num_frames=4, tubelet_size=2)], ids=["image", "clip"])
def test_both_networks_are_timed_in_turns(design, device):
    reports = []
    found = timing.compare(design, device, report=reports.append, budget_s=0.0)
    assert found.passes == timing.MIN_PASSES
    assert 0 < found.here.q1_ms <= found.here.median_ms <= found.here.q3_ms
    assert found.mac_ratio == design.baseline.total_macs / design.compute.total_macs
    assert found.speed_up == found.plain.median_ms / found.here.median_ms
    assert 4 * design.baseline.params < found.plain.peak_bytes < 4 * design.baseline.params + 3_000_000
    done = [report.done for report in reports if report.total]
    assert done == sorted(done) == list(range(2 * (timing.WARM_UP + timing.MIN_PASSES) + 1))


def test_a_stopped_measurement_ends_within_a_pass(device):
    stop = threading.Event()
    reports = []

    def report(progress):
        reports.append(progress)
        if progress.done == 3:
            stop.set()

    with pytest.raises(Cancelled):
        timing.compare(SMALL, device, report=report, cancel=stop)
    assert max(report.done for report in reports) == 3


def test_what_memory_does_not_hold_is_refused_in_a_sentence():
    huge = Design(size="G", patch=14, side=504, depth=48, loc=24)
    free = 8 * 10**9
    sentence = timing.refusal(huge, free, None)
    assert sentence.startswith("Timing this design takes about ")
    assert "more than half of the 8.0 GB" in sentence
    assert timing.refusal(SMALL, free, None) is None
    assert timing.needed_bytes(huge) > 4 * (huge.compute.params + huge.baseline.params)


def test_what_takes_too_long_is_refused_in_a_sentence():
    long = Design(size="L", depth=24, loc=12, num_frames=32)
    sentence = timing.refusal(long, 10**12, 10e9)
    assert "would take about 14 min 30 s on this device" in sentence
    assert timing.refusal(long, 10**12, 10e12) is None


def test_nothing_is_built_if_the_device_is_too_slow(device, monkeypatch):
    monkeypatch.setattr(timing, "device_pace", lambda device: 1e6)
    monkeypatch.setattr(timing, "TokenLearnerViT", lambda config: pytest.fail("it was built"))
    with pytest.raises(DeviceError, match="would take about"):
        timing.compare(SMALL, device)


def test_out_of_memory_is_said_in_a_sentence(device, monkeypatch):
    def full(config):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(timing, "TokenLearnerViT", full)
    with pytest.raises(DeviceError, match="memory does not hold Ti/16"):
        timing.compare(SMALL, device)


def test_the_pace_is_fitted_to_what_was_measured():
    a, b = Design(), Design(size="S")

    def ms(macs):
        return 3e-6 * macs**0.8

    measured = [comparison(d, ms(d.compute.total_macs), ms(d.baseline.total_macs)) for d in (a, b)]
    fit = PaceFit.of(measured)
    assert fit.power == pytest.approx(0.8)
    assert fit.expected_ms(10**9) == pytest.approx(ms(10**9))
    assert PaceFit.of([]) is None
    late = Design(size="S", loc=11, depth=12, num_tokens=64)
    nothing_saved = dataclasses.replace(comparison(late, 1.0, 1.0), here=comparison(late, 1.0, 1.0).plain)
    assert PaceFit.of([nothing_saved, nothing_saved]) is None
    assert fit.comparisons == 2
    assert PaceFit.of(measured[:1]) is None


@pytest.mark.parametrize(("tiny_ms", "plain_ms"), [(9.0, 7.0), (1.0, 300.0)])
def test_noise_between_two_networks_does_not_make_larger_ones_faster(tiny_ms, plain_ms):
    measured = [comparison(SMALL, tiny_ms, plain_ms), comparison(SMALL.but(loc=2), tiny_ms, plain_ms)]
    fit = PaceFit.of(measured)
    assert fit.power in timing.POWERS
    assert fit.expected_ms(10**9) < fit.expected_ms(10**10)
    middle = [one.macs for pair in measured for one in (pair.here, pair.plain)]
    assert np.prod([fit.expected_ms(macs) for macs in middle]) == pytest.approx((tiny_ms * plain_ms) ** 2)


def test_memory_is_that_of_the_weights_and_of_the_largest_work(device):
    class Squares(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weights = torch.nn.Parameter(torch.ones(7, 5))

        def forward(self, x):
            twice = torch.cat([x, x])  # 2 x 4000 bytes, held until the end
            _ = torch.cat([twice, twice])  # 4 x 4000 bytes more, gone before the next line asks for 4000
            del _
            return twice[:1000] + 1

    assert peak_bytes(Squares(), torch.ones(1000), device) == 4 * 35 + 6 * 4000


def test_measured_and_extrapolated_speed_ups_are_drawn_apart():
    measured = [comparison(Design(), 100.0, 180.0), comparison(Design(size="S"), 30.0, 50.0)]
    fit = PaceFit.of(measured)
    other = Design(loc=2)
    figure = speed_ups(measured, other, fit)
    diagonal, found, expected = figure.data
    assert (found.x[0], found.y[0]) == (measured[0].mac_ratio, 1.8)
    assert expected.x[0] == other.baseline.total_macs / other.compute.total_macs
    assert found.marker.symbol != expected.marker.symbol
    assert list(diagonal.x) == list(diagonal.y)
    assert len(speed_ups(measured, Design(), fit).data) == 2  # what was measured needs no guess


def test_a_measurement_is_said_with_its_spread():
    found = comparison(Design(), 100.0, 180.0)
    words_ = result_words(found)
    assert "**100 ms** (middle half 90 ms to 110 ms), plain 180 ms" in words_
    assert "**1.8 ×** as fast, where the multiply-adds would say 1.9 ×" in words_
    assert "Peak memory: **420 MB**, plain 510 MB; weights and" in words_
    untold = dataclasses.replace(found, here=dataclasses.replace(found.here, peak_bytes=None))
    assert "does not say how much memory" in result_words(untold)
    fit = PaceFit.of([found, comparison(Design(size="S"), 30.0, 50.0)])
    assert expected_words(Design(loc=2), fit).startswith("Not measured. Extrapolated from the 2 designs that were")


@pytest.mark.parametrize("with_module", [False, True])
def test_counters_miss_exactly_what_is_said(with_module):
    found = counters.count_four_ways(224, with_module)
    assert found.closed_form == found.spelled_out
    assert found.closed_form - found.modules == found.attention + found.in_module
    assert sum(found.fused_calls.values()) == counters.EXAMPLE.depth
    if not with_module:
        assert found.closed_form - found.fused in (0, found.attention)  # some versions of torch count fused attention
        assert found.in_module == 0
    figure = four_counts(found, "FLOPs")
    assert [round(1e9 * (a + b)) for a, b in zip(figure.data[0].x, figure.data[1].x, strict=True)] == [
        2 * found.closed_form
    ] * 4
    assert "the same number" in words(found, "MACs")
    assert ("weighted sums" in words(found, "MACs")) is with_module


@pytest.mark.gpu
def test_peak_memory_is_known_on_cuda():
    found = timing.compare(SMALL, pick_device("cuda"))
    assert found.here.peak_bytes > 4 * SMALL.compute.params
    assert found.plain.peak_bytes > 4 * SMALL.baseline.params


def test_what_fvcore_said_is_what_hooks_on_modules_say():
    found = counters.count_four_ways(counters.EXAMPLE.side, False)
    assert counters.FVCORE.layers == found.modules
    assert counters.FVCORE.skipped[1] == sum(found.fused_calls.values())
    missed = found.closed_form - counters.FVCORE.layers
    assert missed == found.attention
