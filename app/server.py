"""What all visitors share: devices with their workers, loaded models, finished analyses. No Streamlit."""

from __future__ import annotations

import dataclasses
import functools
import os
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

import torch

from app.bounded import Bounded
from app.clips import ClipRecorder, played
from app.costs import BatchClock, Pace
from app.items import Item
from app.jobs import Job, Ticket, Worker
from app.models import ModelChoice
from app.questions import Answer, Question, answer
from app.results import EVERYBODY, Request, Results, Shown, View, maps_bytes
from app.strips import Strips
from app.uploads import APP_LIMITS
from app.visits import DEFAULT_GRACE_S, LOST, Visit, Visits
from tokenlearner.engine import (
    Analysis,
    AnalysisSettings,
    ComputeDevice,
    Engine,
    FeatureStore,
    Latency,
    Progress,
    key_of,
    pick_device,
)

MAX_ENGINES: Final = 4
FEATURE_BYTES: Final = 2 * 1024**3
"""Memory of each device for quick changes, whichever model they ask."""
MAX_VIEWS: Final = 64
VIEW_BYTES: Final = 256 * 1024**2
"""Memory for the answers to other tokens and places; that of the analyses themselves is bounded by `Results`."""
MAX_ANSWERS: Final = 16
MAX_LATENCIES: Final = 512
_ANY: Final = ""
"""Stands for any model where the pace of a device is kept."""
_LATENCY_TURNS: Final = 3
_LATENCY_REPEATS: Final = 8
_LATENCY_BUDGET_S: Final = 2.4

PLAIN: Final[View] = (None, 0, ())
"""The network without its module."""


class Server:
    """The app's side of the library. Threads may share it.

    Args:
        grace_s: How long the things of a visit are kept after its connection broke.
    """

    def __init__(self, grace_s: float = DEFAULT_GRACE_S) -> None:
        _leave_one_core()
        self.results = Results(on_drop=self._forget)
        self.strips = Strips()
        self.visits = Visits(grace_s, on_leave=self._stop_jobs, on_end=self._end)
        self._engines: Bounded[tuple[str, str], Engine] = Bounded(MAX_ENGINES)
        self._features: dict[str, FeatureStore] = {}
        self._workers: dict[str, Worker] = {}
        self._parts: dict[Request, Shown] = {}
        self._views: Bounded[tuple[Request, View], Analysis] = Bounded(
            MAX_VIEWS, max_bytes=VIEW_BYTES, size_of=lambda found: found.logits.nbytes + maps_bytes(found)
        )
        self._answers: Bounded[tuple[Request, Question], Answer] = Bounded(MAX_ANSWERS)
        self._latencies: Bounded[tuple[str, str, tuple[int, int], View], Latency] = Bounded(MAX_LATENCIES)
        self._paces: Bounded[tuple[str, str], Pace] = Bounded(64)
        self._lock = threading.Lock()
        self._loading = threading.Lock()

    # Devices and models -------------------------------------------------------------------------------------------

    def worker(self, device: str) -> Worker:
        """The one worker of a device."""
        with self._lock:
            if device not in self._workers:
                self._workers[device] = Worker(device)
            return self._workers[device]

    def engine(self, model: ModelChoice, device: str) -> Engine:
        """A model on a device, loaded if it has to be; to be called in a worker's thread.

        Raises:
            CheckpointError: If the model cannot be read.
            DeviceError: If the device does not hold it.
        """
        key = (model.key, device)
        with self._loading:
            engine = self._engines.get(key)
            if engine is None:
                features = self._features.setdefault(device, FeatureStore(FEATURE_BYTES))
                engine = Engine(model.load(), device=compute_devices()[device], features=features, limits=APP_LIMITS)
                self._engines.put(key, engine)
            return engine

    def pace(self, model: ModelChoice, device: str) -> Pace | None:
        """How fast a model runs on a device: as it did the last time, or as another one did there.

        That of its random twin counts as well. None while nothing ran there.
        """
        return self._paces.get((model.weights, device)) or self._paces.get((_ANY, device))

    def _note_pace(self, model: ModelChoice, device: str, pace: Pace) -> None:
        for name in (model.weights, _ANY):
            if pace.is_better_than(self._paces.get((name, device))):
                self._paces.put((name, device), pace)

    # Long jobs ----------------------------------------------------------------------------------------------------

    def analyse(
        self,
        visit: Visit,
        item: Item,
        model: ModelChoice,
        request: Request,
        settings: AnalysisSettings,
        *,
        with_parts: bool = False,
    ) -> Job[Shown]:
        """Put an analysis in line for a visit; what it was still waiting for is stopped.

        Args:
            visit: Who asks.
            item: The photo or clip.
            model: Runs on it.
            request: What is asked; says all of it but tokens and place.
            settings: The same for the engine.
            with_parts: Whether `part` shall have the beginning of a clip while the rest is analysed.

        Raises:
            QueueFull: If too many wait already.
        """

        def work(ticket: Ticket) -> Shown:
            shown = self.results.get(request, visit.id)
            if shown is None:
                shown = self._analyse(ticket, item, model, request, settings, with_parts)
                self.results.put(shown, EVERYBODY if item.is_sample else visit.id)
            return shown

        return self.worker(request.device).submit(work, owner=visit.id, slot="analysis")

    def part(self, request: Request) -> Shown | None:
        """The longest beginning so far of what is being analysed for a request, for all who wait for it."""
        with self._lock:
            return self._parts.get(request)

    def _analyse(
        self,
        ticket: Ticket,
        item: Item,
        model: ModelChoice,
        request: Request,
        settings: AnalysisSettings,
        with_parts: bool,
    ) -> Shown:
        ticket.report(Progress(0, None, 0.0, None, "loading the model"))
        engine = self.engine(model, request.device)
        ticket.report(Progress(0, None, 0.0, None, "making the sample" if item.is_sample else "opening the file"))
        path = item.locate()
        clock = BatchClock(ticket.report)
        with ClipRecorder() as recorder:

            def show(part: Analysis) -> None:
                shown = Shown(request, item, model, part, recorder.part(part.timings.frames))
                with self._lock:
                    self._parts[request] = shown

            try:
                analysis = engine.analyze(
                    path,
                    settings,
                    name=item.name,
                    progress=clock.report,
                    cancel=ticket.cancel,
                    on_frame=recorder.add,
                    on_part=show if with_parts else None,
                    extra=played(settings.sampling),
                )
            finally:
                with self._lock:
                    self._parts.pop(request, None)
            self._note_pace(model, request.device, clock.pace(analysis))
            return Shown(request, item, model, analysis, recorder.finish())

    # Quick jobs ---------------------------------------------------------------------------------------------------

    def known_view(self, shown: Shown, view: View) -> Analysis | None:
        """The answer for other tokens or another place, if it is known already."""
        found = shown.analysis
        if (found.loc, found.num_tokens, found.muted) == view:
            return found
        known = self._views.get((shown.request, view))
        if known is None or known.media == found.media:
            return known
        return dataclasses.replace(known, media=found.media)  # who asked for it calls the file by another name

    def rerun(self, visit: Visit, shown: Shown, view: View) -> Job[Analysis]:
        """Answer again for other tokens or another place, from kept features; the last wish of a visit wins.

        The job fails with `FeaturesGone` if the features had to make room, with `FeaturesNotKept` if they never fitted.

        Raises:
            QueueFull: If too many wait already.
        """
        loc, num_tokens, muted = view

        def work(ticket: Ticket) -> Analysis:
            found = self.engine(shown.model, shown.request.device).rerun(
                shown.analysis, loc=loc, num_tokens=num_tokens or None, muted=muted, cancel=ticket.cancel
            )
            self._views.put((shown.request, view), found)
            return found

        return self.worker(shown.request.device).submit(work, owner=visit.id, slot="view", quick=True)

    def known_latency(self, model: ModelChoice, device: str, image_hw: tuple[int, int], view: View) -> Latency | None:
        """What was measured here before."""
        return self._latencies.get((model.weights, device, image_hw, (view[0], view[1], ())))

    def measure_latency(
        self, visit: Visit, model: ModelChoice, device: str, image_hw: tuple[int, int], view: View
    ) -> Job[Latency]:
        """Time one forward pass of one input on a device, once for all visitors.

        In turns with the plain network, so that both meet the same disturbances; of each the calmest turn counts.
        A slider or a muted token does not wait for it: between two passes it gives way.

        Raises:
            QueueFull: If too many wait already.
        """

        def work(ticket: Ticket) -> Latency:
            begun = Progress(0, None, 0.0, None, "timing")
            return self._measure(ticket, model, device, image_hw, view, lambda: ticket.report(begun))

        return self.worker(device).submit(work, owner=visit.id, slot="latency", quick=True, gives_way=True)

    def measure_latencies(
        self, visit: Visit, device: str, settings: Mapping[str, tuple[ModelChoice, tuple[int, int], View]]
    ) -> Job[None]:
        """Time several settings on a device, one after the other, as a long job that says how far it is.

        Args:
            visit: Who asks.
            device: Where.
            settings: Model, input as (height, width) and setting of each, by what to call it meanwhile.

        Raises:
            QueueFull: If too many wait already.
        """

        def work(ticket: Ticket) -> None:
            waits = {
                name: one
                for name, one in settings.items()
                if self.known_latency(one[0], device, one[1], one[2]) is None
            }
            begin, ends = time.monotonic(), [0.0]
            for done, (name, (model, image_hw, view)) in enumerate(waits.items()):

                def report(done: int = done, name: str = name) -> None:
                    spent = time.monotonic() - begin
                    each = ends[-1] / done if done else None  # as long as those before took on average
                    left = None if each is None else max(0.0, each * (len(waits) - done) - (spent - ends[-1]))
                    ticket.report(Progress(done, len(waits), spent, left, f"timing {name}"))

                report()
                self._measure(ticket, model, device, image_hw, view, report)
                ends.append(time.monotonic() - begin)

        return self.worker(device).submit(work, owner=visit.id, slot="latencies")

    def _measure(
        self,
        ticket: Ticket,
        model: ModelChoice,
        device: str,
        image_hw: tuple[int, int],
        view: View,
        report: Callable[[], None],
    ) -> Latency:
        """Time a setting in turns with the plain network; `report` is called before each pass, which lets others in."""
        measured = dict.fromkeys((PLAIN, (view[0], view[1], ())))
        engine = self.engine(model, device)
        found: Latency | None = None
        begin = time.monotonic()
        for turn in range(_LATENCY_TURNS):
            if turn and time.monotonic() - begin > _LATENCY_BUDGET_S:
                break  # a slow network: others wait for the device
            for one in measured:
                found = engine.measure_latency(
                    image_hw=image_hw,
                    loc=one[0],
                    num_tokens=one[1] or None,
                    repeats=_LATENCY_REPEATS,
                    budget_s=_LATENCY_BUDGET_S / _LATENCY_TURNS / len(measured),
                    cancel=ticket.cancel,
                    between=report,
                )
                key = (model.weights, device, image_hw, one)
                known = self._latencies.get(key)
                if known is not None and known.median_ms <= found.median_ms:
                    found = known
                self._latencies.put(key, found)
        assert found is not None  # there is at least one turn, and the view that is asked for comes last
        return found

    # Questions ----------------------------------------------------------------------------------------------------

    def answer(self, request: Request, question: Question) -> Answer | None:
        """What was found out before."""
        return self._answers.get((request, question))

    def ask(self, visit: Visit, shown: Shown, question: Question, *, class_name: str = "") -> Job[Answer]:
        """Put a question in line; an earlier one of the same visit and kind is dropped.

        The job fails with `FeaturesGone` if the features had to make room, with `FeaturesNotKept` if they never fitted.

        Raises:
            QueueFull: If too many wait already.
        """

        def work(ticket: Ticket) -> Answer:
            known = self.answer(shown.request, question)
            if known is not None:
                return known
            ticket.report(Progress(0, None, 0.0, None, "starting"))
            engine = self.engine(shown.model, shown.request.device)
            found = answer(question, shown, engine, report=ticket.report, cancel=ticket.cancel, class_name=class_name)
            self._answers.put((shown.request, question), found)
            return found

        return self.worker(shown.request.device).submit(work, owner=visit.id, slot=f"question {question.kind}")

    # Giving back --------------------------------------------------------------------------------------------------

    def _stop_jobs(self, visit_id: str) -> None:
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.cancel_owner(visit_id, LOST)

    def _end(self, visit_id: str) -> None:
        self.results.release(visit_id)
        self.strips.release(visit_id)

    def _forget(self, shown: Shown) -> None:
        self._views.drop(lambda key: key[0] == shown.request)
        self._answers.drop(lambda key: key[0] == shown.request)
        features = self._features.get(shown.request.device)
        if features is not None:
            features.drop(key_of(shown.analysis))


@functools.cache
def compute_devices() -> dict[str, ComputeDevice]:
    """The devices of this machine by the name that torch gives them, the best one first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return {name: pick_device(name) for name in (*names, "cpu")}


def _leave_one_core() -> None:
    """Keep torch off one core, which decodes, encodes and answers browsers.

    Its threads spin while they wait for one another, so that on a busy machine all of them are slower than one fewer.
    """
    torch.set_num_threads(max(1, min(torch.get_num_threads(), (os.cpu_count() or 2) - 1)))
