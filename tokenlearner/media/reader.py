"""Photos and videos as one thing: RGB pictures with presentation times, one at a time."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType

import numpy as np
from jaxtyping import Float64

from tokenlearner.errors import MediaError, MediaLimitError
from tokenlearner.media.animation import AnimationSource
from tokenlearner.media.files import check_file, content_sha256, open_binary
from tokenlearner.media.info import Frame, MediaInfo
from tokenlearner.media.limits import DecodeClock, MediaLimits
from tokenlearner.media.pictures import identify_picture, is_animated
from tokenlearner.media.sampling import Sampling, choose_frames, pictures_in_range, rate_note
from tokenlearner.media.source import Source
from tokenlearner.media.still import StillSource
from tokenlearner.media.video import VideoSource

_NO_LIMITS_GIVEN = MediaLimits()
_ALL = Sampling()


class MediaReader:
    """Pictures of one photo or video, chosen in advance and decoded one at a time.

    Iterate over it once, inside a `with` block:

        with open_media("clip.mp4", Sampling(start_s=2.0, max_frames=100)) as reader:
            for frame in reader:
                ...
        print(reader.notes)

    A video that breaks half-way gives the pictures before the break; `notes` then says so.

    Attributes:
        info: What the file holds.
        planned_s: Presentation times that were chosen. Damage can make fewer pictures come out, or a
            later one stand in, so trust each frame's own time.
    """

    def __init__(self, source: Source, sampling: Sampling, clock: DecodeClock, extra: Sampling | None = None) -> None:
        self._source, self._sampling, self._clock = source, sampling, clock
        self.info: MediaInfo = source.info
        self._wanted = choose_frames(source.times_s, self._end_s, sampling)
        self.planned_s: Float64[np.ndarray, " planned"] = source.times_s[self._wanted]
        self._rate_note = rate_note(source.times_s, self._end_s, sampling)
        if not len(self._wanted):
            raise MediaError(
                f"The chosen start ({sampling.start_s:.1f} s) lies behind the end of {self.info.name} "
                f"({self.info.duration_s:.1f} s). Choose an earlier start."
            )
        self._read = self._wanted
        if extra is not None:
            beside = choose_frames(source.times_s, self._end_s, extra)
            self._read = np.union1d(self._wanted, beside[beside > self._wanted[0]])

    @property
    def _end_s(self) -> float:
        # A photograph stands for no time at all, but a range that starts at 0 s holds it.
        return self.info.duration_s if self.info.kind == "video" else float("inf")

    @property
    def num_in_range(self) -> int:
        """Pictures that the range holds, chosen or not."""
        return len(pictures_in_range(self._source.times_s, self._end_s, self._sampling))

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the viewer; complete once the last picture was read."""
        resampled = (self._rate_note,) if self._rate_note else ()
        return (*self.info.notes, *resampled, *self._source.notes)

    def __len__(self) -> int:
        """Pictures that were chosen, the most that will come; extra ones are not counted."""
        return len(self._wanted)

    def __iter__(self) -> Iterator[Frame]:
        """Decode the chosen pictures, in order, and extra ones between and behind them.

        Raises:
            MediaError: If not one of them can be decoded.
            Cancelled: If the caller asked to stop.
        """
        chosen = 0
        with closing(self._source.frames(self._read)) as frames:
            while True:
                with self._clock.running():
                    frame = next(frames, None)
                if frame is None:
                    break
                passed = int(np.searchsorted(self._wanted, frame.index, side="right"))
                yield dataclasses.replace(frame, is_extra=passed == chosen)
                chosen = passed
        if not chosen:
            self._clock.check(self.info.name)
            raise MediaError(f"{self.info.name} is damaged: not one picture in the chosen range can be decoded.")

    def __enter__(self) -> MediaReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()


def open_media(
    path: str | os.PathLike[str],
    sampling: Sampling = _ALL,
    limits: MediaLimits = _NO_LIMITS_GIVEN,
    *,
    name: str | None = None,
    extra: Sampling | None = None,
    cancel: threading.Event | None = None,
) -> MediaReader:
    """Open a photo or video and choose which of its pictures to read.

    What the file is, is decided by its content; its ending is ignored.

    Args:
        path: The file.
        sampling: Range and most pictures to read; a photo has its one picture at 0 s.
        limits: Bounds on what is opened.
        name: Name to show in messages, if the file lies under a temporary one.
        extra: More pictures to read beside the chosen ones, from the first of those on; marked `is_extra`. For who
            works on some pictures and shows more of them.
        cancel: Set it to stop; acts within one picture, here and while the reader is iterated over.

    Raises:
        MediaError: If it cannot be read, with what to do about it.
        MediaLimitError: If it is larger or longer than `limits`.
        Cancelled: If the caller asked to stop.
    """
    clock = DecodeClock(limits.max_decode_s, cancel)
    source = identify(Path(path), name or Path(path).name, limits, clock)
    try:
        reader = MediaReader(source, sampling, clock, extra)
        _check_duration(reader, sampling, limits)
    except MediaError:
        source.close()
        raise
    return reader


def probe(
    path: str | os.PathLike[str], limits: MediaLimits = _NO_LIMITS_GIVEN, *, name: str | None = None
) -> MediaInfo:
    """Find out what a file holds, as `open_media` would read it; its duration is not limited.

    Raises:
        MediaError: If it cannot be read, with what to do about it.
        MediaLimitError: If it is larger than `limits`.
    """
    source = identify(Path(path), name or Path(path).name, limits, DecodeClock(limits.max_decode_s))
    source.close()
    return source.info


def identify(path: Path, name: str, limits: MediaLimits, clock: DecodeClock) -> Source:
    """Open a file as what it is.

    Raises:
        MediaError: If it cannot be read, with what to do about it.
        MediaLimitError: If it is larger than `limits`, or takes longer to be understood than `clock` allows.
    """
    size_bytes = check_file(path, name, limits)
    sha256 = content_sha256(path)
    with clock.running():
        file = open_binary(path, name)
        try:
            image = identify_picture(file, name, limits)
            if image is None:
                file.close()
                return VideoSource(path, name=name, size_bytes=size_bytes, sha256=sha256, limits=limits, clock=clock)
            if is_animated(image, name):
                return AnimationSource(image, file, name=name, size_bytes=size_bytes, sha256=sha256, clock=clock)
            return StillSource(image, file, name=name, size_bytes=size_bytes, sha256=sha256)
        except BaseException:
            file.close()
            raise


def _check_duration(reader: MediaReader, sampling: Sampling, limits: MediaLimits) -> None:
    info = reader.info
    span_s = min(info.duration_s, sampling.end_s or info.duration_s) - sampling.start_s
    if span_s > limits.max_duration_s:
        raise MediaLimitError(
            f"The chosen range of {info.name} lasts {_clock_time(span_s)}; the limit is "
            f"{_clock_time(limits.max_duration_s)}. Choose a shorter range."
        )


def _clock_time(seconds: float) -> str:
    """Hours, minutes and seconds as people write them."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"
