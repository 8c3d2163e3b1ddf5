"""`analyze`: photos and videos to overlays, arrays and numbers, one input after the other."""

from __future__ import annotations

import argparse
import glob
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import TYPE_CHECKING, Final

from tqdm import tqdm

from tokenlearner.cli import EXIT_FAILED, EXIT_OK, EXIT_USAGE
from tokenlearner.errors import Cancelled, ConfigError, MediaError, TokenLearnerError

if TYPE_CHECKING:
    from tokenlearner.engine import Analysis, AnalysisSettings, Engine
    from tokenlearner.export import View
    from tokenlearner.media import MediaLimits

_OWN_OUTPUT: Final = ".overlay."
_PICTURES: Final = "avif bmp gif heic heif jfif jpeg jpg mpo png tif tiff webp"
_VIDEOS: Final = "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts webm wmv"
_SUFFIXES: Final = frozenset(f".{name}" for name in f"{_PICTURES} {_VIDEOS}".split())
"""Which files of a folder are taken. A file named by itself may end as it likes: its content decides."""


@dataclass(frozen=True)
class _Job:
    """One input and the files that it becomes; `stem` belongs to no other input."""

    source: Path
    out_dir: Path
    stem: str


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "analyze",
        help="run a model on photos and videos and write overlays, maps and numbers",
        description="Run a model on photos and videos. Each input gives NAME.overlay.mp4 (or .png for a photo), "
        "NAME.maps.npz with the token maps as arrays, and NAME.json with predictions, compute, timings and provenance.",
        epilog="Exit status: 0 all done, 1 some input failed, 2 wrong usage, 130 interrupted.",
    )
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="a file, a folder (the media files in it), or a glob"
    )
    parser.add_argument("-o", "--out", required=True, type=Path, metavar="DIR", help="folder for the results")
    parser.add_argument("--model", metavar="M", help="name of a model, or path of a .safetensors file (see `models`)")
    parser.add_argument("--num-tokens", type=int, metavar="K", help="tokens (default: all that the model holds)")
    parser.add_argument(
        "--loc", type=_loc, default="default", metavar="L", help="block before which TokenLearner sits, or none"
    )
    parser.add_argument("--start", type=float, default=0.0, metavar="S", help="start of a video in seconds")
    parser.add_argument("--end", type=float, metavar="S", help="end of a video in seconds (not included)")
    parser.add_argument(
        "--max-frames", type=int, default=300, metavar="N", help="most frames, uniform in time (default: 300)"
    )
    parser.add_argument(
        "--max-fps", type=float, metavar="R", help="most frames per second of a video (default: every frame)"
    )
    parser.add_argument("--device", metavar="D", help="cuda, cuda:N, mps or cpu (default: the best there is)")
    parser.add_argument(
        "--view",
        default="tokens",
        metavar="V",
        help="overlay: tokens (each its colour), heat:N, or grid (default: tokens)",
    )
    parser.add_argument(
        "--resize", choices=("whole", "crop"), default="whole", help="whole frames in their shape, or their middle"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Analyse all inputs; say at the end which failed."""
    from tokenlearner.engine import AnalysisSettings, Engine, default_model_name
    from tokenlearner.export import View
    from tokenlearner.media import Sampling
    from tokenlearner.weights import load_model

    try:
        view = View.parse(args.view)
        settings = AnalysisSettings(
            loc=args.loc,
            num_tokens=args.num_tokens,
            sampling=Sampling(start_s=args.start, end_s=args.end, max_frames=args.max_frames, max_fps=args.max_fps),
            resize=args.resize,
            keep="none",
        )
        loaded = load_model(args.model or default_model_name())
        _, num_tokens = settings.choice(loaded.model.config)
        if view.kind == "heat" and view.token >= num_tokens > 0:
            raise ConfigError(f'"{args.view}" cannot be drawn: this analysis has {num_tokens} tokens.')
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_USAGE
    sources, failures = _find_sources(args.inputs)
    engine = Engine(loaded, device=args.device)
    _make_folder(args.out)
    if not loaded.card.trained:
        print(f"warning: {loaded.card.name} is untrained; its maps and predictions mean nothing.", file=sys.stderr)
    jobs = _jobs(sources, args.out)
    num_inputs = len(jobs) + len(failures)
    with _stopping() as cancel:
        for number, job in enumerate(jobs, start=1):
            try:
                analysis, files = _process(engine, job, settings, view, f"{number}/{len(jobs)} ", cancel)
            except Cancelled:
                raise
            except TokenLearnerError as error:
                failures[str(job.source)] = str(error)
                tqdm.write(f"{job.source}: {error}", file=sys.stderr)
            else:
                tqdm.write(_report(job, analysis, files))
    return _conclude(failures, num_inputs)


@contextmanager
def _stopping() -> Iterator[threading.Event]:
    """An event that Ctrl-C sets; pressed again, it interrupts at once.

    A KeyboardInterrupt that comes while FFmpeg calls back into Python is swallowed there; an event is not.
    """
    cancel = threading.Event()
    previous = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread() and previous is signal.default_int_handler
    if not ours:  # ignored, or the business of a program around this one
        yield cancel
        return

    def stop(number: int, frame: FrameType | None) -> None:
        cancel.set()
        signal.signal(signal.SIGINT, previous)

    signal.signal(signal.SIGINT, stop)
    try:
        yield cancel
    finally:
        signal.signal(signal.SIGINT, previous)


def _process(
    engine: Engine, job: _Job, settings: AnalysisSettings, view: View, prefix: str, cancel: threading.Event
) -> tuple[Analysis, list[Path]]:
    """Analyse one input and write its files, all of them or, on an error or an interruption, none."""
    with _bar(f"{prefix}{job.source.name}: analysing") as advance:
        analysis = engine.analyze(job.source, settings, progress=lambda at: advance(at.done, at.total), cancel=cancel)
    try:
        with TemporaryDirectory(dir=job.out_dir, prefix=f".{job.stem}-") as folder:
            names = _write(job, analysis, view, Path(folder), prefix, engine.limits, cancel)
            files = [job.out_dir / name for name in names]
            for file in files:
                (Path(folder) / file.name).replace(file)
    except OSError as error:
        raise MediaError(f"{job.out_dir} cannot be written to ({(error.strerror or '').lower()}).") from error
    return analysis, files


def _write(
    job: _Job,
    analysis: Analysis,
    view: View,
    folder: Path,
    prefix: str,
    limits: MediaLimits,
    cancel: threading.Event,
) -> list[str]:
    """Write the files of one input into a folder and return their names."""
    from tokenlearner.export import write_maps, write_overlay, write_summary

    maps, summary = f"{job.stem}.maps.npz", f"{job.stem}.json"
    overlay: dict[str, object] | None = None
    drawn: list[str] = []
    if analysis.token_maps is not None:
        drawn = [f"{job.stem}.overlay.{'mp4' if analysis.media.kind == 'video' else 'png'}"]
        with _bar(f"{prefix}{job.source.name}: drawing") as advance:
            scale_max = write_overlay(
                job.source, analysis, folder / drawn[0], view, limits=limits, progress=advance, cancel=cancel
            )
        token = view.token if view.kind == "heat" else None
        overlay = {
            "file": drawn[0],
            "view": view.kind,
            "token": token,
            "scale_max": scale_max,
            "unit": analysis.map_unit,
        }
    write_maps(folder / maps, analysis)
    write_summary(folder / summary, analysis, source=str(job.source), overlay=overlay, maps=maps)
    return [*drawn, maps, summary]


@contextmanager
def _bar(title: str) -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on the error stream, and the function that moves it; nothing where that is no terminal."""
    with tqdm(desc=title, unit="frame", disable=None, leave=False, dynamic_ncols=True) as bar:

        def advance(done: int, total: int | None) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield advance


def _report(job: _Job, analysis: Analysis, files: Sequence[Path]) -> str:
    """What is printed about a finished input."""
    best = ", ".join(f"{prediction.name} {100 * prediction.probability:.0f} %" for prediction in analysis.top(3))
    timings = analysis.timings
    frames = "1 frame" if timings.frames == 1 else f"{timings.frames} frames"
    lines = [
        f"{job.source}: {best}",
        f"  {frames} in {timings.total_s:.2g} s on {analysis.provenance.device}; "
        f"{analysis.compute.total_macs / 1e9:.2g} GMACs each, "
        f"{100 * analysis.compute.total_macs / analysis.baseline.total_macs:.0f} % of the plain network",
        *(f"  note: {note}" for note in analysis.notes),
        f"  {', '.join(map(str, files))}",
    ]
    return "\n".join(lines)


def _conclude(failures: dict[str, str], num_inputs: int) -> int:
    if not failures:
        return EXIT_OK
    print(f"\n{len(failures)} of {num_inputs} inputs failed:", file=sys.stderr)
    for source, message in failures.items():
        print(f"  {source}: {message}", file=sys.stderr)
    return EXIT_FAILED


def _find_sources(inputs: Sequence[str]) -> tuple[list[Path], dict[str, str]]:
    """The files that the inputs stand for, each once, in order; and what was wrong with the other inputs."""
    sources: dict[Path, Path] = {}
    failures: dict[str, str] = {}
    for text in inputs:
        path = Path(text)
        if path.is_dir():
            found = [entry for entry in sorted(path.iterdir()) if _is_media(entry)]
            problem = "This folder holds no photo or video."
        elif path.exists() or not glob.has_magic(text):
            found, problem = [path], ""
        else:
            found = [Path(match) for match in sorted(glob.glob(text, recursive=True)) if Path(match).is_file()]
            problem = "No file matches this pattern."
        if not found:
            failures[text] = problem
        for source in found:
            sources.setdefault(source.resolve(), source)
    return list(sources.values()), failures


def _is_media(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and _OWN_OUTPUT not in path.name and path.is_file()


def _jobs(sources: Sequence[Path], out_dir: Path) -> list[_Job]:
    """Give each input a stem of its own: the first of a name keeps it, further ones get "-2", "-3", ..."""
    jobs = []
    taken = set[str]()
    for source in sources:
        stem, number = source.stem, 1
        while stem.lower() in taken:  # file systems may not tell capitals apart
            number += 1
            stem = f"{source.stem}-{number}"
        taken.add(stem.lower())
        jobs.append(_Job(source, out_dir, stem))
    return jobs


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MediaError(f"The folder {path} cannot be made ({(error.strerror or '').lower()}).") from error


def _loc(text: str) -> int | str | None:
    """Read a block index, "none" or "default"."""
    if text.lower() == "none":
        return None
    if text == "default":
        return text
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f'"{text}" is neither a block index nor none') from None
