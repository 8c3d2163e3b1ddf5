"""A tiny model on disk, and a server that runs it, for the tests of the app."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

from app.models import ModelChoice, from_listed
from app.results import Request
from app.visits import Visit, Visits
from tests.engine_cases import TINY, tiny_model
from tokenlearner.cards import ListedModel
from tokenlearner.config import ModelConfig
from tokenlearner.media import Sampling
from tokenlearner.weights import save_checkpoint

LIMIT_S = 60
METRICS = {
    "validation": {
        "choices": [
            {"loc": None, "num_tokens": 0, "top1": 0.62},
            {"loc": 1, "num_tokens": 2, "top1": 0.551},
            {"loc": 1, "num_tokens": 6, "top1": 0.587},
            {"loc": 3, "num_tokens": 6, "top1": 0.604},
        ]
    }
}


def save_tiny_model(folder: Path, name: str = "tiny", *, config: ModelConfig = TINY, trained: bool = True) -> Path:
    """Write a tiny network with its card, as the app finds it on disk."""
    loaded = tiny_model(config, trained=trained)
    path = folder / f"{name}.safetensors"
    save_checkpoint(path, loaded.model, dataclasses.replace(loaded.card, title="A tiny network", metrics=METRICS))
    return path


def tiny_choice(folder: Path, *, random: bool = False) -> ModelChoice:
    """The tiny network as it is chosen in the app."""
    from tokenlearner.cards import read_card

    path = save_tiny_model(folder)
    return from_listed(ListedModel(read_card(path), path, path.stat().st_size, bundled=False), random=random)


def request_for(item_key: str, model: ModelChoice, **changes: object) -> Request:
    """A request on the CPU."""
    request = Request(item=item_key, model=model.key, device="cpu", sampling=Sampling())
    return dataclasses.replace(request, **changes)


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread brings about."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def leave(visits: Visits, visit_id: str) -> None:
    """Break somebody's connection."""
    visits.arrive(visit_id, lambda: False)


def visit() -> Visit:
    """Somebody's page."""
    return Visit("anna")
