"""How much reading through `open_media` costs over a plain PyAV loop.

    python -m benchmarks.bench_media [CLIP...] [--repeats N]        (by default: the sample clips)

For each clip, the median seconds of
  plain   PyAV decodes every picture and converts it to RGB (threads as `open_media` sets them),
  all     `open_media` gives every picture (its first pass over the packets and the digest included),
  sparse  `open_media` gives 16 pictures, uniform in time,
  strip   `open_thumbnails` gives 16 small pictures at even times, for the filmstrip,
and their ratios to `plain`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import av

from tokenlearner.media import Sampling, open_media, open_thumbnails
from tokenlearner.samples import list_samples, sample_path

SPARSE = 16
STRIP_HEIGHT = 96


def plain(path: Path) -> int:
    """Decode everything the way PyAV's documentation does it."""
    count = 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(8, os.cpu_count() or 1)
        for frame in container.decode(stream):
            frame.to_ndarray(format="rgb24")
            count += 1
    return count


def streamed(path: Path, max_frames: int) -> int:
    """Read at most `max_frames` pictures through the library."""
    with open_media(path, Sampling(max_frames=max_frames)) as reader:
        return sum(1 for _ in reader)


def filmstrip(path: Path) -> int:
    """Read small pictures for a strip."""
    with open_thumbnails(path, SPARSE, STRIP_HEIGHT) as reader:
        return sum(1 for _ in reader)


def median_s(work: Callable[[], int], repeats: int) -> tuple[float, int]:
    """Median wall time, and the number of pictures."""
    seconds = []
    count = 0
    for _ in range(repeats):
        start = time.perf_counter()
        count = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), count


def main() -> None:
    """Print one row for each clip."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", type=Path)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    clips = arguments.clips or [sample_path(sample.name) for sample in list_samples() if sample.kind == "video"]
    print(
        f"{'clip':32} {'pictures':>8} {'plain s':>8} {'all s':>8} {'ratio':>6} {'sparse s':>9} {'ratio':>6} "
        f"{'strip s':>8} {'ratio':>6}"
    )
    for path in clips:
        base_s, count = median_s(lambda path=path: plain(path), arguments.repeats)
        all_s, all_count = median_s(lambda path=path: streamed(path, 10**9), arguments.repeats)
        sparse_s, _ = median_s(lambda path=path: streamed(path, SPARSE), arguments.repeats)
        strip_s, _ = median_s(lambda path=path: filmstrip(path), arguments.repeats)
        assert all_count == count, f"{path}: {all_count} pictures instead of {count}"
        print(
            f"{path.name:32} {count:8} {base_s:8.3f} {all_s:8.3f} {all_s / base_s:6.2f} "
            f"{sparse_s:9.3f} {sparse_s / base_s:6.2f} {strip_s:8.3f} {strip_s / base_s:6.2f}"
        )


if __name__ == "__main__":
    main()
