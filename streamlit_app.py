"""The app: `streamlit run streamlit_app.py`."""

import streamlit as st

st.set_page_config(page_title="TokenLearner Explorer", page_icon="app/icon.svg", layout="wide")
st.logo("app/logo.svg", size="medium")
st.navigation(
    [st.Page("app/views/explore.py", title="Explore", icon=":material/visibility:", default=True)], position="top"
).run()
