"""The command that measures the same again, for the record on a model card."""

from __future__ import annotations

import argparse
from pathlib import Path


def command(args: argparse.Namespace, *, is_video: bool) -> str:
    """An `evaluate` command from its own arguments, with file names instead of paths.

    Args:
        args: As the parser gave them.
        is_video: Whether a video model was measured; only then is there an image model to compare with.
    """
    words = [Path(args.checkpoint).name, *(Path(source).name for source in args.data)]
    for name, value in (
        ("--split", args.split),
        ("--limit", args.limit),
        ("--num-tokens", " ".join(map(str, args.num_tokens or ()))),
        ("--davis", args.davis),
        ("--max-frames", args.max_frames),
        ("--image-model", args.image_model if is_video and args.davis else None),
        ("--resize", args.resize if args.resize != "whole" else None),
        ("--seed", args.seed),
    ):
        if value not in (None, ""):
            words += [name, Path(value).name if name in ("--split", "--davis", "--image-model") else str(value)]
    if args.no_meaning and not is_video:
        words.append("--no-meaning")
    return " ".join(["python -m tokenlearner evaluate", *words])
