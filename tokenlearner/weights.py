"""Checkpoints: safetensors files with a model card, written in one step and verified when read.

Nothing here reads pickle. See `tokenlearner.cards` for what lies beside a checkpoint.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from tokenlearner.cards import (
    FORMAT,
    FORMAT_VERSION,
    SUFFIX,
    DataCredit,
    ListedModel,
    ModelCard,
    discard,
    file_sha256,
    list_models,
    read_card,
    read_metadata,
    save_card,
    scan_models,
    temporary_path,
)
from tokenlearner.config import ModelConfig
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.model import TokenLearnerViT
from tokenlearner.timm_backbone import TimmTokenLearner

__all__ = [
    "DataCredit",
    "ListedModel",
    "LoadedModel",
    "ModelCard",
    "list_models",
    "load_checkpoint",
    "load_model",
    "random_twin",
    "save_card",
    "save_checkpoint",
    "scan_models",
    "untrained",
    "utc_now",
]

_seeding = threading.Lock()  # networks draw their weights from torch's global generator, one after the other


@dataclass(frozen=True)
class LoadedModel:
    """A network with its card.

    Attributes:
        model: In evaluation mode, float32, on the CPU.
        card: What it is; `card.trained` is False for random weights.
        sha256: Of the weights file; of the weights in memory where there is no file.
        path: The weights file, if there is one.
    """

    model: TokenLearnerViT
    card: ModelCard
    sha256: str
    path: Path | None


def save_checkpoint(path: Path | str, model: TokenLearnerViT, card: ModelCard, *, half: bool = True) -> ModelCard:
    """Write weights and both cards; each file appears complete or not at all.

    Args:
        path: The weights file, ending in `.safetensors`; its stem becomes the card's name.
        model: The network; its configuration replaces the card's.
        card: What is known about it.
        half: Store weights (not biases, norms and statistics) as float16. What float16 cannot hold stays float32.

    Returns:
        The card as written, with name, configuration and sha256.

    Raises:
        CheckpointError: If a weight is not finite, the name has another suffix, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise CheckpointError(f'"{path.name}" must end in {SUFFIX}, the format of checkpoints.')
    tensors = {}
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(f'The weight "{name}" is not finite (NaN or infinity); the model was not saved.')
        tensors[name] = _stored(value, half=half)
    card = dataclasses.replace(card, name=path.stem, config=model.config, sha256="")
    inside = card.to_dict()
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "config": json.dumps(inside.pop("config")),
        "card": json.dumps(inside, ensure_ascii=False),
    }
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not `save_file`, which makes a file that only its owner may read, whatever the umask.
        temporary.write_bytes(safetensors.torch.save(tensors, metadata))
        card = dataclasses.replace(card, sha256=file_sha256(temporary))
        temporary.replace(path)
    except (OSError, SafetensorError) as error:
        discard(temporary)
        raise CheckpointError(f'"{path}" cannot be written: {_reason(error)}.') from error
    save_card(path, card)
    return card


def load_checkpoint(path: Path | str) -> LoadedModel:
    """Read a checkpoint and verify it against its card and its configuration.

    Raises:
        CheckpointError: If the file is missing, damaged, of another program or of a newer format, does not match
            its card, or its weights do not fit the configuration or are not finite.
    """
    path = Path(path)
    metadata = read_metadata(path)
    card = read_card(path)
    try:
        config = ModelConfig.from_dict(json.loads(metadata["config"]))
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        reason = f" {error}" if isinstance(error, ConfigError) else ""
        raise CheckpointError(f'The configuration inside "{path.name}" cannot be used.{reason}') from error
    sha256 = file_sha256(path)
    if card.sha256 and card.sha256 != sha256:
        raise CheckpointError(
            f'"{path.name}" is not the file that its card describes (sha256 {sha256[:12]}..., card '
            f"{card.sha256[:12]}...). It is damaged or was replaced: get weights and card together again."
        )
    if config != card.config:
        raise CheckpointError(f'The card of "{path.name}" describes another network than the file. Get both again.')
    try:
        model = build_model(config, seed=0)
    except ConfigError as error:
        raise CheckpointError(f'The network of "{path.name}" cannot be built here: {error}') from error
    model.load_state_dict(_read_tensors(path, model))
    return LoadedModel(model, dataclasses.replace(card, sha256=sha256), sha256, path)


def load_model(name_or_path: str | Path) -> LoadedModel:
    """Load a checkpoint by the name that `list_models` shows, or by its path.

    Raises:
        CheckpointError: If there is none, or it cannot be used; see `load_checkpoint`.
    """
    text = str(name_or_path)
    if text.endswith(SUFFIX):
        return load_checkpoint(Path(text).expanduser())
    models, problems = scan_models()
    for listed in models:
        if listed.card.name == text:
            return load_checkpoint(listed.path)
    for problem in problems:
        if f'"{text}{SUFFIX}"' in problem or f'"{text}.json"' in problem:
            raise CheckpointError(problem)
    known = ", ".join(listed.card.name for listed in models) or "none"
    raise CheckpointError(f'There is no model "{text}". Known: {known}; or give the path of a {SUFFIX} file.')


def untrained(config: ModelConfig, seed: int = 0) -> LoadedModel:
    """Build a network with random weights; its card says that it is untrained.

    Args:
        config: The network.
        seed: The same seed gives the same weights.
    """
    card = ModelCard(
        name=f"untrained-{seed}",
        title="Untrained network (random weights)",
        config=config,
        trained=False,
        origin="untrained",
        summary="For comparison only: what a network of this shape does before it has learned anything.",
        recipe={"seed": seed},
        created=utc_now(),
    )
    return in_memory(build_model(config, seed=seed), card)


def random_twin(loaded: LoadedModel, seed: int = 0) -> LoadedModel:
    """Build the same network with random weights, to see what training made of it."""
    twin = untrained(loaded.model.config, seed)
    card = dataclasses.replace(
        twin.card, name=f"{loaded.card.name}-untrained", title=f"Untrained twin of: {loaded.card.title}"
    )
    return dataclasses.replace(twin, card=card)


def build_model(config: ModelConfig, *, seed: int) -> TokenLearnerViT:
    """Build a network in evaluation mode with weights from `seed`, leaving torch's global generator as it was."""
    with _seeding, torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return (TokenLearnerViT(config) if config.backbone is None else TimmTokenLearner(config)).eval()


def utc_now() -> str:
    """The time as the cards write it: UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _stored(value: Tensor, *, half: bool) -> Tensor:
    value = value.detach().cpu()
    if value.is_floating_point():
        small = half and value.ndim > 1 and float(value.abs().amax()) <= torch.finfo(torch.float16).max
        value = value.to(torch.float16 if small else torch.float32)
    return value.contiguous()


def _read_tensors(path: Path, model: TokenLearnerViT) -> dict[str, Tensor]:
    """Read the weights in the model's own precision, after checking names, shapes and values."""
    needed = model.state_dict()
    with safe_open(path, framework="pt") as file:
        names = set(file.keys())
        for name in sorted(needed.keys() - names):
            raise CheckpointError(f'"{path.name}" lacks the weight "{name}" of shape {tuple(needed[name].shape)}.')
        for name in sorted(names - needed.keys()):
            raise CheckpointError(f'"{path.name}" holds the weight "{name}", for which its network has no place.')
        tensors = {}
        for name, own in needed.items():
            value: Tensor = file.get_tensor(name)
            if value.shape != own.shape:
                raise CheckpointError(
                    f'The weight "{name}" in "{path.name}" has shape {tuple(value.shape)}, but its network needs '
                    f"{tuple(own.shape)}."
                )
            if value.is_floating_point() and not bool(torch.isfinite(value).all()):
                raise CheckpointError(f'The weight "{name}" in "{path.name}" is not finite (NaN or infinity).')
            tensors[name] = value.to(own.dtype)
    return tensors


def _reason(error: Exception) -> str:
    return error.strerror if isinstance(error, OSError) and error.strerror else str(error)


def in_memory(model: TokenLearnerViT, card: ModelCard) -> LoadedModel:
    """A model that lies in no file; its hash is that of the weights."""
    sha256 = hashlib.sha256(safetensors.torch.save(model.state_dict())).hexdigest()
    return LoadedModel(model, dataclasses.replace(card, sha256=sha256), sha256, None)
