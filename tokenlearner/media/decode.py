"""Pictures out of an open video file, in order of presentation, past whatever is damaged."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from contextlib import suppress
from typing import Final

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from tokenlearner.media.limits import DecodeClock
from tokenlearner.media.scan import holds_picture, packets_of
from tokenlearner.media.timeline import Run, Timeline

_PACKETS_TO_KEYFRAME: Final = 512  # a seek may land a little before the keyframe that was meant


class Decoder:
    """Decodes runs of pictures and remembers what went wrong.

    Attributes:
        damaged: Packets that could not be decoded.
        out_of_time: Whether decoding stopped because the clock ran out.
    """

    def __init__(self, timeline: Timeline, clock: DecodeClock, *, may_skip: bool = False) -> None:
        """`may_skip`: leave out pictures that are neither wanted nor referred to, where the format says which."""
        self.damaged = 0
        self.out_of_time = False
        self._timeline = timeline
        self._clock = clock
        self._may_skip = may_skip and timeline.clock == "stamped"

    def read(self, container: InputContainer, stream: VideoStream, run: Run) -> Generator[tuple[int, av.VideoFrame]]:
        """Decode from the run's starting point on, until the caller has enough.

        If the file's index leads behind the first wanted picture, reading starts over from the
        beginning: slow, but right.

        Yields:
            Presentation time in ticks, and the frame.
        """
        wanted = frozenset(run.ticks.tolist())
        if run.seek is None:
            yield from self._decode(container, stream, wanted)
            return
        with suppress(av.FFmpegError):
            container.seek(run.seek, stream=stream)
        landed = False
        for tick, frame in self._decode(container, stream, wanted):
            if not landed and tick > run.ticks[0]:
                break
            landed = True
            yield tick, frame
        if not landed:
            with suppress(av.FFmpegError):
                container.seek(int(self._timeline.packet_dts[0]), stream=stream)
            yield from self._decode(container, stream, wanted)

    def read_alone(self, container: InputContainer, stream: VideoStream, tick: int, seek: int) -> av.VideoFrame | None:
        """Decode one keyframe and nothing else; None if it is not found where it should be, or damaged.

        Args:
            container: The open file.
            stream: Its video.
            tick: Presentation time of the keyframe.
            seek: Its decoding time.
        """
        with suppress(av.FFmpegError, ValueError):
            container.seek(seek, stream=stream)  # empties the decoder too
            for packet in itertools.islice(packets_of(container, stream), _PACKETS_TO_KEYFRAME):
                if self._clock.is_up():
                    self.out_of_time = True
                    return None
                if packet.pts == tick and packet.is_keyframe:
                    return next((frame for part in (packet, None) for frame in stream.decode(part)), None)
        return None

    def _decode(
        self, container: InputContainer, stream: VideoStream, wanted: frozenset[int]
    ) -> Generator[tuple[int, av.VideoFrame]]:
        timeline, packets_met, frames_met = self._timeline, 0, 0
        # Other codecs call some pictures unreferenced that pictures of a higher layer do refer to.
        may_skip = self._may_skip and stream.codec_context.name == "h264"
        for packet in packets_of(container, stream):
            if self._clock.is_up():
                self.out_of_time = True
                return
            if timeline.clock == "restamped" and holds_picture(packet):
                packet.pts, packet.dts = int(timeline.packet_ticks[packets_met]), None
                packets_met += 1
            if may_skip:
                stream.codec_context.skip_frame = "DEFAULT" if packet.pts in wanted else "NONREF"
            try:
                frames = stream.decode(packet)
            except av.EOFError:
                return
            except (av.FFmpegError, ValueError):
                self.damaged += 1
                continue
            for frame in frames:
                tick = frames_met if timeline.clock == "counted" else frame.pts
                frames_met += 1
                if tick is not None:
                    yield tick, frame
