"""Tokens over time, one lane each, below the player: drawn in the browser, linked with the playhead both ways.

Like the predictions' panel it follows the player of the same page by its events and moves it, without the server. A
place that is pinned in the player has a lane of its own, with every token's weight there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from app.components import component
from app.text import clock, percent
from tokenlearner.analysis.switches import HEURISTIC
from tokenlearner.analysis.tracks import Moment, Tracks, frame_xy, path_length, prediction_moments
from tokenlearner.engine import Analysis
from tokenlearner.palette import format_weight, hex_color, is_share, token_color, token_name, token_number

_FOLDER: Final = Path(__file__).parent
SCALE: Final = 1000
"""Places, spreads and stabilities travel as whole numbers of this fraction; peaks of the largest peak."""
MOMENTS: Final = 5


def timeline(found: Analysis, tracks: Tracks, *, player: str, key: str) -> None:
    """Draw the timeline.

    Args:
        found: A clip's analysis.
        tracks: Its tokens over time.
        player: Key of the player that it follows.
        key: Name of the timeline on the page.
    """
    component("token_timeline", _FOLDER / "timeline")(key=key, data=timeline_data(found, tracks, player=player))


def timeline_data(found: Analysis, tracks: Tracks, *, player: str) -> dict[str, Any]:
    """What the timeline needs, ready for JSON. Places are in the whole frame, (0, 0) its top left."""
    times = found.timestamps_s
    places = frame_xy(tracks.centroid_xy, found.geometry)
    top = float(tracks.peak.max()) or 1.0
    first = np.full((1, tracks.num_tokens), np.nan)
    return {
        "player": player,
        "times": [round(float(time_s), 4) for time_s in times],
        "end": _end_s(found),
        "scale": SCALE,
        "tokens": [_token(found, tracks, token) for token in range(tracks.num_tokens)],
        "x": _lanes(places[..., 0]),
        "y": _lanes(places[..., 1]),
        "spread": _lanes(tracks.spread),
        "peak": _lanes(tracks.peak / top),
        "peak_top": top,
        "percent": is_share(found.map_unit),
        "stability": _lanes(np.concatenate([first, tracks.stability])),
        "switches": [
            {
                "token": switch.token,
                "time": round(switch.time_s, 4),
                "words": f"{token_name(switch.token)} turns from {_where(found, switch.from_xy)} to "
                f"{_where(found, switch.to_xy)} at {clock(switch.time_s)}",
            }
            for switch in tracks.switches
        ],
        "heuristic": HEURISTIC,
        "moments": moments(found, tracks),
    }


def moments(found: Analysis, tracks: Tracks) -> list[dict[str, Any]]:
    """The frames that matter, in the order of time: where the maps or the predictions change most."""
    told = [_moment(moment, "maps", "the maps change by") for moment in tracks.moments[:MOMENTS]]
    for group in found.label_groups:
        name = "the prediction" if len(found.label_groups) == 1 else f"the answer to “{group}”"
        told += [
            _moment(moment, "prediction", f"{name} moves by") for moment in prediction_moments(found, group, count=3)
        ]
    return sorted(told, key=lambda one: (one["time"], one["kind"]))


def _moment(change: Moment, kind: str, words: str) -> dict[str, Any]:
    return {
        "time": round(change.time_s, 4),
        "kind": kind,
        "words": f"{clock(change.time_s)}: {words} {percent(change.change)}",
    }


def _token(found: Analysis, tracks: Tracks, token: int) -> dict[str, Any]:
    several = len(tracks.stability) > 0
    stability = f"mean stability {tracks.stability[:, token].mean():.2f}, " if several else ""
    way = path_length(tracks.centroid_xy[:, token])
    return {
        "number": token_number(token),
        "color": hex_color(token_color(token)),
        "words": f"{token_name(token)}: {stability}mean spread {tracks.spread[:, token].mean():.2f}, largest weight "
        f"{format_weight(float(tracks.peak[:, token].max()), found.map_unit)}, way of its centre {way:.1f} frame sides",
        "muted": token in found.muted,
    }


def _where(found: Analysis, point_xy: tuple[float, float]) -> str:
    """A place in words, in ninths of the frame: "the top left", "the middle"."""
    x, y = (float(value) for value in frame_xy(np.array(point_xy), found.geometry))
    row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    return f"the {' '.join(filter(None, (row, column))) or 'middle'}"


def _lanes(values: Float[np.ndarray, "time tokens"]) -> list[list[int | None]]:
    """One list a token; what is not known is None."""
    return [
        [None if np.isnan(value) else round(float(value) * SCALE) for value in values[:, token]]
        for token in range(values.shape[1])
    ]


def _end_s(found: Analysis) -> float:
    """When the last step ends, as long as the one before."""
    times = found.timestamps_s
    return float(times[-1] + (times[-1] - times[-2] if len(times) > 1 else 0.0))
