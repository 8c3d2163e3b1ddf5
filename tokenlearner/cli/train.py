"""`python -m tokenlearner train`: a recipe and photographs in, a checkpoint with its card out."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import Any

from tokenlearner.cli.learning import add_device_options, learn, refuse_collapsed


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "train",
        help="train a model by a recipe",
        description="Train an elastic TokenLearner by a recipe. A run that was stopped goes on where it was.",
    )
    parser.add_argument("recipe", help="a bundled recipe's name, or a TOML file")
    parser.add_argument("data", nargs="+", help="folders or plain tars of class folders")
    parser.add_argument("-o", "--run-dir", type=Path, help="where state and history are kept (default: runs/<name>)")
    parser.add_argument(
        "--export",
        type=Path,
        metavar="DIR",
        help="only write the checkpoint of the state as it is to this folder, without training on",
    )
    parser.add_argument(
        "--note",
        action="append",
        default=[],
        metavar="SENTENCE",
        help="something about this run that its card must say",
    )
    add_device_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and say where the checkpoint is."""
    import torch

    from tokenlearner.engine.device import pick_device
    from tokenlearner.training.export import export
    from tokenlearner.training.loop import Trainer
    from tokenlearner.training.prepare import prepare_data
    from tokenlearner.training.recipe import load_recipe

    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = load_recipe(args.recipe)
    run_dir = args.run_dir or Path("runs") / recipe.name
    compute = pick_device(args.device)
    print(f"Recipe {recipe.name}, seed {recipe.seed}, on {compute.label}; state in {run_dir}")
    data = prepare_data(recipe, args.data, run_dir, compute.device)
    print(f"{len(data.train)} photographs to learn from, {len(data.val)} to validate, {len(data.cutouts)} cut-outs")
    trainer = Trainer(recipe, data, run_dir, compute.device)
    command = shlex.join(["python", "-m", "tokenlearner", "train", args.recipe, *(Path(p).name for p in args.data)])
    if args.export is not None:
        print(export(trainer, args.export, command=command, device=compute, notes=args.note))
        return 0
    learn(trainer, _epoch_line)
    print(export(trainer, run_dir, command=command, device=compute, notes=args.note))
    refuse_collapsed(
        trainer.history[-1]["collapsed"],
        "Raise the recipe's rebuild and overlap weights, or map_init_std, and train anew.",
    )
    return 0


def _epoch_line(record: dict[str, Any]) -> str:
    top1 = "  ".join(f"{setting} {value:.1%}" for setting, value in record["top1"].items())
    maps = "  ".join(
        f"block {loc}: {value:.2f}/{record['overlap'][loc] or 0:.2f}/{record['adaptivity'][loc]:.2f}"
        for loc, value in record["entropy"].items()
    )
    return f"epoch {record['epoch']}  top-1 {top1}\n    entropy/overlap/adaptivity {maps}"
