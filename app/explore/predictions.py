"""What the network says about the picture."""

from __future__ import annotations

import streamlit as st

from app.predictions import prediction_panel
from app.text import class_label, percent, plain
from tokenlearner.engine import Analysis
from tokenlearner.palette import token_number


def draw(found: Analysis, whole: Analysis | None, player: str) -> None:
    """Draw the panel, and what leaving tokens out has changed.

    Args:
        found: What is on the screen.
        whole: The same with all its tokens, if it is known.
        player: Key of the player that the panel follows.
    """
    compared = whole if found.muted else None
    prediction_panel(found, player=player, key="predictions", whole=compared)
    if found.muted and whole is not None:
        st.caption(without(found, whole))


def without(found: Analysis, whole: Analysis) -> str:
    """What leaving tokens out does to the class that comes first with all of them, for each question."""
    numbers = ", ".join(str(token_number(token)) for token in found.muted)
    mean = ", mean of the clip" if len(found.logits) > 1 else ""
    after = found.probs.mean(axis=0)
    changes = [
        f"{plain(class_label(before.name))} {percent(before.probability)} → {percent(float(after[before.index]))}"
        for before in (whole.top(1, group)[0] for group in whole.label_groups)
    ]
    return f"Without token{'s' if len(found.muted) > 1 else ''} {numbers}: {', '.join(changes)}{mean}."
