"""One run over a photo or clip: frames to maps and answers, batch by batch, with what is known so far on the way."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from tokenlearner import flops
from tokenlearner.config import ModelConfig
from tokenlearner.engine.batching import Batcher, full_load, initial_batch_size
from tokenlearner.engine.device import StageClock
from tokenlearner.engine.features import FeatureRecorder
from tokenlearner.engine.feed import Batch, FrameFeed, OnFrame
from tokenlearner.engine.geometry import Geometry, plan_geometry
from tokenlearner.engine.network import Choice, Network, OutputGatherer
from tokenlearner.engine.origin import Origin
from tokenlearner.engine.parts import PartPlan
from tokenlearner.engine.progress import ProgressMeter
from tokenlearner.engine.results import (
    PART_NOTE,
    UNTRAINED_NOTE,
    Analysis,
    AnalysisSettings,
    Timings,
    map_unit,
    speed_note,
)
from tokenlearner.engine.waiting import aside, raise_if_set
from tokenlearner.media import Frame, MediaLimits, MediaReader, Sampling, open_media
from tokenlearner.model import FeatureMap, ModelOutput

OnPart = Callable[[Analysis], None]
MakeBatcher = Callable[[Geometry, int], Batcher]


@dataclass(frozen=True, eq=False)
class Run:
    """What is to be done with one file.

    Attributes:
        network: Runs the model.
        origin: Which model that is.
        settings: What to run and on which part of the media.
        recorder: Keeps features for later.
        make_batcher: Cuts batches, for a geometry and a size to begin with.
        meter: Told how far the run is.
        cancel: Set by the caller to stop.
        on_frame: Called in the decoding thread with each frame at full size, in order.
        on_part: Called between batches with what is known so far; see `Engine.analyze`.
        extra: More frames for `on_frame`.
    """

    network: Network
    origin: Origin
    settings: AnalysisSettings
    recorder: FeatureRecorder
    make_batcher: MakeBatcher
    meter: ProgressMeter
    cancel: threading.Event | None = None
    on_frame: OnFrame | None = None
    on_part: OnPart | None = None
    extra: Sampling | None = None

    def over(self, path: str | Path, limits: MediaLimits, name: str | None = None) -> Analysis:
        """Run over a file; raises what `Engine.analyze` raises.

        Args:
            path: The media file.
            limits: What media may be opened.
            name: Name to show, if the file lies under a temporary one.
        """
        self.meter.report(0, None, "opening")
        stop = threading.Event()  # ends all reading, whatever ends the run
        with ExitStack() as stack:

            def start() -> tuple[MediaReader, Iterator[Frame], Frame]:
                opened = open_media(path, self.settings.sampling, limits, name=name, extra=self.extra, cancel=stop)
                reader = stack.enter_context(opened)
                frames = iter(reader)
                return reader, frames, next(frames)  # a reader gives at least one, or raises

            reader, frames, first = aside(start, stop=stop, cancel=self.cancel, idle=self.meter.repeat)
            opening_s = self.meter.seconds
            geometry = plan_geometry(
                self._config, first.rgb.shape[:2], resize=self.settings.resize, input_side=self.settings.input_side
            )
            load = full_load(self._config, geometry.input_hw)
            size = self.settings.batch_size or initial_batch_size(load, self.network.device)
            batcher = self.make_batcher(geometry, size)
            feed = FrameFeed(
                itertools.chain([first], frames),
                geometry,
                clip_frames=self._config.num_frames,
                batch_size=lambda: batcher.size,
                on_frame=self.on_frame,
                cancel=self.cancel,
                stop=stop,
                idle=self.meter.repeat,
                pin=self.network.device.is_cuda,
            )
            findings = _Findings(self, reader, geometry, batcher, feed, opening_s)
            self._analyse(feed, findings, len(reader))
            analysis = findings.analysis()
        return analysis

    @property
    def _config(self) -> ModelConfig:
        return self.network.config

    def _analyse(self, feed: FrameFeed, findings: _Findings, total: int) -> None:
        """Run all batches, and show what is known where it is worth a look."""
        plan = PartPlan()
        self.meter.report(0, total, "analysing")
        with feed:
            for batch in feed:
                findings.add(batch)
                told = self.meter.report(findings.frames, total, "analysing")
                if self.on_part is not None and plan.is_due(told):
                    self.on_part(findings.analysis(is_part=True))
                    raise_if_set(self.cancel)


class _Findings:
    """What a run has found so far.

    Args:
        run: What is to be done.
        reader: The file, open.
        geometry: What the model sees of a frame.
        batcher: Cuts batches that memory does not hold.
        feed: Where batches come from; only its times are read.
        opening_s: Seconds that the file took to open.
    """

    def __init__(
        self, run: Run, reader: MediaReader, geometry: Geometry, batcher: Batcher, feed: FrameFeed, opening_s: float
    ) -> None:
        self.frames = 0
        self._run = run
        self._reader = reader
        self._geometry = geometry
        self._batcher = batcher
        self._feed = feed
        self._opening_s = opening_s
        self._choice = Choice(*run.settings.choice(run.network.config))
        self._clock = StageClock(run.network.device)
        self._outputs = OutputGatherer()
        self._times: list[tuple[float, ...]] = []

    def add(self, batch: Batch) -> None:
        """Run the network on a batch, in smaller ones if memory wants it."""
        for output, kept in self._passes(batch.rgb):
            self._outputs.add(output)
            self._run.recorder.add(kept)
            raise_if_set(self._run.cancel)
        self._times.extend(batch.timestamps_s)
        self.frames += batch.num_frames

    def _passes(self, rgb: Tensor) -> Iterator[tuple[ModelOutput, dict[int | None, FeatureMap]]]:
        network, recorder = self._run.network, self._run.recorder
        return self._batcher.run(
            rgb, lambda part: network.full(part, self._choice, keep_locs=recorder.kept_locs, clock=self._clock)
        )

    def analysis(self, *, is_part: bool = False) -> Analysis:
        """All of it as an analysis, of whole batches.

        Args:
            is_part: Whether more is to come.
        """
        run, config, choice = self._run, self._run.network.config, self._choice
        media, origin = self._reader.info, self._run.origin
        step = config.tubelet_size
        timestamps_s = np.array([time_s for entry in self._times for time_s in entry[::step]], dtype=np.float64)
        own_notes = (
            speed_note(config.num_frames, media.fps, len(self._reader), self._reader.num_in_range),
            PART_NOTE if is_part else "",
            "" if origin.card.trained else UNTRAINED_NOTE,
        )
        return Analysis(
            token_maps=self._outputs.token_maps(len(timestamps_s), self._geometry.grid_hw),
            timestamps_s=timestamps_s,
            logits=self._outputs.logits(),
            logits_timestamps_s=np.array([entry[0] for entry in self._times], dtype=np.float64),
            loc=choice.loc,
            num_tokens=choice.num_tokens,
            muted=choice.muted,
            map_unit=map_unit(config),
            clip_frames=config.num_frames or 1,
            class_names=config.class_names,
            label_groups=config.group_slices(),
            geometry=self._geometry,
            media=media,
            compute=choice.cost(config, self._geometry.input_hw),
            baseline=flops.baseline(config, image_hw=self._geometry.input_hw),
            timings=self._timings(),
            provenance=origin.provenance(media.sha256),
            settings=run.settings,
            notes=(*self._reader.notes, *self._geometry.notes, *filter(None, own_notes)),
            is_part=is_part,
        )

    def _timings(self) -> Timings:
        return Timings(
            total_s=self._run.meter.seconds,
            decode_s=self._opening_s + self._feed.decode_s,
            wait_s=self._feed.wait_s,
            prefix_s=self._clock.seconds("prefix"),
            suffix_s=self._clock.seconds("suffix"),
            frames=self.frames,
            batch_size=self._batcher.size,
            opening_s=self._opening_s,
        )
