"""Errors in their own sentence, where they happen: in a part of a page, and in a fragment.

Streamlit handles what is raised inside a fragment at its edge, so no `except` around the fragment ever sees it, and a
visitor would read of "an error" without a word about which. Every fragment of the app is therefore made by `fragment`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec

import streamlit as st

from app.text import plain
from tokenlearner.errors import TokenLearnerError

Arguments = ParamSpec("Arguments")


@contextmanager
def errors_said() -> Iterator[None]:
    """Say what stood in the way, in the place of what could not be drawn."""
    try:
        yield
    except TokenLearnerError as error:
        st.error(plain(str(error)), icon=":material/error:")


def fragment(*, run_every: float | None = None) -> Callable[[Callable[Arguments, None]], Callable[Arguments, None]]:
    """Make a function a part of the page that can run alone, and that says its errors itself.

    Args:
        run_every: Seconds after which it runs again by itself; None to run when its controls are used.
    """

    def made(draw: Callable[Arguments, None]) -> Callable[Arguments, None]:
        @functools.wraps(draw)
        def safe(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            with errors_said():
                draw(*args, **kwargs)

        alone: Callable[Arguments, None] = st.fragment(run_every=run_every)(safe)
        return alone

    return made
