"""Behind one click: what the file is, what the model saw of it, where the time went, and all of it to take away."""

from __future__ import annotations

import re
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st

from app.results import Shown
from app.text import count, plain, seconds, size
from app.uploads import APP_LIMITS
from tokenlearner.engine import Analysis
from tokenlearner.export import write_maps, write_overlay, write_summary

_DRAWING: Final = threading.Semaphore(2)  # overlays drawn at once; others wait


def draw(shown: Shown, found: Analysis) -> None:
    """Draw the details and the downloads of what is on the screen."""
    with st.expander("Details and downloads", icon=":material/info:"):
        _downloads(shown, found)
        media, run = st.columns(2, gap="large")
        media.markdown(_table(_media_rows(shown, found)))
        run.markdown(_table(_run_rows(shown, found)))


def _downloads(shown: Shown, found: Analysis) -> None:
    stem = file_stem(found.media.name)
    still = found.media.kind == "image"
    with st.container(horizontal=True):
        st.download_button(
            "Overlay (PNG)" if still else "Overlay (MP4)",
            lambda: overlay(shown, found),
            f"{stem}.tokens.{'png' if still else 'mp4'}",
            "image/png" if still else "video/mp4",
            icon=":material/movie:",
            on_click="ignore",
            disabled=found.token_maps is None,
            help="Every token in its colour over the analysed frames, with the legend. A clip takes a moment to draw.",
        )
        st.download_button(
            "Maps (NPZ)",
            lambda: written("maps.npz", lambda path: write_maps(path, found)),
            f"{stem}.maps.npz",
            "application/octet-stream",
            icon=":material/grid_on:",
            on_click="ignore",
            help="The maps as float32 [time, tokens, rows, columns], times in seconds, logits and geometry, for NumPy.",
        )
        st.download_button(
            "Numbers (JSON)",
            lambda: written("numbers.json", lambda path: write_summary(path, found)),
            f"{stem}.json",
            "application/json",
            icon=":material/data_object:",
            on_click="ignore",
            help="Predictions over time, compute, timings, settings and provenance.",
        )


def overlay(shown: Shown, found: Analysis) -> bytes:
    """The analysed frames with their maps drawn over them, as a file.

    Raises:
        MediaError: If the file cannot be read again.
    """
    with _DRAWING:
        return written(
            "overlay.png" if found.media.kind == "image" else "overlay.mp4",
            lambda path: write_overlay(shown.item.locate(), found, path, limits=APP_LIMITS),
        )


def written(name: str, write: Callable[[Path], object]) -> bytes:
    """The bytes of a file that `write` makes at the path it is given."""
    with tempfile.TemporaryDirectory(prefix="tokenlearner-download-") as folder:
        path = Path(folder) / name
        write(path)
        return path.read_bytes()


def file_stem(name: str) -> str:
    """A harmless name for downloads made from a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", Path(name).stem).strip("-.")[:60] or "tokens"


def _media_rows(shown: Shown, found: Analysis) -> list[tuple[str, str]]:
    media, geometry = found.media, found.geometry
    rows = [
        ("File", plain(media.name)),
        ("Format", f"{plain(media.container)}, {plain(media.codec)}, {size(media.size_bytes)}"),
        ("Displayed size", f"{media.width} × {media.height} pixels"),
    ]
    if media.rotation_deg:
        rows.append(("Rotation applied", f"{media.rotation_deg}° clockwise"))
    if media.kind == "video":
        rows.append(("Length", f"{seconds(media.duration_s)}, {media.num_frames} frames, {media.fps:.4g} a second"))
        rows.append(("Analysed", f"{found.timings.frames} frames"))
    left, top, width, height = geometry.box_xywh
    rows += [
        ("The model saw", f"{width} × {height} pixels from ({left}, {top})"),
        ("as an input of", f"{geometry.input_hw[1]} × {geometry.input_hw[0]} pixels"),
        ("as a grid of", f"{geometry.grid_hw[1]} × {geometry.grid_hw[0]} patches"),
        ("SHA-256", f"`{media.sha256[:16]}…`"),
    ]
    if shown.item.credit:
        rows.append(("Source", plain(shown.item.credit)))
    return rows


def _run_rows(shown: Shown, found: Analysis) -> list[tuple[str, str]]:
    first, now, origin = shown.analysis.timings, found.timings, found.provenance
    rows = [
        ("Model", f"{plain(origin.model_name)}, {'trained' if origin.trained else 'UNTRAINED'}"),
        ("Weights", f"`{origin.weights_sha256[:16]}…`"),
        ("Device", f"{plain(origin.device)}, {plain(origin.dtype)}"),
        ("First pass", f"{seconds(first.total_s)} for {count(first.frames, 'frame')}, batches of {first.batch_size}"),
        ("of it decoding", f"{seconds(first.decode_s)}, beside the network; with encoding for the browser"),
        ("of it network", f"{seconds(first.prefix_s)} before the module, {seconds(first.suffix_s)} from it on"),
    ]
    if origin.from_features:
        rows.append(("This setting", f"{seconds(now.total_s)} from kept features (in half precision)"))
    rows.append(("Versions", ", ".join(f"{name} {plain(version)}" for name, version in origin.versions.items())))
    rows.append(("Made", plain(origin.created_utc)))
    return rows


def _table(rows: list[tuple[str, str]]) -> str:
    """Rows as Markdown; the texts are escaped already."""
    lines = [f"| {name} | {value.replace('|', '&#124;')} |" for name, value in rows]
    return "\n".join(["| | |", "|:--|:--|", *lines])
