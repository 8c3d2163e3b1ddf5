"""A training recipe: everything that decides the weights, read from a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from tokenlearner.config import ModelConfig
from tokenlearner.errors import ConfigError

RECIPES_DIR: Final = Path(__file__).parent / "recipes"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A part of the training at one input size.

    Attributes:
        img_size: Side of the square canvas in pixels; two thirds of the steps use it, the others
            landscape and portrait canvases of about the same area.
        epochs: Passes over the training part.
    """

    img_size: int
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
    """

    label_smoothing: float = 0.1
    distill: float = 0.5
    rebuild: float = 0.5
    overlap: float = 0.2


@dataclass(frozen=True, kw_only=True)
class AugmentSettings:
    """What is done to a photograph before the network sees it.

    Attributes:
        min_scale: Smallest share of a photograph's area that a random crop keeps.
        grey: Probability of losing the colour.
        jitter: Largest relative change of brightness, contrast and saturation.
        collage_share: Share of each batch that shows cut-out objects on clutter instead of a photograph.
    """

    min_scale: float = 0.3
    grey: float = 0.1
    jitter: float = 0.3
    collage_share: float = 0.3


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One training run.

    Attributes:
        name: File name of the checkpoint.
        title: What a person reads.
        seed: Of the split, the weights and every random draw.
        val_fraction: Part of each class that training never sees.
        store_side: Side in pixels at which photographs are kept in memory.
        model: The network; the number and names of its classes come from the data.
        stages: Parts of the training, in order.
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
        return ModelConfig.from_dict({**self.model, "num_classes": len(class_names), "class_names": class_names})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready dictionary, as model cards keep it."""
        return dataclasses.asdict(self)


def list_recipes() -> tuple[str, ...]:
    """Names of the recipes that come with the package."""
    return tuple(sorted(path.stem for path in RECIPES_DIR.glob("*.toml")))


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Read a recipe by the name of a bundled one, or from a TOML file.

    Raises:
        ConfigError: If there is no such recipe, it is not TOML, or a setting is unknown or impossible.
    """
    path = Path(name_or_path)
    if not path.is_file():
        bundled = RECIPES_DIR / f"{name_or_path}.toml"
        if not bundled.is_file():
            known = ", ".join(list_recipes())
            raise ConfigError(f"There is no recipe {name_or_path}. Name a TOML file, or one of: {known}.")
        path = bundled
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name} is not a TOML file: {error}.") from error
    stages = data.pop("stages", [])
    if not stages:
        raise ConfigError(f"{path.name} has no [[stages]]: say at least once img_size and epochs.")
    sections: dict[str, Any] = {
        "optimizer": _build(OptimizerSettings, data.pop("optimizer", {}), path),
        "loss": _build(LossSettings, data.pop("loss", {}), path),
        "augment": _build(AugmentSettings, data.pop("augment", {}), path),
        "data": tuple(data.pop("data", ())),
        "notes": tuple(data.pop("notes", ())),
        "stages": tuple(_build(Stage, stage, path) for stage in stages),
    }
    return _build(Recipe, {**data, **sections}, path)


_T = TypeVar("_T")


def _build(cls: type[_T], values: dict[str, Any], path: Path) -> _T:
    try:
        return cls(**values)
    except TypeError as error:
        raise ConfigError(f"{path.name}: {str(error).split('()')[-1].strip()} in {cls.__name__}.") from error
