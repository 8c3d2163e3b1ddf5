"""From the state of a run to a checkpoint with its card."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tokenlearner.cards import DataCredit, ModelCard
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.training.loop import Trainer
from tokenlearner.training.prepare import SPLIT_FILE
from tokenlearner.weights import save_checkpoint, utc_now


def export(trainer: Trainer, out_dir: Path, *, command: str, device: ComputeDevice, notes: Sequence[str] = ()) -> Path:
    """Write the averaged weights, their cards and the split by file to `out_dir`.

    The card carries the run's own curves; `python -m tokenlearner evaluate --update-card` adds the measured table.

    Args:
        trainer: The run, finished or not; the card says after how many epochs.
        out_dir: Made if missing.
        command: The command line that trained.
        device: What it ran on.
        notes: What else the card must say about this run.

    Returns:
        The weights file.

    Raises:
        CheckpointError: If a weight is not finite, or the file cannot be written.
    """
    recipe = trainer.recipe
    path = out_dir / f"{recipe.name}.safetensors"
    train, val = len(trainer.data.train), len(trainer.data.val)
    split = f"{train} photographs to train, {val} to validate, by file: {recipe.name}.split.json"
    card = ModelCard(
        name=recipe.name,
        title=recipe.title,
        summary=recipe.summary,
        config=trainer.model.config,
        trained=True,
        origin="trained",
        data=tuple(DataCredit(split=split, **credit) for credit in recipe.data),
        recipe=recipe.to_dict(),
        command=command,
        hardware=f"{device.label}; {trainer.precision}",
        seconds=round(trainer.seconds, 1),
        created=utc_now(),
        metrics={"training": [_curve_row(record) for record in trainer.history]},
        notes=(f"Trained for {trainer.epoch} of {recipe.epochs} epochs.", *notes, *recipe.notes),
    )
    save_checkpoint(path, trainer.average, card)
    shutil.copyfile(trainer.run_dir / SPLIT_FILE, path.with_suffix(".split.json"))
    return path


def _curve_row(record: dict[str, object]) -> dict[str, object]:
    """One epoch's measures as a flat row."""
    row: dict[str, object] = {"epoch": record["epoch"], "img_size": record["img_size"]}
    for group in ("loss", "top1", "entropy", "overlap", "adaptivity"):
        values = record[group]
        assert isinstance(values, dict)
        row.update({f"{group} {key}": value for key, value in values.items()})
    return row
