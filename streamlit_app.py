"""The app: `streamlit run streamlit_app.py`."""

from pathlib import Path

import streamlit as st

APP = Path(__file__).parent / "app"

st.set_page_config(page_title="TokenLearner Explorer", page_icon=APP / "icon.svg", layout="wide")
st.logo(APP / "logo.svg", size="medium")
st.html(APP / "style.css")
st.navigation(
    [st.Page(APP / "views" / "explore.py", title="Explore", icon=":material/visibility:", default=True)],
    position="top",
).run()
