"""Models: every checkpoint with its card, and models that a visitor brings or builds."""

from pathlib import Path

import streamlit as st

from app.opening import starting

with starting():
    from app.models_page import main
    from app.text import plain
    from tokenlearner.errors import TokenLearnerError

st.html(Path(__file__).parents[1] / "models_page" / "models.css")
try:
    main.draw()
except TokenLearnerError as error:
    st.error(plain(str(error)), icon=":material/error:")
