"""What the tests of the app's pages see and touch without a browser."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import cache
from app.explore import asking
from app.visits import Visit
from tests.app_cases import LIMIT_S
from tokenlearner import cards


@contextmanager
def app_page(script: Path, models: Path, monkeypatch: pytest.MonkeyPatch, **state: Any) -> Iterator[AppTest]:
    """A page of the app, not run yet, which finds its models in a folder and forgets afterwards what it cached.

    Args:
        script: The page's own script, or the whole app's.
        models: Folder with checkpoints; clips of the samples are made beside them.
        monkeypatch: Of the test.
        state: What the page's state begins with; an underscore in a name stands for a space.
    """
    monkeypatch.setattr(cards, "BUNDLED_DIR", models)
    monkeypatch.setenv("TOKENLEARNER_CACHE", str(models))
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    monkeypatch.setattr(asking, "LONG_S", math.inf)  # nothing asks first, however slow an earlier test's network was
    st.cache_data.clear()
    at = AppTest.from_file(script, default_timeout=LIMIT_S)
    for name, value in state.items():
        at.session_state[name.replace("_", " ")] = value
    yield at
    st.cache_data.clear()


def visit_of(at: AppTest) -> Visit:
    """What the server holds for the page."""
    return cache.server().visits.arrive(at.session_state["visit"])


def button(at: AppTest, label: str) -> Any:
    return next(widget for widget in at.button if widget.label == label)


def control(at: AppTest, label: str) -> Any:
    """A slider, a switch or a choice."""
    widgets = (*at.slider, *at.select_slider, *at.toggle, *at.selectbox, *at.segmented_control)
    return next(widget for widget in widgets if widget.label == label)


def metrics(at: AppTest) -> dict[str, str]:
    """The figures by their labels."""
    return {metric.label: metric.value for metric in at.metric}


def captions(at: AppTest) -> str:
    return "\n".join(caption.value for caption in at.caption)
