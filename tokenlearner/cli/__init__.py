"""The command line: one module a subcommand, each with `add_parser` and `run`."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Final

from tokenlearner.errors import Cancelled, TokenLearnerError

COMMANDS: Final = ("analyze", "models", "flops", "evaluate", "pictures", "train", "distill", "parity", "import_")
"""Modules of this package, in the order that `--help` shows them."""

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_CANCELLED: Final = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code (0 done, 1 failed, 2 wrong usage, 130 interrupted)."""
    try:
        args = _parse(sys.argv[1:] if argv is None else argv)
        return int(args.run(args))
    except (Cancelled, KeyboardInterrupt):
        print("Stopped.", file=sys.stderr)
        return EXIT_CANCELLED
    except TokenLearnerError as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_FAILED


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    """Options of the subcommand that is asked for; on wrong usage, or for help, this ends the program."""
    parser = argparse.ArgumentParser(
        prog="python -m tokenlearner",
        description="See how a Vision Transformer learns to tokenize: analyse media, count compute, train, check.",
    )
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    # Only the module that is asked for: counting compute must not wait for torch to load.
    asked = [name for name in COMMANDS if argv and argv[0] == name.rstrip("_")]
    for name in asked or COMMANDS:
        importlib.import_module(f"tokenlearner.cli.{name}").add_parser(subparsers)
    return parser.parse_args(argv)
