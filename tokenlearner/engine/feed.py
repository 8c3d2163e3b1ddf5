"""A thread that decodes, resizes and batches ahead of the network, through a bounded queue."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Final

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from tokenlearner.engine.geometry import Geometry
from tokenlearner.engine.waiting import POLL_S, raise_if_set
from tokenlearner.media import Frame

OnFrame = Callable[[Frame], None]

_QUEUED_BATCHES: Final = 2
_SLOW_S: Final = 1.0


@dataclass(frozen=True, eq=False)
class Batch:
    """Inputs for the network, one entry per frame, or per clip for a video model.

    Attributes:
        rgb: RGB, 0..255, at the model's input size. A clip model's last clip is filled by its last frame.
        timestamps_s: Presentation times of the frames in each entry, without those that only fill.
    """

    rgb: UInt8[Tensor, "entries *frames height width 3"]
    timestamps_s: tuple[tuple[float, ...], ...]

    @property
    def num_frames(self) -> int:
        """Frames of the media in this batch."""
        return sum(map(len, self.timestamps_s))


class FrameFeed:
    """Iterates over batches that a thread prepares. Use it as a context: leaving it ends the thread.

    Where pictures come slowly, a batch that has grown for a second goes as it is once the network has nothing to do.

    Args:
        frames: Decoded frames, in order; only the thread touches them until the context is left.
        geometry: What the model sees of them.
        clip_frames: Frames in one entry for a video model; None for single frames.
        batch_size: Asked before each batch for the entries it shall hold.
        on_frame: Called in the thread with each frame at full size, in order, extra ones too; None for nothing.
        cancel: Set by the caller to stop.
        stop: Set when the context is left, whatever the reason; `frames` may heed it, so that this does not take long.
        idle: Called again and again while the iteration waits for a batch, in its thread.
        pin: Whether to place batches in page-locked memory, for quick transfers to CUDA devices.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        geometry: Geometry,
        *,
        clip_frames: int | None,
        batch_size: Callable[[], int],
        on_frame: OnFrame | None = None,
        cancel: threading.Event | None = None,
        stop: threading.Event | None = None,
        idle: Callable[[], None] = lambda: None,
        pin: bool = False,
    ) -> None:
        self.decode_s = 0.0
        self.wait_s = 0.0
        self._frames = frames
        self._geometry = geometry
        self._clip_frames = clip_frames
        self._batch_size = batch_size
        self._on_frame = on_frame
        self._cancel = cancel
        self._idle = idle
        self._pin = pin
        self._stop = stop or threading.Event()
        self._queue: queue.Queue[Batch | Exception | None] = queue.Queue(_QUEUED_BATCHES)
        self._thread = threading.Thread(target=self._work, name="tokenlearner-decode", daemon=True)

    def __enter__(self) -> FrameFeed:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def __iter__(self) -> Iterator[Batch]:
        """Yield batches in order.

        Raises:
            Cancelled: If the caller asked to stop.
            Exception: Whatever decoding or `on_frame` raised, after the batches before it.
        """
        while True:
            item = self._next()
            if item is None:
                return
            if isinstance(item, Exception):
                raise item
            yield item

    def _next(self) -> Batch | Exception | None:
        while True:
            raise_if_set(self._cancel)
            begin = time.perf_counter()
            try:
                return self._queue.get(timeout=POLL_S)
            except queue.Empty:
                pass
            finally:
                self.wait_s += time.perf_counter() - begin
            self._idle()

    def _put(self, item: Batch | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                return self._queue.put(item, timeout=POLL_S)
            except queue.Full:
                continue

    def _work(self) -> None:
        try:
            for batch in self._batches():
                self._put(batch)
            self._put(None)
        except Exception as error:  # noqa: BLE001  # handed to the caller's thread, which raises it
            self._put(error)

    def _batches(self) -> Iterator[Batch]:
        inputs: list[UInt8[np.ndarray, "height width 3"]] = []
        times: list[float] = []
        per_entry = self._clip_frames or 1
        wanted = self._batch_size() * per_entry
        begun = time.perf_counter()
        frames = iter(self._frames)
        try:
            while not self._stop.is_set():
                begin = time.perf_counter()
                frame = next(frames, None)
                if frame is None:
                    break
                if self._on_frame is not None:
                    self._on_frame(frame)
                if not frame.is_extra:
                    inputs.append(self._geometry.to_input(frame.rgb))
                    times.append(frame.timestamp_s)
                self.decode_s += time.perf_counter() - begin
                is_whole = bool(inputs) and len(inputs) % per_entry == 0
                is_slow = time.perf_counter() - begun > _SLOW_S and self._queue.empty()
                if len(inputs) == wanted or (is_whole and is_slow):
                    yield self._batch(inputs, times)
                    inputs, times = [], []
                    wanted = self._batch_size() * per_entry
                    begun = time.perf_counter()
        except Exception:
            if inputs:
                yield self._batch(inputs, times)
            raise
        if inputs and not self._stop.is_set():
            yield self._batch(inputs, times)

    def _batch(self, inputs: list[UInt8[np.ndarray, "height width 3"]], times: list[float]) -> Batch:
        per_entry = self._clip_frames or 1
        stacked = np.stack(inputs + [inputs[-1]] * (-len(inputs) % per_entry))
        if self._clip_frames is not None:
            stacked = stacked.reshape(-1, per_entry, *stacked.shape[1:])
        rgb = torch.from_numpy(stacked)
        entries = tuple(tuple(times[i : i + per_entry]) for i in range(0, len(times), per_entry))
        return Batch(rgb.pin_memory() if self._pin else rgb, entries)
