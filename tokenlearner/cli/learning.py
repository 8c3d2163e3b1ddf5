"""A run of training on the terminal: a bar, a line for each measurement, and a word about collapsed maps."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tokenlearner.errors import TrainingError

if TYPE_CHECKING:
    from tokenlearner.training.distill import Distiller
    from tokenlearner.training.loop import Trainer


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """Add what says where to compute."""
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=int, help="CPU threads")


def learn(run: Trainer | Distiller, line: Callable[[dict[str, Any]], str]) -> None:
    """Learn to the end.

    Args:
        run: What learns.
        line: Makes a line for people of an entry of its history.
    """
    from tqdm import tqdm

    said = len(run.history)
    with tqdm(total=run.total_steps, initial=run.step, unit="step", mininterval=5) as bar:

        def progress(step: int, total: int, loss: float) -> None:
            nonlocal said
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.3f}", epoch=run.epoch, refresh=False)
            for record in run.history[said:]:
                tqdm.write(line(record))
            said = len(run.history)

        run.run(progress)
    print(line(run.history[-1]))


def refuse_collapsed(places: Sequence[int], what_to_do: str) -> None:
    """Fail where maps say nothing.

    Raises:
        TrainingError: If there is such a place.
    """
    if places:
        named = ", ".join(f"block {loc}" for loc in places)
        raise TrainingError(
            f"The maps before {named} have collapsed: they are nearly uniform or nearly all the same. {what_to_do}"
        )
