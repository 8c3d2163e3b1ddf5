"""The board: a picture with its patches, to be pointed at or painted on, drawn in the browser.

Pointing and the token of a painted map need no server; a painted map is told to Python while the brush moves.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import streamlit as st
from jaxtyping import Float32, UInt8

from app.components import component, ignore
from tokenlearner.media import encode_jpeg
from tokenlearner.palette import HEAT_LUT

_FOLDER: Final = Path(__file__).parent
_JPEG_QUALITY: Final = 88
_LEVELS: Final = 127
_DIGITS: Final = 7

Mode = Literal["patches", "links", "map", "paint"]


def board(
    picture: UInt8[np.ndarray, "height width 3"],
    grid_hw: tuple[int, int],
    *,
    mode: Mode,
    key: str,
    label: str,
    apart: bool = False,
    token_map: Float32[np.ndarray, "rows cols"] | None = None,
    scale_max: float | None = None,
    marked: Sequence[int] = (),
    presets: Mapping[str, Float32[np.ndarray, "rows cols"]] | None = None,
    features: Float32[np.ndarray, "patches dim"] | None = None,
) -> None:
    """Show a picture cut into patches.

    Args:
        picture: RGB, the part that the grid covers.
        grid_hw: Patches as (rows, columns).
        mode: "patches" names the patch under the pointer, "links" joins it to all others, "map" reads its weight,
            "paint" lets the reader paint weights.
        key: Name on the page.
        label: What is to be seen, for those who do not see it.
        apart: Draw the patches with gaps between them.
        token_map: Weights that sum to 1, for "map".
        scale_max: Weight at the top of the heat; None for the map's largest.
        marked: Patches to outline, by row-major number.
        presets: Maps to begin with, by name, for "paint"; the first is there at the start.
        features: What the painted map pools, for "paint": the token is shown as it changes.
    """
    data = board_data(
        picture,
        grid_hw,
        mode=mode,
        label=label,
        apart=apart,
        token_map=token_map,
        scale_max=scale_max,
        marked=marked,
        presets=presets,
        features=features,
    )
    component("lesson_board", _FOLDER / "board")(key=key, data=data, on_painted_change=ignore)


def painted(
    key: str, presets: Mapping[str, Float32[np.ndarray, "rows cols"]]
) -> Float32[np.ndarray, "rows cols"] | None:
    """The map that a board of the mode "paint" holds: its weights sum to 1. None if nothing is painted.

    Args:
        key: The board's name on the page.
        presets: Its presets.
    """
    first = next(iter(presets.values()))
    state = st.session_state.get(key)
    return read_painted(state.get("painted") if state is not None else None, presets, first.shape)


def read_painted(
    told: Any, presets: Mapping[str, Float32[np.ndarray, "rows cols"]], grid_hw: tuple[int, ...]
) -> Float32[np.ndarray, "rows cols"] | None:
    """What the browser told as a map; the first preset where it told nothing, or nothing that fits."""
    first = next(iter(presets.values()))
    if not isinstance(told, Mapping):
        return first
    if told.get("preset") in presets:
        return presets[told["preset"]]
    try:
        weights = np.asarray(told.get("map"), np.float32).reshape(grid_hw)
    except (TypeError, ValueError):
        return first
    if not np.isfinite(weights).all() or weights.min() < 0:
        return first
    total = float(weights.sum())
    return np.asarray(weights / total, np.float32) if total > 0 else None


def board_data(
    picture: UInt8[np.ndarray, "height width 3"],
    grid_hw: tuple[int, int],
    *,
    mode: Mode,
    label: str,
    apart: bool = False,
    token_map: Float32[np.ndarray, "rows cols"] | None = None,
    scale_max: float | None = None,
    marked: Sequence[int] = (),
    presets: Mapping[str, Float32[np.ndarray, "rows cols"]] | None = None,
    features: Float32[np.ndarray, "patches dim"] | None = None,
) -> dict[str, Any]:
    """What the browser needs, ready for JSON; the arguments of `board`."""
    rows, columns = grid_hw
    data: dict[str, Any] = {
        "picture": picture_url(picture),
        "rows": rows,
        "cols": columns,
        "mode": mode,
        "label": label,
        "apart": apart,
        "marked": list(marked),
        "heat": base64.b64encode(HEAT_LUT.tobytes()).decode(),
        "map": None if token_map is None else _rounded(token_map),
        "top": scale_max if scale_max is not None or token_map is None else float(token_map.max()),
        "presets": [{"name": name, "map": _rounded(values)} for name, values in (presets or {}).items()],
    }
    if features is not None:
        largest = float(np.abs(features).max()) or 1.0
        levels = np.rint(features / largest * _LEVELS).astype(np.int8)
        data["features"] = base64.b64encode(levels.tobytes()).decode()
        data["dim"] = features.shape[1]
        # Of the tokens that can be pooled, the reach of a single patch is the largest; few come near it.
        data["reach"] = float(np.quantile(np.abs(features), 0.995)) / largest * _LEVELS or 1.0
    return data


def picture_url(picture: UInt8[np.ndarray, "height width 3"]) -> str:
    """A picture as a link that holds all of it."""
    return "data:image/jpeg;base64," + base64.b64encode(encode_jpeg(picture, _JPEG_QUALITY)).decode()


def _rounded(values: Float32[np.ndarray, "rows cols"]) -> list[float]:
    return [round(float(value), _DIGITS) for value in values.ravel()]
