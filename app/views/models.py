"""Models: every checkpoint with its card, and models that a visitor brings or builds."""

from pathlib import Path

import streamlit as st

from app.opening import starting

with starting():
    from app.fragments import errors_said
    from app.models_page import main

st.html(Path(__file__).parents[1] / "models_page" / "models.css")
with errors_said():
    main.draw()
