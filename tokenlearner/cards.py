"""Model cards: what a checkpoint is, where it comes from and what was measured on it. No torch.

A checkpoint is `<name>.safetensors`; beside it lie `<name>.json` (the card, for programs) and `<name>.md`
(the same card, for people). The weights file carries a copy of its card, so that it can travel alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType
from typing import Any, Final, Literal, get_args

from safetensors import SafetensorError, safe_open

from tokenlearner.card_markdown import render_markdown
from tokenlearner.config import ModelConfig
from tokenlearner.errors import CheckpointError, ConfigError

Origin = Literal["trained", "imported", "untrained"]

FORMAT: Final = "tokenlearner"
FORMAT_VERSION: Final = 1
SUFFIX: Final = ".safetensors"
BUNDLED_DIR: Final = Path(__file__).resolve().parents[1] / "assets" / "checkpoints"
MODELS_VARIABLE: Final = "TOKENLEARNER_MODELS"
"""Environment variable with further folders of checkpoints, separated like PATH."""


@dataclass(frozen=True, kw_only=True)
class DataCredit:
    """One data set that a model was trained or measured on.

    Attributes:
        name: Its name.
        licence: Its licence, or "unknown".
        attribution: Whom to credit, as its authors ask.
        split: Which part was used for what, and how it was drawn.
        url: Where it is described.
    """

    name: str
    licence: str
    attribution: str = ""
    split: str = ""
    url: str = ""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What there is to know about a checkpoint.

    Attributes:
        name: File name without suffix; what `load_model` takes.
        title: One line for people.
        config: The network.
        trained: False if the weights are random; whoever shows the model's output must say so.
        origin: "trained" by this project's command, "imported" from elsewhere, or "untrained".
        summary: One or two sentences: what it is for.
        data: What it was trained on.
        recipe: Settings of the training.
        command: The command line that made it.
        hardware: What it ran on.
        seconds: How long it took.
        created: UTC time, ISO 8601.
        metrics: Measured numbers: values, nested mappings, or lists of rows (mappings with the same keys).
        provenance: Further facts about the origin, such as file name and sha256 of an imported file.
        notes: Limits and other remarks, a sentence each.
        sha256: Of the weights file; "" while it is not written yet.
    """

    name: str
    title: str
    config: ModelConfig
    trained: bool
    origin: Origin
    summary: str = ""
    data: tuple[DataCredit, ...] = ()
    recipe: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    hardware: str = ""
    seconds: float | None = None
    created: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready dictionary; `from_dict` is its inverse."""
        return {"card_version": FORMAT_VERSION, **dataclasses.asdict(self)}

    @classmethod
    def from_dict(cls, values: object, source: str = "card") -> ModelCard:
        """Rebuild a card from `to_dict` output.

        Args:
            values: What the JSON held.
            source: What messages call it.

        Raises:
            CheckpointError: If a field is missing, unknown or of the wrong type, or a newer version wrote it.
        """
        if not isinstance(values, Mapping):
            raise CheckpointError(f'"{source}" is not a model card: it holds a {type(values).__name__}, not an object.')
        fields = dict(values)
        version = fields.pop("card_version", None)
        if version != FORMAT_VERSION:
            raise CheckpointError(
                f'"{source}" is a model card of version {version}; this program reads version {FORMAT_VERSION}. '
                "Update the program, or get a card that fits."
            )
        _check_fields(fields, cls, source)
        if fields["origin"] not in get_args(Origin):
            choices = ", ".join(get_args(Origin))
            raise CheckpointError(f'"{source}" has the unknown origin "{fields["origin"]}"; known are {choices}.')
        credits_ = fields.get("data", ())
        for credit in credits_:
            _check_fields(credit, DataCredit, source)
        try:
            fields["config"] = ModelConfig.from_dict(fields["config"])
        except ConfigError as error:
            raise CheckpointError(f'"{source}" describes a model that cannot be built: {error}') from error
        fields["data"] = tuple(DataCredit(**credit) for credit in credits_)
        fields["notes"] = tuple(fields.get("notes", ()))
        return cls(**fields)

    def to_json(self) -> str:
        """The card as indented JSON."""
        return json.dumps(self.to_dict(), indent=1, ensure_ascii=False) + "\n"

    def to_markdown(self, picture: str | None = None) -> str:
        """The card as a Markdown page.

        Args:
            picture: File name of a picture of the model's maps, which the page shows.
        """
        return render_markdown(self.to_dict(), picture)


@dataclass(frozen=True)
class ListedModel:
    """A checkpoint on disk, found by its card; its weights were not read.

    Attributes:
        card: Its card.
        path: The weights file.
        size_bytes: Its size.
        bundled: Whether it came with the program.
    """

    card: ModelCard
    path: Path
    size_bytes: int
    bundled: bool


_JSON_KINDS: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "str": ((str,), "a text"),
    "Origin": ((str,), "a text"),
    "bool": ((bool,), "true or false"),
    "float | None": ((int, float, NoneType), "a number"),
    "ModelConfig": ((dict,), "an object"),
    "Mapping[str, Any]": ((dict,), "an object"),
    "Mapping[str, str]": ((dict,), "an object"),
    "tuple[DataCredit, ...]": ((list,), "a list"),
    "tuple[str, ...]": ((list,), "a list"),
}
"""What JSON holds for the annotations of a card's fields, and how a message calls it."""


def _check_fields(values: object, cls: type[ModelCard] | type[DataCredit], source: str) -> None:
    """Compare a JSON object with the fields of a dataclass, so that a wrong card gives a sentence."""
    own = {field.name: field for field in dataclasses.fields(cls)}
    if not isinstance(values, Mapping):
        raise CheckpointError(f'"{source}" is not a complete model card: an entry of its data is no object.')
    for name in values:
        if name not in own:
            raise CheckpointError(f'"{source}" holds the unknown field "{name}". A newer version may have written it.')
    for name, field_ in own.items():
        required = field_.default is dataclasses.MISSING and field_.default_factory is dataclasses.MISSING
        if name not in values:
            if required:
                raise CheckpointError(f'"{source}" is not a complete model card: it lacks the field "{name}".')
            continue
        kinds, words = _JSON_KINDS[str(field_.type)]
        if not isinstance(values[name], kinds):
            raise CheckpointError(f'"{source}" is not a complete model card: its field "{name}" is not {words}.')


def card_paths(weights: Path) -> tuple[Path, Path]:
    """Where the JSON and the Markdown card of a weights file lie."""
    return weights.with_suffix(".json"), weights.with_suffix(".md")


def maps_picture(weights: Path) -> Path:
    """Where the picture of a model's maps lies that its Markdown card shows, if there is one."""
    return weights.with_suffix(".maps.jpg")


def save_card(weights: Path, card: ModelCard) -> None:
    """Write both forms of a card beside its weights file, each in one step.

    The Markdown shows the picture of the maps that lies there; see `maps_picture`.

    Raises:
        CheckpointError: If they cannot be written.
    """
    json_path, markdown_path = card_paths(weights)
    write_file(json_path, card.to_json().encode())
    picture = maps_picture(weights)
    write_file(markdown_path, card.to_markdown(picture.name if picture.is_file() else None).encode())


def read_card(weights: Path) -> ModelCard:
    """Read a checkpoint's card: the JSON beside it or, without one, the copy inside the weights file.

    The card's name is the file's, so that a renamed checkpoint is found under its new name. A card from inside
    has an empty `sha256`.

    Raises:
        CheckpointError: If there is no readable card, or the file is not a checkpoint of this project.
    """
    json_path, _ = card_paths(weights)
    if json_path.exists():
        try:
            values = json.loads(json_path.read_bytes())
        except (OSError, ValueError) as error:
            raise CheckpointError(f'The model card "{json_path.name}" cannot be read: it is damaged.') from error
        card = ModelCard.from_dict(values, json_path.name)
    else:
        metadata = read_metadata(weights)
        try:
            values = json.loads(metadata["card"]) | {"config": json.loads(metadata["config"])}
        except (KeyError, ValueError, TypeError) as error:
            raise CheckpointError(f'"{weights.name}" came without a model card, and holds none inside.') from error
        card = ModelCard.from_dict(values, weights.name)
    return dataclasses.replace(card, name=weights.stem)


def read_metadata(weights: Path) -> dict[str, str]:
    """Read the header of a checkpoint: format, version, configuration and card, as texts.

    Raises:
        CheckpointError: If the file is missing, damaged, of another program, or of a newer format.
    """
    if not weights.is_file():
        raise CheckpointError(f'There is no checkpoint at "{weights}".')
    try:
        with safe_open(weights, framework="numpy") as file:
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f'"{weights.name}" is not a safetensors file, or is cut short. Copy or export it again.'
        ) from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f'"{weights.name}" holds the weights of another program: it carries no TokenLearner configuration. Weights '
            "of timm are given together with the network's name."
        )
    version = metadata.get("format_version", "")
    if version != str(FORMAT_VERSION):
        raise CheckpointError(
            f'"{weights.name}" is a checkpoint of format {version or "unknown"}; this program reads format '
            f"{FORMAT_VERSION}. Update the program, or export the checkpoint again."
        )
    return metadata


def model_dirs() -> tuple[Path, ...]:
    """Folders searched for checkpoints: the bundled one, then those of TOKENLEARNER_MODELS."""
    extra = os.environ.get(MODELS_VARIABLE, "")
    return (BUNDLED_DIR, *(Path(folder).expanduser() for folder in extra.split(os.pathsep) if folder))


def scan_models() -> tuple[tuple[ListedModel, ...], tuple[str, ...]]:
    """Find the checkpoints in all model folders, without reading their weights.

    Returns:
        The models, one per name (the first folder wins), and a sentence for each file that cannot be used.
    """
    found: dict[str, ListedModel] = {}
    problems: list[str] = []
    for folder in model_dirs():
        if folder != BUNDLED_DIR and not folder.is_dir():
            problems.append(f'The folder "{folder}" of {MODELS_VARIABLE} does not exist.')
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            try:
                listed = ListedModel(read_card(path), path, path.stat().st_size, folder == BUNDLED_DIR)
            except CheckpointError as error:
                problems.append(str(error))
                continue
            if path.stem in found:
                problems.append(f'"{path}" is hidden by another model of the same name, "{found[path.stem].path}".')
            else:
                found[path.stem] = listed
    return tuple(found.values()), tuple(problems)


def list_models() -> tuple[ListedModel, ...]:
    """The usable checkpoints of all model folders, bundled ones first; see `scan_models`."""
    return scan_models()[0]


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_file(path: Path, content: bytes) -> None:
    """Write a file in one step: under a temporary name, then renamed.

    Raises:
        CheckpointError: If it cannot be written.
    """
    temporary = temporary_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        temporary.replace(path)
    except OSError as error:
        discard(temporary)
        raise CheckpointError(f'"{path}" cannot be written: {error.strerror or error}.') from error


def discard(path: Path) -> None:
    """Remove a file that was not completed, if it is there."""
    with contextlib.suppress(OSError):
        path.unlink()


def temporary_path(path: Path) -> Path:
    """The name under which `path` is written before it is complete; in the same folder, hidden."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")
