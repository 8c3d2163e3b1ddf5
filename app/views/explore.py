"""Explore: a photo or clip, where its tokens look, what the network says, and what that costs."""

import streamlit as st

from app.explore import asking, source, stage
from app.explore.page import here, told
from app.text import plain
from tokenlearner.errors import TokenLearnerError

try:
    at = here()
    wish = source.draw(at)
    asking.ask(at, wish)
    for sentence in told():
        st.error(plain(sentence), icon=":material/error:")
    asking.status(at, wish)
    if at.visit.shown is None:
        stage.empty()
    else:
        stage.draw(at, at.visit.shown)
except TokenLearnerError as error:
    st.error(plain(str(error)), icon=":material/error:")
