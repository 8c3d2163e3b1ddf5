"""The page as a whole: the row that chooses, what there is to say, the picture with its panels."""

from __future__ import annotations

import streamlit as st

from app.explore import asking, source, stage
from app.explore.page import here, told
from app.fragments import errors_said
from app.opening import skeleton
from app.takeaway import area
from app.text import plain


def draw() -> None:
    """Draw the page."""
    # Each part keeps its place on the page, whatever the others show: an element that moves is made anew.
    choice, messages, picture = st.container(), st.container(), st.container()
    with errors_said():
        at = here()
        area.follow_link()
        with choice:
            wish = source.draw(at)
        asking.ask(at, wish)
        with messages:
            area.missing_words(at)
            for sentence in told():
                st.error(plain(sentence), icon=":material/error:")
            asking.status(at, wish)
        with picture:
            if at.visit.shown is None:
                skeleton()
            else:
                stage.draw(at, at.visit.shown)
