"""A Scenic checkpoint, as a model with its card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenlearner.cards import ModelCard, file_sha256
from tokenlearner.config import ModelConfig
from tokenlearner.scenic import ScenicModel, ScenicOptions
from tokenlearner.scenic.infer import CLASSIFIERS
from tokenlearner.weights import LoadedModel, build_model, in_memory, utc_now


def from_scenic(
    imported: ScenicModel,
    options: ScenicOptions,
    source: Path,
    *,
    source_name: str = "",
    title: str = "",
    command: str = "",
) -> LoadedModel:
    """Build the network of a checkpoint that was read; its card tells what the parameters did not.

    Args:
        imported: From `scenic.read_scenic`.
        options: Those with which it was read.
        source: The checkpoint's file.
        source_name: What its owner calls the file; "" for its own name.
        title: Of the card; "" for one made of the file's name.
        command: The command line that imports it.
    """
    name = source_name or source.name
    config = imported.config
    model = build_model(config, seed=0)
    model.load_state_dict(imported.state_dict)
    given = _given(config)
    card = ModelCard(
        name=Path(name).stem,
        title=title or f"Imported from Scenic: {name}",
        config=config,
        trained=True,
        origin="imported",
        summary="Converted from a checkpoint of google-research/scenic; this project did not train it.",
        recipe=given,
        command=command,
        created=utc_now(),
        provenance={
            "source file": name,
            "sha256 of the source": file_sha256(source),
            "format": "Flax msgpack (google-research/scenic)",
            "parameters at": imported.found_at or "root",
        },
        notes=(
            "How and on what data it was trained, and under which licence, its source must say.",
            f"Not told by the parameters, but given or assumed when importing: {_in_words(given, options)}.",
        ),
    )
    return in_memory(model, card)


def _given(config: ModelConfig) -> dict[str, Any]:
    """What the shapes of parameters do not tell, or tell only in part."""
    module = config.token_learner
    return {
        "loc": config.default_loc,
        "img_size": config.img_size,
        "frames": config.num_frames,
        "pooling": module.pooling if module is not None and module.version == "1.0" else None,
        "classifier": {pool: name for name, pool in CLASSIFIERS.items()}[config.head_pool],
        "mean": config.mean,
        "std": config.std,
    }


def _in_words(given: dict[str, Any], options: ScenicOptions) -> str:
    height, width = given["img_size"]
    told = [
        f'the head pools by "{given["classifier"]}"',
        f"pixels are normalised by mean {_channels(given['mean'])} and deviation {_channels(given['std'])}",
    ]
    if given["pooling"] is not None:
        told.append(f"the module pools by {given['pooling']}")
    if options.loc is not None:
        told.append(f"the module sits before block {options.loc}")
    if given["frames"] is not None:
        told.append(f"a clip has {given['frames']} frames")
    told.append(f"pictures are {width} x {height} pixels" + ("" if options.img_size else " (taken as square)"))
    return "; ".join(told)


def _channels(values: tuple[float, float, float]) -> str:
    return f"{values[0]:g}" if len(set(values)) == 1 else ", ".join(f"{value:g}" for value in values)
