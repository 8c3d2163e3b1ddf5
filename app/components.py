"""Streamlit components of our own: markup, style and script that lie beside one another."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from app.scripts import bundle

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer


@functools.cache
def component(name: str, files: Path) -> ComponentRenderer:
    """A component, registered once.

    Args:
        name: By which Streamlit knows it.
        files: Path of its `.html`, `.css` and `.js` without the ending; modules that the script imports come with it.
    """
    html, css = (files.with_suffix(ending).read_text("utf-8") for ending in (".html", ".css"))
    return st.components.v2.component(name, html=html, css=css, js=bundle(files.with_suffix(".js")))


def ignore() -> None:
    """For a state of which only the value is wanted: Streamlit names a state only where a callback is given."""
