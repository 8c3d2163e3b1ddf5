"""The lanes of a visit, kept while it looks at other pages."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import streamlit as st

from app.compare.lanes import FEWEST, Lane, fitted, one_more
from app.models import ModelChoice

_LANES: Final = "compare lanes"
_MISSES: Final = "what the compare link misses"


def get(known: Sequence[ModelChoice], usual: Sequence[Lane]) -> tuple[Lane, ...]:
    """The lanes, each with what is installed now.

    Args:
        known: The models.
        usual: Lanes to begin with.
    """
    return tuple(fitted(lane, known) for lane in st.session_state.get(_LANES, usual))


def put(lanes: Sequence[Lane]) -> None:
    """Show these lanes from the next run on."""
    st.session_state[_LANES] = tuple(lanes)
    miss(())


def miss(sentences: Sequence[str]) -> None:
    """Note what a link asked for and is not here; what the visitor chooses next makes it void."""
    st.session_state[_MISSES] = tuple(sentences)


def misses() -> tuple[str, ...]:
    """What to say about the link that opened the page."""
    noted: tuple[str, ...] = st.session_state.get(_MISSES, ())
    return noted


def change(lanes: Sequence[Lane], index: int, **changes: Any) -> None:
    """Change one lane."""
    put([dataclasses.replace(lane, **changes) if i == index else lane for i, lane in enumerate(lanes)])


def add(lanes: Sequence[Lane]) -> None:
    """One lane more."""
    put(one_more(lanes))


def remove(lanes: Sequence[Lane], index: int) -> None:
    """One lane fewer, as long as there is something left to compare."""
    if len(lanes) > FEWEST:
        put([lane for i, lane in enumerate(lanes) if i != index])
