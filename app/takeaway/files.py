"""The files that can be taken away, each made from an analysis and the clip that the browser plays."""

from __future__ import annotations

import csv
import io
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from app.clips import BrowserClip, resized
from app.player.payload import PlayerState
from app.takeaway.clips import Report, fit_clip, frames_of
from app.takeaway.document import write_html
from app.takeaway.picture import Picture, StatePainter
from app.text import size
from tokenlearner import render
from tokenlearner.analysis.tracks import track_maps
from tokenlearner.engine import Analysis
from tokenlearner.errors import Cancelled, ConfigError
from tokenlearner.export import UNTRAINED_MARK, write_maps, write_summary
from tokenlearner.media import MediaReader, VideoWriter, encode_png
from tokenlearner.palette import token_number

HTML_LIMIT: Final = 10_000_000
"""Bytes that an HTML file stays below, if the clip can be made so small."""
HTML_BUDGET: Final = HTML_LIMIT - 200_000
_HTML_REST: Final = 250_000  # player, styles and numbers
GIF_WIDTH: Final = 480
GIF_FRAMES: Final = 120
GIF_RATE: Final = 10.0
SHEET_COLUMNS: Final = 8
COLUMNS: Final = (
    *("time_s", "token", "centroid_x", "centroid_y", "spread", "peak", "peak_x", "peak_y", "stability"),
    *("top_class", "top_probability"),
)


@dataclass(frozen=True, kw_only=True)
class Order:
    """A file that somebody wants.

    Attributes:
        found: What is on the screen.
        clip: Its frames.
        state: How the player shows it.
        credit: Where the media comes from, "" if that is nobody's business.
        scale_max: Weight drawn at full strength by the fixed scale; None for that of these maps.
        report: Called with how much is done, and of how much.
        note: Called with what is worth knowing about the file, in a sentence.
        cancel: Set to stop.
    """

    found: Analysis
    clip: BrowserClip
    state: PlayerState
    credit: str = ""
    scale_max: float | None = None
    report: Report | None = None
    note: Callable[[str], None] = lambda sentence: None
    cancel: threading.Event | None = None

    @property
    def painter(self) -> StatePainter:
        """Draws what the player shows."""
        return StatePainter(self.found, self.state, self.scale_max)

    def frames(self, reader: MediaReader) -> Iterator[tuple[Picture, float]]:
        """The clip's frames with their time in the source, in seconds; says how far it is before each.

        Raises:
            Cancelled: If the caller asked to stop.
        """
        for done, frame in enumerate(reader, start=1):
            if self.cancel is not None and self.cancel.is_set():
                raise Cancelled("Making the file was stopped.")
            if self.report is not None:
                self.report(done, len(reader))
            yield frame.rgb, frame.timestamp_s + self.clip.start_s


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of file.

    Attributes:
        label: What the button says.
        ending: Of its name, such as ".tokens.mp4".
        mime: Its type.
        help: What it holds, in a sentence.
        make: Makes it.
        clip_only: Whether a photo has none.
        maps_only: Whether the plain network has none.
    """

    label: str
    ending: str
    mime: str
    help: str
    make: Callable[[Order], bytes]
    clip_only: bool = False
    maps_only: bool = False

    def is_for(self, found: Analysis) -> bool:
        """Whether there is such a file of an analysis."""
        return (found.media.kind == "video" or not self.clip_only) and (
            found.token_maps is not None or not self.maps_only
        )


def make_html(order: Order) -> bytes:
    """One file with clip, maps, player and numbers."""
    maps = order.found.token_maps
    room = HTML_BUDGET * 3 // 4 - _HTML_REST - (0 if maps is None else maps.size)
    clip = fit_clip(order.clip, max(room, 1), report=order.report, cancel=order.cancel)
    content = write_html(order.found, clip, start=order.state, credit=order.credit, scale_max=order.scale_max)
    if clip is not order.clip:
        (height, width), (own_height, own_width) = clip.frame_hw, order.clip.frame_hw
        smaller = f"{width} × {height} instead of {own_width} × {own_height} pixels"
        how = smaller if clip.frame_hw != order.clip.frame_hw else "compressed more"
        if len(content) <= HTML_LIMIT:
            order.note(f"The clip in it is {how}, so that the file stays below {size(HTML_LIMIT)}.")
        else:
            order.note(f"The clip in it is {how}; it cannot be made small enough for a file of {size(HTML_LIMIT)}.")
    return content


def make_mp4(order: Order) -> bytes:
    """The clip as the player shows it, H.264 that plays everywhere."""
    painter = order.painter

    def write(path: Path) -> None:
        writer: VideoWriter | None = None
        with frames_of(order.clip) as reader:
            try:
                for rgb, time_s in order.frames(reader):
                    picture = painter.paint(rgb, time_s)
                    writer = writer or VideoWriter(path, (picture.shape[0], picture.shape[1]), crf=20)
                    writer.write(picture, time_s - order.clip.start_s)
            except BaseException:
                if writer is not None:
                    writer.discard()
                raise
        if writer is not None:
            writer.close()

    return written("view.mp4", write)


def make_gif(order: Order) -> bytes:
    """The clip as the player shows it, small and without sound, for where only pictures go."""
    painter, pictures, times = order.painter, [], []
    with frames_of(order.clip) as reader:
        chosen = gif_frames(reader.planned_s)
        for number, (rgb, time_s) in enumerate(order.frames(reader)):
            if number not in chosen:
                continue
            picture = painter.paint(rgb, time_s)
            width = min(GIF_WIDTH, picture.shape[1])
            small = resized(picture, (max(1, round(picture.shape[0] * width / picture.shape[1])), width))
            pictures.append(Image.fromarray(small).quantize(128, dither=Image.Dither.NONE))
            times.append(time_s)
    steps = np.diff([*times, times[-1] + (times[-1] - times[-2] if len(times) > 1 else 1.0)])
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=pictures[1:],
        duration=[max(20, round(1000 * step)) for step in steps],
        loop=0,
    )
    return buffer.getvalue()


def gif_frames(times_s: np.ndarray) -> set[int]:
    """Numbers of the frames that a GIF shows: at most `GIF_RATE` a second, at most `GIF_FRAMES` in all."""
    span = float(times_s[-1] - times_s[0])
    count = max(1, min(len(times_s), GIF_FRAMES, round(span * GIF_RATE) + 1))
    goals = np.linspace(times_s[0], times_s[-1], count)
    return {int(index) for index in np.searchsorted(times_s, goals - 1e-6)}


def make_png(order: Order) -> bytes:
    """The frame on the screen as the player shows it."""
    return encode_png(order.painter.paint(*_frame_at(order)))


def _frame_at(order: Order) -> tuple[Picture, float]:
    """The latest frame that is not later than the playhead, and its time in the source."""
    found: tuple[Picture, float] | None = None
    with frames_of(order.clip) as reader:
        for rgb, time_s in order.frames(reader):
            if found is not None and time_s > order.state.time_s + 1e-4:
                break
            found = (rgb, time_s)
    assert found is not None  # a clip holds a frame
    return found


def make_sheet(order: Order) -> bytes:
    """Tokens down, time across, as heat."""
    found = order.found
    maps = _maps(found)
    steps = np.unique(np.linspace(0, len(maps) - 1, min(SHEET_COLUMNS, len(maps))).round().astype(int))
    frames: dict[int, Picture] = {}
    with frames_of(order.clip) as reader:
        times = reader.planned_s + order.clip.start_s
        wanted = {int(np.abs(times - found.timestamps_s[step]).argmin()): int(step) for step in steps}
        for number, (rgb, _) in enumerate(order.frames(reader)):
            if number in wanted:
                frames[wanted[number]] = rgb
    kept = sorted(frames)
    left, top, width, height = found.geometry.box_normalized
    rows, cols = frames[kept[0]].shape[:2]
    sheet = render.contact_sheet(
        [frames[step] for step in kept],
        maps[kept],
        found.timestamps_s[kept],
        render.clip_scale(maps) if order.scale_max is None else order.scale_max,
        found.map_unit,
        token_ids=range(found.num_tokens),
        tile_width=240,
        box_xywh=(left * cols, top * rows, width * cols, height * rows),
        mark=None if found.provenance.trained else UNTRAINED_MARK,
    )
    return encode_png(sheet)


def make_npz(order: Order) -> bytes:
    """All arrays, for NumPy."""
    return written("maps.npz", lambda path: write_maps(path, order.found))


def make_json(order: Order) -> bytes:
    """All numbers but the arrays, with the presentation times and what was on the screen."""
    found = order.found
    return written(
        "numbers.json",
        lambda path: write_summary(
            path, found, timestamps_s=found.timestamps_s.tolist(), view=order.state.to_dict(), credit=order.credit
        ),
    )


def make_csv(order: Order) -> bytes:
    """One row for each time step and token: place, spread, peak, and the class that comes first at that time."""
    found = order.found
    tracks = track_maps(_maps(found), found.timestamps_s)
    group = next(iter(found.label_groups.values()))
    probs = found.probs[:, group]
    rows = np.clip(np.searchsorted(found.logits_timestamps_s, found.timestamps_s + 1e-6, "right") - 1, 0, None)
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(COLUMNS)
    for step, time_s in enumerate(tracks.timestamps_s):
        best = int(probs[rows[step]].argmax())
        for token in range(tracks.num_tokens):
            table.writerow(
                [
                    f"{time_s:.6f}",
                    token_number(token),
                    *(f"{value:.6g}" for value in tracks.centroid_xy[step, token]),
                    f"{tracks.spread[step, token]:.6g}",
                    f"{tracks.peak[step, token]:.6g}",
                    *(f"{value:.6g}" for value in tracks.peak_xy[step, token]),
                    f"{tracks.stability[step - 1, token]:.6g}" if step else "",
                    harmless(found.class_name(group.start + best)),
                    f"{probs[rows[step], best]:.6g}",
                ]
            )
    return text.getvalue().encode()


def harmless(cell: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


def _maps(found: Analysis) -> np.ndarray:
    if found.token_maps is None:
        raise ConfigError("The plain network has no token maps that could be taken away.")
    return found.token_maps


def written(name: str, write: Callable[[Path], object]) -> bytes:
    """The bytes of a file that `write` makes at the path it is given."""
    with tempfile.TemporaryDirectory(prefix="tokenlearner-download-") as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def file_stem(name: str) -> str:
    """A harmless name for downloads made from a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).stem).strip("-.")[:60] or "tokens"


KINDS: Final[dict[str, Kind]] = {
    "html": Kind(
        label="Web page",
        ending=".html",
        mime="text/html",
        help="One file with the clip, its maps, this player and the numbers. Opens in any browser, without a server or "
        "the network.",
        make=make_html,
    ),
    "mp4": Kind(
        label="Video",
        ending=".tokens.mp4",
        mime="video/mp4",
        help="The clip as the player shows it now, with the legend: H.264, plays everywhere.",
        make=make_mp4,
        clip_only=True,
    ),
    "gif": Kind(
        label="GIF",
        ending=".tokens.gif",
        mime="image/gif",
        help="The same, small, ten pictures a second at most.",
        make=make_gif,
        clip_only=True,
    ),
    "png": Kind(
        label="Picture",
        ending=".tokens.png",
        mime="image/png",
        help="What the player shows now, with the legend, as PNG.",
        make=make_png,
    ),
    "sheet": Kind(
        label="Contact sheet",
        ending=".sheet.png",
        mime="image/png",
        help="Tokens down, time across, as PNG.",
        make=make_sheet,
        maps_only=True,
    ),
    "npz": Kind(
        label="Maps",
        ending=".maps.npz",
        mime="application/octet-stream",
        help="The maps as float32 [time, tokens, rows, columns], times in seconds, logits and geometry, for NumPy.",
        make=make_npz,
    ),
    "csv": Kind(
        label="Table",
        ending=".tokens.csv",
        mime="text/csv",
        help="One row for each time and token: centre, spread, peak, steadiness, and the class that comes first.",
        make=make_csv,
        maps_only=True,
    ),
    "json": Kind(
        label="Numbers",
        ending=".json",
        mime="application/json",
        help="Predictions over time, presentation times, compute, timings, preprocessing, settings and provenance.",
        make=make_json,
    ),
}
