"""What the network says: the most probable classes at the player's playhead or over the clip, drawn in the browser.

The panel follows the player of the same page by its events and moves it on a click, without the server.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float32, Float64, Int64

from app.components import component
from app.text import class_label
from tokenlearner.engine import Analysis

_FOLDER: Final = Path(__file__).parent
TOP: Final = 5
TOP_OF_SEVERAL: Final = 3
"""Classes shown of each question where the model answers more than one."""
MAX_CLASSES: Final = 40
SCALE: Final = 10_000
"""Probabilities travel as whole numbers of this fraction."""


def prediction_panel(found: Analysis, *, player: str, key: str, whole: Analysis | None = None) -> None:
    """Draw the panel.

    Args:
        found: Its probabilities.
        player: Key of the player that it follows.
        key: Name of the panel on the page.
        whole: The same with all its tokens, to be marked on the bars; None to compare with nothing.
    """
    component("prediction_panel", _FOLDER / "predictions")(key=key, data=panel_data(found, player=player, whole=whole))


def panel_data(found: Analysis, *, player: str, whole: Analysis | None = None) -> dict[str, Any]:
    """What the panel needs, ready for JSON: each question that the model answers with its own classes.

    Only classes that are among the first somewhere are sent, so that any moment can be shown as it is.

    Args:
        found: Its probabilities.
        player: Key of the player that the panel follows.
        whole: What to compare with, on the same frames.
    """
    probs, before = found.probs, whole.probs if whole is not None else None
    several = len(found.label_groups) > 1
    top = TOP_OF_SEVERAL if several else TOP
    per = "frame" if found.clip_frames == 1 else f"clip of {found.clip_frames} frames"
    lines = f" The lines show the first three over time, one answer per {per}; click to go there."
    groups = []
    for name, held in found.label_groups.items():
        classes = shown_classes(probs[:, held], top) + held.start
        known = held.stop - held.start
        groups.append(
            {
                "title": f"{name[:1].upper()}{name[1:]}, one of {known}" if several else f"One of {known} classes",
                "help": f"It chooses among the {known} that it was taught, whatever the picture shows.",
                "top": top,
                "names": [class_label(found.class_name(int(index))) for index in classes],
                **_values(probs, classes),
                "before": None if before is None else _values(before, classes),
            }
        )
    return {
        "player": player,
        "help": f"Probability of each of the {probs.shape[1]} classes that this model knows (softmax"
        + (" of each question" if several else "")
        + f"). It must choose among them, whatever the picture shows.{lines}",
        "still": len(found.logits_timestamps_s) == 1,
        "scale": SCALE,
        "times": [round(float(time_s), 4) for time_s in found.logits_timestamps_s],
        "end": float(_end_s(found.logits_timestamps_s)),
        "groups": groups,
    }


def _values(probs: Float32[np.ndarray, "clips classes"], classes: Int64[np.ndarray, " shown"]) -> dict[str, Any]:
    return {"mean": _scaled(probs.mean(axis=0)[classes]), "probs": [_scaled(row) for row in probs[:, classes]]}


def shown_classes(probs: Float32[np.ndarray, "clips classes"], first: int = TOP) -> Int64[np.ndarray, " shown"]:
    """Classes that are among the first ones at some time or in the mean, by their mean probability, best first.

    At most `MAX_CLASSES`: those with the highest moments stay.
    """
    mean = probs.mean(axis=0)
    top = min(first, probs.shape[1])
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
