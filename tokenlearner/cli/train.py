"""`python -m tokenlearner train`: a recipe and photographs in, a checkpoint with its card out."""

from __future__ import annotations

import argparse
from pathlib import Path


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
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Train, and say where the checkpoint is."""
    import torch
    from tqdm import tqdm

    from tokenlearner.training.loop import Trainer
    from tokenlearner.training.prepare import prepare_data
    from tokenlearner.training.recipe import load_recipe

    if args.threads:
        torch.set_num_threads(args.threads)
    recipe = load_recipe(args.recipe)
    run_dir = args.run_dir or Path("runs") / recipe.name
    device = torch.device(args.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    print(f"Recipe {recipe.name}, seed {recipe.seed}, on {device}; state in {run_dir}")
    data = prepare_data(recipe, args.data, run_dir, device)
    print(f"{len(data.train)} photographs to learn from, {len(data.val)} to validate, {len(data.cutouts)} cut-outs")
    trainer = Trainer(recipe, data, run_dir, device)
    with tqdm(total=trainer.total_steps, initial=trainer.step, unit="step", mininterval=5) as bar:

        def progress(step: int, total: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.3f}", epoch=trainer.epoch, refresh=False)
            if step % trainer.steps_per_epoch == 1 and trainer.history:
                tqdm.write(_epoch_line(trainer.history[-1]))

        trainer.run(progress)
    return 0


def _epoch_line(record: dict[str, object]) -> str:
    return "  ".join(f"{key} {value}" for key, value in record.items())
