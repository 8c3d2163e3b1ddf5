"""Thirty people on one server, each with a clip of their own: waiting, sliders meanwhile, and memory afterwards.

    PYTHONPATH=. python benchmarks/bench_people.py [--people 30] [--frames 150] [--size 640x360]

Everybody uploads at once, waits in line, moves the token slider three times as soon as their maps are there, while
others are still analysed, and leaves in the end. Printed: the time for all against the same clips analysed one after
the other by the engine alone, how long a slider took, and the server's memory before, at most and after. Linux only.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from bench_memory import MIB, resident_bytes
from noise import write_noise

from app.items import from_upload
from app.models import ModelChoice, from_listed
from app.results import Request
from app.server import Server, compute_devices
from tokenlearner.cards import scan_models
from tokenlearner.engine import AnalysisSettings, Engine, default_model_name
from tokenlearner.media import Sampling

_MOVES = (4, 12, 16)


class Person(threading.Thread):
    """Uploads a clip, waits for its maps, and moves the token slider.

    Attributes:
        waited_s: From the upload to the maps.
        sliders_s: How long each move took.
    """

    def __init__(self, server: Server, model: ModelChoice, device: str, clip: Path, name: str) -> None:
        super().__init__(name=name)
        self.visit = server.visits.arrive(name)
        self.waited_s = 0.0
        self.sliders_s: list[float] = []
        self._server, self._model, self._device, self._clip = server, model, device, clip

    def run(self) -> None:
        """In a thread of its own."""
        begin = time.perf_counter()
        with self._clip.open("rb") as file:
            item = from_upload(self.visit.uploads.add(file, self._clip.name))
        request = Request(item=item.key, model=self._model.key, device=self._device, sampling=Sampling())
        shown = self._server.analyse(self.visit, item, self._model, request, AnalysisSettings()).result()
        self.waited_s = time.perf_counter() - begin
        for num_tokens in _MOVES:
            moved = time.perf_counter()
            self._server.rerun(self.visit, shown, (shown.analysis.loc, num_tokens, ())).result()
            self.sliders_s.append(time.perf_counter() - moved)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Many people on one server.")
    parser.add_argument("--people", type=int, default=30)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--size", default="640x360", help="frame size of the clips, WIDTHxHEIGHT")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    model = next(from_listed(one) for one in scan_models()[0] if one.card.name == default_model_name())
    device = next(iter(compute_devices()))
    server = Server(grace_s=0.1)
    engine = server.engine(model, device)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i}.mp4" for i in range(args.people)]
        clips = [write_noise(path, args.frames, (height, width), seed=i) for i, path in enumerate(paths)]
        alone_s = seconds_alone(engine, clips)
        give_back()
        before = resident_bytes()
        people = [Person(server, model, device, clip, f"person {i}") for i, clip in enumerate(clips)]
        together_s, most = run(people)
        for person in people:
            server.visits.arrive(person.visit.id, lambda: False)  # their connection is gone
        while len(server.visits) or server.results.used_bytes or engine.features.used_bytes:
            time.sleep(0.05)
        give_back()
        after = resident_bytes()
    waits = sorted(person.waited_s for person in people)
    sliders = sorted(one for person in people for one in person.sliders_s)
    print(f"{model.card.name} on {engine.device.label}: {args.people} people, {args.frames} frames of {args.size} each")
    print(f"all at once {together_s:.1f} s, {together_s / alone_s:.2f} of one after the other, alone ({alone_s:.1f} s)")
    print(f"the first saw their maps after {waits[0]:.1f} s, the last after {waits[-1]:.1f} s")
    print(f"a slider meanwhile: median {statistics.median(sliders):.2f} s, slowest {sliders[-1]:.2f} s")
    print(f"memory, MiB: {before / MIB:.0f} before, {most / MIB:.0f} at most, {after / MIB:.0f} when all have left")


def run(people: Sequence[Person]) -> tuple[float, int]:
    """Let everybody do their things; returns the seconds until the last has finished, and the most memory in bytes."""
    begin, most = time.perf_counter(), 0
    for person in people:
        person.start()
    while any(person.is_alive() for person in people):
        most = max(most, resident_bytes())
        time.sleep(0.1)
    return time.perf_counter() - begin, most


def seconds_alone(engine: Engine, clips: Sequence[Path]) -> float:
    """The engine without anything around it."""
    engine.analyze(clips[0])
    begin = time.perf_counter()
    for clip in clips:
        engine.analyze(clip)
    seconds = time.perf_counter() - begin
    engine.features.clear()
    return seconds


def give_back() -> None:
    """Collect what is unreachable, and have the C library return what it keeps for later."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)


if __name__ == "__main__":
    main()
