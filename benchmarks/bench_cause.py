"""What questions about cause cost, against a full pass over the same frames, on this machine.

    python benchmarks/bench_cause.py [--model M] [--device D] [--frames N] [--tokens K] [--rounds R]

1. Muting a token: a rerun from kept features. Goal: the suffix's own share of the multiply-adds, plus 0.05.
2. Exact Shapley values of all tokens on every frame: 2^k - 1 coalitions through the blocks behind the module. Printed
   beside the ratio of the multiply-adds, which is what it would take if small batches cost nothing extra.
3. Other maps (uniform, shuffled, of another moment) through the same blocks, and the tracks of all tokens.

A full pass is the bare network on decoded and resized tensors, in the same batches as the analysis. The median over
the rounds is printed with the smallest and the largest; the rounds of both sides alternate.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from math import comb
from pathlib import Path

import numpy as np
import torch
from turns import compare as compare_with

from tokenlearner import flops
from tokenlearner.analysis.doubt import doubt_maps
from tokenlearner.analysis.needed import tokens_needed
from tokenlearner.analysis.shapley import token_values
from tokenlearner.analysis.tracks import track
from tokenlearner.engine import Analysis, AnalysisSettings, Engine, default_model_name
from tokenlearner.engine.network import Choice, Network
from tokenlearner.media import Sampling, VideoWriter, open_media
from tokenlearner.weights import load_model

compare = functools.partial(compare_with, of="a full pass")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Ratios of the time of causal questions to a full pass.")
    parser.add_argument("--model", default=None, help="name or path (default: the bundled model)")
    parser.add_argument("--device", default=None)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    loaded = load_model(args.model or default_model_name())
    engine = Engine(loaded, device=args.device)
    with tempfile.TemporaryDirectory() as folder:
        clip = write_clip(Path(folder) / "clip.mp4", args.frames)
        found = engine.analyze(
            clip, AnalysisSettings(num_tokens=args.tokens, sampling=Sampling(max_frames=args.frames))
        )
        full = full_pass(Network(loaded.model, engine.device), clip, found)
    shown = found.top(1)[0].index
    print(f"{found.provenance.model_name} on {engine.device.label}, {engine.device.dtype_name}")
    print(f"{len(found.logits)} frames, input {found.geometry.input_hw}, loc {found.loc}, {found.num_tokens} tokens")
    print(flops.CONVENTION)
    print(f"Share of the multiply-adds behind the features: {behind(found):.3f}; ", end="")
    print(f"of all coalitions of {found.num_tokens} tokens: {coalitions(engine, found):.2f}")
    compare("mute one token", lambda: engine.rerun(found, muted=(0,)), full, args.rounds)
    for baseline in ("dropped", "blank"):
        compare(
            f"Shapley values, {baseline}",
            lambda baseline=baseline: token_values(engine, found, shown, exact=True, baseline=baseline),
            full,
            args.rounds,
        )
    compare("three rival maps", lambda: doubt_maps(engine, found, shown), full, args.rounds)
    compare("every number of tokens", lambda: tokens_needed(engine, found), full, args.rounds)
    compare("tracks and switches", lambda: track(found), full, args.rounds)


def write_clip(path: Path, frames: int) -> Path:
    """Write a clip of 640x360 moving noise at 30 pictures a second."""
    rng = np.random.default_rng(0)
    wide = rng.integers(0, 255, (45, (640 + 4 * frames) // 8 + 1, 3), dtype=np.uint8)
    wide = wide.repeat(8, axis=0).repeat(8, axis=1)
    with VideoWriter(path, (360, 640)) as writer:
        for i in range(frames):
            writer.write(np.ascontiguousarray(wide[:, 4 * i : 4 * i + 640]), i / 30)
    return path


def full_pass(network: Network, clip: Path, found: Analysis) -> Callable[[], None]:
    """The network alone, on tensors that are decoded already."""
    with open_media(clip, found.settings.sampling) as reader:
        inputs = torch.from_numpy(np.stack([found.geometry.to_input(frame.rgb) for frame in reader]))
    choice = Choice(found.loc, found.num_tokens)

    def run() -> None:
        for batch in inputs.split(found.timings.batch_size):
            output, _ = network.full(batch, choice)
            output.logits.cpu()

    return run


def behind(found: Analysis) -> float:
    """Share of a pass that comes after the kept features."""
    stages = found.compute.stages
    return sum(stages[stage] for stage in ("TokenLearner", "blocks after", "head")) / found.compute.total_macs


def coalitions(engine: Engine, found: Analysis) -> float:
    """Multiply-adds of all coalitions through the blocks behind the module, over those of one pass."""

    def after(size: int) -> int:
        hw = found.geometry.input_hw
        stages = flops.compute(engine.config, image_hw=hw, loc=found.loc, num_tokens=size).stages
        return stages["blocks after"] + stages["head"]

    k = found.num_tokens
    return sum(comb(k, size) * after(size) for size in range(1, k + 1)) / found.compute.total_macs


if __name__ == "__main__":
    main()
