"""A page with the player alone. What it shows is chosen by the query string; see `tests/browser/test_player.py`."""

import streamlit as st

from app.player import PlayerState, token_player
from tests.browser.clips import clip_maps, picture, synthetic_clip
from tokenlearner.palette import UNIT_SHARE, UNIT_SIGMOID
from tokenlearner.render import clip_scale

st.set_page_config(layout="wide")
wanted = st.query_params
tokens = st.slider("tokens", 1, 16, int(wanted.get("tokens", 6)))
still = wanted.get("media") == "still"
clip = picture() if still else synthetic_clip()
if wanted.get("media") == "broken":
    clip = clip._replace(media=b"this is no clip")
maps = None if wanted.get("maps") == "none" else clip_maps(clip.timestamps_s, tokens)
unit = UNIT_SIGMOID if wanted.get("unit") == "sigmoid" else UNIT_SHARE

state = token_player(
    clip.media,
    clip.mime,
    maps,
    clip.timestamps_s,
    scale_max=1.0 if maps is None else clip_scale(maps),
    unit=unit,
    key="player",
    box=(0.125, 0.0, 0.75, 1.0) if wanted.get("box") == "crop" else (0.0, 0.0, 1.0, 1.0),
    caption=wanted.get("caption"),
    frame_hw=clip.frame_hw,
    autoplay="autoplay" in wanted,
    report="report" in wanted,
    start=PlayerState(time_s=1.0, view="some", tokens=(2, 0)) if "start" in wanted else None,
)
st.button("Run again")
if state is not None:
    st.json(state.to_dict())
