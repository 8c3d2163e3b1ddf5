"""Measure a checkpoint: accuracy and meaning of its maps at every place and number of tokens.

Every number of meaning stands beside naive rivals: the uniform map, the centre prior, the same
network before training, and the model's own mean maps, which are the same for each picture.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Int64, UInt8

from tokenlearner import flops
from tokenlearner.analysis.maps import Shares, quality
from tokenlearner.analysis.objects import Fractions, ObjectMass, mass, matched_share, mean_maps, object_mass
from tokenlearner.config import ModelConfig
from tokenlearner.data.dataset import ImageSet
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.engine.geometry import Resize, plan_geometry
from tokenlearner.errors import ConfigError
from tokenlearner.evaluation import cause, davis
from tokenlearner.evaluation.collect import DEFAULT_TOKENS, Choice, Collected, Picture, choices_of, collect
from tokenlearner.evaluation.pictures import Photographs, known_labels, scene_fractions
from tokenlearner.evaluation.results import ChoiceResult, CollageResult, Evaluation, MeaningResult, VideoMass
from tokenlearner.evaluation.scenes import Scene
from tokenlearner.evaluation.stability import FIRST_VIEW, shifted_view, stability, view, zoomed_view
from tokenlearner.layers import TokenLearnerV11, init_map_logits_
from tokenlearner.model import TokenLearnerViT
from tokenlearner.weights import LoadedModel, random_twin

MEANING_TOKENS: Final = 8
RANDOM_MAP_STD: Final = 0.5
SQUARES: Final = 64

Progress = Callable[[str, int, int | None], None]


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings:
    """What to measure.

    Attributes:
        num_tokens: Numbers of tokens, as far as the model holds them; all it holds are always measured.
        resize: "whole" keeps the shape of photographs as the app does; "crop" takes their middle square.
        meaning: Whether to run the tests of meaning (collages, deletion, stability) too.
        meaning_pictures: Photographs and collages for each of them.
        sequences: An archive of video sequences with masks; see `davis`.
        max_frames: At most so many frames of each sequence.
        seed: Of all that is drawn.
    """

    num_tokens: tuple[int, ...] = DEFAULT_TOKENS
    resize: Resize = "whole"
    meaning: bool = True
    meaning_pictures: int = 100
    sequences: str | None = None
    max_frames: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.meaning_pictures < 1:
            raise ConfigError(f"The tests of meaning need at least one picture, not {self.meaning_pictures}.")
        if self.max_frames is not None and self.max_frames < 1:
            raise ConfigError(f"A sequence gives at least one frame, not {self.max_frames}.")


def evaluate(
    loaded: LoadedModel,
    images: ImageSet,
    settings: EvaluateSettings | None = None,
    *,
    device: ComputeDevice | None = None,
    data: Sequence[str] = (),
    split: str | None = None,
    command: str = "",
    progress: Progress | None = None,
) -> Evaluation:
    """Measure a model on labelled photographs that it was not trained on.

    One pass through the blocks serves all places and numbers of tokens.

    Args:
        loaded: The model; it is moved to the device.
        images: Photographs in class folders.
        settings: What to measure.
        device: Where; the CPU by default.
        data: Where the photographs come from, for the record.
        split: The split file, for the record.
        command: What measures the same again, for the record.
        progress: Called with what is being done, how many are done, and of how many (None: unknown).

    Raises:
        ConfigError: If the model is a video model.
        DataError: If the model knows none of the classes, or a file cannot be read.
    """
    started = time.perf_counter()
    settings = settings or EvaluateSettings()
    device = device or ComputeDevice(torch.device("cpu"), label="CPU")
    config = loaded.model.config
    if config.is_video:
        raise ConfigError("This measures image models; `clips.evaluate_clips` measures video models.")
    images, labels, notes = known_labels(images, config.class_names, config.num_classes)
    photographs = Photographs(images, config, settings.resize)
    run = _Run(loaded, settings, device, progress, photographs.squares(SQUARES, settings.seed))
    plain = run.collect(photographs.inputs(), run.choices, "photographs", len(images))
    if not photographs.white:
        notes = (*notes, "There are no photographs on white ground among these; objects were not measured.")
    results = run.measure_choices(photographs, plain, labels)
    return Evaluation(
        model=loaded.card.name,
        sha256=loaded.sha256,
        trained=loaded.card.trained,
        command=command,
        data=tuple(data),
        split=split,
        photos=len(images),
        classes=len(np.unique(labels)),
        white_ground=len(photographs.white),
        resize=settings.resize,
        seed=settings.seed,
        device=device.label or str(device.device),
        choices=results,
        meaning=run.measure_meaning(photographs, plain) if settings.meaning else (),
        video=run.measure_video(settings.sequences) if settings.sequences else (),
        notes=notes,
        seconds=time.perf_counter() - started,
    )


def random_rival(
    loaded: LoadedModel, seed: int, pixels: UInt8[np.ndarray, "inputs *frames height width 3"]
) -> TokenLearnerViT:
    """The same network before training, as strong as it gets without learning.

    For v1.1 the last layer of the map branch is drawn with standard deviation 0.5, as for training:
    with the usual initialisation the maps would be nearly uniform. Batch norms take their
    statistics from `pixels`: with those of a fresh module the signal would fade in a
    convolutional stem, and the maps would be uniform again.

    Args:
        loaded: The model whose twin is made.
        seed: Of the weights.
        pixels: A few network inputs; for a video model clips.
    """
    model = random_twin(loaded, seed).model
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in model.token_learners.values():
            if isinstance(module, TokenLearnerV11):
                init_map_logits_(module, RANDOM_MAP_STD)
    norms = [module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # average over all that is seen
        norm.train()
    if norms:
        with torch.inference_mode():
            model.prefix(model.normalize(torch.from_numpy(pixels)), 0)
    return model.eval()


class _Run:
    """One evaluation: the models, what is run, and how its progress is told."""

    def __init__(
        self,
        loaded: LoadedModel,
        settings: EvaluateSettings,
        device: ComputeDevice,
        progress: Progress | None,
        some_pixels: UInt8[np.ndarray, "pictures height width 3"],
    ) -> None:
        self.model = loaded.model.to(device.device)
        self.config: ModelConfig = loaded.model.config
        self.settings = settings
        self.device = device
        self.progress = progress
        self.choices = choices_of(self.config, settings.num_tokens)
        self.with_module = tuple(choice for choice in self.choices if choice.loc is not None)
        self.rival = random_rival(loaded, settings.seed, some_pixels).to(device.device)

    def collect(
        self,
        pictures: Iterable[Picture],
        choices: Sequence[Choice],
        stage: str,
        total: int,
        *,
        rival: bool = False,
    ) -> Collected:
        tell = self.progress
        return collect(
            self.rival if rival else self.model,
            pictures,
            choices,
            device=self.device,
            progress=None if tell is None else lambda done: tell(stage, done, total),
        )

    def both(self, pictures: Sequence[Picture], stage: str) -> tuple[Collected, Collected]:
        """Run the model and its random rival, where there is a module."""
        own = self.collect(pictures, self.with_module, stage, len(pictures))
        return own, self.collect(pictures, self.with_module, f"{stage}, untrained", len(pictures), rival=True)

    def measure_choices(
        self, photographs: Photographs, plain: Collected, labels: Int64[np.ndarray, " photos"]
    ) -> tuple[ChoiceResult, ...]:
        whole: dict[Choice, ObjectMass] = {}
        if photographs.white and self.with_module:
            untrained = self.collect(
                photographs.white_inputs, self.with_module, "untrained", len(photographs.white), rival=True
            )
            for choice in self.with_module:
                shares = [plain.first_tokens(choice)[i] for i in photographs.white]
                whole[choice] = self.object_mass(shares, photographs.fractions, untrained.first_tokens(choice))
        placed = self.measure_placed(photographs.placed(self.settings.seed), "placed objects")
        cluttered = self.measure_placed(photographs.placed(self.settings.seed, clutter=True), "cluttered objects")
        results = []
        for choice in self.choices:
            top1, mean_class = accuracy(plain.predictions(choice), labels)
            results.append(
                ChoiceResult(
                    loc=choice.loc,
                    num_tokens=choice.num_tokens,
                    macs=flops.compute(self.config, loc=choice.loc, num_tokens=choice.num_tokens or None).total_macs,
                    top1=top1,
                    mean_class=mean_class,
                    maps=None if choice.loc is None else quality(plain.first_tokens(choice), self.config.grid_hw()),
                    whole=whole.get(choice),
                    placed=placed.get(choice),
                    cluttered=cluttered.get(choice),
                )
            )
        return tuple(results)

    def measure_placed(self, scenes: Sequence[Scene], stage: str) -> dict[Choice, ObjectMass]:
        if not scenes or not self.with_module:
            return {}
        fractions = [scene_fractions(scene, self.config)[0] for scene in scenes]
        own, rival = self.both([scene.rgb for scene in scenes], stage)
        return {
            choice: self.object_mass(own.first_tokens(choice), fractions, rival.first_tokens(choice))
            for choice in self.with_module
        }

    def object_mass(
        self, shares: Sequence[Shares], fractions: Sequence[Fractions], rival: Sequence[Shares]
    ) -> ObjectMass:
        return object_mass(shares, fractions, self.config.grid_hw(), rival)

    def measure_meaning(self, photographs: Photographs, plain: Collected) -> tuple[MeaningResult, ...]:
        k = min(MEANING_TOKENS, self.config.num_tokens)
        choices = [Choice(loc, k) for loc in self.config.tokenlearner_locs]
        if not choices:
            return ()
        count, seed = self.settings.meaning_pictures, self.settings.seed
        frames = [photographs.images.read(i) for i in photographs.sample(count, seed)]
        inputs: list[Picture] = []
        views: dict[str, list[Picture]] = {"first": [], "shifted": [], "zoomed": []}
        rng = np.random.default_rng([seed, 4])
        shifts = [shifted_view(rng) for _ in frames]
        for rgb, shift in zip(frames, shifts, strict=True):
            geometry = plan_geometry(self.config, (rgb.shape[0], rgb.shape[1]), resize=self.settings.resize)
            inputs.append(geometry.to_input(rgb))
            for name, box in (("first", FIRST_VIEW), ("shifted", shift), ("zoomed", zoomed_view())):
                views[name].append(view(rgb, box, geometry.input_hw))

        def run(pictures: Sequence[Picture], chosen: Sequence[Choice]) -> Collected:
            return self.collect(pictures, chosen, "deletion", len(pictures))

        deletions = cause.deletion(run, inputs, choices, self.config.mean, rng)
        seen = {name: self.collect(seen, choices, "stability", len(seen)) for name, seen in views.items()}
        stable = {
            choice: stability(
                seen["first"].first_tokens(choice),
                seen["shifted"].first_tokens(choice),
                seen["zoomed"].first_tokens(choice),
                shifts,
            )
            for choice in choices
        }
        collages = self.measure_collages(photographs, plain, choices)
        return tuple(
            MeaningResult(
                loc=loc,
                num_tokens=k,
                collage=collages.get(choice),
                deletion=deletions[choice],
                stability=stable[choice],
            )
            for choice, loc in zip(choices, self.config.tokenlearner_locs, strict=True)
        )

    def measure_collages(
        self, photographs: Photographs, plain: Collected, choices: Sequence[Choice]
    ) -> dict[Choice, CollageResult]:
        scenes = photographs.collages(self.settings.meaning_pictures, self.settings.seed)
        if not scenes:
            return {}
        own, rival = self.both([scene.rgb for scene in scenes], "collages")
        fractions = [np.stack(scene_fractions(scene, self.config)) for scene in scenes]

        def matched(shares: Sequence[Shares]) -> float:
            return matched_share(
                [
                    np.stack([mass(maps, part) for part in parts], axis=1)
                    for maps, parts in zip(shares, fractions, strict=True)
                ]
            )

        return {
            choice: CollageResult(
                collages=len(scenes),
                matched=matched(own.first_tokens(choice)),
                random_weights=matched(rival.first_tokens(choice)),
                mean_map=matched([mean_maps(plain.first_tokens(choice), self.config.grid_hw())] * len(scenes)),
            )
            for choice in choices
        }

    def measure_video(self, path: str) -> tuple[VideoMass, ...]:
        tell = self.progress
        return davis.video_mass(
            self.model,
            self.rival,
            davis.list_sequences(path),
            self.with_module,
            device=self.device,
            resize=self.settings.resize,
            max_frames=self.settings.max_frames,
            progress=None if tell is None else lambda done, total: tell("sequences", done, total),
        )


def accuracy(predicted: Int64[np.ndarray, " photos"], labels: Int64[np.ndarray, " photos"]) -> tuple[float, float]:
    """Share of right predictions, and its mean over the classes that occur, both 0..1."""
    right = predicted == labels
    by_class = [right[labels == label].mean() for label in np.unique(labels)]
    return float(right.mean()), float(np.mean(by_class))
