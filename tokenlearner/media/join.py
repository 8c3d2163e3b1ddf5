"""Joins clips end to end, or the beginning of them, without encoding anything again."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from tokenlearner.errors import MediaError
from tokenlearner.media.files import replacing


@dataclass(frozen=True)
class Piece:
    """A clip that is a part of a longer one.

    Attributes:
        path: An MP4 as `VideoWriter` writes it: every piece with the same size and settings.
        start_s: When its first picture appears in the longer one.
    """

    path: Path
    start_s: float


def join_pieces(pieces: Sequence[Piece], path: str | os.PathLike[str], *, frames: int | None = None) -> int:
    """Write one MP4 (index first) of clips that follow one another.

    Pictures keep their times. The last one is shown as long as the one before.

    Args:
        pieces: In the order of time, at least one.
        path: The file to write; one that stands there is replaced. It appears whole, or not at all.
        frames: Stop after so many pictures; None for all.

    Returns:
        Pictures written.

    Raises:
        MediaError: If a piece cannot be read, or the file not be written.
        ValueError: If there is no piece or no picture.
    """
    if not pieces or frames == 0:
        raise ValueError("A joined clip needs at least one picture.")
    written = 0
    try:
        with (
            av.open(str(pieces[0].path)) as first,
            replacing(path) as temporary,
            av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"}) as target,
        ):
            stream = target.add_stream_from_template(first.streams.video[0])
            before = 0
            for packet in itertools.islice(_packets(pieces), frames):
                at = packet.dts or 0
                if written:
                    packet.duration = at - before  # of the last one only: the others last until the next
                packet.stream, before = stream, at
                target.mux(packet)
                written += 1
    except av.FFmpegError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise MediaError(f"{path} cannot be written ({reason}).") from error
    return written


def _packets(pieces: Sequence[Piece]) -> Iterator[Packet[VideoStream]]:
    """The encoded pictures of all pieces, on the clock of the first."""
    for piece in pieces:
        with av.open(str(piece.path)) as container:
            yield from _shifted(container, container.streams.video[0], piece.start_s - pieces[0].start_s)


def _shifted(container: InputContainer, stream: VideoStream, by_s: float) -> Iterator[Packet[VideoStream]]:
    for packet in container.demux(stream):
        if packet.dts is None or packet.pts is None:
            continue  # the end of the file
        by = round(by_s / packet.time_base)
        packet.pts += by
        packet.dts += by
        yield packet
