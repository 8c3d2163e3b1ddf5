"""The top row: which photo or clip is compared, and the comparisons that are one click away."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from app.compare import state
from app.compare.lanes import Lane, Preset
from app.explore.page import Here
from app.items import Item, from_upload, labels, samples
from app.received import new_files, release
from app.text import plain
from app.uploads import APP_LIMITS, MAX_KEPT, describe_limits
from tokenlearner.errors import TokenLearnerError

_ITEM: Final = "compare item"
_CHOSEN: Final = "compared instead of"
_PRESET: Final = "compare preset"
_ROUND: Final = "compare upload round"
_UPLOAD: Final = "compare upload open"
_PROBLEMS: Final = "compare problems"


def choose_item(at: Here) -> Item:
    """Draw the choice of a photo or clip: the one last looked at in Explore, until another is chosen here."""
    items = {item.key: item for item in (*map(from_upload, at.visit.uploads.kept), *samples())}
    explored = at.visit.shown.request.item if at.visit.shown is not None else None
    own, instead_of = st.session_state.get(_CHOSEN, (None, None))
    key = own if own in items and instead_of == explored else explored
    if key not in items:
        key = next(key for key, item in items.items() if item.is_sample)
    st.session_state[_ITEM] = key
    st.selectbox(
        "Photo or clip",
        list(items),
        format_func=labels([*items.values()]).__getitem__,
        key=_ITEM,
        on_change=lambda: _choose(st.session_state[_ITEM], explored),
        filter_mode=None,
        label_visibility="collapsed",
        width=300,
    )
    with st.popover("Upload", icon=":material/upload:", key=_UPLOAD, on_change="rerun"):
        st.markdown(f"{describe_limits()} Your last {MAX_KEPT} files stay in the list until you close the page.")
        widget = f"compare upload {st.session_state.get(_ROUND, 0)}"
        st.file_uploader(
            "Photo or video",
            key=widget,
            label_visibility="collapsed",
            max_upload_size=APP_LIMITS.max_file_bytes // 10**6,
            on_change=_take,
            args=(at, widget, explored),
        )
    return items[key]


def choose_preset(offered: Sequence[Preset], lanes: Sequence[Lane]) -> None:
    """Draw the comparisons; the one that is on the screen is marked."""
    by_name = {preset.name: preset for preset in offered}
    shown = next((preset.name for preset in offered if preset.lanes == tuple(lanes)), None)
    st.session_state[_PRESET] = shown

    def choose() -> None:
        name = st.session_state[_PRESET]
        if name in by_name:
            state.put(by_name[name].lanes)

    st.pills(
        "Comparisons",
        list(by_name),
        key=_PRESET,
        on_change=choose,
        label_visibility="collapsed",
        format_func=plain,
    )


def open_with(key: str) -> None:
    """Begin with a photo or clip."""
    _choose(key, None)


def problems() -> list[str]:
    """Why files were not taken."""
    return list(st.session_state.get(_PROBLEMS, []))


def _choose(key: str, explored: str | None) -> None:
    st.session_state[_CHOSEN] = (key, explored)
    st.session_state[_PROBLEMS] = []
    state.miss(())


def _take(at: Here, widget: str, explored: str | None) -> None:
    """Bring a new file to disk and choose it; the widget begins anew, so that its copy in memory can go."""
    files = new_files(st.session_state.get(widget))
    if not files:
        return
    st.session_state[_PROBLEMS] = []
    for file in files:
        try:
            upload = at.visit.uploads.add(file, file.name)
        except TokenLearnerError as error:
            st.session_state[_PROBLEMS] = [str(error)]
        else:
            _choose(from_upload(upload).key, explored)
        release(file)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state[_UPLOAD] = False
