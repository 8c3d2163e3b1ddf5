"""Compare: the same clip or photo through two to four networks, in step, and where they disagree."""

from pathlib import Path

import streamlit as st

from app.opening import starting

with starting():
    from app.compare import main

st.html(Path(__file__).parents[1] / "compare" / "compare.css")
main.draw()
