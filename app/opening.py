"""What stands on the page before there is anything to show. Nothing here takes long to import."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

_read = threading.Event()
"""Set once the libraries are there: `sys.modules` names them as soon as somebody's page begins to read them."""


@contextmanager
def starting() -> Iterator[None]:
    """Hold the place of the page while the libraries are read, which takes a while once in a server's life."""
    place = st.empty()
    if not _read.is_set():
        with place.container():
            st.caption("Starting: PyTorch is being loaded, once, which takes a few seconds.")
            skeleton()
    yield
    _read.set()
    place.empty()


def skeleton() -> None:
    """The shape of the page to come."""
    left, right = st.columns([2, 1], gap="medium")
    left.skeleton(height=520)
    with right:
        st.skeleton(height=190)
        st.skeleton(height=314)
