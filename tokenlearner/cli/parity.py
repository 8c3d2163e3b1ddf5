"""`parity`: check this library against stored outputs of the official implementation."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tokenlearner.parity import CaseResult, check_folder


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "parity",
        help="check against stored outputs of the official implementation",
        description="Run every .npz case of a folder (parameters, inputs and outputs of the official implementation) "
        "and print the largest absolute error of each quantity. Exit code 1 if one is beyond its tolerance or a file "
        "cannot be used.",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of .npz files, such as tests/golden")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Check the folder and print the table; 0 if everything agrees, else 1."""
    results = check_folder(args.folder)
    for line in table(results):
        print(line)
    for result in results:
        if result.problem:
            print(f"error: {result.problem}", file=sys.stderr)
    failed = sum(not result.passed for result in results)
    compared = sum(len(result.comparisons) for result in results)
    verdict = f"{failed} of {len(results)} files fail" if failed else f"all {len(results)} files agree"
    print(f"\n{verdict}; {compared} quantities compared in float32 on the CPU, largest absolute errors shown")
    return 1 if failed else 0


def table(results: Sequence[CaseResult]) -> list[str]:
    """Lay out the comparisons of all files in columns."""
    rows = [("file", "kind", "quantity", "error", "tolerance", "")]
    for result in results:
        if result.problem:
            rows.append((result.name, "", "", "", "", "not checked"))
        for comparison in result.comparisons:
            rows.append(
                (
                    result.name,
                    result.kind,
                    comparison.quantity,
                    f"{comparison.max_error:.2e}",
                    f"{comparison.tolerance:.0e}",
                    "ok" if comparison.passed else "FAILS",
                )
            )
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
