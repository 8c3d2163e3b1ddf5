"""Where the published figures come from, one click away from each of them."""

from __future__ import annotations

import streamlit as st

from app.text import plain
from app.tradeoffs.marks import MARKS
from app.tradeoffs.published import Published

_SHAPES = {
    "published": "●",
    "reported": "○",
    "said": "△",
    "computed": "□",
    "measured": "◆",
    "extrapolated": "× or hatched,",
}


def popover(said: Published, key: str, *more: str) -> None:
    """A button that opens the sources.

    Args:
        said: What was published.
        key: Tells this button from others.
        more: Further paragraphs, in Markdown.
    """
    with st.popover("Sources", icon=":material/menu_book:", key=f"sources {key}"):
        st.markdown(f"[{plain(said.paper)}]({said.paper_url})")
        st.markdown(f"[{plain(said.blog)}]({said.blog_url})")
        for paragraph in more:
            st.markdown(paragraph)
        st.caption(f"{plain(said.note)} {plain(said.provenance)}")


def shapes() -> None:
    """What the shapes of points mean, in one line."""
    st.caption(" &emsp; ".join(f"{_SHAPES[origin]} {mark.words}" for origin, mark in MARKS.items()))
