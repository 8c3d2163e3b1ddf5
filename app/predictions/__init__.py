"""What the network says: the most probable classes at the player's playhead or over the clip, drawn in the browser.

The panel follows the player of the same page by its events and moves it on a click, without the server.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import streamlit as st
from jaxtyping import Float32, Float64, Int64

from tokenlearner.engine import Analysis

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_FOLDER: Final = Path(__file__).parent
TOP: Final = 5
MAX_CLASSES: Final = 40
SCALE: Final = 10_000
"""Probabilities travel as whole numbers of this fraction."""


def prediction_panel(found: Analysis, *, player: str, key: str) -> None:
    """Draw the panel.

    Args:
        found: Its probabilities.
        player: Key of the player that it follows.
        key: Name of the panel on the page.
    """
    _component()(key=key, data=panel_data(found, player=player))


def panel_data(found: Analysis, *, player: str) -> dict[str, Any]:
    """What the panel needs, ready for JSON.

    Only classes that are among the first five somewhere are sent, so that any moment can be shown as it is.
    """
    probs = found.probs
    mean = probs.mean(axis=0)
    classes = shown_classes(probs)
    return {
        "player": player,
        "help": f"Probability of each of the {probs.shape[1]} classes that this model knows (softmax). It must choose "
        "among them, whatever the picture shows. The lines show the first three over time; click to go there.",
        "still": len(found.logits_timestamps_s) == 1,
        "top": TOP,
        "scale": SCALE,
        "times": [round(float(time_s), 4) for time_s in found.logits_timestamps_s],
        "names": [found.class_name(int(index)).replace("_", " ") for index in classes],
        "mean": _scaled(mean[classes]),
        "probs": [_scaled(row) for row in probs[:, classes]],
        "end": float(_end_s(found.logits_timestamps_s)),
    }


def shown_classes(probs: Float32[np.ndarray, "clips classes"]) -> Int64[np.ndarray, " shown"]:
    """Classes that are among the first five at some time or in the mean, by their mean probability, best first.

    At most `MAX_CLASSES`: those with the highest moments stay.
    """
    mean = probs.mean(axis=0)
    top = min(TOP, probs.shape[1])
    everywhere = np.argpartition(-probs, top - 1, axis=1)[:, :top]
    candidates = np.union1d(everywhere, np.argsort(-mean, kind="stable")[:top])
    if len(candidates) > MAX_CLASSES:
        candidates = candidates[np.argsort(-probs[:, candidates].max(axis=0), kind="stable")[:MAX_CLASSES]]
    return np.asarray(candidates[np.argsort(-mean[candidates], kind="stable")], dtype=np.int64)


def _scaled(probs: Float32[np.ndarray, " classes"]) -> list[int]:
    return [int(value) for value in np.rint(probs * SCALE)]


def _end_s(times_s: Float64[np.ndarray, " clips"]) -> float:
    """When the last entry ends, as long as the one before."""
    return float(times_s[-1] + (times_s[-1] - times_s[-2] if len(times_s) > 1 else 0.0))


@functools.cache
def _component() -> ComponentRenderer:
    return st.components.v2.component(
        "prediction_panel", html=_read("predictions.html"), css=_read("predictions.css"), js=_read("predictions.js")
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text("utf-8")
