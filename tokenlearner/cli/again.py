"""Command lines as cards record them: what to type to get the same again."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def command_line(name: str, words: Iterable[Any], options: Iterable[tuple[str, Any]] = ()) -> str:
    """A command of this project in one line, with file names instead of paths.

    Args:
        name: Of the command, such as "import scenic".
        words: What stands without a flag.
        options: Flags with their values, in order. A flag whose value is None, False or empty is left out; with True it
            stands alone, and all values of a list or tuple follow it.
    """
    said = ["python", "-m", "tokenlearner", *name.split(), *map(_word, words)]
    for flag, value in options:
        if value is None or value is False or value in ("", [], ()):
            continue
        values = () if value is True else value if isinstance(value, list | tuple) else (value,)
        said += [flag, *map(_word, values)]
    return shlex.join(said)


def command(args: argparse.Namespace, *, is_video: bool) -> str:
    """An `evaluate` command from its own arguments.

    Args:
        args: As the parser gave them.
        is_video: Whether a video model was measured; only then is there an image model to compare with.
    """
    return command_line(
        "evaluate",
        [Path(args.checkpoint), *map(Path, args.data)],
        [
            ("--split", _path(args.split)),
            ("--limit", args.limit),
            ("--num-tokens", args.num_tokens),
            ("--davis", _path(args.davis)),
            ("--max-frames", args.max_frames),
            ("--image-model", _path(args.image_model) if is_video and args.davis else None),
            ("--resize", args.resize if args.resize != "whole" else None),
            ("--seed", args.seed),
            ("--no-meaning", args.no_meaning and not is_video),
        ],
    )


def _word(value: Any) -> str:
    return value.name if isinstance(value, Path) else str(value)


def _path(value: str | Path | None) -> Path | None:
    return None if value in (None, "") else Path(str(value))
