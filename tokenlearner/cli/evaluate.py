"""`python -m tokenlearner evaluate`: accuracy and meaning of a model's maps, as tables and JSON.

What a video model's evaluation looks like is in `tokenlearner.cli.clips`.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from tokenlearner.cards import card_paths, save_card
from tokenlearner.cli.again import command
from tokenlearner.cli.tables import DASH, label, table, two
from tokenlearner.errors import ConfigError, DataError

if TYPE_CHECKING:
    from tokenlearner.analysis.objects import ObjectMass
    from tokenlearner.data.dataset import ImageSet
    from tokenlearner.evaluation.results import ClipEvaluation, Evaluation
    from tokenlearner.weights import LoadedModel

_IMAGE_MODEL: Final = "photos110-elastic"

_LEGEND: Final = """\
entropy: of uniform, 1 = looks everywhere. cosine: between tokens, 1 = all alike. adaptivity: share of the maps'
variance that depends on the picture. covered: share of the frame that the tokens together look at."""

_OBJECT_LEGEND: Final = """\
Mass of attention on the object, 0..1. best: best token of each picture; kept: one token for all; found: pictures
with a token that has 0.7 of its mass there; lift: best / centre prior. Rivals: the uniform map, the centre prior
(Hann window), the best of the model's own mean maps, and the best token of the network before training."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `evaluate` subcommand."""
    parser = subparsers.add_parser(
        "evaluate",
        help="measure accuracy and meaning of a model's maps",
        description="Measure a model on photographs in class folders: accuracy at every place and number of tokens, "
        "and whether its maps mean something, beside naive rivals. A video model is measured on clips made of the "
        "photographs, in which one object moves.",
    )
    parser.add_argument("checkpoint", help="a .safetensors file, or the name of an available model")
    parser.add_argument("data", nargs="+", help="folders or tars of class folders")
    parser.add_argument("--split", type=Path, metavar="FILE", help="use the validation part of this split file only")
    parser.add_argument(
        "--limit",
        type=int,
        metavar="N",
        help="at most N photographs, drawn evenly (for a quick look); for a video model N clips (default: 384)",
    )
    parser.add_argument("--json", type=Path, metavar="OUT", help="write all numbers to this file")
    parser.add_argument(
        "--num-tokens", type=int, nargs="+", metavar="K", help="numbers of tokens (default: 1 2 4 8 16)"
    )
    parser.add_argument(
        "--resize",
        choices=("whole", "crop"),
        default="whole",
        help="whole photographs in their own shape, or their middle square (default: whole)",
    )
    parser.add_argument("--davis", metavar="FILE", help="a tar of video sequences with masks: measure kept tokens too")
    parser.add_argument(
        "--max-frames",
        type=int,
        metavar="N",
        help="at most N frames of each sequence, spread evenly; for a video model its first N",
    )
    parser.add_argument(
        "--image-model",
        metavar="MODEL",
        default=_IMAGE_MODEL,
        help=f"for a video model with --davis: an image model to compare with (default: {_IMAGE_MODEL})",
    )
    parser.add_argument("--no-meaning", action="store_true", help="leave out collages, deletion and stability")
    parser.add_argument("--update-card", action="store_true", help="write the numbers into the model's card")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default: 0)")
    parser.add_argument("--device", metavar="D", help="cuda, mps or cpu (default: the best there is)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Measure, print, write."""
    # Imported late: `--help` must not wait for torch.
    from tqdm import tqdm

    from tokenlearner.cli import clips
    from tokenlearner.engine.device import pick_device
    from tokenlearner.evaluation.collect import DEFAULT_TOKENS
    from tokenlearner.evaluation.evaluate import EvaluateSettings, evaluate
    from tokenlearner.evaluation.results import Evaluation
    from tokenlearner.weights import load_model

    settings = EvaluateSettings(
        num_tokens=tuple(args.num_tokens or DEFAULT_TOKENS),
        resize=args.resize,
        meaning=not args.no_meaning,
        sequences=args.davis,
        max_frames=args.max_frames,
        seed=args.seed,
    )
    images = _images(args)
    loaded = load_model(args.checkpoint)
    if args.update_card and loaded.path is None:
        raise ConfigError("This model has no file, so it has no card to update.")
    if args.json is not None and loaded.path is not None and args.json.resolve() in _own_files(loaded.path):
        raise ConfigError(f"{args.json} belongs to the model itself. Give --json another name.")
    found: Evaluation | ClipEvaluation
    with tqdm(unit=" clips" if loaded.model.config.is_video else " pictures", leave=False, disable=None) as bar:

        def tell(stage: str, done: int, total: int | None) -> None:
            bar.set_description(stage)
            bar.total = total
            bar.n = done
            bar.refresh()

        if loaded.model.config.is_video:
            found = clips.measure(args, loaded, images, tell)
        else:
            found = evaluate(
                loaded,
                _limited(images, args),
                settings,
                device=pick_device(args.device),
                data=[Path(source).name for source in args.data],
                split=args.split.name if args.split else None,
                command=command(args, is_video=False),
                progress=tell,
            )
    print("\n".join(report(found) if isinstance(found, Evaluation) else clips.report(found)))
    if args.json is not None:
        _write_json(args.json, found)
        print(f"\nAll numbers: {args.json}")
    if args.update_card:
        _update_card(loaded, found)
    return 0


def report(found: Evaluation) -> Iterator[str]:
    """The lines that the command prints."""
    part = f"validation part of {found.split}" if found.split else "all of them, without a split"
    yield f"{found.model}{'' if found.trained else '  (NOT TRAINED: random weights)'}  sha256 {found.sha256[:12]}"
    yield (
        f"{found.photos} photographs of {found.classes} classes from {', '.join(found.data)} ({part}); "
        f"{found.white_ground} on white ground; {found.device}; {found.seconds:.0f} s"
    )
    if found.command:
        yield f"again: {found.command}"
    yield from (f"note: {note}" for note in found.notes)
    yield from ("", "Accuracy and maps", *_choice_table(found), _LEGEND)
    for name, title in (
        ("whole", "Objects on white ground, as photographed"),
        ("placed", "The same objects alone on white at random size (40 to 60 %) and place"),
        ("cluttered", "The same objects, sizes and places on other photographs"),
    ):
        masses = [(entry, getattr(entry, name)) for entry in found.choices if getattr(entry, name) is not None]
        if masses:
            yield from ("", f"{title}: {masses[0][1].pictures} pictures")
            yield from _object_table([(label(entry.loc), entry.num_tokens, mass) for entry, mass in masses])
    if found.white_ground:
        yield _OBJECT_LEGEND
    yield from _meaning_lines(found)
    yield from _video_lines(found)


def _choice_table(found: Evaluation) -> list[str]:
    rows = []
    for entry in found.choices:
        maps = entry.maps
        quality = (
            (DASH,) * 5
            if maps is None
            else (
                two(maps.entropy),
                two(maps.overlap),
                two(maps.adaptivity),
                two(maps.coverage),
                "COLLAPSED" if maps.collapsed else "ok",
            )
        )
        numbers = f"{100 * entry.top1:.1f} %", f"{100 * entry.mean_class:.1f} %", f"{entry.macs / 1e9:.3f}"
        rows.append((label(entry.loc), str(entry.num_tokens or DASH), *numbers, *quality))
    head = "loc", "k", "top-1", "class mean", "GMACs", "entropy", "cosine", "adaptivity", "covered", "maps"
    return table(head, rows)


def _object_table(masses: Sequence[tuple[str, int, ObjectMass]]) -> list[str]:
    rows = [
        (
            loc,
            str(k),
            two(m.best),
            two(m.kept),
            two(m.found),
            two(m.uniform),
            two(m.centre_prior),
            two(m.mean_map),
            two(m.random_weights),
            f"{m.lift:.2f}",
        )
        for loc, k, m in masses
    ]
    head = "loc", "k", "best", "kept", "found", "| uniform", "centre prior", "mean map", "random weights", "| lift"
    return table(head, rows)


def _meaning_lines(found: Evaluation) -> Iterator[str]:
    if not found.meaning:
        return
    rows = []
    for entry in found.meaning:
        c, d, s = entry.collage, entry.deletion, entry.stability
        finding = (DASH,) * 3 if c is None else (two(c.matched), two(c.mean_map), two(c.random_weights))
        numbers = d.tokens, d.centre_prior, d.random, s.shift, s.shift_in_place, s.zoom, s.zoom_in_place
        rows.append((label(entry.loc), str(entry.num_tokens), *finding, *map(two, numbers)))
    yield from ("", "Tests of meaning")
    collage_head = "collage: found", "mean map", "random weights"
    cause_head = "| deletion: tokens", "centre prior", "random"
    yield from table(
        ("loc", "k", *collage_head, *cause_head, "| shift", "in place", "zoom", "in place"),
        rows,
    )
    yield (
        "collage: share of 2 to 3 objects on clutter with a token of their own. deletion: mean probability left while\n"
        "the first half of the patches goes, lower = it mattered more. shift, zoom: correlation of maps that follow\n"
        "the picture; in place: as if they stayed in the frame."
    )


def _video_lines(found: Evaluation) -> Iterator[str]:
    if not found.video:
        return
    first = found.video[0]
    yield from ("", f"Moving objects: {first.sequences} sequences, {first.frames} frames, frame by frame")
    rows = [
        (
            label(v.loc),
            str(v.num_tokens),
            f"{v.kept:.2f} / {v.kept_peak:.2f} / {v.kept_touch:.2f}",
            two(v.always),
            two(v.uniform),
            f"{v.centre_prior:.2f} / {v.centre_prior_peak:.2f} / {v.centre_prior_touch:.2f}",
            two(v.mean_map),
            f"{v.random_weights:.2f} / {v.random_weights_peak:.2f} / {v.random_weights_touch:.2f}",
        )
        for v in found.video
    ]
    yield from table(("loc", "k", "kept", "always", "| uniform", "centre prior", "mean map", "random weights"), rows)
    yield (
        "kept: the one token that a sequence keeps. Three numbers: mass on the object / frames whose largest cell is\n"
        "at least half object / frames whose largest cell holds any of it. One number: mass. always: one token over\n"
        "all sequences."
    )


def _images(args: argparse.Namespace) -> ImageSet:
    from tokenlearner.data.dataset import load_split, read_image_set

    if args.limit is not None and args.limit < 1:
        raise ConfigError(f"--limit {args.limit} leaves no photographs.")
    images = read_image_set(*args.data)
    if args.split is not None:
        images = images.part(load_split(args.split), "val")
    return images


def _limited(images: ImageSet, args: argparse.Namespace) -> ImageSet:
    if args.limit is not None and args.limit < len(images):
        chosen = np.random.default_rng(args.seed).choice(len(images), size=args.limit, replace=False)
        images = images.take(np.sort(chosen).astype(np.int64))
    return images


def _own_files(weights: Path) -> set[Path]:
    return {path.resolve() for path in (weights, *card_paths(weights))}


def _write_json(path: Path, found: Evaluation | ClipEvaluation) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found.to_dict(), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror}).") from error


def _update_card(loaded: LoadedModel, found: Evaluation | ClipEvaluation) -> None:
    """Replace the measured table in the card's files; the weights, and so their hash, stay as they are."""
    from tokenlearner.evaluation.card_metrics import card_metrics, clip_card_metrics
    from tokenlearner.evaluation.results import Evaluation

    assert loaded.path is not None
    measured = card_metrics(found) if isinstance(found, Evaluation) else clip_card_metrics(found)
    metrics = {"evaluation": measured, **{k: v for k, v in loaded.card.metrics.items() if k != "evaluation"}}
    save_card(loaded.path, dataclasses.replace(loaded.card, metrics=metrics))
    print(f"\nCard updated: {card_paths(loaded.path)[0]}")
