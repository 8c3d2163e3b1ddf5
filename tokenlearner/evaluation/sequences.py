"""A video model's tokens on the moving object of real sequences, beside rivals that see no motion or nothing else.

A sequence is cut into windows of the model's length, one after the other, the last filled up by repeating its last
frame, as the engine does. All frames of a tubelet get its maps, so that everything is measured frame by frame.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float32, UInt8

from tokenlearner.analysis.maps import Shares, regrid_shares
from tokenlearner.analysis.objects import Fractions, centre_prior, mean_maps
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.engine.geometry import Resize, plan_geometry
from tokenlearner.errors import DataError
from tokenlearner.evaluation.collect import Choice, Picture, evaluating, maps_of, run_maps
from tokenlearner.evaluation.davis import SequenceFile, read_frames
from tokenlearner.evaluation.following import Following, following, frame_difference, kept_over_all, of_uniform_map
from tokenlearner.evaluation.pictures import mask_fractions
from tokenlearner.evaluation.results import FollowingResult, SequencesResult
from tokenlearner.model import TokenLearnerViT

TOKENS: Final = "tokens"
ONE_TOKEN: Final = "tokens, one for all"
RANDOM: Final = "random weights"
MEAN_MAPS: Final = "mean maps"
UNIFORM: Final = "uniform"
CENTRE: Final = "centre prior"
DIFFERENCE: Final = "frame difference"

_WINDOWS: Final = 4

Maps = Float32[np.ndarray, "moments tokens rows columns"]


@dataclass
class Runs:
    """Maps and objects of many runs (clips, sequences), moment by moment.

    Attributes:
        own: For each location the model's maps of each run, of all its tokens, normalised over space.
        random: The same of the network before training.
        change: `frame_difference` of each run, as a single token.
        fractions: Fraction of each cell that the object covers.
    """

    own: dict[int, list[Maps]] = field(default_factory=dict)
    random: dict[int, list[Maps]] = field(default_factory=dict)
    change: list[Maps] = field(default_factory=list)
    fractions: list[list[Fractions]] = field(default_factory=list)

    def results(self, choices: Sequence[Choice], grid_hw: tuple[int, int]) -> list[FollowingResult]:
        """Measure every choice with a module and what needs none.

        Args:
            choices: Which; the first tokens of the maps are those of a smaller number.
            grid_hw: Grid on which maps of different runs are averaged.
        """
        found: list[FollowingResult] = []
        masks = self.fractions
        for choice in choices:
            if choice.loc is None:
                continue
            own, random = (
                [list(run[:, : choice.num_tokens]) for run in maps[choice.loc]] for maps in (self.own, self.random)
            )
            always = kept_over_all(own, masks)
            fixed = mean_maps([moment for run in own for moment in run], grid_hw)
            measured = {
                TOKENS: following(own, masks),
                ONE_TOKEN: following(own, masks, token=always),
                MEAN_MAPS: following([[_on_grid(fixed, one) for one in run] for run in masks], masks),
                RANDOM: following(random, masks),
            }
            found += [_result(name, measures, choice) for name, measures in measured.items()]
        centre = [[centre_prior((len(one), one.shape[1]))[None] for one in run] for run in masks]
        found.append(_result(UNIFORM, of_uniform_map(masks)))
        found.append(_result(CENTRE, following(centre, masks)))
        found.append(_result(DIFFERENCE, following([list(run) for run in self.change], masks)))
        return found


def _result(name: str, measures: Following, choice: Choice | None = None) -> FollowingResult:
    choice = choice or Choice(None, 1)
    return FollowingResult(maps=name, loc=choice.loc, num_tokens=choice.num_tokens, following=measures)


def _on_grid(fixed: Shares, like: Fractions) -> Shares:
    return regrid_shares(fixed, (len(like), like.shape[1]))


def follow_sequences(
    model: TokenLearnerViT,
    random_model: TokenLearnerViT,
    sequences: Sequence[SequenceFile],
    choices: Sequence[Choice],
    *,
    device: ComputeDevice,
    image_model: TokenLearnerViT | None = None,
    image_name: str = "",
    resize: Resize = "whole",
    max_frames: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> SequencesResult:
    """Measure which maps stay on the moving object.

    Frames whose mask is empty are seen by the models, but not measured. The image model runs on single frames, with
    its module at its default place and as many tokens as the video model, and with all it has.

    Args:
        model: A video model.
        random_model: The same network before training.
        sequences: From `davis.list_sequences`, not empty.
        choices: Choices of the video model; those without a module are passed over.
        device: Where both models are.
        image_model: An image model to compare with; None for none.
        image_name: What its row is called.
        resize: How frames become inputs.
        max_frames: Only so many frames from the start of each sequence; None for all.
        progress: Called with (sequences done, all).

    Raises:
        DataError: If a file cannot be decoded, or no frame has an object in its mask.
    """
    runs, image_runs = Runs(), Runs()
    count = frames = 0
    for done, sequence in enumerate(sequences, start=1):
        shots = list(read_frames(sequence, range(min(len(sequence.frames), max_frames or len(sequence.frames)))))
        added = _add(runs, [model, random_model], shots, choices, device, resize)
        if added:
            count, frames = count + 1, frames + added
            if image_model is not None:
                _add_image(image_runs, image_model, shots, device, resize)
        if progress is not None:
            progress(done, len(sequences))
    if not count:
        raise DataError("All masks of the sequences are empty; there is nothing to measure.")
    found = runs.results(choices, model.config.grid_hw())
    if image_model is not None:
        found += _image_results(image_runs, image_model, choices, image_name)
    return SequencesResult(name=sequences[0].archive.name, sequences=count, frames=frames, following=tuple(found))


Shot = tuple[Picture, Bool[np.ndarray, "_ _"]]
"""A frame with its mask."""


def _add(
    runs: Runs,
    models: Sequence[TokenLearnerViT],
    shots: Sequence[Shot],
    choices: Sequence[Choice],
    device: ComputeDevice,
    resize: Resize,
) -> int:
    """Run the model and its rival on one sequence; the number of frames with an object."""
    config = models[0].config
    inputs, fractions, seen = _inputs(shots, models[0], resize)
    if not len(seen):
        return 0
    assert config.num_frames is not None
    filled = np.concatenate([inputs, np.repeat(inputs[-1:], -len(inputs) % config.num_frames, axis=0)])
    windows = filled.reshape(-1, config.num_frames, *inputs.shape[1:])
    for model, kept in zip(models, (runs.own, runs.random), strict=True):
        by_loc: dict[int, list[np.ndarray]] = {}
        with evaluating(model), device.inference():
            for start in range(0, len(windows), _WINDOWS):
                pixels = model.normalize(torch.from_numpy(windows[start : start + _WINDOWS]).to(device.device))
                for loc, maps in run_maps(model, pixels, choices).items():
                    by_loc.setdefault(loc, []).append(maps)
        for loc, parts in by_loc.items():
            steps = np.concatenate(parts)
            by_frame = steps.reshape(-1, *steps.shape[2:]).repeat(config.tubelet_size, axis=0)
            kept.setdefault(loc, []).append(by_frame[seen])
    change = frame_difference(inputs, fractions[0].shape)
    runs.change.append(change[seen][:, None].astype(np.float32))
    runs.fractions.append([fractions[i] for i in seen])
    return len(seen)


def _add_image(
    runs: Runs, model: TokenLearnerViT, shots: Sequence[Shot], device: ComputeDevice, resize: Resize
) -> None:
    inputs, fractions, seen = _inputs(shots, model, resize)
    loc = model.config.default_loc
    assert loc is not None
    with device.inference():
        maps = maps_of(model, inputs[seen], loc)
    runs.own.setdefault(loc, []).append(np.stack(maps).astype(np.float32))
    runs.fractions.append([fractions[i] for i in seen])


def _image_results(runs: Runs, model: TokenLearnerViT, choices: Sequence[Choice], name: str) -> list[FollowingResult]:
    loc = model.config.default_loc
    assert loc is not None
    asked = {choice.num_tokens for choice in choices if choice.loc is not None}
    most = model.config.num_tokens
    numbers = sorted({k for k in asked if k < most} | {most})
    return [
        _result(name, following([list(run[:, :k]) for run in runs.own[loc]], runs.fractions), Choice(loc, k))
        for k in numbers
    ]


def _inputs(
    shots: Sequence[Shot], model: TokenLearnerViT, resize: Resize
) -> tuple[UInt8[np.ndarray, "frames height width 3"], list[Fractions], list[int]]:
    """Frames as a model sees them, their objects on its grid, and the frames that show one."""
    inputs, fractions = [], []
    for rgb, mask in shots:
        geometry = plan_geometry(model.config, (rgb.shape[0], rgb.shape[1]), resize=resize)
        inputs.append(geometry.to_input(rgb))
        fractions.append(mask_fractions(mask, geometry))
    return np.stack(inputs), fractions, [i for i, covered in enumerate(fractions) if covered.any()]
