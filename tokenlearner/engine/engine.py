"""The one call behind the app, the command line and the library: media, model and settings to an analysis."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from tokenlearner.config import ModelConfig
from tokenlearner.engine.batching import Batcher, full_load, initial_batch_size, suffix_load
from tokenlearner.engine.device import ComputeDevice, StageClock, pick_device
from tokenlearner.engine.features import FeatureRecorder, FeatureStore, key_of
from tokenlearner.engine.feed import OnFrame
from tokenlearner.engine.geometry import Geometry
from tokenlearner.engine.held import HeldTokens
from tokenlearner.engine.network import Choice, Network, OutputGatherer, locs_to_keep, measure_passes
from tokenlearner.engine.origin import Origin
from tokenlearner.engine.progress import ProgressCallback, ProgressMeter
from tokenlearner.engine.results import Analysis, AnalysisSettings, Latency, Loc, Timings
from tokenlearner.engine.run import OnPart, Run
from tokenlearner.engine.waiting import raise_if_set
from tokenlearner.errors import ConfigError, DeviceError, FeaturesGone, FeaturesNotKept
from tokenlearner.media import MediaLimits, Sampling
from tokenlearner.model import FeatureMap
from tokenlearner.weights import LoadedModel

RerunLoc = int | Literal["same"] | None
"""A block index, None for the plain network, or "same" as in the analysis."""

DEFAULT_FEATURE_BUDGET: Final = 1024**3
_WARM_UP_PASSES: Final = 3


class Engine:
    """A model on a device. Threads may share one engine; each call returns its own result.

    Args:
        loaded: The model with its card; copied where it has to be moved or changed.
        device: "cuda", "cuda:1", "mps", "cpu", None to choose, or a `ComputeDevice` made elsewhere.
        features: Where features that `rerun` needs are kept; engines of one device share one, so that whichever runs
            out of memory can have it all. None for one of its own.
        limits: What media may be opened.

    Raises:
        DeviceError: If the device is missing or does not hold the model.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        *,
        device: str | ComputeDevice | None = None,
        features: FeatureStore | None = None,
        limits: MediaLimits | None = None,
    ) -> None:
        self.device = device if isinstance(device, ComputeDevice) else pick_device(device)
        self.card = loaded.card
        self.weights_sha256 = loaded.sha256
        self.limits = limits or MediaLimits()
        self.features = features or FeatureStore(DEFAULT_FEATURE_BUDGET)
        self._network = Network(loaded.model, self.device)
        self._origin = Origin(loaded.card, loaded.sha256, self.device)

    @property
    def config(self) -> ModelConfig:
        """The network's configuration."""
        return self._network.config

    def analyze(
        self,
        path: str | Path,
        settings: AnalysisSettings | None = None,
        *,
        name: str | None = None,
        progress: ProgressCallback | None = None,
        cancel: threading.Event | None = None,
        on_frame: OnFrame | None = None,
        on_part: OnPart | None = None,
        extra: Sampling | None = None,
    ) -> Analysis:
        """Run the model on a photo or video.

        Decoding runs in a thread of its own, at most two batches ahead of the network. An image model sees
        a video frame by frame; a video model in clips of its own length, the last filled up by repeating
        its last frame.

        Args:
            path: The media file.
            settings: What to run and on which part; None for the defaults.
            name: Name to show, if the file lies under a temporary one.
            progress: Called in this thread: before the first and after each batch, at the end, and again and again
                while the network waits for frames, so that other work can be let in.
            cancel: Set it to stop; acts within one batch.
            on_frame: Called in the decoding thread with each frame at full size, in order.
            extra: More frames for `on_frame`, which nothing runs on, e.g. to play a clip at its own rate under the maps
                of some of its frames; they come marked `is_extra`.
            on_part: Called in this thread, between batches, with what is known so far: after `parts.FIRST_S` seconds,
                then whenever the frames have doubled, and not near the end. `Analysis.is_part` tells these apart; their
                arrays are the first rows of the whole's.

        Raises:
            MediaError: If the file cannot be read, or holds no picture in the range asked for (`MediaLimitError`: if
                it is larger than the limits).
            ConfigError: If the model cannot do what the settings ask.
            DeviceError: If memory does not hold even one frame.
            Cancelled: If the caller asked to stop; nothing is kept.
        """
        settings = settings or AnalysisSettings()
        loc, _ = settings.choice(self.config)
        recorder = FeatureRecorder(locs_to_keep(self.config, loc, settings.keep), self.features.budget_bytes)
        meter = ProgressMeter(progress)

        def make_batcher(geometry: Geometry, size: int) -> Batcher:
            return self._batcher(geometry, size, recorder)

        run = Run(
            self._network, self._origin, settings, recorder, make_batcher, meter, cancel, on_frame, on_part, extra
        )
        analysis = run.over(path, self.limits, name)
        gathered = recorder.finish()
        if gathered and self.features.put(key_of(analysis), gathered):
            analysis = dataclasses.replace(analysis, kept_locs=tuple(gathered))
        meter.report(analysis.timings.frames, analysis.timings.frames, "done")
        return analysis

    def rerun(
        self,
        analysis: Analysis,
        *,
        loc: RerunLoc = "same",
        num_tokens: int | None = None,
        muted: Sequence[int] = (),
        cancel: threading.Event | None = None,
    ) -> Analysis:
        """Answer again for another choice of tokens, from the features kept by `analyze`.

        Only TokenLearner and the blocks behind it run. A location whose features were not kept is reached
        from an earlier one by the blocks between, once; then those are kept too. Results differ from a new
        analysis by what keeping features in 16 bits changes.

        Args:
            analysis: What this engine found before; it stays as it is.
            loc: Location of the module.
            num_tokens: Tokens per time step; None for as many as before, or all if there were none.
            muted: Tokens that are dropped before the remaining blocks; `analysis.muted` is not carried over.
            cancel: Set it to stop; acts within one batch.

        Raises:
            FeaturesGone: If the features were dropped; analyse the media again.
            FeaturesNotKept: If they never were kept.
            ConfigError: If the model cannot do it, the analysis is of other weights, or a part of one that was still
                running.
            DeviceError: If memory does not hold even one frame's features.
            Cancelled: If the caller asked to stop.
        """
        meter, clock, outputs = ProgressMeter(None), StageClock(self.device), OutputGatherer()
        choice = self._choice(analysis, loc, num_tokens, muted)
        features = self._features_at(analysis, choice.loc, clock, cancel)
        load = suffix_load(self.config, analysis.geometry.input_hw, choice.loc, choice.num_tokens)
        batcher = self._batcher(analysis.geometry, initial_batch_size(load, self.device))
        for output in batcher.run(
            features.x,
            lambda x: self._network.suffix(FeatureMap(x, features.grid_hw, features.loc), choice, clock=clock),
        ):
            outputs.add(output)
            raise_if_set(cancel)
        return dataclasses.replace(
            analysis,
            token_maps=outputs.token_maps(len(analysis.timestamps_s), analysis.geometry.grid_hw),
            logits=outputs.logits(),
            loc=choice.loc,
            num_tokens=choice.num_tokens,
            muted=choice.muted,
            compute=choice.cost(self.config, analysis.geometry.input_hw),
            timings=Timings(
                total_s=meter.seconds,
                decode_s=0.0,
                wait_s=0.0,
                prefix_s=clock.seconds("prefix"),
                suffix_s=clock.seconds("suffix"),
                frames=analysis.timings.frames,
                batch_size=batcher.size,
            ),
            provenance=self._origin.provenance(analysis.media.sha256, from_features=True),
            settings=dataclasses.replace(analysis.settings, loc=choice.loc, num_tokens=choice.num_tokens or None),
        )

    def solo(self, analysis: Analysis, tokens: Sequence[int], *, cancel: threading.Event | None = None) -> Analysis:
        """Answer again from some tokens alone: `rerun` with all others muted.

        Raises:
            ConfigError: If there is no such token, or none was named; see `rerun` for the rest.
        """
        for token in tokens:
            if not 0 <= token < analysis.num_tokens:
                raise ConfigError(f"There is no token {token}: there are tokens 0 to {analysis.num_tokens - 1}.")
        muted = sorted(set(range(analysis.num_tokens)) - set(tokens))
        return self.rerun(analysis, muted=muted, cancel=cancel)

    def hold(
        self,
        analysis: Analysis,
        *,
        loc: RerunLoc = "same",
        num_tokens: int | None = None,
        cancel: threading.Event | None = None,
    ) -> HeldTokens:
        """Tokens of an analysis, to be dropped, exchanged or pooled anew; muted ones are among them.

        Takes the arguments of `rerun`, and raises what it raises.
        """
        choice = self._choice(analysis, loc, num_tokens, ())
        features = self._features_at(analysis, choice.loc, StageClock(self.device), cancel)
        return HeldTokens(
            self._network,
            features,
            choice,
            analysis.geometry.input_hw,
            lambda size: self._batcher(analysis.geometry, size),
            cancel,
        )

    def answer_inputs(
        self,
        rgb: UInt8[np.ndarray, "rows *frames height width 3"],
        *,
        loc: Loc = "default",
        num_tokens: int | None = None,
        cancel: threading.Event | None = None,
    ) -> Float32[np.ndarray, "rows classes"]:
        """Logits of inputs that are already decoded and resized, e.g. after painting over a part of them.

        Args:
            rgb: RGB, 0..255, at a size that the model takes; for a video model whole clips.
            loc: Location of the module.
            num_tokens: Tokens per time step; None for all.
            cancel: Set it to stop; acts within one batch.

        Raises:
            ConfigError: If the model cannot do it.
            DeviceError: If memory does not hold even one row.
            Cancelled: If the caller asked to stop.
        """
        choice = Choice(*AnalysisSettings(loc=loc, num_tokens=num_tokens).choice(self.config))
        outputs = OutputGatherer()
        image_hw = (rgb.shape[-3], rgb.shape[-2])
        batcher = Batcher(initial_batch_size(full_load(self.config, image_hw), self.device), relieve=self._relieve)
        for output, _ in batcher.run(rgb, lambda part: self._network.full(torch.from_numpy(part.copy()), choice)):
            outputs.add(output)
            raise_if_set(cancel)
        return outputs.logits()

    def measure_latency(
        self,
        *,
        image_hw: tuple[int, int] | None = None,
        loc: Loc = "default",
        num_tokens: int | None = None,
        batch_size: int = 1,
        repeats: int = 20,
        budget_s: float = 5.0,
        cancel: threading.Event | None = None,
        between: Callable[[], None] = lambda: None,
    ) -> Latency:
        """Time the whole network on this device: pixels in its memory to logits, after warming up.

        Args:
            image_hw: Input as (height, width) in pixels, e.g. an analysis' `geometry.input_hw`; None for the
                model's standard.
            loc: Location of the module.
            num_tokens: Tokens per time step; None for all.
            batch_size: Frames (clips for a video model) at once.
            repeats: Passes that are measured.
            budget_s: Stop early after so many seconds, with at least three passes measured.
            cancel: Set it to stop; acts within one pass.
            between: Called before each pass, in this thread, to let other work in; not part of what is measured.

        Raises:
            ConfigError: If the model cannot do it.
            DeviceError: If memory does not hold the batch.
            Cancelled: If the caller asked to stop.
        """
        choice = Choice(*AnalysisSettings(loc=loc, num_tokens=num_tokens, batch_size=batch_size).choice(self.config))
        image_hw = image_hw or self.config.img_size
        self.config.grid_hw(image_hw)
        shape = (batch_size, *((self.config.num_frames,) if self.config.num_frames else ()), *image_hw, 3)
        rgb = torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        whole = Batcher(1, item=f"a batch of {batch_size}")  # one item: the batch, which is not to be halved

        def pause() -> None:
            raise_if_set(cancel)
            between()
            raise_if_set(cancel)

        (seconds,) = whole.run(
            [rgb],
            lambda only: measure_passes(
                self._network,
                only[0],
                choice,
                warm_up=_WARM_UP_PASSES,
                repeats=repeats,
                budget_s=budget_s,
                between=pause,
            ),
        )
        q1, median, q3 = (float(quantile) * 1000 for quantile in np.quantile(seconds, (0.25, 0.5, 0.75)))
        return Latency(
            median_ms=median,
            q1_ms=q1,
            q3_ms=q3,
            repeats=len(seconds),
            batch_size=batch_size,
            image_hw=image_hw,
            loc=choice.loc,
            num_tokens=choice.num_tokens,
            dtype=self.device.dtype_name,
            device=self.device.label,
        )

    def _choice(self, analysis: Analysis, loc: RerunLoc, num_tokens: int | None, muted: Sequence[int]) -> Choice:
        """What a second look at an analysis computes."""
        if analysis.is_part:
            raise ConfigError("Only the first frames of this clip were analysed yet. Wait for the whole.")
        if analysis.provenance.weights_sha256 != self.weights_sha256:
            raise ConfigError("This analysis was made with other weights. Analyse the media with this model first.")
        chosen = analysis.loc if loc == "same" else loc
        k = analysis.num_tokens or None if num_tokens is None else num_tokens
        return Choice(chosen, self.config.check_choice(chosen, k), tuple(sorted(set(muted))))

    def _batcher(self, geometry: Geometry, size: int, recorder: FeatureRecorder | None = None) -> Batcher:
        """For so many items at first; where memory runs out, what was kept of other clips goes, then the recorder's."""
        kind = "frame" if self.config.num_frames is None else f"clip of {self.config.num_frames} frames"
        height, width = geometry.input_hw
        return Batcher(
            size,
            relieve=lambda: self._relieve() or (recorder is not None and recorder.clear()),
            item=f"one {kind} of {width} × {height} pixels",
        )

    def _relieve(self) -> bool:
        """Free what is kept only to save time, and say whether there was anything."""
        held = self.features.clear()
        self.device.release_cache()
        return held

    def _features_at(
        self, analysis: Analysis, loc: int | None, clock: StageClock, cancel: threading.Event | None
    ) -> FeatureMap:
        """Kept features at a location, or those of an earlier one brought there."""
        key, name = key_of(analysis), analysis.media.name
        kept = self.features.get(key)
        usable = self._before(loc, kept)
        if not usable:
            if self._before(loc, analysis.kept_locs):
                raise FeaturesGone(f"What was kept of {name} for quick changes had to make room. Analyse it again.")
            if analysis.settings.keep != "all":
                raise FeaturesNotKept(f"{name} was analysed without keeping what this quick change needs.")
            raise FeaturesNotKept(
                f"Quick changes to {name} need more memory than is set aside for them. Take fewer frames, or a smaller "
                "input."
            )
        nearest = kept[usable[-1]]
        if nearest.loc == loc:
            return nearest
        recorder = FeatureRecorder((loc,), budget_bytes=2**63)
        load = full_load(self.config, analysis.geometry.input_hw)
        batcher = self._batcher(analysis.geometry, initial_batch_size(load, self.device))
        for part in batcher.run(
            nearest.x,
            lambda x: self._network.advance(FeatureMap(x, nearest.grid_hw, nearest.loc), loc, clock=clock),
        ):
            recorder.add({loc: part})
            raise_if_set(cancel)
        reached = recorder.finish()
        if loc not in reached:
            raise DeviceError(
                f"The memory of the device does not hold what this change to {name} needs. Take fewer frames, or a "
                "smaller input."
            )
        self.features.put(key, reached)
        return reached[loc]

    def _before(self, loc: int | None, kept: Iterable[int | None]) -> list[int | None]:
        """Locations of kept features from which `loc` can be reached, the nearest last."""

        def depth(at: int | None) -> int:
            return self.config.depth if at is None else at

        return sorted((at for at in kept if depth(at) <= depth(loc)), key=depth)
