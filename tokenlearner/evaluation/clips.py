"""Measure a video model on clips made of photographs that it was not trained on, and on real sequences.

The clips are those of training (`data.moving`, with the settings of the model's own recipe), always made on the CPU,
so that one seed gives the same clips everywhere.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Bool, Int64, UInt8
from torch import Tensor

from tokenlearner import flops
from tokenlearner.analysis.maps import as_shares, quality, regrid_mean
from tokenlearner.config import ModelConfig
from tokenlearner.data.dataset import ImageSet
from tokenlearner.data.moving import MOTIONS, Clips, ClipSettings, freeze, make_clips
from tokenlearner.data.photos import Cutouts, Photos, cut_out
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.engine.geometry import Resize
from tokenlearner.errors import ConfigError
from tokenlearner.evaluation import davis
from tokenlearner.evaluation.collect import Choice, choices_of, evaluating, run_choices, run_maps
from tokenlearner.evaluation.evaluate import random_rival
from tokenlearner.evaluation.following import frame_difference
from tokenlearner.evaluation.pictures import known_labels
from tokenlearner.evaluation.results import ClipChoiceResult, ClipEvaluation, SequencesResult
from tokenlearner.evaluation.sequences import Runs, follow_sequences
from tokenlearner.weights import LoadedModel

DEFAULT_CLIPS: Final = 384
CLIP_TOKENS: Final = (1, 2, 4, 8)

_BATCH: Final = 16  # a quarter of each batch is drawn with motion blur, as in training
_STORE_SIDE: Final = 144
_MIN_CELLS: Final = 1.0
_QUESTIONS: Final = ("object", "motion")

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class ClipEvaluateSettings:
    """What to measure.

    Attributes:
        clips: Number of clips; multiples of 12 show all motions equally often.
        num_tokens: Numbers of tokens, as far as the model holds them; all it holds are always measured.
        sequences: An archive of video sequences with masks; see `davis`.
        max_frames: Only so many frames from the start of each sequence.
        resize: How frames of sequences become inputs; see `engine.geometry`.
        seed: Of all that is drawn.
    """

    clips: int = DEFAULT_CLIPS
    num_tokens: tuple[int, ...] = CLIP_TOKENS
    sequences: str | None = None
    max_frames: int | None = None
    resize: Resize = "whole"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.clips < 1:
            raise ConfigError(f"A video model is measured on at least one clip, not {self.clips}.")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"A sequence gives at least one frame, not {self.max_frames}.")


@dataclass(frozen=True, eq=False)
class ClipBatch:
    """Clips as a network sees them, and what they show.

    Attributes:
        rgb: RGB, 0..255, at the standard input size.
        frozen: The same with the middle frame throughout.
        label: Class of the moving object.
        motion: Index into `MOTIONS`.
        fractions: Fraction of each cell that the object covers, mean over the frames of a tubelet.
    """

    rgb: UInt8[Tensor, "batch frames height width 3"]
    frozen: UInt8[Tensor, "batch frames height width 3"]
    label: Int64[np.ndarray, " batch"]
    motion: Int64[np.ndarray, " batch"]
    fractions: np.ndarray

    @property
    def seen(self) -> Bool[np.ndarray, "batch time"]:
        """Moments at which the object covers more than one cell, all its parts added."""
        return np.asarray(self.fractions.sum(axis=(-2, -1)) > _MIN_CELLS)


@dataclass(frozen=True, eq=False)
class ClipSource:
    """Photographs on the CPU from which clips are made.

    Attributes:
        photos: Grounds and patches, labelled as the model counts its classes.
        cutouts: Objects on white ground among them.
        settings: What clips show.
    """

    photos: Photos
    cutouts: Cutouts
    settings: ClipSettings

    def batches(self, config: ModelConfig, count: int, seed: int) -> Iterator[ClipBatch]:
        """Draw `count` clips in the model's standard size; all motions as often as each other, in random order."""
        assert config.num_frames is not None
        generator = torch.Generator().manual_seed(seed)
        motions = torch.arange(count)[torch.randperm(count, generator=generator)] % len(MOTIONS)
        grounds = torch.randperm(len(self.photos), generator=generator).repeat(-(-count // len(self.photos)))
        for start in range(0, count, _BATCH):
            motion = motions[start : start + _BATCH]
            chosen = grounds[start : start + len(motion)]
            clips = make_clips(
                self.photos,
                chosen,
                self.cutouts,
                config.img_size,
                config.num_frames,
                self.settings,
                generator,
                motion=motion,
            )
            by_step = clips.mask.unflatten(1, (config.num_time_steps, config.tubelet_size)).mean(dim=2).numpy()
            yield ClipBatch(
                _bytes(clips),
                _bytes(freeze(clips, config.num_frames // 2)),
                clips.label.numpy(),
                clips.motion.numpy(),
                regrid_mean(by_step.astype(np.float64), config.grid_hw()),
            )


def clip_source(loaded: LoadedModel, images: ImageSet) -> tuple[ClipSource, tuple[str, ...]]:
    """Decode photographs for a video model's clips, and say what was left out.

    Clips are made as the model's recipe says, and with the usual settings where the card holds no recipe.

    Raises:
        ConfigError: If the model does not answer what moves and how.
        DataError: If it knows none of the classes, or a file cannot be read.
    """
    config = loaded.model.config
    if not config.is_video:
        raise ConfigError("This measures video models; an image model takes photographs.")
    groups = config.group_slices()
    if tuple(groups) != _QUESTIONS or config.label_groups[1].num_classes != len(MOTIONS):
        raise ConfigError(
            f"Clips made of photographs ask what moves, and in which of {len(MOTIONS)} ways. This model answers "
            f"something else ({', '.join(groups)}), so it cannot be measured on them."
        )
    held = groups["object"]
    images, labels, notes = known_labels(images, config.class_names[held], held.stop - held.start)
    recipe = loaded.card.recipe
    store = images.load_pixels(int(recipe.get("store_side", _STORE_SIDE)))
    cpu = torch.device("cpu")
    source = ClipSource(
        Photos.from_store(store, labels, cpu), cut_out(store, labels, cpu), _clip_settings(recipe.get("clips"))
    )
    if not len(source.cutouts):
        notes = (*notes, "There are no photographs on white ground among these; all objects are soft-edged patches.")
    return source, notes


def evaluate_clips(
    loaded: LoadedModel,
    images: ImageSet,
    settings: ClipEvaluateSettings | None = None,
    *,
    device: ComputeDevice | None = None,
    image_model: LoadedModel | None = None,
    data: Sequence[str] = (),
    split: str | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> ClipEvaluation:
    """Measure a video model that names the moving object and its motion.

    Args:
        loaded: The model; it is moved to the device.
        images: Photographs in class folders that it was not trained on.
        settings: What to measure.
        device: Where; the CPU by default.
        image_model: Compared with on sequences, frame by frame; moved to the device.
        data: Where the photographs come from, for the record.
        split: The split file, for the record.
        command: What measures the same again, for the record.
        progress: Called with what is being done, how many are done, and of how many (None: unknown).

    Raises:
        ConfigError: If the model does not answer what moves and how, or `image_model` is none or has no module.
        DataError: If the model knows none of the classes, or a file cannot be read.
    """
    started = time.perf_counter()
    settings = settings or ClipEvaluateSettings()
    device = device or ComputeDevice(torch.device("cpu"), label="CPU")
    if image_model is not None and (image_model.model.config.is_video or image_model.model.config.default_loc is None):
        raise ConfigError(f"{image_model.card.name} is no image model with TokenLearner.")
    listed = davis.list_sequences(settings.sequences) if settings.sequences else ()
    source, notes = clip_source(loaded, images)
    model, config = loaded.model.to(device.device), loaded.model.config
    choices = choices_of(config, settings.num_tokens)
    first = next(source.batches(config, min(settings.clips, _BATCH), settings.seed))
    rival = random_rival(loaded, settings.seed, first.rgb.numpy()).to(device.device)
    watched = _Watched(choices, config)
    for batch in source.batches(config, settings.clips, settings.seed):
        with evaluating(model), device.inference():
            logits, maps = run_choices(model, model.normalize(batch.rgb.to(device.device)), choices)
            frozen, _ = run_choices(model, model.normalize(batch.frozen.to(device.device)), choices)
            random = run_maps(rival, rival.normalize(batch.rgb.to(device.device)), choices)
        own = {loc: as_shares(found.float().cpu().numpy()).astype(np.float32) for loc, found in maps.items()}
        watched.add(batch, logits, frozen, own, random)
        if progress is not None:
            progress("clips", len(watched.labels), settings.clips)
    sequences: SequencesResult | None = None
    if listed:
        sequences = follow_sequences(
            model,
            rival,
            listed,
            choices,
            device=device,
            image_model=None if image_model is None else image_model.model.to(device.device),
            image_name="" if image_model is None else f"{image_model.card.name}, frame by frame",
            resize=settings.resize,
            max_frames=settings.max_frames,
            progress=None if progress is None else lambda done, total: progress("sequences", done, total),
        )
    return ClipEvaluation(
        model=loaded.card.name,
        sha256=loaded.sha256,
        trained=loaded.card.trained,
        command=command,
        data=tuple(data),
        split=split,
        photos=len(source.photos),
        cutouts=len(source.cutouts),
        clips=settings.clips,
        moments=sum(map(len, watched.runs.fractions)),
        chance=1 / len(MOTIONS),
        resize=settings.resize,
        seed=settings.seed,
        device=device.label or str(device.device),
        choices=watched.choice_results(),
        by_motion=watched.by_motion(),
        following=tuple(watched.runs.results(choices, config.grid_hw())) if watched.runs.fractions else (),
        sequences=sequences,
        notes=notes,
        seconds=time.perf_counter() - started,
    )


class _Watched:
    """What the models made of the clips, batch by batch."""

    def __init__(self, choices: Sequence[Choice], config: ModelConfig) -> None:
        self.choices = choices
        self.config = config
        self.runs = Runs()
        self.labels: list[int] = []
        self.motions: list[int] = []
        self.answers: dict[tuple[Choice, str, bool], list[int]] = {}
        self.maps: dict[int, list[np.ndarray]] = {}

    def add(
        self,
        batch: ClipBatch,
        logits: dict[Choice, Tensor],
        frozen: dict[Choice, Tensor],
        own: dict[int, np.ndarray],
        random: dict[int, np.ndarray],
    ) -> None:
        """Keep answers of all clips, and maps of the moments that show the object."""
        self.labels += batch.label.tolist()
        self.motions += batch.motion.tolist()
        for is_frozen, found in ((False, logits), (True, frozen)):
            for choice, values in found.items():
                for question, held in self.config.group_slices().items():
                    answers = values[:, held].argmax(dim=1).tolist()
                    self.answers.setdefault((choice, question, is_frozen), []).extend(answers)
        for loc, maps in own.items():
            self.maps.setdefault(loc, []).extend(maps.reshape(-1, *maps.shape[2:]))
        tubelet = self.config.tubelet_size
        for i, seen in enumerate(batch.seen):
            if not seen.any():
                continue
            for kept, found_maps in ((self.runs.own, own), (self.runs.random, random)):
                for loc, maps in found_maps.items():
                    kept.setdefault(loc, []).append(maps[i][seen])
            change = frame_difference(batch.rgb[i].numpy(), self.config.grid_hw())
            by_step = change.reshape(-1, tubelet, *change.shape[1:]).mean(axis=1)
            self.runs.change.append(by_step[seen][:, None].astype(np.float32))
            self.runs.fractions.append(list(batch.fractions[i][seen]))

    def accuracy(self, choice: Choice, question: str, *, frozen: bool = False) -> float:
        """Share of right answers, 0..1."""
        truth = self.labels if question == "object" else self.motions
        return float(np.mean(np.array(self.answers[choice, question, frozen]) == truth))

    def choice_results(self) -> tuple[ClipChoiceResult, ...]:
        grid_hw = self.config.grid_hw()
        return tuple(
            ClipChoiceResult(
                loc=choice.loc,
                num_tokens=choice.num_tokens,
                macs=flops.compute(self.config, loc=choice.loc, num_tokens=choice.num_tokens or None).total_macs,
                object=self.accuracy(choice, "object"),
                motion=self.accuracy(choice, "motion"),
                object_frozen=self.accuracy(choice, "object", frozen=True),
                motion_frozen=self.accuracy(choice, "motion", frozen=True),
                maps=None
                if choice.loc is None
                else quality([one[: choice.num_tokens] for one in self.maps[choice.loc]], grid_hw),
            )
            for choice in self.choices
        )

    def by_motion(self) -> dict[str, float]:
        """Share of clips of each motion that the default module names; motions that none shows are left out."""
        choice = Choice(self.config.default_loc, self.config.num_tokens if self.config.default_loc is not None else 0)
        right = np.array(self.answers[choice, "motion", False]) == self.motions
        motions = np.array(self.motions)
        return {name: float(right[motions == i].mean()) for i, name in enumerate(MOTIONS) if (motions == i).any()}


def _clip_settings(values: dict[str, Any] | None) -> ClipSettings:
    """The settings that a card's recipe holds; JSON has lists where they have tuples."""
    held: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in (values or {}).items()
    }
    try:
        return ClipSettings(**held)
    except TypeError as error:
        raise ConfigError(f"The recipe in the model's card makes clips in an unknown way ({error}).") from error


def _bytes(clips: Clips) -> UInt8[Tensor, "batch frames height width 3"]:
    return (clips.rgb * 255).round().to(torch.uint8).movedim(2, -1).contiguous()
