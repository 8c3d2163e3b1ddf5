"""The row that chooses the picture or clip of the lesson."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from app.explore.page import Here
from app.items import Item, from_upload, labels
from app.learn.at import FIRST, items
from app.received import new_files, release
from app.text import plain
from app.uploads import APP_LIMITS, describe_limits
from tokenlearner.errors import TokenLearnerError
from tokenlearner.media.info import MediaKind


def choose(here: Here, kind: MediaKind, go_on: Callable[[MediaKind], None]) -> Item:
    """Draw the choice and return what was chosen.

    Args:
        here: Server and visit.
        kind: What the step is shown on.
        go_on: Called with the kind of a file that the visitor brought.
    """
    known = items(here, kind)
    key = _key(kind)
    if st.session_state.get(key) not in known:
        st.session_state[key] = FIRST[kind]
    chosen: str = st.selectbox(
        "Picture" if kind == "image" else "Clip",
        list(known),
        format_func=labels([*known.values()]).__getitem__,
        key=key,
        persist_state="session",
        filter_mode=None,
        label_visibility="collapsed",
        width=240,
    )
    with st.popover("Your own", icon=":material/upload:"):
        st.markdown(f"A photo, for all steps but the last, or a clip for that one. {describe_limits()}")
        place = f"lesson upload {st.session_state.get('lesson upload round', 0)}"
        st.file_uploader(
            "Photo or video",
            key=place,
            label_visibility="collapsed",
            max_upload_size=APP_LIMITS.max_file_bytes // 10**6,
            on_change=_take,
            args=(here, place, go_on),
        )
        if st.session_state.get("lesson refusal"):
            st.warning(plain(st.session_state["lesson refusal"]))
    return known[chosen]


def _take(here: Here, place: str, go_on: Callable[[MediaKind], None]) -> None:
    """Bring a new file to disk, choose it and go where it is shown; the widget starts anew."""
    files = new_files(st.session_state.get(place))
    if not files:
        return
    for file in files:
        try:
            item = from_upload(here.visit.uploads.add(file, file.name))
        except TokenLearnerError as error:
            st.session_state["lesson refusal"] = str(error)
        else:
            st.session_state["lesson refusal"] = ""
            st.session_state[_key(item.kind)] = item.key
            go_on(item.kind)
        release(file)
    st.session_state["lesson upload round"] = st.session_state.get("lesson upload round", 0) + 1


def _key(kind: MediaKind) -> str:
    return f"lesson {kind}"
