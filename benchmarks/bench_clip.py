"""What it costs that a long clip plays at its own frame rate while only some of its frames are analysed.

    PYTHONPATH=. python benchmarks/bench_clip.py [--model M] [--rounds R] [--clip C]

An analysis whose recorder gets every frame that is played, against one whose recorder gets the analysed frames alone.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from noise import write_noise
from turns import compare

from app.clips import BrowserClip, ClipRecorder, played
from tokenlearner.engine import AnalysisSettings, Engine
from tokenlearner.media import Sampling, probe
from tokenlearner.weights import load_model

FRAMES, FRAME_HW = 1200, (360, 640)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="moving-objects-elastic", help="name or path")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clip", type=Path, default=None, help="a video file (default: 40 s of noise)")
    args = parser.parse_args()
    engine, settings = Engine(load_model(args.model)), AnalysisSettings()
    with tempfile.TemporaryDirectory() as folder:
        clip = args.clip or write_noise(Path(folder) / "clip.mp4", FRAMES, FRAME_HW, speed=1)

        def recorded(extra: Sampling | None) -> BrowserClip:
            with ClipRecorder() as recorder:
                engine.analyze(clip, settings, on_frame=recorder.add, extra=extra)
                return recorder.finish()

        every, some = recorded(played(settings.sampling)), recorded(None)
        info = probe(clip)
        analysed, held = settings.sampling.max_frames, f"{info.num_frames} frames of {info.width}x{info.height}"
        print(f"{args.model} on {engine.device.label}: {analysed} of {held} are analysed")
        print(f"{len(every.media) / 1e6:.1f} MB to play, {len(some.media) / 1e6:.1f} MB of analysed frames alone")
        compare(
            "all frames played",
            lambda: recorded(played(settings.sampling)),
            lambda: recorded(None),
            args.rounds,
            of="the analysed frames alone",
        )


if __name__ == "__main__":
    main()
