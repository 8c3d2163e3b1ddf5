"""`tokenlearner.analyze`: from a file to an analysis in one call."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any, Final

from tokenlearner.engine.engine import Engine
from tokenlearner.engine.progress import ProgressCallback
from tokenlearner.engine.results import Analysis, AnalysisSettings
from tokenlearner.errors import CheckpointError
from tokenlearner.weights import list_models, load_model

PREFERRED_MODEL: Final = "photos110-elastic"


def default_model_name() -> str:
    """Name of the model used when none is named: the one that comes with the program.

    Raises:
        CheckpointError: If there is no model at all.
    """
    names = [listed.card.name for listed in list_models()]
    if not names:
        raise CheckpointError("No model is installed. Train one, or give the path of a .safetensors file.")
    return PREFERRED_MODEL if PREFERRED_MODEL in names else names[0]


def analyze(
    path: str | Path,
    *,
    model: str | Path | None = None,
    device: str | None = None,
    settings: AnalysisSettings | None = None,
    progress: ProgressCallback | None = None,
    **changes: Any,
) -> Analysis:
    """Run a model on a photo or video; see `Engine.analyze`, which is made for more than one call.

    The engine used last is kept, so that further calls with the same model do not load it again.

    Args:
        path: The media file.
        model: Name of an installed model, or path of a checkpoint; None for the one that comes with the program.
        device: "cuda", "mps" or "cpu"; None to choose.
        settings: What to run and on which part; None for the defaults.
        progress: Called before the first and after each batch.
        changes: Fields of `AnalysisSettings` that replace those of `settings`, e.g. `num_tokens=4`.
    """
    settings = dataclasses.replace(settings or AnalysisSettings(keep="none"), **changes)
    engine = _engine(str(model or default_model_name()), device)
    return engine.analyze(path, settings, progress=progress)


@functools.lru_cache(maxsize=1)
def _engine(model: str, device: str | None) -> Engine:
    return Engine(load_model(model), device=device)
