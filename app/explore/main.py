"""The page as a whole: the row that chooses, what there is to say, the picture with its panels."""

from __future__ import annotations

import streamlit as st

from app.explore import asking, present, source, stage
from app.explore.page import here, noted, told
from app.fragments import errors_said
from app.opening import skeleton
from app.takeaway import opened
from app.text import plain


def draw() -> None:
    """Draw the page."""
    # Each part keeps its place on the page, whatever the others show: an element that moves is made anew.
    choice, messages, picture, mode = (st.container() for _ in range(4))
    with errors_said():
        at = here()
        opened.follow()
        with mode:
            present.frame()
        with choice:
            wish = source.draw(at)
        asking.ask(at, wish)
        with messages:
            for sentence in noted():
                st.info(plain(sentence), icon=":material/link:")
            for sentence in told():
                st.error(plain(sentence), icon=":material/error:")
            asking.status(at, wish)
        with picture:
            if at.visit.shown is not None:
                stage.draw(at, at.visit.shown)
            elif at.visit.job is not None:
                skeleton()
            else:
                st.markdown("Nothing is analysed yet. Choose a photo or clip above, upload one, or take a picture.")
