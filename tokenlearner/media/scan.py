"""The first pass over a video file: presentation times of all pictures, and the first picture."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from tokenlearner.errors import MediaError
from tokenlearner.media.limits import DecodeClock, MediaLimits
from tokenlearner.media.timeline import PacketTime, Timeline, build_timeline

# Formats whose header states a duration that was measured, not estimated from a bit rate.
_MEASURED_FORMATS: Final = ("mov", "matroska", "avi")
_SHORT_BY_S, _SHORT_BY_SHARE = 0.5, 0.05
_CLOCK_MAY_RESET: Final = 0x0200  # FFmpeg's AVFMT_TS_DISCONT
_PACKETS_PER_CHECK: Final = 256
_ROUGHLY: Final = {"skip_frame": "noref", "skip_loop_filter": "all"}


@dataclass(frozen=True, eq=False)
class Scan:
    """What the first pass found.

    Attributes:
        timeline: Presentation times of the video stream.
        first: Its first picture that can be decoded.
        cut_note: A sentence if the file ends before its header says; else empty.
    """

    timeline: Timeline
    first: av.VideoFrame
    cut_note: str


def scan_video(
    container: InputContainer, stream: VideoStream, name: str, limits: MediaLimits, clock: DecodeClock
) -> Scan:
    """Read all packets of a freshly opened file.

    Raises:
        MediaError: If there is no picture in `stream`, or none that can be decoded.
        MediaLimitError: If it takes longer than `limits.max_decode_s`.
    """
    prepare_decoder(stream, limits, threads=1)
    packets: list[PacketTime] = []
    first: av.VideoFrame | None = None
    end_s = 0.0
    for number, packet in enumerate(packets_of(container)):
        if number % _PACKETS_PER_CHECK == 0:
            clock.check(name)
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != stream.index:
            continue
        if first is None:
            with suppress(av.FFmpegError):
                first = next(iter(stream.decode(packet)), None)
        if holds_picture(packet):
            packets.append(PacketTime(packet.pts, packet.dts, packet.duration or 0, packet.is_keyframe))
    if not packets:
        raise MediaError(f"{name} holds no pictures. It may be incomplete: copy or download it again.")
    if first is None:
        raise MediaError(f"{name} is damaged: not one picture in it can be decoded.")
    timeline = build_timeline(
        packets,
        time_base=stream.time_base or Fraction(1, 1000),
        rate=stream.guessed_rate or stream.average_rate,
        closes_gaps=bool(container.format.flags & _CLOCK_MAY_RESET),
    )
    return Scan(timeline, first, _cut_note(container, end_s, timeline.duration_s))


def packets_of(container: InputContainer, stream: Stream | None = None) -> Iterator[Packet[Stream]]:
    """Packets from the present position on, the empty ones that flush the decoder last.

    A file that breaks off ends the iteration like one that is complete. (The IndexError is PyAV's, at
    the end of a file in which another stream appeared on the way.)
    """
    demuxer = container.demux() if stream is None else container.demux(stream)
    while True:
        try:
            packet = next(demuxer)
        except (StopIteration, av.FFmpegError, OSError, IndexError):
            return
        yield packet


def holds_picture(packet: Packet[Stream]) -> bool:
    """Whether a packet carries a picture to show (it does not flush, nor is it cut away by an edit list)."""
    return packet.size > 0 and not packet.is_discard


def prepare_decoder(stream: VideoStream, limits: MediaLimits, *, threads: int, rough: bool = False) -> None:
    """Bound a stream's decoder in threads and in pixels, before it is used; see `VideoSource.frames` for `rough`."""
    context = stream.codec_context
    context.thread_type = ThreadType.AUTO
    context.thread_count = threads
    context.options = {"max_pixels": str(limits.max_frame_pixels)} | (_ROUGHLY if rough else {})


def _cut_note(container: InputContainer, end_s: float, shown_s: float) -> str:
    if container.duration is None or not container.format.name.startswith(_MEASURED_FORMATS):
        return ""
    announced_s = container.duration / av.time_base
    # Where the first picture comes late, some programs count from it and some from 0: no alarm if either fits.
    missing_s = announced_s - max(end_s, end_s - (container.start_time or 0) / av.time_base)
    if missing_s <= max(_SHORT_BY_S, _SHORT_BY_SHARE * announced_s):
        return ""
    return (
        f"This file announces {announced_s:.1f} s but stops after {shown_s:.1f} s (damaged or incomplete). "
        "The part before it is shown."
    )
