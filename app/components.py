"""Streamlit components of our own: markup, style and script that lie beside one another."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.scripts import texts

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer


@functools.cache
def component(name: str, files: Path) -> ComponentRenderer:
    """A component, registered once.

    Args:
        name: By which Streamlit knows it.
        files: Path of its `.html`, `.css` and `.js` without the ending; see `app.scripts.texts`.
    """
    return st.components.v2.component(name, **texts(files)._asdict())


def ignore() -> None:
    """For a state of which only the value is wanted: Streamlit names a state only where a callback is given."""
