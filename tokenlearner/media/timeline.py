"""When each picture of a video is shown, learnt from its packets without decoding them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int64

Clock = Literal["stamped", "restamped", "counted"]

_DEFAULT_RATE: Final = Fraction(25)
_DROP_S: Final = 1.0
_LEAP_S: Final = 10.0
_SEEK_WORTH_PACKETS: Final = 24


@dataclass(frozen=True, slots=True)
class PacketTime:
    """What one packet of the video stream says about time, in ticks of the stream's time base."""

    pts: int | None
    dts: int | None
    duration: int
    is_keyframe: bool


@dataclass(frozen=True)
class Run:
    """Pictures that are decoded in one go.

    Attributes:
        seek: Where to seek to before decoding (a decoding time), or None to read on.
        ticks: Presentation times of the wanted pictures, ascending.
    """

    seek: int | None
    ticks: Int64[np.ndarray, " wanted"]


@dataclass(frozen=True, eq=False)
class Timeline:
    """Presentation times of a video stream.

    Attributes:
        clock: "stamped": the packets' own times are sound. "restamped": they jump (recordings
            joined end to end), so `packet_ticks` replaces them, in file order. "counted": they
            are missing, so pictures are numbered as they leave the decoder.
        time_base: Seconds per tick.
        ticks: Presentation time of each picture, strictly ascending.
        end_tick: When the last picture leaves the screen.
        packet_ticks: Presentation time of each packet, in file order.
        packet_dts: Decoding time of each packet, in file order ("stamped" only; else empty).
        is_keyframe: Whether decoding can start at a packet, in file order.
    """

    clock: Clock
    time_base: Fraction
    ticks: Int64[np.ndarray, " frames"]
    end_tick: int
    packet_ticks: Int64[np.ndarray, " packets"]
    packet_dts: Int64[np.ndarray, " maybe_packets"]
    is_keyframe: Bool[np.ndarray, " packets"]

    @property
    def times_s(self) -> Float64[np.ndarray, " frames"]:
        """Presentation time of each picture, counted from the first."""
        return np.asarray((self.ticks - self.ticks[0]) * float(self.time_base))

    @property
    def duration_s(self) -> float:
        """From the first picture until the last one leaves the screen."""
        return float((self.end_tick - int(self.ticks[0])) * self.time_base)

    @property
    def fps(self) -> float:
        """Pictures per second on average."""
        return len(self.ticks) / self.duration_s

    @property
    def reachable_keyframes(self) -> tuple[Int64[np.ndarray, " keyframes"], Int64[np.ndarray, " keyframes"]]:
        """Presentation and decoding times of the keyframes that can be jumped to, in ticks and in file order."""
        if self.clock != "stamped" or not len(self.packet_dts):
            return _no_ticks(), _no_ticks()
        return self.packet_ticks[self.is_keyframe], self.packet_dts[self.is_keyframe]

    def runs(self, ticks: Int64[np.ndarray, " wanted"]) -> Iterator[Run]:
        """Split wanted pictures so that long stretches of unwanted ones are jumped over.

        The keyframe to start from is the last one before the picture in the file that is also
        shown no later: pictures that follow an open-GOP keyframe in the file but precede it on
        screen need the keyframe before.
        """
        if self.clock != "stamped" or not len(self.packet_dts) or not len(ticks):
            yield Run(None, ticks)
            return
        order = np.argsort(self.packet_ticks, kind="stable")
        places = order[np.searchsorted(self.packet_ticks, ticks, sorter=order)]
        keys = np.flatnonzero(self.is_keyframe)
        seek: int | None = None
        begin, reached = 0, -1
        for number, (tick, place) in enumerate(zip(ticks.tolist(), places.tolist(), strict=True)):
            key = self._keyframe(keys, place, tick)
            if key - reached > _SEEK_WORTH_PACKETS:
                if number > begin:
                    yield Run(seek, ticks[begin:number])
                begin, seek = number, int(self.packet_dts[key])
            reached = max(reached, place)
        yield Run(seek, ticks[begin:])

    def _keyframe(self, keys: Int64[np.ndarray, " keys"], place: int, tick: int) -> int:
        """File position of the keyframe to start from for the packet at `place`; 0 if there is none."""
        for number in range(int(np.searchsorted(keys, place, side="right")) - 1, -1, -1):
            if self.packet_ticks[keys[number]] <= tick:
                return int(keys[number])
        return 0


def build_timeline(
    packets: Sequence[PacketTime],
    *,
    time_base: Fraction,
    rate: Fraction | None,
    closes_gaps: bool,
) -> Timeline:
    """Make sense of the times that a stream's packets carry.

    Args:
        packets: In file order, at least one.
        time_base: Seconds per tick.
        rate: Pictures per second that the header announces, for packets without times.
        closes_gaps: Whether the format's clock may be reset on the way (MPEG transport streams), so
            that a leap forward by more than 10 s is a cut and not a picture held that long.
    """
    keyframes = np.array([packet.is_keyframe for packet in packets], bool)
    stamps = [packet.pts for packet in packets if packet.pts is not None]
    if len(stamps) < len(packets):
        numbers = np.arange(len(packets), dtype=np.int64)
        step_s = 1 / rate if rate else 1 / _DEFAULT_RATE
        return Timeline("counted", step_s, numbers, len(packets), numbers, _no_ticks(), keyframes)
    pts = np.array(stamps, np.int64)
    step = _typical_step(pts, packets, time_base, rate)
    moved = _without_jumps(packets, pts, step, time_base, closes_gaps)
    clock: Clock = "stamped" if np.array_equal(moved, pts) else "restamped"
    ticks = np.unique(moved)
    last = packets[int(np.argmax(moved))].duration
    if not 0 < last <= max(10 * step, int(_LEAP_S / time_base)):
        last = step
    dts = [packet.dts for packet in packets]
    return Timeline(
        clock,
        time_base,
        ticks,
        int(ticks[-1]) + last,
        moved,
        _filled(dts, pts) if clock == "stamped" else _no_ticks(),
        keyframes,
    )


def _typical_step(
    pts: Int64[np.ndarray, " packets"], packets: Sequence[PacketTime], time_base: Fraction, rate: Fraction | None
) -> int:
    """Ticks from one picture to the next, typically; at least 1."""
    steps = np.diff(np.unique(pts))
    if len(steps):
        return max(1, int(np.median(steps)))
    if packets[0].duration > 0:
        return packets[0].duration
    return max(1, round(1 / ((rate or _DEFAULT_RATE) * time_base)))


def _without_jumps(
    packets: Sequence[PacketTime],
    pts: Int64[np.ndarray, " packets"],
    step: int,
    time_base: Fraction,
    closes_gaps: bool,
) -> Int64[np.ndarray, " packets"]:
    """Join stretches whose times start anew: each begins one step after the one before it ends.

    Decoding times tell: within a stretch they only ascend, however the pictures are reordered.
    """
    drop, leap = int(_DROP_S / time_base), int(_LEAP_S / time_base)
    starts = []
    before: int | None = None
    for place, packet in enumerate(packets):
        if packet.dts is None:
            continue
        if before is not None and (packet.dts < before - drop or (closes_gaps and packet.dts > before + leap)):
            starts.append(place)
        before = packet.dts
    moved = pts.copy()
    for begin, end in itertools.pairwise([*starts, len(pts)]):
        moved[begin:end] += int(moved[:begin].max()) + step - int(pts[begin:end].min())
    return moved


def _filled(dts: Sequence[int | None], pts: Int64[np.ndarray, " packets"]) -> Int64[np.ndarray, " packets"]:
    """Decoding times; where one is missing, the earliest presentation time from there on stands in."""
    earliest = np.minimum.accumulate(pts[::-1])[::-1]
    return np.array([known if known is not None else late for known, late in zip(dts, earliest.tolist(), strict=True)])


def _no_ticks() -> Int64[np.ndarray, " none"]:
    return np.empty(0, np.int64)
