"""The lesson's keys: arrows (and the page keys of a presenter's remote) go from step to step."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import streamlit as st

from app.scripts import bundle

if TYPE_CHECKING:
    from streamlit.components.v2.types import ComponentRenderer

_JS: Final = Path(__file__).parent / "keys.js"
_KEY: Final = "lesson keys"


def lesson_keys(step: int, on_press: Callable[[str], None]) -> None:
    """Listen to the keyboard as long as the lesson is open.

    Args:
        step: The step on show; when it changes, the page goes back to its top.
        on_press: Called with "next", "previous", "first", "last", "present" or "leave" before the page runs again.
    """

    def pressed() -> None:
        state = st.session_state.get(_KEY)
        wish = state.get("go") if state is not None else None
        if isinstance(wish, str):
            on_press(wish)

    _component()(key=_KEY, data={"step": step}, on_go_change=pressed)


@functools.cache
def _component() -> ComponentRenderer:
    return st.components.v2.component("lesson_keys", html="<i hidden></i>", js=bundle(_JS))
