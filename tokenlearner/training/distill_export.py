"""From a finished distillation to a checkpoint with its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tokenlearner.cards import DataCredit, ModelCard
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.timm_models import before_blocks
from tokenlearner.training.distill import Distiller, watched_tokens
from tokenlearner.weights import save_checkpoint, utc_now


def export_student(
    distiller: Distiller,
    path: Path,
    *,
    photographs: DataCredit,
    command: str,
    device: ComputeDevice,
    notes: Sequence[str] = (),
) -> ModelCard:
    """Write the student with its cards; they tell how like its teacher it is, over the photographs kept back.

    The card calls a student trained only if its teacher was: one that imitates random weights recognises nothing.

    Args:
        distiller: The run, finished or not; the card says after how many epochs.
        path: The weights file.
        photographs: What it learned from.
        command: The command line that made it.
        device: What it ran on.
        notes: What else the card must say.

    Returns:
        The card as written.

    Raises:
        CheckpointError: If a weight is not finite, or the file cannot be written.
    """
    settings, teacher = distiller.settings, distiller.start.card
    pretrained = bool(teacher.recipe.get("pretrained")) or teacher.trained
    alike, maps = distiller.likeness()
    config = distiller.model.config
    name = config.backbone.name if config.backbone is not None else teacher.name
    collapsed = [loc for loc in config.tokenlearner_locs if maps[loc, watched_tokens(config)].collapsed]
    card = ModelCard(
        name=path.stem,
        title=f"{name} with TokenLearner, distilled",
        config=config,
        trained=pretrained,
        origin="trained",
        summary=f"TokenLearners {before_blocks(config.tokenlearner_locs)} stand in for the patches of {name}. They and "
        "the blocks behind them learned, without labels, to answer as the network without them does.",
        data=(*teacher.data, photographs),
        recipe={"distillation": dataclasses.asdict(settings)},
        command=command,
        hardware=f"{device.label}; {distiller.precision}",
        seconds=round(distiller.seconds, 1),
        created=utc_now(),
        metrics={
            "distillation": {
                "photographs": len(distiller.val),
                "likeness to the teacher": [dataclasses.asdict(one) for one in alike],
            },
            "maps": [{"loc": loc, "num_tokens": k, **_rounded(found.to_dict())} for (loc, k), found in maps.items()],
            "training": [_curve_row(record) for record in distiller.history],
        },
        provenance=teacher.provenance,
        notes=(
            f"Distilled for {distiller.epoch} of {settings.epochs} epochs.",
            "Agreement is with the teacher's first answer, not with the truth: no labels were used.",
            *(
                f"The maps before block {loc} have collapsed: they are nearly uniform, or nearly all the same."
                for loc in collapsed
            ),
            *(() if pretrained else ("The teacher's weights were random: the answers mean nothing.",)),
            *notes,
        ),
    )
    return save_checkpoint(path, distiller.model, card)


def _curve_row(record: Mapping[str, Any]) -> dict[str, object]:
    """One epoch's measures as a flat row."""
    row: dict[str, object] = {"epoch": record["epoch"]}
    row |= {f"loss {name}": value for name, value in record["loss"].items()}
    for one in record["likeness"]:
        setting = "none" if one["loc"] is None else f"{one['loc']}/{one['num_tokens']}"
        row[f"unexplained {setting}"] = one["unexplained"]
    for loc, found in record["maps"].items():
        row |= {f"{name} {loc}": value for name, value in _rounded(found).items()}
    return row


def _rounded(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else round(value, 4) for name, value in values.items()}
