"""Small pictures of photos and clips, read by a thread beside the page and kept within a bound. No Streamlit."""

from __future__ import annotations

import dataclasses
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float64

from app.bounded import Bounded
from app.items import Item
from app.results import EVERYBODY
from app.uploads import APP_LIMITS
from tokenlearner.errors import TokenLearnerError
from tokenlearner.media import MediaInfo, encode_jpeg, open_thumbnails

MAX_STRIPS: Final = 32
PARTS: Final = 20
HEIGHT: Final = 96
"""Of a picture in pixels: half as much again as the strip has, for screens of fine pixels."""
_QUALITY: Final = 72
_LOGGER: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, eq=False)
class StripView:
    """How far a strip has come.

    Attributes:
        pictures: JPEG of each part of the time; None for one that is not there yet, or cannot be had.
        info: What the file holds; None until it was opened.
        times_s: Presentation times of all its frames; None until it was opened.
        done: Whether no more will come.
    """

    pictures: tuple[bytes | None, ...] = ()
    info: MediaInfo | None = None
    times_s: Float64[np.ndarray, " frames"] | None = None
    done: bool = False

    @property
    def held(self) -> int:
        """Pictures that are there."""
        return sum(picture is not None for picture in self.pictures)


class Strip:
    """Small pictures of one photo or clip, filled by one thread and read by others."""

    def __init__(self) -> None:
        self.view = StripView()
        self._done = threading.Event()
        self._is_unwanted = threading.Event()

    def wait(self, timeout_s: float) -> StripView:
        """What there is after so many seconds, or sooner if no more will come."""
        self._done.wait(timeout_s)
        return self.view

    def stop(self) -> None:
        """Read no more of it: nobody wants to see it."""
        self._is_unwanted.set()

    def read(self, item: Item) -> None:
        """Read the pictures; those of a file that cannot be read stay out, which the analysis will explain."""
        try:
            if self._is_unwanted.is_set():
                return
            with open_thumbnails(item.locate(), PARTS, HEIGHT, APP_LIMITS, name=item.name) as reader:
                pictures: list[bytes | None] = [None] * reader.num_parts
                self.view = StripView(pictures=tuple(pictures), info=reader.info, times_s=reader.times_s)
                for one in reader:
                    pictures[one.part] = encode_jpeg(one.rgb, _QUALITY)
                    self.view = dataclasses.replace(self.view, pictures=tuple(pictures))
                    if self._is_unwanted.is_set():
                        return
        except TokenLearnerError as error:
            _LOGGER.info("No filmstrip: %s", error)
        except Exception:
            _LOGGER.exception("A filmstrip could not be read.")
        finally:
            self.view = dataclasses.replace(self.view, done=True)
            self._done.set()


class Strips:
    """The strips of all visitors, each known by its file's content. Threads may share it.

    A visitor's own file is read and kept for that visitor alone. One thread reads them in turn, so at most as many wait
    as are kept: what has to make room, or whose visitor has left, is not read to its end.
    """

    def __init__(self, max_strips: int = MAX_STRIPS) -> None:
        self._strips: Bounded[tuple[str, str], Strip] = Bounded(max_strips, on_drop=Strip.stop)
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tokenlearner-strips")
        self._lock = threading.Lock()

    def of(self, visit_id: str, item: Item) -> Strip:
        """The strip of a photo or clip, as far as it has come; reading begins with the first call."""
        key = (EVERYBODY if item.is_sample else visit_id, item.key)
        with self._lock:
            strip = self._strips.get(key)
            if strip is None:
                strip = Strip()
                self._strips.put(key, strip)
                self._reader.submit(strip.read, item)
            return strip

    def release(self, visit_id: str) -> None:
        """Forget what a visit brought."""
        self._strips.drop(lambda key: key[0] == visit_id)
