"""One HTML file that holds a clip with its maps, the player, the predictions and the numbers.

It opens from disk in any current browser, without a server and without the network: a content security policy in it
forbids every request. What comes from a visitor's file, such as its name, is only ever text.
"""

from __future__ import annotations

import base64
import functools
import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, Final

from app.charts import compute_bars, stage_legend
from app.clips import BrowserClip
from app.player.payload import PlayerOptions, PlayerState, pack
from app.predictions import panel_data
from app.scripts import Texts, texts
from app.text import count, millions, operations, percent, seconds
from tokenlearner import render
from tokenlearner.engine import Analysis
from tokenlearner.export import UNTRAINED_MARK
from tokenlearner.flops import CONVENTION

FOLDER: Final = Path(__file__).parent
PLAYER: Final = "player"
_ENTRY: Final = re.compile(r"^export default function mount\b", re.MULTILINE)
_EXPORT: Final = re.compile(r"^export ", re.MULTILINE)

Rows = Sequence[tuple[str, str]]


def write_html(
    found: Analysis,
    clip: BrowserClip,
    *,
    start: PlayerState | None = None,
    facts: Mapping[str, Rows] | None = None,
    credit: str = "",
    scale_max: float | None = None,
) -> bytes:
    """The file.

    Args:
        found: What is shown.
        clip: What the player plays under the maps.
        start: View that the player begins with.
        facts: Tables of names and values by their headings; None for `facts_of`. All of it is text, not markup.
        credit: Where the media comes from, "" if that is nobody's business.
        scale_max: Weight drawn at full strength; None for that of these maps.
    """
    maps = found.token_maps
    fixed = 1.0 if maps is None else render.clip_scale(maps)
    payload = pack(
        clip.media,
        clip.mime,
        maps,
        found.timestamps_s,
        scale_max=fixed if scale_max is None else scale_max,
        unit=found.map_unit,
        options=PlayerOptions(key=PLAYER, start=start),
        box=found.geometry.box_normalized,
        muted=found.muted,
        caption=None if found.provenance.trained else UNTRAINED_MARK,
        start_s=clip.start_s,
        frame_hw=clip.frame_hw,
    )
    page = Template((FOLDER / "document.html").read_text("utf-8"))
    text = page.substitute(
        title=escape(f"{found.media.name} · TokenLearner Explorer"),
        name=escape(found.media.name),
        subtitle=escape(_subtitle(found)),
        css=(FOLDER / "document.css").read_text("utf-8"),
        compute=_compute(found),
        notes=_notes(found),
        facts="".join(_table(title, rows) for title, rows in (facts or facts_of(found)).items()),
        footer=escape(
            " ".join(filter(None, (credit, f"Made with TokenLearner Explorer, {found.provenance.created_utc}.")))
        ),
        player_css=_part("player").css,
        player_html=_part("player").html,
        predictions_css=_part("predictions").css,
        predictions_html=_part("predictions").html,
        payload=base64.b64encode(payload).decode(),
        said=_json(panel_data(found, player=PLAYER)),
        numbers=_json(found.summary()),
        script=_script(),
    )
    return text.encode()


def facts_of(found: Analysis) -> dict[str, Rows]:
    """Media, input, run and settings of an analysis, in rows of text."""
    media, geometry, origin, timings = found.media, found.geometry, found.provenance, found.timings
    left, top, width, height = geometry.box_xywh
    file = [
        ("Name", media.name),
        ("Format", f"{media.container}, {media.codec}"),
        ("Displayed size", f"{media.width} × {media.height} pixels"),
        ("SHA-256", origin.media_sha256),
    ]
    if media.kind == "video":
        file.insert(3, ("Length", f"{seconds(media.duration_s)}, {media.num_frames} frames, {media.fps:.4g} a second"))
        file.insert(4, ("Analysed", count(timings.frames, "frame")))
    seen = [
        ("The model saw", f"{width} × {height} pixels from ({left}, {top})"),
        ("as an input of", f"{geometry.input_hw[1]} × {geometry.input_hw[0]} pixels"),
        ("as a grid of", f"{geometry.grid_hw[1]} × {geometry.grid_hw[0]} patches"),
        ("TokenLearner", "not used" if found.loc is None else f"before block {found.loc + 1}"),
        ("Tokens", str(found.num_tokens) if found.num_tokens else "none"),
    ]
    if found.muted:
        seen.append(("Left out", ", ".join(str(token + 1) for token in found.muted)))
    run = [
        ("Model", f"{origin.model_name}, {'trained' if origin.trained else 'UNTRAINED'}"),
        ("Weights (SHA-256)", origin.weights_sha256),
        ("Device", f"{origin.device}, {origin.dtype}"),
        ("Time", f"{seconds(timings.total_s)} for {count(timings.frames, 'frame')}"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in origin.versions.items())),
    ]
    return {"File": file, "What the model saw": seen, "Run": run}


def _subtitle(found: Analysis) -> str:
    origin = found.provenance
    tokens = "plain ViT" if found.loc is None else count(found.num_tokens - len(found.muted), "token")
    return f"{origin.model_name} · {tokens}{'' if origin.trained else ' · untrained weights'}"


def _compute(found: Analysis) -> str:
    per = "frame" if found.clip_frames == 1 else f"clip of {found.clip_frames} frames"
    here, baseline = found.compute, found.baseline
    cost = " ".join(operations(here.total_macs, "MACs", baseline.total_macs))
    words = (
        f"{cost} per {per}, {percent(here.total_macs / baseline.total_macs)} of the plain ViT; "
        f"{millions(here.params)} parameters. {CONVENTION}"
    )
    return f"{compute_bars(here, baseline, 'MACs', per=per)}{stage_legend(here, baseline)}<p>{escape(words)}</p>"


def _notes(found: Analysis) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in found.notes)
    return f'<section class="notes">{notes}</section>' if notes else ""


def _table(title: str, rows: Rows) -> str:
    cells = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f"<section><h2>{escape(title)}</h2><dl>{cells}</dl></section>"


def _json(data: Any) -> str:
    """JSON that cannot end the element that it lies in."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _part(name: str) -> Texts:
    """A component of the app."""
    return texts(FOLDER.parent / name / name)


@functools.cache
def _script() -> str:
    """The player, the predictions and what joins them, each in a scope of its own."""
    parts = ["const mounts = {};"]
    for name in ("player", "predictions"):
        text = _EXPORT.sub("", _ENTRY.sub("function mount", _part(name).js))
        parts.append(f"mounts.{name} = (() => {{\n{text}\nreturn mount;\n}})();")
    parts.append((FOLDER / "document.js").read_text("utf-8"))
    return "\n".join(parts).replace("</script", "<\\/script")
