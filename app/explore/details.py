"""Behind one click: all of it to take away, what the file is, what the model saw of it, and where the time went."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.explore.page import here
from app.results import Shown
from app.takeaway import area
from app.text import count, plain, seconds, size
from tokenlearner.engine import Analysis

PLAYER: Final = "player"


def draw(shown: Shown, found: Analysis, scale: float) -> None:
    """Draw what can be taken away, and the details of what is on the screen.

    Args:
        shown: What is on the screen.
        found: The answer for the setting.
        scale: Weight that the player draws at full strength.
    """
    area.draw(here(), shown, found, PLAYER, scale)
    with st.expander("Details", icon=":material/info:", key="details"):
        media, run = st.columns(2, gap="large")
        media.markdown(_table(_media_rows(shown, found)))
        run.markdown(_table(_run_rows(shown, found)))


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
