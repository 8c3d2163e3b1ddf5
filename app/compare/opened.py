"""Follows a link when the page opens: sets lanes, photo or clip, frames and playhead to what the address asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from app.compare import source, state
from app.compare.link import CompareLink, read
from app.items import Item, samples
from app.models import ModelChoice

_LINK: Final = "compare link"


def follow(known: Sequence[ModelChoice]) -> None:
    """Do what the address asks for; to be called before the page is drawn, acts once."""
    if _LINK in st.session_state:
        return
    wanted = read(st.query_params.to_dict())
    st.session_state[_LINK] = wanted
    if wanted is None:
        return
    state.put(wanted.lanes)
    misses = _missing_models(wanted, known)
    item = next((item for item in samples() if wanted.media.is_for(item.key)), None)
    if item is None:
        misses.insert(0, _missing_file(wanted))
    else:
        source.open_with(item.key)
        st.session_state["framing"] = {**st.session_state.get("framing", {}), item.key: wanted.media.framing}
    state.miss(misses)


def start_s(item: Item) -> float | None:
    """Where the playhead shall stand at first; None if no link says so."""
    wanted: CompareLink | None = st.session_state.get(_LINK)
    if wanted is None or not wanted.media.is_for(item.key) or wanted.media.state.time_s <= 0:
        return None
    return wanted.media.state.time_s


def _missing_models(wanted: CompareLink, known: Sequence[ModelChoice]) -> list[str]:
    names = {model.card.name for model in known}
    return [
        f"This link asks for the model “{name}”, which is not here: another one stands in for it."
        for name in dict.fromkeys(lane.model for lane in wanted.lanes)
        if name not in names
    ]


def _missing_file(wanted: CompareLink) -> str:
    media = wanted.media
    what = f"“{media.name or 'a file'}”, somebody's own file" if media.name else "a sample that is not here"
    return f"This link compares {what}. A link holds no files: upload that very file to see the same."
