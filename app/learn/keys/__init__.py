"""The lesson's keys: arrows (and in presenter mode the page keys of a presenter's remote) go from step to step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import streamlit as st

from app.components import component

_FOLDER: Final = Path(__file__).parent
_KEY: Final = "lesson keys"


def lesson_keys(step: int, on_press: Callable[[str], None], *, presenting: bool) -> None:
    """Listen to the keyboard as long as the lesson is open.

    Args:
        step: The step on show; when it changes, the page goes back to its top.
        on_press: Called with "next", "previous", "first", "last" or "leave" before the page runs again.
        presenting: Whether the page is set for a hall. Outside of that mode only the arrows are the lesson's: the other
            keys scroll the page.
    """

    def pressed() -> None:
        state = st.session_state.get(_KEY)
        wish = state.get("go") if state is not None else None
        if isinstance(wish, str):
            on_press(wish)

    component("lesson_keys", _FOLDER / "keys")(
        key=_KEY, data={"step": step, "presenting": presenting}, on_go_change=pressed
    )
