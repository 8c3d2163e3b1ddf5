"""The top row: which photo or clip, which frames of it, which model, on which device."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app import cache
from app.explore import model_choice, present
from app.explore.frames_form import drop_draft, frames_form
from app.explore.page import ITEM, RANDOM, Here, hush, note, tell
from app.explore.trim import OPEN, framing_of
from app.explore.wish import Framing, Wish
from app.items import from_upload, labels, samples
from app.received import new_files, release
from app.takeaway import opened
from app.uploads import APP_LIMITS, MAX_KEPT, describe_limits
from tokenlearner.errors import CheckpointError, TokenLearnerError

_ROUND: Final = "upload round"
_UPLOAD: Final = "upload open"
_CAMERA: Final = "camera open"


def draw(at: Here) -> Wish:
    """Draw the row and return what is wanted.

    Raises:
        CheckpointError: If there is no model at all.
    """
    known, problems = cache.models()
    if not known:
        raise CheckpointError(
            problems[0] if problems else "No model is installed. Put a checkpoint into assets/checkpoints."
        )
    items = {item.key: item for item in (*map(from_upload, at.visit.uploads.kept), *samples())}
    if st.session_state.get(ITEM) not in items:
        if ITEM in st.session_state:
            note("The file that was chosen is not on the server any more. Upload it again to go on with it.")
        st.session_state[ITEM] = next(key for key, item in items.items() if item.is_sample)
    model, device = model_choice.chosen(known, items[st.session_state[ITEM]].kind)
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="source"):
        key = st.selectbox(
            "Photo or clip",
            list(items),
            format_func=labels([*items.values()]).__getitem__,
            key=ITEM,
            on_change=hush,
            filter_mode=None,
            label_visibility="collapsed",
            persist_state="session",
            width=300,
        )
        with st.popover("Upload", icon=":material/upload:", key=_UPLOAD, on_change="rerun"):
            _uploader(at)
        with st.popover("Camera", icon=":material/photo_camera:", key=_CAMERA, on_change="rerun") as camera:
            if camera.open:
                _camera(at)
        framing = framing_of(items[key])
        _frames(at, Wish(item=items[key], model=model, device=device, framing=framing))
        model_choice.popover(known, items[key].kind)
        random = st.toggle(
            "Random weights",
            key=RANDOM,
            on_change=hush,
            persist_state="session",
            help="The same network before it has learned anything, on the same frames. What looks the same with random "
            "weights was not learned.",
        )
        present.switch()
    return Wish(item=items[key], model=model_choice.twin_if(model, random), device=device, framing=framing)


def _frames(at: Here, wish: Wish) -> None:
    """The button with the choice of frames behind it."""
    with st.popover(
        "Frames" if wish.item.kind == "video" else "Framing",
        icon=":material/crop:" if wish.framing == Framing() else ":material/tune:",
        key=OPEN,
        on_change="rerun",
        help="Which frames of a clip are analysed, what of each frame the model sees, and what that costs.",
    ) as popover:
        if popover.open:
            frames_form(at, wish, "popover")
        else:
            drop_draft(wish.item, "popover")


def _uploader(at: Here) -> None:
    st.markdown(f"{describe_limits()} Your last {MAX_KEPT} files stay in the list until you close the page.")
    key = f"upload {st.session_state.get(_ROUND, 0)}"
    st.file_uploader(
        "Photos or videos",
        accept_multiple_files=True,
        key=key,
        label_visibility="collapsed",
        max_upload_size=APP_LIMITS.max_file_bytes // 10**6,
        on_change=_take,
        args=(at, key),
    )


def _camera(at: Here) -> None:
    key = f"camera {st.session_state.get(_ROUND, 0)}"
    st.camera_input(
        "Take a picture", key=key, label_visibility="collapsed", on_change=_take, args=(at, key, "camera.jpg")
    )


def _take(at: Here, key: str, name: str | None = None) -> None:
    """Bring new files to disk, choose the last one, and empty the widget so that its copies in memory can go.

    Args:
        at: Server and visit.
        key: The widget's.
        name: What to call them; None for their own names.
    """
    files = new_files(st.session_state.get(key))
    if not files:
        return
    hush()
    for file in files:
        try:
            upload = at.visit.uploads.add(file, name or file.name)
        except TokenLearnerError as error:
            tell(str(error))
        else:
            item = from_upload(upload)
            st.session_state[ITEM] = item.key
            opened.arrived(item)
        release(file)
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state[_UPLOAD] = st.session_state[_CAMERA] = False
