"""Pictures and clips out: PNG, JPEG, and H.264 that every browser plays."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Final

import av
import numpy as np
from av.codec.context import Flags as CodecFlags
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter
from av.video.stream import VideoStream
from jaxtyping import UInt8
from PIL import Image

from tokenlearner.errors import MediaError
from tokenlearner.media.files import replacing

_TICKS_PER_S: Final = 90_000
_KEYFRAME_EVERY: Final = 24


class VideoWriter:
    """Writes an MP4 (H.264, yuv420p, BT.709, index first) that plays in a browser.

    Each picture keeps its own presentation time, so the frame rate may vary; the first one written
    starts the clip at 0 s. H.264 wants even sizes: an odd width or height is padded by repeating
    the last column or row (`encoded_hw`). Keyframes come often, so that a player can step and scrub,
    and there are no B-frames, so that no edit list is needed to start at 0 s.

    The file appears at `path` when the writer is closed without an error, whole, or not at all:

        with VideoWriter("overlay.mp4", (360, 640)) as writer:
            for frame in reader:
                writer.write(frame.rgb, frame.timestamp_s)

    Args:
        path: The file to write; one that stands there is replaced.
        frame_hw: Height and width of the pictures in pixels.
        crf: x264's quality, from 0 (lossless) to 51; 18 is visually clean.
        preset: x264's effort, from "ultrafast" to "veryslow".
        last_frame_s: How long the last picture is shown; by default as long as the one before.

    Raises:
        MediaError: If the folder does not exist or cannot be written to.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        frame_hw: tuple[int, int],
        *,
        crf: int = 18,
        preset: str = "veryfast",
        last_frame_s: float | None = None,
    ) -> None:
        height, width = frame_hw
        if height < 1 or width < 1:
            raise MediaError(f"A video of {width} x {height} pixels cannot be written.")
        self.frame_hw = frame_hw
        self.encoded_hw = (height + height % 2, width + width % 2)
        self._last_frame_s = last_frame_s
        self._start_s: float | None = None
        self._held: av.VideoFrame | None = None
        self._step_ticks = _TICKS_PER_S // 25
        self._reformatter = VideoReformatter()
        self._path = Path(path)
        with ExitStack() as stack:
            stack.enter_context(self._errors())
            temporary = stack.enter_context(replacing(path))
            self._container: OutputContainer = stack.enter_context(
                av.open(str(temporary), "w", format="mp4", options={"movflags": "+faststart"})
            )
            self._stream = self._add_stream(crf, preset)
            self._stack: ExitStack | None = stack.pop_all()

    def _add_stream(self, crf: int, preset: str) -> VideoStream:
        # The rate is a hint for x264's rate control only: pictures carry their own times.
        stream = self._container.add_stream("libx264", rate=25, options={"crf": str(crf), "preset": preset})
        stream.height, stream.width = self.encoded_hw
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS_PER_S)
        context.gop_size = _KEYFRAME_EVERY
        context.max_b_frames = 0
        context.flags |= CodecFlags.frame_duration  # or the last picture's own duration is lost
        context.color_primaries = ColorPrimaries.BT709
        context.color_trc = ColorTrc.BT709
        context.colorspace = Colorspace.ITU709
        context.color_range = ColorRange.MPEG
        return stream

    def write(self, rgb: UInt8[np.ndarray, "height width 3"], timestamp_s: float) -> None:
        """Append a picture.

        Args:
            rgb: RGB 0..255 of the size given to the writer.
            timestamp_s: When it appears; later than the one before.

        Raises:
            ValueError: If the size differs or the time does not advance.
        """
        if rgb.shape[:2] != self.frame_hw:
            raise ValueError(f"This video takes pictures of {self.frame_hw}, not {rgb.shape[:2]} (height, width).")
        if self._start_s is None:
            self._start_s = timestamp_s
        tick = round((timestamp_s - self._start_s) * _TICKS_PER_S)
        if self._held is not None:
            held_tick = self._held.pts or 0
            if tick <= held_tick:
                raise ValueError(f"The picture at {timestamp_s} s does not come after the one before.")
            self._step_ticks = tick - held_tick
            with self._errors():
                self._encode(self._held)
        self._held = self._to_yuv(rgb)
        self._held.pts = tick

    def close(self) -> None:
        """Write what is outstanding and let the file appear at its place; again does nothing.

        Raises:
            MediaError: If no picture was written, or the file cannot be written.
        """
        stack, self._stack = self._stack, None
        if stack is None:
            return
        with stack:
            if self._held is None:
                raise MediaError(f"{self._path.name} cannot be written: a video needs at least one picture.")
            if self._last_frame_s is not None:
                self._step_ticks = max(1, round(self._last_frame_s * _TICKS_PER_S))
            self._encode(self._held)
            self._container.mux(self._stream.encode(None))

    def discard(self) -> None:
        """Give the clip up: nothing appears, and what stood at its place stays."""
        stack, self._stack = self._stack, None
        if stack is not None:
            with suppress(_DiscardedError), stack:
                raise _DiscardedError

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.discard()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except av.FFmpegError as error:
            reason = (error.strerror or type(error).__name__).lower()
            raise MediaError(f"{self._path} cannot be written ({reason}).") from error

    def _encode(self, frame: av.VideoFrame) -> None:
        frame.duration = self._step_ticks
        self._container.mux(self._stream.encode(frame))

    def _to_yuv(self, rgb: UInt8[np.ndarray, "height width 3"]) -> av.VideoFrame:
        height, width = self.frame_hw
        bottom, right = self.encoded_hw[0] - height, self.encoded_hw[1] - width
        if bottom or right:
            rgb = np.pad(rgb, ((0, bottom), (0, right), (0, 0)), mode="edge")
        frame = self._reformatter.reformat(
            av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            threads=1,
        )
        frame.time_base = Fraction(1, _TICKS_PER_S)
        return frame


def write_png(path: str | os.PathLike[str], rgb: UInt8[np.ndarray, "height width 3"]) -> None:
    """Write an RGB picture as PNG, whole or not at all.

    Raises:
        MediaError: If the file cannot be written.
    """
    with replacing(path) as temporary:
        Image.fromarray(rgb).save(temporary, format="PNG")


def encode_png(rgb: UInt8[np.ndarray, "height width 3"]) -> bytes:
    """An RGB picture as the bytes of a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="PNG")
    return buffer.getvalue()


def encode_jpeg(rgb: UInt8[np.ndarray, "height width 3"], quality: int = 90) -> bytes:
    """An RGB picture as the bytes of a JPEG file; `quality` from 1 to 100."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, format="JPEG", quality=quality)
    return buffer.getvalue()


class _DiscardedError(Exception):
    """Unwinds a writer whose clip is not wanted."""
