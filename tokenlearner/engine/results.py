"""What an analysis was asked for and what it found, as frozen values."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
from jaxtyping import Float32, Float64

from tokenlearner.agreement import softmax
from tokenlearner.config import Loc as Loc
from tokenlearner.config import ModelConfig
from tokenlearner.engine.geometry import Geometry, Resize
from tokenlearner.errors import ConfigError
from tokenlearner.flops import CONVENTION, Compute
from tokenlearner.media import MediaInfo, Sampling
from tokenlearner.palette import UNIT_SHARE, UNIT_SIGMOID

Keep = Literal["all", "chosen", "none"]
MapUnit = Literal["share of the frame's attention", "sigmoid weight 0..1"]

UNTRAINED_NOTE: Final = "These weights are untrained: the maps and predictions mean nothing."
PART_NOTE: Final = "These are the first frames only: the rest was still to be analysed."


@dataclass(frozen=True, kw_only=True)
class AnalysisSettings:
    """What to run and on which part of the media.

    Attributes:
        loc: Block before which TokenLearner sits; None runs the plain network, without maps.
        num_tokens: Tokens per time step; None for all that the module holds.
        sampling: Which frames of a video to take.
        resize: "whole" analyses whole frames in their own shape, "crop" their middle in the model's shape.
        input_side: Side in pixels of a square whose area the input shall have; None for the model's standard.
        batch_size: Frames (clips for a video model) at once; None to choose by device and memory.
        keep: Locations whose features are kept for `Engine.rerun`: "all" that the model carries, only the
            "chosen" one with those before it (no work beyond this analysis), or "none".
    """

    loc: Loc = "default"
    num_tokens: int | None = None
    sampling: Sampling = field(default_factory=Sampling)
    resize: Resize = "whole"
    input_side: int | None = None
    batch_size: int | None = None
    keep: Keep = "all"

    def __post_init__(self) -> None:
        if self.resize not in ("whole", "crop"):
            raise ConfigError(f'resize must be "whole" or "crop", not "{self.resize}".')
        if self.keep not in ("all", "chosen", "none"):
            raise ConfigError(f'keep must be "all", "chosen" or "none", not "{self.keep}".')
        if self.batch_size is not None and self.batch_size < 1:
            raise ConfigError(f"batch_size must be at least 1, not {self.batch_size}.")

    def choice(self, config: ModelConfig) -> tuple[int | None, int]:
        """The location and number of tokens that these settings mean for one model (0 tokens: plain network).

        Raises:
            ConfigError: If the model holds no module there, or not so many tokens.
        """
        loc = config.default_loc if self.loc == "default" else self.loc
        return loc, config.check_choice(loc, self.num_tokens)


@dataclass(frozen=True)
class Timings:
    """Where the time of an analysis went, in seconds. Decoding overlaps with the network.

    Attributes:
        total_s: From the call to the result.
        decode_s: Opening, decoding and resizing, from the second frame on in a thread of its own; 0 for a rerun.
        wait_s: The network waiting for frames; 0 for a rerun.
        prefix_s: Pixels to feature maps, on the device.
        suffix_s: Feature maps to tokens, maps and logits, on the device.
        frames: Frames analysed.
        batch_size: Frames (clips for a video model) in a batch, at the end.
        opening_s: The part of `decode_s` before the first frame was there, which does not grow with the frames.
    """

    total_s: float
    decode_s: float
    wait_s: float
    prefix_s: float
    suffix_s: float
    frames: int
    batch_size: int
    opening_s: float = 0.0


@dataclass(frozen=True)
class Provenance:
    """Where a result comes from, enough to repeat it.

    Attributes:
        model_name: The model's name.
        weights_sha256: Of its weights.
        trained: Whether they were trained; if not, maps and predictions mean nothing.
        device: Name of the device.
        dtype: Precision, e.g. "float32" or "bfloat16 autocast".
        versions: Of this project and the libraries that decide the numbers.
        media_sha256: Of the media file.
        created_utc: When, as ISO 8601.
        from_features: Whether kept features were used (in half precision) instead of the media.
    """

    model_name: str
    weights_sha256: str
    trained: bool
    device: str
    dtype: str
    versions: Mapping[str, str]
    media_sha256: str
    created_utc: str
    from_features: bool = False


@dataclass(frozen=True)
class Prediction:
    """One class with its probability.

    Attributes:
        index: Place among the logits.
        name: The class's name, or "class 7" where the model has no names.
        probability: 0..1.
        group: The question that it answers, by its name in `Analysis.label_groups`.
    """

    index: int
    name: str
    probability: float
    group: str = "class"


@dataclass(frozen=True, eq=False)
class Analysis:
    """What a model saw in a photo or clip. Arrays are read-only: one analysis may be shared.

    Attributes:
        token_maps: TokenLearner's weights over the part that the model saw (`geometry.box_xywh`); None for the
            plain network. A photo has one time step, a video model one per tubelet, else one per frame.
        timestamps_s: Presentation time of each time step (of a tubelet's first frame), 0 at the media's start.
        logits: Class scores, per frame, or per clip for a video model.
        logits_timestamps_s: Presentation time of each row of `logits` (of a clip's first frame).
        loc: Block before which the module sat, None for the plain network.
        num_tokens: Tokens per time step, 0 for the plain network.
        muted: Tokens that were dropped before the rest of the network; their maps are still here.
        map_unit: What a weight in `token_maps` means.
        clip_frames: Frames that one row of `logits` and `compute` stand for: 1, or a video model's clip length.
        class_names: In logit order; empty if the model has none.
        label_groups: Where the logits of each question that the model answers lie, by its name.
        geometry: What the model saw of each frame.
        media: The file.
        compute: Cost of one frame, or one clip of a video model.
        baseline: The same for the network without TokenLearner.
        timings: Where the time went.
        provenance: Where the result comes from.
        settings: What was asked for.
        notes: Sentences on what was left out, resampled, cut short or is untrained.
        is_part: Whether the run was still going: these are its first frames.
        kept_locs: Locations whose features were kept for `Engine.rerun` when it was made.
    """

    token_maps: Float32[np.ndarray, "time tokens rows cols"] | None
    timestamps_s: Float64[np.ndarray, " time"]
    logits: Float32[np.ndarray, "clips classes"]
    logits_timestamps_s: Float64[np.ndarray, " clips"]
    loc: int | None
    num_tokens: int
    muted: tuple[int, ...]
    map_unit: MapUnit
    clip_frames: int
    class_names: tuple[str, ...]
    label_groups: Mapping[str, slice]
    geometry: Geometry
    media: MediaInfo
    compute: Compute
    baseline: Compute
    timings: Timings
    provenance: Provenance
    settings: AnalysisSettings
    notes: tuple[str, ...] = ()
    is_part: bool = False
    kept_locs: tuple[int | None, ...] = ()

    def __post_init__(self) -> None:
        for array in (self.token_maps, self.timestamps_s, self.logits, self.logits_timestamps_s):
            if array is not None:
                array.setflags(write=False)

    @property
    def probs(self) -> Float32[np.ndarray, "clips classes"]:
        """Class probabilities (softmax of the logits of each label group); rows sum to 1 in each group."""
        by_group = [softmax(self.logits[:, group]) for group in self.label_groups.values()]
        return np.concatenate(by_group, axis=1).astype(np.float32)

    def top(self, n: int = 5, group: str | None = None) -> tuple[Prediction, ...]:
        """The `n` most probable classes, by mean probability over the whole media, best first.

        Args:
            n: How many.
            group: The question, by its name in `label_groups`; None for the first.
        """
        return self._best(self.probs.mean(axis=0), n, next(iter(self.label_groups)) if group is None else group)

    def _best(self, probs: Float32[np.ndarray, " classes"], n: int, group: str) -> tuple[Prediction, ...]:
        held = self.label_groups[group]
        order = np.argsort(-probs[held], kind="stable")[:n] + held.start
        return tuple(Prediction(int(i), self.class_name(int(i)), float(probs[i]), group) for i in order)

    def group_of(self, class_index: int) -> slice:
        """Where the logits of the question lie to which a class is an answer.

        Raises:
            ConfigError: If there is no such class.
        """
        for group in self.label_groups.values():
            if group.start <= class_index < group.stop:
                return group
        raise ConfigError(f"There is no class {class_index}: there are classes 0 to {self.logits.shape[1] - 1}.")

    def class_name(self, index: int) -> str:
        """Name of a class, or "class 7" where the model has no names."""
        return self.class_names[index] if self.class_names else f"class {index}"

    def summary(self, top: int = 5) -> dict[str, Any]:
        """Everything but the arrays, ready for JSON; floats are finite.

        Args:
            top: Predictions listed, for the whole media and for each row of the logits.
        """
        probs = self.probs
        return {
            "predictions": [
                dataclasses.asdict(prediction) for group in self.label_groups for prediction in self.top(top, group)
            ],
            "predictions_over_time": [
                {
                    "timestamp_s": float(time_s),
                    "top": [
                        dataclasses.asdict(prediction)
                        for group in self.label_groups
                        for prediction in self._best(probs[row], top, group)
                    ],
                }
                for row, time_s in enumerate(self.logits_timestamps_s)
            ],
            "loc": self.loc,
            "num_tokens": self.num_tokens,
            "muted": list(self.muted),
            "map_unit": self.map_unit if self.token_maps is not None else None,
            "geometry": self.geometry.to_dict(),
            "media": dataclasses.asdict(self.media),
            "compute": {
                "convention": CONVENTION,
                "per": "frame" if self.clip_frames == 1 else f"clip of {self.clip_frames} frames",
                **compute_summary(self.compute),
                "baseline": compute_summary(self.baseline),
                "share_of_baseline": self.compute.total_macs / self.baseline.total_macs,
            },
            "timings": dataclasses.asdict(self.timings),
            "provenance": {**dataclasses.asdict(self.provenance), "versions": dict(self.provenance.versions)},
            "settings": dataclasses.asdict(self.settings),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Progress:
    """How far an analysis has come.

    Attributes:
        done: Frames analysed.
        total: Frames in all, as far as the file says; None if it does not.
        seconds: Since the call.
        remaining_s: Expected until the end, from the pace so far; None until there is one.
        stage: What is being done, e.g. "opening", "analysing".
    """

    done: int
    total: int | None
    seconds: float
    remaining_s: float | None
    stage: str


@dataclass(frozen=True)
class Latency:
    """Time of one forward pass, measured here.

    Attributes:
        median_ms: Median over the repeats, for the whole batch.
        q1_ms: First quartile.
        q3_ms: Third quartile.
        repeats: Passes measured, after the warm-up.
        batch_size: Frames (clips for a video model) in the batch.
        image_hw: Input as (height, width) in pixels.
        loc: Block before which the module sat, None for the plain network.
        num_tokens: Tokens per time step, 0 for the plain network.
        dtype: Precision.
        device: Name of the device.
    """

    median_ms: float
    q1_ms: float
    q3_ms: float
    repeats: int
    batch_size: int
    image_hw: tuple[int, int]
    loc: int | None
    num_tokens: int
    dtype: str
    device: str


def speed_note(clip_frames: int | None, fps: float, taken: int, in_range: int) -> str:
    """A sentence if a video model sees a clip at another speed than its own, because frames are left out; else empty.

    Args:
        clip_frames: Frames that the model sees at once; None for an image model.
        fps: Frames per second of the clip.
        taken: Frames analysed.
        in_range: Frames that the chosen part of the clip holds.
    """
    if clip_frames is None or clip_frames < 2 or taken >= in_range or fps <= 0:
        return ""
    faster = in_range / taken
    return (
        f"At {fps / faster:.2g} of {fps:.3g} frames per second, everything moves {faster:.2g} times as fast "
        "for this model."
    )


def map_unit(config: ModelConfig) -> MapUnit:
    """What a weight in this model's maps means."""
    v10 = config.token_learner is not None and config.token_learner.version == "1.0"
    return UNIT_SIGMOID if v10 else UNIT_SHARE


def compute_summary(compute: Compute) -> dict[str, Any]:
    """Multiply-adds, operations and parameters, ready for JSON."""
    return {
        "total_macs": compute.total_macs,
        "total_flops": compute.total_flops,
        "params": compute.params,
        "stages": dict(compute.stages),
    }
