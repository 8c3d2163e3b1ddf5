"""Video files through PyAV: one pass over the packets for the times, then only the wanted pictures."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream
from jaxtyping import Int64, UInt8

from tokenlearner.errors import MediaError
from tokenlearner.media.convert import FrameConverter
from tokenlearner.media.decode import Decoder
from tokenlearner.media.files import open_for_ffmpeg
from tokenlearner.media.info import Frame, MediaInfo
from tokenlearner.media.limits import DecodeClock, MediaLimits, stopped_note
from tokenlearner.media.scan import prepare_decoder, scan_video
from tokenlearner.media.source import Source

_READ_BYTES: Final = 1 << 18
_MAX_THREADS: Final = 8
_CUT_TOLERANCE_S: Final = 1.0
_NOT_MOVING: Final = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image


class VideoSource(Source):
    """A video file.

    The first pass reads every packet (the file's bytes, without decoding them) for its presentation
    time, because frame counts, durations and rates in headers cannot be trusted. It decodes just the
    first picture, for size and orientation. `frames` then starts afresh, jumps over stretches in
    which nothing is wanted, and decodes of the rest what is wanted or referred to.
    """

    def __init__(
        self, path: Path, *, name: str, size_bytes: int, sha256: str, limits: MediaLimits, clock: DecodeClock
    ) -> None:
        self._path, self._name, self._limits, self._clock = path, name, limits, clock
        with self._opened() as container:
            stream = self._choose_stream(container)
            self._stream_index = stream.index
            scan = scan_video(container, stream, name, limits, clock)
            self._timeline, self._is_cut = scan.timeline, bool(scan.cut_note)
            self.times_s = scan.timeline.times_s
            self._converter = FrameConverter(scan.first, stream.sample_aspect_ratio)
            width, height = self._converter.size
            limits.check_pixels(name, width, height)
            notes = (self._stream_note(container), scan.cut_note, self._converter.note)
            self.info = MediaInfo(
                name=name,
                kind="video",
                width=width,
                height=height,
                duration_s=self._timeline.duration_s,
                num_frames=len(self._timeline.ticks),
                fps=self._timeline.fps,
                codec=stream.codec_context.codec.canonical_name,
                container=container.format.name,
                rotation_deg=self._converter.orientation.clockwise_deg,
                size_bytes=size_bytes,
                sha256=sha256,
                notes=tuple(note for note in notes if note),
            )

    def frames(self, wanted: Int64[np.ndarray, " wanted"], *, rough: bool = False) -> Generator[Frame]:
        """Decode the pictures of these ascending numbers.

        Where a wanted picture is damaged or missing, the next good one stands in, once.

        Args:
            wanted: Numbers of the pictures.
            rough: Decode only what others refer to, in about half the time: a wanted picture that nothing refers to
                counts as missing, and edges of blocks may show.
        """
        timeline = self._timeline
        decoder = Decoder(timeline, self._clock, may_skip=not rough)
        first_tick = int(timeline.ticks[0])
        last, complete = first_tick - 1, True
        with self._opened() as container:
            stream = container.streams[self._stream_index]
            assert isinstance(stream, VideoStream)
            threads = min(_MAX_THREADS, os.cpu_count() or 1)
            # Pictures without times are numbered as they come, so none may be left out.
            prepare_decoder(stream, self._limits, threads=threads, rough=rough and timeline.clock != "counted")
            for run in timeline.runs(timeline.ticks[wanted]):
                place = int(np.searchsorted(run.ticks, last, side="right"))  # what stood in may lie in this run
                if place == len(run.ticks):
                    continue
                with closing(decoder.read(container, stream, run)) as decoded:
                    for tick, frame in decoded:
                        if tick < run.ticks[place]:
                            continue
                        last = tick
                        index = min(int(np.searchsorted(timeline.ticks, tick)), len(timeline.ticks) - 1)
                        yield Frame(self._to_rgb(frame), float((tick - first_tick) * timeline.time_base), index)
                        place = int(np.searchsorted(run.ticks, tick, side="right"))
                        if place == len(run.ticks):
                            break
                complete = place == len(run.ticks)
        last_s = float((max(last, first_tick) - first_tick) * timeline.time_base)
        self.notes = self._reading_notes(decoder, last_s, complete)

    @property
    def keyframes(self) -> Int64[np.ndarray, " keyframes"]:
        """Numbers of the pictures that `keyframes_alone` can decode, ascending."""
        return np.searchsorted(self._timeline.ticks, np.sort(self._timeline.reachable_keyframes[0])).astype(np.int64)

    def keyframes_alone(self, wanted: Int64[np.ndarray, " wanted"]) -> Generator[Frame]:
        """Decode keyframes, each by itself: quick, however far apart they are. Those that are damaged are left out.

        Args:
            wanted: Some of `keyframes`.
        """
        timeline = self._timeline
        decoder = Decoder(timeline, self._clock)
        seeks = dict(zip(*(values.tolist() for values in timeline.reachable_keyframes), strict=True))
        with self._opened() as container:
            stream = container.streams[self._stream_index]
            assert isinstance(stream, VideoStream)
            prepare_decoder(stream, self._limits, threads=1)
            for index in wanted.tolist():
                tick = int(timeline.ticks[index])
                frame = decoder.read_alone(container, stream, tick, seeks[tick])
                if frame is not None:
                    yield Frame(self._to_rgb(frame), float(self.times_s[index]), index)

    def close(self) -> None:
        """Nothing is held between reads."""

    @contextmanager
    def _opened(self) -> Iterator[InputContainer]:
        """Open the file in a way that lets nothing in it make FFmpeg open another file or address."""
        with open_for_ffmpeg(self._path, self._name) as file:
            try:
                container = av.open(
                    file,
                    mode="r",
                    buffer_size=_READ_BYTES,
                    options={"max_pixels": str(self._limits.max_frame_pixels)},
                    container_options={"protocol_whitelist": "none"},
                    metadata_errors="ignore",
                )
            except (av.FFmpegError, OSError, ValueError) as error:
                raise self._unreadable() from error
            with container:
                yield container

    def _choose_stream(self, container: InputContainer) -> VideoStream:
        """The video to show: the default one, among those the largest; never a cover picture."""
        container_name = container.format.name
        if container_name == "image2" or container_name.endswith("_pipe"):
            raise MediaError(
                f"{self._name} is a picture that is damaged or of a kind that cannot be read here. "
                "Save it as PNG or JPEG first."
            )
        moving = _moving(container)
        if not moving:
            if container.streams.audio:
                raise MediaError(f"{self._name} holds sound but no video. Choose a photo or a video file.")
            raise self._unreadable()
        decodable = [stream for stream in moving if _has_decoder(stream)]
        if not decodable:
            raise MediaError(
                f"{self._name} holds video in a format that cannot be decoded here. Convert it to MP4 (H.264) first."
            )
        best = max(
            decodable,
            key=lambda stream: (Disposition.default in stream.disposition, stream.width * stream.height, -stream.index),
        )
        self._limits.check_pixels(self._name, best.width, best.height)
        return best

    def _stream_note(self, container: InputContainer) -> str:
        count = len(_moving(container))
        width, height = self._converter.size
        return f"This file holds {count} videos; the main one ({width} x {height}) is shown." if count > 1 else ""

    def _reading_notes(self, decoder: Decoder, last_s: float, complete: bool) -> tuple[str, ...]:
        if decoder.out_of_time:
            return (stopped_note(last_s),)
        at_known_cut = self._is_cut and last_s > self._timeline.duration_s - _CUT_TOLERANCE_S
        if decoder.damaged and not complete and not at_known_cut:
            return (f"This file stops after {last_s:.1f} s (damaged). The part before it is shown.",)
        if decoder.damaged and complete:
            return ("Parts of this file are damaged; pictures there may be missing or spoilt.",)
        return ()

    def _to_rgb(self, frame: av.VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        try:
            return self._converter(frame)
        except (av.FFmpegError, ValueError) as error:
            raise MediaError(f"The colours of {self._name} cannot be read. Convert it to MP4 (H.264) first.") from error

    def _unreadable(self) -> MediaError:
        """What to say about a file that neither Pillow nor FFmpeg makes sense of."""
        with open(self._path, "rb") as file:
            head = file.read(8)
        if head[4:8] in {b"ftyp", b"mdat", b"moov", b"wide"}:
            return MediaError(
                f"{self._name} is incomplete or damaged: its index cannot be read. Copy it again, or end the recording "
                "properly."
            )
        return MediaError(
            f"{self._name} is not a photo or video that can be read here. "
            "Choose a JPEG or PNG picture, or an MP4 video."
        )


def _moving(container: InputContainer) -> list[VideoStream]:
    """Streams that hold video rather than a cover picture or thumbnails."""
    return [stream for stream in container.streams.video if not stream.disposition & _NOT_MOVING]


def _has_decoder(stream: VideoStream) -> bool:
    # PyAV leaves the context of a codec it does not know at None, which its types do not say.
    return getattr(stream, "codec_context", None) is not None
