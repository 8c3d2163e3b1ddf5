"""A page with the player and a slider above it. What it shows is chosen by the query string."""

import streamlit as st

from app.player import token_player
from tests.browser.clips import clip_maps, synthetic_clip
from tokenlearner.palette import UNIT_SHARE
from tokenlearner.render import clip_scale

st.set_page_config(layout="wide")
tokens = st.slider("tokens", 1, 16, 6)
clip = synthetic_clip()
maps = clip_maps(clip.timestamps_s, tokens)
token_player(
    clip.media,
    clip.mime,
    maps,
    clip.timestamps_s,
    scale_max=clip_scale(maps),
    unit=UNIT_SHARE,
    key="player",
    autoplay="autoplay" in st.query_params,
)
st.button("Run again")
