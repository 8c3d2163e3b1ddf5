"""Memory of an analysis over a 10-minute clip: whether it stays flat while the frames go by.

    PYTHONPATH=. python benchmarks/bench_memory.py [--model M] [--minutes 10] [--size 640x360] [--fps 30]

Every frame of the clip is analysed, without features kept (`keep="none"`), then 1,200 frames of it with features kept,
as the app does at most. The process' resident memory is read after each minute of the clip. What a result has to hold,
a map for each token and frame, grows with the frames and is printed beside it; the rest should not grow. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from noise import write_noise

from tokenlearner.engine import Analysis, AnalysisSettings, Engine, Progress, default_model_name
from tokenlearner.media import Piece, Sampling, join_pieces
from tokenlearner.weights import load_model

MIB = 1024**2
_PART_S = 20


@dataclass
class Watch:
    """Resident memory after each share of the work, read in the engine's progress callback.

    Attributes:
        parts: How many readings to take.
        shares: How far the work had come, 0..1.
        resident: Bytes at that moment.
    """

    parts: int
    shares: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)

    def __call__(self, progress: Progress) -> None:
        """Take a reading if the next share is reached."""
        if progress.total and progress.done >= progress.total * (len(self.shares) + 1) / self.parts:
            self.shares.append(progress.done / progress.total)
            self.resident.append(resident_bytes())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Memory over a long clip.")
    parser.add_argument("--model", default=None, help="name or path (default: the bundled model)")
    parser.add_argument("--device", default=None)
    parser.add_argument("--minutes", type=int, default=10)
    parser.add_argument("--fps", type=int, default=30)
    parser.add_argument("--size", default="640x360", help="frame size of the clip, WIDTHxHEIGHT")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    engine = Engine(load_model(args.model or default_model_name()), device=args.device)
    with tempfile.TemporaryDirectory() as folder:
        clip = long_clip(Path(folder), (height, width), args.fps, 60 * args.minutes)
        engine.analyze(clip, AnalysisSettings(sampling=Sampling(max_frames=64)))  # whatever is loaded once
        engine.features.clear()
        print(f"{engine.card.name} on {engine.device.label}; {args.minutes} minutes of {args.size} at {args.fps}/s")
        every = AnalysisSettings(sampling=Sampling(max_frames=10**6), keep="none")
        report("every frame, no features kept", *watched(engine, clip, every, args.minutes))
        most = AnalysisSettings(sampling=Sampling(max_frames=1200))
        report("1,200 frames, features kept", *watched(engine, clip, most, args.minutes))
        print(f"features kept: {engine.features.used_bytes / MIB:.0f} MiB of {engine.features.budget_bytes / MIB:.0f}")


def watched(engine: Engine, clip: Path, settings: AnalysisSettings, parts: int) -> tuple[int, Watch, Analysis]:
    """Memory before an analysis, during it, and what came out."""
    gc.collect()
    before, watch = resident_bytes(), Watch(parts)
    return before, watch, engine.analyze(clip, settings, progress=watch)


def report(title: str, before: int, watch: Watch, found: Analysis) -> None:
    """Print what was read, and the slope of what is no part of the result."""
    assert found.token_maps is not None
    held = found.token_maps.nbytes + found.logits.nbytes
    shares = np.array(watch.shares)
    extra = (np.array(watch.resident) - before) / MIB
    rest = extra - held * shares / MIB
    print(f"\n{title}: {found.timings.frames} frames, {found.timings.total_s:.0f} s; result {held / MIB:.0f} MiB")
    print("  beyond the memory before, MiB:      ", " ".join(f"{value:5.0f}" for value in extra))
    print("  the same without the result's part: ", " ".join(f"{value:5.0f}" for value in rest))
    later = rest[len(rest) // 5 :]
    print(f"  from a fifth on: {later.min():.0f} to {later.max():.0f}, last less first {later[-1] - later[0]:+.0f}")


def resident_bytes() -> int:
    """Resident memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def long_clip(folder: Path, frame_hw: tuple[int, int], fps: int, seconds: int) -> Path:
    """A clip of moving noise; a short one is encoded once and joined end to end."""
    part = write_noise(folder / "part.mp4", fps * _PART_S, frame_hw, fps=fps, speed=2)
    whole = folder / "whole.mp4"
    join_pieces([Piece(part, turn * _PART_S) for turn in range(-(-seconds // _PART_S))], whole)
    return whole


if __name__ == "__main__":
    main()
