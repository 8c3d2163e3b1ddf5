"""The area of the Explore page where things are taken away, and how a link is followed when the page opens."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from app import cache, desk
from app.components import component, ignore
from app.explore.page import Here
from app.fragments import fragment
from app.items import samples
from app.jobs import Job, JobState, Ticket
from app.player.payload import PlayerState
from app.results import Shown
from app.takeaway import link
from app.takeaway.files import KINDS, Order, file_stem
from app.text import plain, size
from tokenlearner.engine import Analysis, Progress
from tokenlearner.errors import Cancelled, TokenLearnerError

_FOLDER: Final = Path(__file__).parent
_KEY: Final = "takeaway"
_MADE: Final = "file to take away"
_LINK: Final = "link followed"
_MISSING: Final = "what the link misses"
_WORKER: Final = "files"
"""Files are made in a thread of their own, one after the other: they need no device."""
_EVERY_S: Final = 0.4
_WAITS: Final = (
    "Files and a link come when the whole clip is analysed. For the beginning alone, choose it under “Frames” above."
)
_FORMATS: Final = {"html": "HTML", "sheet": "PNG", "npz": "NPZ, float32", "csv": "CSV", "json": "JSON"}


@dataclass(frozen=True, eq=False)
class Made:
    """A file that is being made, or is ready.

    Attributes:
        kind: Its place in `KINDS`.
        name: What it is called.
        job: Makes its bytes.
    """

    kind: str
    name: str
    job: Job[bytes]


def draw(at: Here, shown: Shown, found: Analysis, player: str) -> None:
    """Draw the area.

    Args:
        at: Server and visit.
        shown: What is on the screen.
        found: The answer for the setting.
        player: Key of the player.
    """
    with st.expander("Take it away", icon=":material/download:", key="take it away"):
        if shown.is_part:
            st.caption(_WAITS)
            return
        _area(at, shown, found, player)


@fragment()
def _area(at: Here, shown: Shown, found: Analysis, player: str) -> None:
    made: Made | None = st.session_state.get(_MADE)
    busy = made is not None and not made.job.state.is_final
    asked = component("takeaway", _FOLDER / "panel")(
        key=_KEY, data=_data(shown, found, player, busy), on_make_change=ignore
    ).get("make")
    if isinstance(asked, Mapping) and asked.get("kind") in KINDS and not busy:
        _start(at, shown, found, str(asked["kind"]), PlayerState.from_dict(asked.get("view") or {}))
        st.rerun(scope="fragment")
    if busy:
        _progress(at)
    elif made is not None:
        _ready(made)


def _data(shown: Shown, found: Analysis, player: str, busy: bool) -> dict[str, Any]:
    """What the browser's part needs, ready for JSON."""
    needs = (
        ""
        if shown.item.is_sample
        else f"The link holds no files: whoever opens it is asked for “{shown.item.name}” and has to upload it."
    )
    return {
        "player": player,
        "kinds": [
            {"name": name, "label": kind.label, "format": _FORMATS.get(name, name.upper()), "help": kind.help}
            for name, kind in KINDS.items()
            if kind.is_for(found)
        ],
        "busy": busy,
        "parameters": link.parameters(shown, found, desk.pressed(found.num_tokens)),
        "tokens": found.num_tokens,
        "needs": needs,
        "restore": _to_restore(shown),
    }


def _start(at: Here, shown: Shown, found: Analysis, kind: str, state: PlayerState) -> None:
    began = time.monotonic()

    def work(ticket: Ticket) -> bytes:
        def report(done: int, total: int) -> None:
            spent = time.monotonic() - began
            ticket.report(Progress(done, total, spent, spent / done * (total - done) if done else None, "drawing"))

        order = Order(
            found=found, clip=shown.clip, state=state, credit=shown.item.credit, report=report, cancel=ticket.cancel
        )
        return KINDS[kind].make(order)

    try:
        job = at.server.worker(_WORKER).submit(work, owner=at.visit.id, slot="file")
    except TokenLearnerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    st.session_state[_MADE] = Made(kind, file_stem(found.media.name) + KINDS[kind].ending, job)


@fragment(run_every=_EVERY_S)
def _progress(at: Here) -> None:
    made: Made = st.session_state[_MADE]
    if made.job.state.is_final:
        st.rerun()
    progress = made.job.progress
    share = progress.done / progress.total if progress is not None and progress.total else 0.0
    words = f"{KINDS[made.kind].label}: " + (
        f"{progress.done} of {progress.total} frames" if progress is not None else "waiting"
    )
    with st.container(horizontal=True, vertical_alignment="center", key="making"):
        st.progress(min(share, 1.0), words)
        if st.button("Cancel", icon=":material/close:", key="cancel the file"):
            made.job.cancel()
            st.session_state[_MADE] = None
            st.rerun()


def _ready(made: Made) -> None:
    if made.job.state is JobState.DONE:
        content = made.job.result()
        st.download_button(
            f"Save {made.name} ({size(len(content))})",
            content,
            made.name,
            KINDS[made.kind].mime,
            type="primary",
            icon=":material/download:",
            on_click="ignore",
            key="save the file",
        )
    elif isinstance(made.job.error, TokenLearnerError) and not isinstance(made.job.error, Cancelled):
        st.error(plain(str(made.job.error)), icon=":material/error:")
    elif made.job.state is JobState.FAILED:
        st.error("The file could not be made; the server's log says why.", icon=":material/error:")


# Links ----------------------------------------------------------------------------------------------------------------


def follow_link() -> None:
    """Set the page to what its address asks for; to be called first, does so once."""
    if _LINK in st.session_state:
        return
    wanted = link.read(st.query_params.to_dict())
    st.session_state[_LINK] = wanted
    if wanted is None:
        return
    missing: list[str] = st.session_state.setdefault(_MISSING, [])
    item = next((item for item in samples() if wanted.is_for(item.key)), None)
    if item is None:
        name = wanted.name or "a file"
        what = "a sample that is not here" if wanted.item.startswith("sample:") else f"“{name}”, somebody's own file"
        missing.append(f"This link shows {what}. A link holds no files: upload that very file to see the same view.")
    else:
        st.session_state["item"] = item.key
    known, _ = cache.models()
    model = next((model for model in known if model.card.name == wanted.model), None)
    if model is None:
        if wanted.model:
            missing.append(f"This link asks for the model “{wanted.model}”, which is not here: another one answers.")
    else:
        config = model.card.config
        for kind in ("image", "video") if item is None else (item.kind,):
            st.session_state[f"model for a {kind}"] = model.card.name
        if wanted.loc is None:
            st.session_state[f"place in {model.card.name}"] = config.depth
        elif wanted.loc in config.tokenlearner_locs:
            st.session_state[f"place in {model.card.name}"] = wanted.loc
        if wanted.tokens and wanted.tokens <= config.num_tokens:
            st.session_state[f"tokens of {model.card.name}"] = wanted.tokens
            desk.press(wanted.tokens, wanted.desk)
    if wanted.random:
        st.session_state["random"] = True
    if item is not None:
        st.session_state["framing"] = {item.key: wanted.framing}


def missing_words(at: Here) -> None:
    """Say what the link asked for and is not here, until the visitor looks at something else."""
    shown = at.visit.shown
    wanted: link.Link | None = st.session_state.get(_LINK)
    if shown is not None and wanted is not None and not shown.item.is_sample:
        st.session_state[_MISSING] = []
    for words in st.session_state.get(_MISSING, []):
        st.info(plain(words), icon=":material/link:")


def _to_restore(shown: Shown) -> dict[str, Any] | None:
    """The view that the player shall come back to, if this is what the link was about."""
    wanted: link.Link | None = st.session_state.get(_LINK)
    if wanted is None or not wanted.is_for(shown.request.item):
        return None
    return {"id": repr(wanted), "view": wanted.state.to_dict()}
