"""Presenter mode: the clip, its legend, one slider and the answer, as large as the window allows.

The page stays as it is; a style sheet hides the rest of it and makes what is left large, so that the clip plays on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import streamlit as st

from app.components import component

_FOLDER: Final = Path(__file__).parent
_MODE: Final = "presents"
PARAMETER: Final = "present"
"""What the address calls the mode."""


def presents() -> bool:
    """Whether the page is set for a hall."""
    return bool(st.session_state.get(_MODE, False))


def follow(query: Mapping[str, str]) -> None:
    """Begin in presenter mode if the page's address asks for it."""
    if query.get(PARAMETER) in ("1", "true"):
        st.session_state[_MODE] = True


def switch() -> None:
    """Draw the switch that begins it."""
    st.toggle(
        "Present",
        key=_MODE,
        persist_state="session",
        help="The clip, its legend, the token slider and the answer, large, for a lecture hall. Esc ends it. The link "
        "to the view holds the mode.",
    )


def frame() -> None:
    """Draw what the mode adds: its style, and the ways out of it."""
    if not presents():
        return
    st.html(_FOLDER / "present.css")
    component("present_keys", _FOLDER / "keys")(key="present keys", on_leave_change=_leave)
    with st.container(key="present leave"):
        st.button("Leave", icon=":material/close_fullscreen:", on_click=_leave, help="Esc", key="leave present")


def _leave() -> None:
    st.session_state[_MODE] = False
