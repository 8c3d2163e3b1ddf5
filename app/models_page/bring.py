"""Widgets that bring a model: a file of one's own, or a network of timm by name."""

from __future__ import annotations

from typing import BinaryIO, Final

import streamlit as st

from app import waiting
from app.brought import LISTED, MAX_KEPT
from app.explore.page import Here
from app.jobs import Ticket
from app.models import ModelChoice
from app.models_page import around, coming, scenic_fields
from app.received import new_files, release
from app.text import millions, plain, size
from tokenlearner.errors import ConfigError

FILE: Final = "bring-file"
TIMM: Final = "bring-timm"
_ROUND: Final = "model upload round"


def draw(at: Here, taken: tuple[str, ...]) -> None:
    """Draw both ways, or the progress of what is on its way.

    Args:
        at: Server and visit.
        taken: Names of the models that there are.
    """
    st.markdown("##### Bring a model")
    st.caption(f"For this visit alone; your last {MAX_KEPT} stay until you close the page.")
    if coming.is_coming():
        coming.progress()
    elif problem := st.session_state.get(coming.PROBLEM):
        waiting.say(problem)
    with st.expander("From a file", icon=":material/upload_file:", key=FILE, on_change="rerun"):
        _file(at, taken)  # folded away or not: what its fields say must stay
    with st.expander("Around a network of timm", icon=":material/hub:", key=TIMM, on_change="rerun") as network:
        if network.open:
            around.draw(at, taken)


def close() -> None:
    """Fold both ways away, before they are drawn: what they brought is there."""
    st.session_state[FILE] = st.session_state[TIMM] = False


def _file(at: Here, taken: tuple[str, ...]) -> None:
    limits, busy = coming.brought().limits, coming.is_coming()
    st.caption(
        "A checkpoint of this project (safetensors, its card is inside) or of Scenic (Flax msgpack), up to "
        f"{size(limits.max_bytes)} and {millions(limits.max_params)} parameters. Pickled files (.pt, .bin, .ckpt) are "
        "not read: reading one runs what it holds."
    )
    with st.container(horizontal=True):
        with st.popover(scenic_fields.TITLE, icon=":material/tune:"):
            scenic_fields.draw()
        with st.popover("Larger files", icon=":material/dns:"):
            st.markdown(
                f"The server lists what lies in {plain(LISTED)}. Of this project: copy the file there. Of Scenic:"
            )
            st.code(
                "python -m tokenlearner import scenic FILE --loc BLOCK -o assets/checkpoints/NAME.safetensors",
                language="sh",
                wrap_lines=True,
            )
    pending: tuple[BinaryIO, str] | None = st.session_state.get(coming.PENDING)
    if pending is not None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"{plain(pending[1])} is still here.")
            st.button(
                "Read it again",
                icon=":material/refresh:",
                type="primary",
                on_click=_read,
                args=(at, taken),
                disabled=busy,
            )
    key = f"model file {st.session_state.get(_ROUND, 0)}"
    st.file_uploader(
        "Checkpoint",
        key=key,
        label_visibility="collapsed",
        max_upload_size=limits.max_bytes // 10**6,
        on_change=_take,
        args=(at, key, taken),
        disabled=busy,
    )


def _take(at: Here, key: str, taken: tuple[str, ...]) -> None:
    """Read an upload, and empty the widget so that its copy in memory can go."""
    files = new_files(st.session_state.get(key))
    if not files:
        return
    (file,) = files
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    st.session_state[coming.PENDING] = (file, file.name)
    release(file)
    _read(at, taken)


def _read(at: Here, taken: tuple[str, ...]) -> None:
    """Read what was uploaded, in a worker, with what the fields say now."""
    try:
        options = scenic_fields.options(st.session_state.to_dict())
    except ConfigError as error:
        st.session_state[coming.PROBLEM] = f"{str(error).rstrip('.')}. See “{scenic_fields.TITLE}”."
        return
    models, (file, name) = coming.brought(), st.session_state[coming.PENDING]

    def work(ticket: Ticket) -> ModelChoice:
        return models.add_file(file, name, options, taken=taken, progress=ticket.report, cancel=ticket.cancel)

    coming.start(at, work)
