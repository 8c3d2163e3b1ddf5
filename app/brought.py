"""Models that a visitor brings or builds: checked, kept on disk as checkpoints for this visit, bounded, cleaned up.

No Streamlit here. Whatever a model comes from (a checkpoint of this project, Scenic's msgpack, timm), it becomes a
safetensors file with a card, so that it is loaded like any other.
"""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from app.models import ModelChoice
from app.text import display_name, millions, size
from tokenlearner import flops
from tokenlearner.cards import MODELS_VARIABLE, file_sha256, read_card
from tokenlearner.config import ModelConfig
from tokenlearner.engine import Progress
from tokenlearner.engine.progress import ProgressCallback
from tokenlearner.errors import Cancelled, CheckpointError, ConfigError
from tokenlearner.scenic import ScenicOptions, read_scenic
from tokenlearner.scenic_models import from_scenic
from tokenlearner.timm_backbone import TimmNetwork, check_backbone
from tokenlearner.timm_models import around_timm
from tokenlearner.weights import LoadedModel, load_checkpoint, save_checkpoint

MAX_KEPT: Final = 4
"""Models of one visitor that stay; the oldest makes room."""
PARAMS_VARIABLE: Final = "TOKENLEARNER_MAX_PARAMS"
"""Environment variable with the parameters that a brought network may have."""
LISTED: Final = f"assets/checkpoints, or a folder that {MODELS_VARIABLE} names"
"""Where a checkpoint on the server must lie so that the app lists it."""
BROUGHT: Final = "brought models"
"""Where a page keeps its visitor's models."""

_MAX_DEPTH: Final = 64
_MAX_WIDTH: Final = 32_768
_CHUNK: Final = 1024**2
_SUFFIX: Final = ".safetensors"
_FROM_FILE: Final = ("taking the file", "reading it", "checking the weights", "writing the checkpoint")
_AROUND: Final = ("taking the weights", "building the network", "writing the checkpoint")

_REFUSED: Final = (
    # What a file begins with, and what it is.
    (b"PK\x03\x04", "a zip archive, as PyTorch's .pt and .bin files are"),
    (b"\x80", "a Python pickle"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"GGUF", "a GGUF file"),
)


@dataclass(frozen=True, kw_only=True)
class ModelLimits:
    """Bounds on what one visitor may bring to a server that others use too.

    Attributes:
        max_bytes: Of a file.
        max_params: Parameters of a network; the default takes every ViT-L.
    """

    max_bytes: int = 400 * 10**6
    max_params: int = 320_000_000

    @classmethod
    def of_server(cls, max_bytes: int) -> ModelLimits:
        """Those of this server.

        Args:
            max_bytes: Of an upload.

        Raises:
            ConfigError: If the environment variable holds no number.
        """
        told = os.environ.get(PARAMS_VARIABLE, "")
        try:
            return cls(max_bytes=max_bytes, max_params=int(float(told)) if told else cls.max_params)
        except (ValueError, OverflowError) as error:
            raise ConfigError(f'{PARAMS_VARIABLE} is "{told}"; it must be a number, such as 320e6.') from error

    def require(self, config: ModelConfig) -> None:
        """See that a network may be built here; the numbers of a foreign configuration are only claims.

        Raises:
            ConfigError: If it is too large.
        """
        options = dict(config.backbone.options) if config.backbone else {}
        numbers = [value for value in options.values() if isinstance(value, int | float)]
        wide = max(config.embed_dim, config.mlp_dim, config.num_classes, *config.img_size, *numbers, 1)
        params = flops.count_params(config)
        if params <= self.max_params and config.depth <= _MAX_DEPTH and wide <= _MAX_WIDTH:
            return
        how = "python -m tokenlearner import timm NAME puts it" if config.backbone else "its checkpoint belongs"
        raise ConfigError(
            f"This network has {millions(params)} parameters in {config.depth} blocks; this page takes "
            f"{millions(self.max_params)} in {_MAX_DEPTH}. On the server itself any size can be used: {how} into "
            f"{LISTED}."
        )


class Steps:
    """Tells how far the making of a model is, and ends it where that is no longer wanted.

    Args:
        names: Of the steps, in order.
        progress: Told after each piece of work.
        cancel: Set when it shall end.
    """

    def __init__(
        self, names: Collection[str], progress: ProgressCallback | None, cancel: threading.Event | None
    ) -> None:
        self._names = tuple(names)
        self._progress = progress
        self._cancel = cancel
        self._begin = time.monotonic()

    def at(self, name: str, done: int = 0, total: int | None = None) -> None:
        """Say which step is under way, and how many bytes of it are done.

        Raises:
            Cancelled: If it is no longer wanted.
        """
        if self._cancel is not None and self._cancel.is_set():
            raise Cancelled("Bringing the model was stopped.")
        if self._progress is None:
            return
        share = min(done / total, 1.0) if total else 0.0
        words = f"{name}, {size(done)} of {size(total)}" if total else name
        percent = round(100 * (self._names.index(name) + share))
        self._progress(Progress(percent, 100 * len(self._names), time.monotonic() - self._begin, None, words))


class BroughtModels:
    """One visitor's models in a temporary folder of their own, removed with this object.

    Args:
        limits: Bounds on each of them.
    """

    def __init__(self, limits: ModelLimits | None = None) -> None:
        self.limits = limits or ModelLimits()
        self._folder = Path(tempfile.mkdtemp(prefix="tokenlearner-models-"))
        weakref.finalize(self, shutil.rmtree, self._folder, True)
        self._kept: list[ModelChoice] = []

    @property
    def kept(self) -> tuple[ModelChoice, ...]:
        """The models, the newest last."""
        return tuple(self._kept)

    def add_file(
        self,
        file: BinaryIO,
        name: str,
        scenic: ScenicOptions | None = None,
        *,
        taken: Collection[str] = (),
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> ModelChoice:
        """Take a checkpoint of this project (safetensors) or of Scenic (Flax msgpack).

        Args:
            file: Read once, in pieces, from its beginning.
            name: As its owner calls it.
            scenic: What the parameters of a Scenic checkpoint do not tell.
            taken: Names that other models have.
            progress: Told how far it is.
            cancel: Set when it shall end.

        Raises:
            CheckpointError: If it is neither, too large, damaged, or does not fit; nothing is kept.
            OptionError: If Scenic's parameters do not tell something that `scenic` must say; nothing is kept.
            ConfigError: If what it describes cannot be built; nothing is kept.
            Cancelled: If it was stopped; nothing is kept.
        """
        name = display_name(name)
        steps = Steps(_FROM_FILE, progress, cancel)
        with self._arriving(file, name, steps, "taking the file") as (source, start):
            for magic, kind in _REFUSED:
                if start.startswith(magic):
                    raise CheckpointError(
                        f"{name} is {kind}. Reading such files can run code in them, or is not supported: save the "
                        "weights as a safetensors checkpoint of this project, or give Scenic's Flax msgpack."
                    )
            steps.at("reading it")
            if start[8:9] == b"{":
                return self._keep_checkpoint(source, name, taken, steps)
            options = scenic or ScenicOptions()
            imported = read_scenic(source, options)
            self.limits.require(imported.config)
            steps.at("checking the weights")
            return self._keep(from_scenic(imported, options, source, source_name=name), name, taken, steps, half=False)

    def add_timm(
        self,
        network: TimmNetwork,
        *,
        pretrained: bool = True,
        weights: BinaryIO | None = None,
        weights_name: str = "",
        seed: int = 0,
        taken: Collection[str] = (),
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
    ) -> ModelChoice:
        """Build a network of timm with untrained modules.

        Args:
            network: What to build.
            pretrained: Whether with pretrained weights; else with random ones.
            weights: A safetensors file of timm's weights; None to have timm fetch them.
            weights_name: As its owner calls that file.
            seed: The same seed gives the same random weights.
            taken: Names that other models have.
            progress: Told how far it is.
            cancel: Set when it shall end.

        Raises:
            CheckpointError: If the pretrained weights cannot be had, or do not fit.
            ConfigError: If the network is too large for this page, or cannot be built.
            Cancelled: If it was stopped; nothing is kept.
        """
        self.limits.require(network.config)
        steps = Steps(_AROUND, progress, cancel)
        steps.at("taking the weights" if pretrained else "building the network")
        if weights is None:
            loaded = around_timm(
                network,
                pretrained=pretrained,
                seed=seed,
                progress=lambda done, total: steps.at("taking the weights", done, total),
            )
        else:
            with self._arriving(weights, display_name(weights_name), steps, "taking the weights") as (source, _):
                steps.at("building the network")
                loaded = around_timm(network, weights=source, seed=seed)
        return self._keep(loaded, loaded.card.name, taken, steps)

    def drop(self, choice: ModelChoice) -> None:
        """Forget a model and remove its file."""
        if choice in self._kept:
            self._kept.remove(choice)
            _remove(choice.path)

    def _keep_checkpoint(self, source: Path, name: str, taken: Collection[str], steps: Steps) -> ModelChoice:
        config = read_card(source).config
        self.limits.require(config)
        if config.backbone is not None:
            check_backbone(config)
        steps.at("checking the weights")
        load_checkpoint(source)  # sees that the weights fit and are finite
        path = self._free_path(name, taken)
        steps.at("writing the checkpoint")
        source.replace(path)
        return self._list(path)

    def _keep(
        self, loaded: LoadedModel, name: str, taken: Collection[str], steps: Steps, *, half: bool = True
    ) -> ModelChoice:
        path = self._free_path(name, taken)
        steps.at("writing the checkpoint")
        try:
            save_checkpoint(path, loaded.model, loaded.card, half=half)
            steps.at("writing the checkpoint")
        except BaseException:
            _remove(path)
            raise
        return self._list(path)

    def _list(self, path: Path) -> ModelChoice:
        card = read_card(path)
        if not card.sha256:
            card = dataclasses.replace(card, sha256=file_sha256(path))
        choice = ModelChoice(card, path, path.stat().st_size)
        self._kept.append(choice)
        while len(self._kept) > MAX_KEPT:
            self.drop(self._kept[0])
        return choice

    def _free_path(self, name: str, taken: Collection[str]) -> Path:
        """A file whose name is also what the model is called; never two models of one name."""
        stem = re.sub(r"[^\w-]+", "-", name.rsplit(".", maxsplit=1)[0]).strip("-.") or "model"
        used = {*taken, *(one.card.name for one in self._kept)}
        numbered = (f"{stem}-{number}" for number in range(2, 1000))
        free = stem if stem not in used else next(one for one in numbered if one not in used)
        return self._folder / f"{free}{_SUFFIX}"

    @contextmanager
    def _arriving(self, file: BinaryIO, name: str, steps: Steps, step: str) -> Iterator[tuple[Path, bytes]]:
        """A file on disk under its owner's name, and its first bytes; gone afterwards unless it was moved away."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            path = folder / (name.strip(". ") or "model")
            yield path, self._store(file, path, steps, step)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _store(self, file: BinaryIO, path: Path, steps: Steps, step: str) -> bytes:
        written, start = 0, b""
        whole = file.seek(0, os.SEEK_END)
        file.seek(0)
        if whole > self.limits.max_bytes:
            raise CheckpointError(
                f"{path.name} is larger than {size(self.limits.max_bytes)}, the limit of an upload here. On the server "
                f"itself any size can be used, from {LISTED}."
            )
        with path.open("wb") as target:
            while chunk := file.read(_CHUNK):
                start = start or chunk[:16]
                target.write(chunk)
                written += len(chunk)
                steps.at(step, written, whole)
        if not written:
            raise CheckpointError(f"{path.name} is empty.")
        return start


def _remove(path: Path) -> None:
    for suffix in (_SUFFIX, ".json", ".md"):
        path.with_suffix(suffix).unlink(missing_ok=True)
