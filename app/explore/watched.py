"""The class that the questions of cause are about."""

from __future__ import annotations

import streamlit as st

from app.results import Shown
from app.text import class_label, percent
from tokenlearner.engine import Analysis

_TOP = 5


def choose(shown: Shown, found: Analysis) -> int:
    """Draw the choice and return the class's index; the first one is what the network says."""
    key = _key(shown)
    options = classes(found)
    held = st.session_state.get(key)
    if isinstance(held, int) and held not in options and held < found.logits.shape[1]:
        options.append(held)
    probs = found.probs.mean(axis=0)
    return st.selectbox(
        "Class",
        options,
        format_func=lambda index: f"{name(found, index)}, {percent(float(probs[index]))}",
        key=key,
        persist_state="session",
        filter_mode=None,
        width=260,
    )


def current(shown: Shown, found: Analysis) -> int:
    """The class that is chosen, drawn or not."""
    held = st.session_state.get(_key(shown))
    return held if isinstance(held, int) and held < found.logits.shape[1] else classes(found)[0]


def classes(found: Analysis) -> list[int]:
    """The first classes of each question, by mean probability."""
    return [one.index for group in found.label_groups for one in found.top(_TOP, group)]


def name(found: Analysis, index: int) -> str:
    """A class's name, with its question where there are several."""
    label = class_label(found.class_name(index))
    if len(found.label_groups) == 1:
        return label
    group = next(name for name, held in found.label_groups.items() if held.start <= index < held.stop)
    return f"{group}: {label}"


def _key(shown: Shown) -> str:
    return f"class of {shown.request.item} by {shown.request.model}"
