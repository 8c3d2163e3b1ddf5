"""What the engine costs beyond the network itself, as ratios on this machine.

    PYTHONPATH=. python benchmarks/bench_engine.py [--model M] [--device D] [--frames N] [--rounds R] [--clip C]

1. A slider or a muted token: a rerun from kept features against a full pass over the same frames, already decoded
   and resized. Goal: the suffix's own share of the multiply-adds, plus 0.05.
2. A whole analysis of a clip (open, decode, resize, network, gather) against the bare network on decoded tensors in
   the same batches. Goal: at most 1.15, where decoding fits beside the network.

The clip is moving noise, about the hardest there is to decode, or with `--clip` a sample by name or any video file.

The median over the rounds is printed with the smallest and the largest; the rounds of both sides alternate, so that a
machine that slows down slows both.
"""

from __future__ import annotations

import argparse
import functools
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from noise import write_noise
from turns import compare as compare_with

from tokenlearner.engine import Analysis, AnalysisSettings, Engine, default_model_name
from tokenlearner.engine.network import Choice, Network
from tokenlearner.flops import CONVENTION
from tokenlearner.media import Sampling, open_media, probe
from tokenlearner.samples import sample_path
from tokenlearner.weights import load_model

compare = functools.partial(compare_with, of="the bare network")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Ratios of the engine's time to the bare network's.")
    parser.add_argument("--model", default=None, help="name or path (default: the bundled model)")
    parser.add_argument("--device", default=None)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", default="640x360", help="frame size of the noise, WIDTHxHEIGHT")
    parser.add_argument("--clip", default=None, help="name of a sample, or a video file (default: noise)")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    engine = Engine(load_model(args.model or default_model_name()), device=args.device)
    with tempfile.TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        if args.clip is None:
            write_noise(clip, args.frames, (height, width))
        else:
            clip = Path(args.clip) if Path(args.clip).exists() else sample_path(args.clip)
        settings = AnalysisSettings(sampling=sampling_of(clip, args.frames))
        found = engine.analyze(clip, settings)
        inputs = decoded(clip, found)
        network = Network(load_model(args.model or default_model_name()).model, engine.device)
        print(f"{found.provenance.model_name} on {engine.device.label}, {engine.device.dtype_name}")
        print(f"{found.timings.frames} frames of {found.media.width}x{found.media.height}, ", end="")
        print(f"input {found.geometry.input_hw}, loc {found.loc}, ", end="")
        print(f"{found.num_tokens} tokens, batches of {found.timings.batch_size}")
        print(CONVENTION)
        stages = found.compute.stages
        behind = sum(stages.values()) - stages["patch embedding"] - stages["blocks before"]
        share = behind / found.compute.total_macs
        full = bare_pass(network, inputs, found)
        few = max(1, found.num_tokens // 2)
        print(f"\nSuffix's share of the multiply-adds: {share:.3f}")
        compare("rerun, other number of tokens", lambda: engine.rerun(found, num_tokens=few), full, args.rounds)
        compare("rerun, one token muted", lambda: engine.rerun(found, muted=(0,)), full, args.rounds)
        lean = AnalysisSettings(sampling=settings.sampling, keep="chosen")
        compare("whole analysis", lambda: engine.analyze(clip, lean), full, args.rounds)
        compare("whole analysis, features kept everywhere", lambda: engine.analyze(clip, settings), full, args.rounds)
        timings = engine.analyze(clip, lean).timings
        print(f"\nOf {timings.total_s:.3f} s the network took {timings.prefix_s + timings.suffix_s:.3f} s, ", end="")
        print(f"opening and decoding {timings.decode_s:.3f} s beside it, waiting for frames {timings.wait_s:.3f} s.")


def sampling_of(clip: Path, frames: int) -> Sampling:
    """The first frames of a clip, every one of them."""
    info = probe(clip)
    end_s = None if info.num_frames <= frames else frames * info.duration_s / info.num_frames
    return Sampling(end_s=end_s, max_frames=frames)


def decoded(clip: Path, found: Analysis) -> torch.Tensor:
    """All frames of a clip at the model's input size."""
    with open_media(clip, found.settings.sampling) as reader:
        return torch.from_numpy(np.stack([found.geometry.to_input(frame.rgb) for frame in reader]))


def bare_pass(network: Network, inputs: torch.Tensor, found: Analysis) -> Callable[[], None]:
    """The network alone, over the same inputs in the same batches."""
    choice = Choice(found.loc, found.num_tokens)

    def run() -> None:
        for batch in inputs.split(found.timings.batch_size):
            output, _ = network.full(batch, choice)
            output.logits.cpu()

    return run


if __name__ == "__main__":
    main()
