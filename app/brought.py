"""Models that a visitor brings or builds: checked, kept on disk as checkpoints for this visit, bounded, cleaned up.

No Streamlit here. Whatever a model comes from (a checkpoint of this project, Scenic's msgpack, timm), it becomes a
safetensors file with a card, so that it is loaded like any other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
import shutil
import tempfile
import weakref
from collections.abc import Collection
from pathlib import Path
from typing import BinaryIO, Final

from app.models import ModelChoice
from app.text import display_name, millions, size
from tokenlearner import flops
from tokenlearner.cards import ModelCard, read_card
from tokenlearner.config import ModelConfig
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.scenic import ScenicOptions, read_scenic
from tokenlearner.timm_backbone import TimmNetwork, check_backbone
from tokenlearner.timm_models import around_timm
from tokenlearner.weights import build_model, load_checkpoint, save_checkpoint, utc_now

MAX_BYTES: Final = 200 * 10**6
MAX_PARAMS: Final = 100_000_000
MAX_KEPT: Final = 4
"""Models of one visitor that stay; the oldest makes room."""

_CHUNK: Final = 1024**2
_SUFFIX: Final = ".safetensors"
BROUGHT: Final = "brought models"
"""Where a page keeps its visitor's models."""

_REFUSED: Final = (
    # What a file begins with, and what it is.
    (b"PK\x03\x04", "a zip archive, as PyTorch's .pt and .bin files are"),
    (b"\x80", "a Python pickle"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GGUF", "a GGUF file"),
)


class BroughtModels:
    """One visitor's models in a temporary folder of their own, removed with this object."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tokenlearner-models-"))
        weakref.finalize(self, shutil.rmtree, self._folder, True)
        self._kept: list[ModelChoice] = []

    @property
    def kept(self) -> tuple[ModelChoice, ...]:
        """The models, the newest last."""
        return tuple(self._kept)

    def add_file(
        self, file: BinaryIO, name: str, scenic: ScenicOptions | None = None, *, taken: Collection[str] = ()
    ) -> ModelChoice:
        """Take a checkpoint of this project (safetensors) or of Scenic (Flax msgpack).

        Args:
            file: Read once, in pieces, from where it stands.
            name: As its owner calls it.
            scenic: What the parameters of a Scenic checkpoint do not tell.
            taken: Names that other models have.

        Raises:
            CheckpointError: If it is neither, too large, damaged, or does not fit; nothing is kept.
            ConfigError: If what it describes cannot be built; nothing is kept.
        """
        name = display_name(name)
        path = self._folder / f"{self._free_name(name, taken)}{_SUFFIX}"
        partial = path.with_suffix(".part")
        try:
            start, sha256 = _store(file, partial, name)
            for magic, kind in _REFUSED:
                if start.startswith(magic):
                    raise CheckpointError(
                        f"{name} is {kind}. Reading such files can run code in them, or is not supported: save the "
                        "weights as a safetensors checkpoint of this project, or give Scenic's Flax msgpack."
                    )
            if start[8:9] == b"{":
                partial.replace(path)
                return self._keep_checkpoint(path)
            return self._keep_scenic(partial, path, name, sha256, scenic)
        except (CheckpointError, ConfigError) as error:
            _remove(path)
            raise type(error)(str(error).replace(partial.name, name).replace(path.name, name)) from error
        finally:
            partial.unlink(missing_ok=True)

    def add_timm(
        self, network: TimmNetwork, *, pretrained: bool, seed: int = 0, taken: Collection[str] = ()
    ) -> ModelChoice:
        """Build a network of timm with untrained modules.

        Raises:
            CheckpointError: If the pretrained weights cannot be had.
            ConfigError: If the network is too large for this page, or cannot be built.
        """
        _require_small(network.config)
        loaded = around_timm(network, pretrained=pretrained, seed=seed)
        path = self._folder / f"{self._free_name(loaded.card.name, taken)}{_SUFFIX}"
        save_checkpoint(path, loaded.model, loaded.card)
        return self._keep(path)

    def drop(self, choice: ModelChoice) -> None:
        """Forget a model and remove its file."""
        if choice in self._kept:
            self._kept.remove(choice)
            _remove(choice.path)

    def _keep_checkpoint(self, path: Path) -> ModelChoice:
        config = read_card(path).config
        _require_small(config)
        if config.backbone is not None:
            check_backbone(config)
        load_checkpoint(path)  # sees that the weights fit and are finite
        return self._keep(path)

    def _keep_scenic(
        self, source: Path, path: Path, name: str, sha256: str, options: ScenicOptions | None
    ) -> ModelChoice:
        imported = read_scenic(source, options)
        _require_small(imported.config)
        model = build_model(imported.config, seed=0)
        model.load_state_dict(imported.state_dict)
        card = ModelCard(
            name=path.stem,
            title=f"Imported from Scenic: {name}",
            config=imported.config,
            trained=True,
            origin="imported",
            summary="Converted from a checkpoint of google-research/scenic; this project did not train it.",
            created=utc_now(),
            provenance={
                "source file": name,
                "sha256 of the source": sha256,
                "format": "Flax msgpack (google-research/scenic)",
                "parameters at": imported.found_at or "root",
            },
            notes=("How and on what data it was trained, and under which licence, its source must say.",),
        )
        save_checkpoint(path, model, card, half=False)
        return self._keep(path)

    def _keep(self, path: Path) -> ModelChoice:
        card = read_card(path)
        if not card.sha256:
            card = dataclasses.replace(card, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        choice = ModelChoice(card, path, path.stat().st_size)
        self._kept.append(choice)
        while len(self._kept) > MAX_KEPT:
            self.drop(self._kept[0])
        return choice

    def _free_name(self, name: str, taken: Collection[str]) -> str:
        """A file name that is also what the model is called; never two models of one name."""
        stem = re.sub(r"[^\w-]+", "-", name.rsplit(".", maxsplit=1)[0]).strip("-.") or "model"
        used = {*taken, *(one.card.name for one in self._kept)}
        numbered = (f"{stem}-{number}" for number in range(2, 1000))
        return stem if stem not in used else next(one for one in numbered if one not in used)


def _store(file: BinaryIO, path: Path, name: str) -> tuple[bytes, str]:
    """Write a file to disk; its first bytes and its hash."""
    digest, written, start = hashlib.sha256(), 0, b""
    with path.open("wb") as target:
        while chunk := file.read(_CHUNK):
            start = start or chunk[:16]
            written += len(chunk)
            if written > MAX_BYTES:
                raise CheckpointError(
                    f"{name} is larger than {size(MAX_BYTES)}, the limit here. Put it into a folder of "
                    "TOKENLEARNER_MODELS on the server instead."
                )
            digest.update(chunk)
            target.write(chunk)
    if not written:
        raise CheckpointError(f"{name} is empty.")
    return start, digest.hexdigest()


def _require_small(config: ModelConfig) -> None:
    """Bounds on what is built on a shared server; the numbers of a foreign configuration are only claims."""
    options = dict(config.backbone.options) if config.backbone else {}
    numbers = [value for value in options.values() if isinstance(value, int | float)]
    wide = max(config.embed_dim, config.mlp_dim, config.num_classes, *config.img_size, *numbers, 1)
    params = flops.count_params(config)
    if params > MAX_PARAMS or config.depth > 64 or wide > 32_768:
        raise ConfigError(
            f"This network has {millions(params)} parameters in {config.depth} blocks; this page takes "
            f"{millions(MAX_PARAMS)} in 64. Use the command line for it."
        )


def _remove(path: Path) -> None:
    for suffix in (_SUFFIX, ".json", ".md"):
        path.with_suffix(suffix).unlink(missing_ok=True)
