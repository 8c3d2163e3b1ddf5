"""What `python -m tokenlearner evaluate` does with a video model: clips made of photographs, and real sequences."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tokenlearner.cli.again import command
from tokenlearner.cli.tables import DASH, label, table, two

if TYPE_CHECKING:
    from tokenlearner.data.dataset import ImageSet
    from tokenlearner.evaluation.results import ClipEvaluation, FollowingResult
    from tokenlearner.weights import LoadedModel

_LEGEND: Final = """\
object, motion: share of clips named rightly. frozen: the same clips with their middle frame throughout, so what a
single frame tells. entropy: of uniform, 1 = looks everywhere. cosine: between tokens, 1 = all alike. adaptivity:
share of the maps' variance that depends on the clip. covered: share of the frame that the tokens together look at."""

_FOLLOWING_LEGEND: Final = """\
mass: of the one token kept for a whole clip or sequence (the best one there), on the object. peak, touch: moments at
which its largest cell is at least half object, or holds any of it. centroid: moments at which the cell under its
centre of mass is at least half object. best: mass of the best token of each moment, then its centroid. "one for all":
the same token in every clip or sequence."""


def measure(
    args: argparse.Namespace, loaded: LoadedModel, images: ImageSet, tell: Callable[[str, int, int | None], None]
) -> ClipEvaluation:
    """Run the evaluation that the command's arguments ask for."""
    from tokenlearner.engine.device import pick_device
    from tokenlearner.evaluation.clips import CLIP_TOKENS, DEFAULT_CLIPS, ClipEvaluateSettings, evaluate_clips
    from tokenlearner.weights import load_model

    settings = ClipEvaluateSettings(
        clips=args.limit or DEFAULT_CLIPS,
        num_tokens=tuple(args.num_tokens or CLIP_TOKENS),
        sequences=args.davis,
        max_frames=args.max_frames,
        resize=args.resize,
        seed=args.seed,
    )
    return evaluate_clips(
        loaded,
        images,
        settings,
        device=pick_device(args.device),
        image_model=load_model(args.image_model) if args.davis else None,
        data=[Path(source).name for source in args.data],
        split=args.split.name if args.split else None,
        command=command(args, is_video=True),
        progress=tell,
    )


def report(found: ClipEvaluation) -> Iterator[str]:
    """The lines that the command prints."""
    part = f"validation part of {found.split}" if found.split else "all of them, without a split"
    yield f"{found.model}{'' if found.trained else '  (NOT TRAINED: random weights)'}  sha256 {found.sha256[:12]}"
    yield (
        f"{found.clips} clips made of {found.photos} photographs and {found.cutouts} cut-outs from "
        f"{', '.join(found.data)} ({part}); {found.device}; {found.seconds:.0f} s"
    )
    yield f"again: {found.command}"
    yield from (f"note: {note}" for note in found.notes)
    yield from ("", f"Accuracy and maps; guessing names {_percent(found.chance)} of the motions")
    yield from _choice_table(found)
    yield _LEGEND
    yield from ("", "Motions, with the default module and all its tokens")
    yield from table(("motion", "named"), [(name, _percent(share)) for name, share in found.by_motion.items()])
    if found.following:
        yield from ("", f"Tokens on the moving object of the clips, {found.moments} moments")
        yield from _following_table(found.following)
        yield _FOLLOWING_LEGEND
    real = found.sequences
    if real is not None:
        yield from ("", f"Tokens on moving objects: {real.sequences} sequences of {real.name}, {real.frames} frames")
        yield from _following_table(real.following)
        if not found.following:
            yield _FOLLOWING_LEGEND


def _choice_table(found: ClipEvaluation) -> list[str]:
    rows = []
    for entry in found.choices:
        maps = entry.maps
        named = entry.object, entry.motion, entry.object_frozen, entry.motion_frozen
        quality = (
            (DASH,) * 5
            if maps is None
            else (
                *map(two, (maps.entropy, maps.overlap, maps.adaptivity, maps.coverage)),
                "COLLAPSED" if maps.collapsed else "ok",
            )
        )
        size = f"{entry.macs / 1e9:.2f}"
        rows.append((label(entry.loc), str(entry.num_tokens or DASH), *map(_percent, named), size, *quality))
    head = "loc", "k", "object", "motion", "| frozen: object", "motion", "| GMACs"
    return table((*head, "entropy", "cosine", "adaptivity", "covered", "maps"), rows)


def _following_table(results: Sequence[FollowingResult]) -> list[str]:
    rows = []
    for entry in results:
        f = entry.following
        values = f.mass, f.peak, f.touch, f.centroid, f.best, f.best_centroid
        place = DASH if entry.loc is None else str(entry.loc)
        rows.append((entry.maps, place, str(entry.num_tokens), *map(two, values)))
    head = "maps", "loc", "k", "mass", "peak", "touch", "centroid", "| best", "its centroid"
    return table(head, rows)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
