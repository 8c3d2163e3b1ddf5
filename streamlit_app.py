"""The app: `streamlit run streamlit_app.py`."""

from pathlib import Path

import streamlit as st

APP = Path(__file__).parent / "app"
PAGES = (
    # File in app/views, title, icon. The first page is the one that opens.
    ("explore", "Explore", ":material/visibility:"),
    ("tradeoffs", "Trade-offs", ":material/balance:"),
    ("compare", "Compare", ":material/compare:"),
    ("learn", "Learn", ":material/school:"),
    ("models", "Models", ":material/deployed_code:"),
)

st.set_page_config(page_title="TokenLearner Explorer", page_icon=APP / "icon.svg", layout="wide")
st.logo(APP / "logo.svg", size="medium")
st.html(APP / "style.css")
st.navigation(
    [
        st.Page(APP / "views" / f"{name}.py", title=title, icon=icon, default=name == PAGES[0][0])
        for name, title, icon in PAGES
    ],
    position="top",
).run()
