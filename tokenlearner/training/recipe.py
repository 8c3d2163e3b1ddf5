"""A training recipe: everything that decides the weights, read from a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from tokenlearner.config import ModelConfig
from tokenlearner.data.moving import MOTIONS, ClipSettings
from tokenlearner.errors import ConfigError

RECIPES_DIR: Final = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the training at one input size.

    Attributes:
        img_sizes: Sides of the square canvas in pixels, one drawn for each step; half of the steps use it,
            the others landscape and portrait canvases of about the same area. The run is measured at the first.
        epochs: Passes over the training part.
    """

    img_sizes: tuple[int, ...]
    epochs: int


@dataclass(frozen=True, kw_only=True)
class OptimizerSettings:
    """Muon and AdamW with warm-up, a flat learning rate and a linear decay at the end.

    Muon moves the blocks' matrices, AdamW everything else. In 200 steps on Caltech-101 at 48 px that brought the
    loss of the plain network to 3.29, AdamW alone to 3.43 at its better rate.

    Attributes:
        muon_lr: Peak learning rate of the blocks' matrices, on AdamW's scale.
        lr: Peak learning rate of everything else.
        weight_decay: Decoupled decay of matrices; vectors and position embeddings are left alone.
        warmup_steps: Steps of linear warm-up.
        decay_share: Last part of all steps over which the rate falls to zero.
        batch_size: Pictures a step.
        clip_norm: Largest gradient norm.
        ema_decay: Decay of the weight average that is kept and shipped.
        drop_path: Largest stochastic-depth rate.
        map_init_std: Standard deviation of the map branch's last layer at the start.
    """

    muon_lr: float = 2e-3
    lr: float = 7e-4
    weight_decay: float = 0.05
    warmup_steps: int = 300
    decay_share: float = 0.35
    batch_size: int = 64
    clip_norm: float = 1.0
    ema_decay: float = 0.998
    drop_path: float = 0.05
    map_init_std: float = 0.5


@dataclass(frozen=True, kw_only=True)
class LossSettings:
    """Weights of the parts of the loss; see `tokenlearner.training.losses`.

    Attributes:
        label_smoothing: Of the classification target.
        distill: Share of each tail's target that comes from the plain network's own prediction.
        rebuild: Weight of rebuilding the feature map from the tokens.
        overlap: Weight of the mean cosine between the tokens' maps.
        tails: Locations that learn in each step, drawn anew; 0 for all.
    """

    label_smoothing: float = 0.1
    distill: float = 0.5
    rebuild: float = 0.5
    overlap: float = 0.2
    tails: int = 0


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """What is done to a photograph before the network sees it.

    Attributes:
        min_scale: Smallest share of a photograph's area that a random crop keeps.
        grey: Probability of losing the colour.
        jitter: Largest relative change of brightness, contrast and saturation.
        collage_share: Share of each batch that shows objects on clutter instead of a photograph.
        patch_share: Part of the collages' objects that are soft-edged middles of any photograph; the others
            were cut out of white ground.
        cutmix_share: Share of each batch in which a rectangle comes from another photograph (arXiv:1905.04899).
    """

    min_scale: float = 0.3
    grey: float = 0.1
    jitter: float = 0.3
    collage_share: float = 0.3
    patch_share: float = 0.0
    cutmix_share: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run.

    Attributes:
        name: File name of the checkpoint.
        title: What a person reads.
        seed: Of the split, the weights and every random draw.
        val_fraction: Part of each class that training never sees.
        store_side: Side in pixels at which photographs are kept in memory.
        model: The network; the number and names of its classes come from the data. "none" stands for no value.
        stages: Parts of the training, in order.
        elastic: Train the plain network and every location together; False trains the default location with
            all its tokens alone.
        measure_every: Epochs between two measurements; the last epoch is always measured.
        start_from: A bundled image model's name, or a checkpoint, whose weights a video model starts with.
        clips: How a video model's clips are made; None for an image model.
        optimizer: How weights move.
        loss: What is minimised.
        augment: What the network sees.
        summary: One or two sentences for the card.
        data: Credits of the data sets: name, licence, attribution, url.
        notes: Limits that the card states.
    """

    name: str
    title: str
    model: dict[str, Any]
    stages: tuple[Stage, ...]
    elastic: bool = True
    measure_every: int = 1
    start_from: str = ""
    clips: ClipSettings | None = None
    seed: int = 0
    val_fraction: float = 0.15
    store_side: int = 128
    optimizer: OptimizerSettings = OptimizerSettings()
    loss: LossSettings = LossSettings()
    augment: AugmentSettings = AugmentSettings()
    summary: str = ""
    data: tuple[dict[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def epochs(self) -> int:
        """Passes over the training part in all stages."""
        return sum(stage.epochs for stage in self.stages)

    def stage_at(self, epoch: int) -> Stage:
        """The stage to which the epoch (from 0) belongs."""
        for stage in self.stages:
            if epoch < stage.epochs:
                return stage
            epoch -= stage.epochs
        return self.stages[-1]

    def model_config(self, class_names: tuple[str, ...]) -> ModelConfig:
        """The network for a data set with these classes.

        Raises:
            ConfigError: If the recipe's model cannot exist.
        """
        groups: dict[str, Any] = {}
        if self.clips is not None:
            groups["label_groups"] = [
                {"name": "object", "num_classes": len(class_names)},
                {"name": "motion", "num_classes": len(MOTIONS)},
            ]
            class_names = (*class_names, *MOTIONS)
        model = {name: None if value == "none" else value for name, value in self.model.items()}  # TOML has no null
        return ModelConfig.from_dict({**model, "num_classes": len(class_names), "class_names": class_names, **groups})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready dictionary, as model cards keep it."""
        return dataclasses.asdict(self)


def list_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package; of a family of variants "<name>:<variant>" each."""
    names: list[str] = []
    for path in sorted(RECIPES_DIR.glob("*.toml")):
        variants = _read_toml(path).get("variants", {})
        names.extend([f"{path.stem}:{variant}" for variant in sorted(variants)] or [path.stem])
    return tuple(names)


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe by the name of a bundled one, or from a TOML file.

    A file with `[variants.<name>]` tables holds one recipe for each of them: the file's settings, changed by the
    table's. It is asked for as "<file>:<name>", and called "<the recipe's name>-<name>".

    Raises:
        ConfigError: If there is no such recipe or variant, it is not TOML, or a setting is unknown or impossible.
    """
    text = str(name_or_path)
    variant = ""
    if not Path(text).is_file() and ":" in text:
        text, _, variant = text.rpartition(":")
    path = Path(text)
    if not path.is_file():
        bundled = RECIPES_DIR / f"{text}.toml"
        if not bundled.is_file():
            known = ", ".join(list_recipes())
            raise ConfigError(f"There is no recipe {text}. Name a TOML file, or one of: {known}.")
        path = bundled
    data = _read_toml(path)
    variants = data.pop("variants", {})
    if variants and variant not in variants:
        known = ", ".join(f"{text}:{one}" for one in sorted(variants))
        raise ConfigError(f"{path.name} holds several recipes. Name one of its variants: {known}.")
    if variant and not variants:
        raise ConfigError(f"{path.name} has no variants.")
    if variants:
        data = _merged(data, variants[variant])
        data["name"] = f"{data['name']}-{variant}"
    stages = data.pop("stages", [])
    if not stages:
        raise ConfigError(f"{path.name} has no [[stages]]: say at least once img_sizes and epochs.")
    for stage in stages:
        if isinstance(stage.get("img_sizes"), list):
            stage["img_sizes"] = tuple(stage["img_sizes"])
        if not stage.get("img_sizes", True):
            raise ConfigError(f"{path.name} has a stage without any img_sizes.")
    if "clips" in data:
        data["clips"] = _build(ClipSettings, _tuples(data["clips"]), path)
    sections: dict[str, Any] = {
        "optimizer": _build(OptimizerSettings, data.pop("optimizer", {}), path),
        "loss": _build(LossSettings, data.pop("loss", {}), path),
        "augment": _build(AugmentSettings, data.pop("augment", {}), path),
        "data": tuple(data.pop("data", ())),
        "notes": tuple(data.pop("notes", ())),
        "stages": tuple(_build(Stage, stage, path) for stage in stages),
    }
    return _build(Recipe, {**data, **sections}, path)


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not a TOML file: {error}.") from error


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with `changes`; tables are merged, everything else is replaced."""
    merged = dict(base)
    for name, value in changes.items():
        own = merged.get(name)
        merged[name] = _merged(own, value) if isinstance(own, dict) and isinstance(value, dict) else value
    return merged


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """TOML knows arrays only; settings keep ranges as tuples."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


_T = TypeVar("_T")


def _build(cls: type[_T], values: dict[str, Any], path: Path) -> _T:
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{path.name}: {str(error).split('()')[-1].strip()} in {cls.__name__}.") from error
