"""The area of the Explore page where things are taken away."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import streamlit as st

from app import desk, waiting
from app.components import component, ignore
from app.explore import present
from app.explore.page import Here
from app.explore.tokens import whose
from app.fragments import fragment
from app.jobs import Job, JobState, Ticket
from app.player.payload import PlayerState
from app.results import Shown
from app.takeaway import link, opened
from app.takeaway.files import KINDS, Order, file_stem
from app.text import plain, size
from tokenlearner.engine import Analysis, Progress
from tokenlearner.errors import TokenLearnerError

_FOLDER: Final = Path(__file__).parent
_KEY: Final = "takeaway"
_MADE: Final = "file to take away"
_WORKER: Final = "files"
"""Files are made in a thread of their own, one after the other: they need no device."""
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
        notes: What is worth knowing about it, once it is made.
    """

    kind: str
    name: str
    job: Job[bytes]
    notes: list[str]


@dataclass(frozen=True, eq=False, kw_only=True)
class _Wish:
    """What a file shall show.

    Attributes:
        found: The answer for the setting.
        state: How the player shows it.
        scale: Weight drawn at full strength.
    """

    found: Analysis
    state: PlayerState
    scale: float


def draw(at: Here, shown: Shown, found: Analysis, player: str, scale: float) -> None:
    """Draw the area.

    Args:
        at: Server and visit.
        shown: What is on the screen.
        found: The answer for the setting.
        player: Key of the player.
        scale: Weight that it draws at full strength.
    """
    with st.expander("Take it away", icon=":material/download:", key="take it away"):
        if shown.is_part:
            st.caption(_WAITS)
            return
        _area(at, shown, found, player, scale)


@fragment()
def _area(at: Here, shown: Shown, found: Analysis, player: str, scale: float) -> None:
    made: Made | None = st.session_state.get(_MADE)
    busy = made is not None and not made.job.state.is_final
    asked = component("takeaway", _FOLDER / "panel")(
        key=_KEY, data=_data(shown, found, player, busy), on_make_change=ignore
    ).get("make")
    if isinstance(asked, Mapping) and asked.get("kind") in KINDS and not busy:
        state = PlayerState.from_dict(asked.get("view") or {})
        _start(at, shown, str(asked["kind"]), _Wish(found=found, state=state, scale=scale))
        st.rerun(scope="fragment")
    if busy:
        _progress()
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
        "parameters": opened.awaited() or _parameters(shown, found),
        "tokens": found.num_tokens,
        "needs": needs,
        "restore": opened.to_restore(shown),
    }


def _parameters(shown: Shown, found: Analysis) -> dict[str, str]:
    """What a link to the view says, but for what the player shows."""
    pressed = desk.pressed(found.num_tokens, whose(shown.request.item, shown.model))
    said = link.parameters(shown, found, pressed)
    return said | {present.PARAMETER: "1"} if present.presents() else said


def _start(at: Here, shown: Shown, kind: str, wish: _Wish) -> None:
    notes: list[str] = []

    def work(ticket: Ticket) -> bytes:
        began = time.monotonic()

        def report(done: int, total: int) -> None:
            spent = time.monotonic() - began
            left = spent / done * (total - done) if done else None
            ticket.report(Progress(done, total, spent, left, "drawing"))

        ticket.report(Progress(0, None, 0.0, None, "being made"))
        order = Order(
            found=wish.found,
            clip=shown.clip,
            state=wish.state,
            credit=shown.item.credit,
            scale_max=wish.scale,
            report=report,
            note=notes.append,
            cancel=ticket.cancel,
        )
        return KINDS[kind].make(order)

    try:
        job = at.server.worker(_WORKER).submit(work, owner=at.visit.id, slot="file")
    except TokenLearnerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    name = file_stem(wish.found.media.name) + KINDS[kind].ending
    st.session_state[_MADE] = Made(kind, name, job, notes)


@fragment(run_every=waiting.EVERY_S)
def _progress() -> None:
    made: Made | None = st.session_state[_MADE]
    if made is None:
        st.rerun()
    label = KINDS[made.kind].label
    why = waiting.outcome(made.job, waiting.frames, key="making", name=label, failed="The file could not be made")
    if why is None:
        return
    if why == waiting.STOPPED:
        st.session_state[_MADE] = None
    st.rerun()


def _ready(made: Made) -> None:
    """Offer the file, or say why there is none."""
    if made.job.state is not JobState.DONE:
        waiting.say(waiting.reason(made.job, "The file could not be made"))
        return
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
    for sentence in made.notes:
        st.caption(plain(sentence))
