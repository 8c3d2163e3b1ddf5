"""The form that trims an analysis before it runs: part, frame rate, most frames, size, and what all that will cost."""

from __future__ import annotations

import dataclasses
from typing import Final, Literal

import streamlit as st

from app.explore.page import Here
from app.explore.stage import PLAYER
from app.explore.trim import choose, cost_of, cost_sentence, media_of
from app.explore.wish import DETAILS, Framing, Wish
from app.filmstrip import Part, filmstrip, forget, held
from app.filmstrip import choose as choose_part
from app.fragments import fragment
from app.items import Item
from app.strips import Strip
from tokenlearner.engine import speed_note
from tokenlearner.media import MediaInfo, Sampling

MOST_FRAMES: Final = 1200
RATES: Final = (15.0, 10.0, 5.0, 2.0, 1.0)
EVERY_FRAME: Final = 0.0
"""Stands for the clip's own frame rate, where a widget needs a value."""
_DETAIL_NAMES: Final = {1.0: "normal", 1.5: "1.5 × finer", 2.0: "2 × finer"}
_PATIENCE_S: Final = 0.2
_EVERY_S: Final = 0.4
_PICTURES_AT_ONCE: Final = 4
_STRIP_HEIGHT: Final = 100

Place = Literal["popover", "question"]


@fragment()
def frames_form(at: Here, wish: Wish, place: Place) -> None:
    """Draw the form; its controls move nothing else on the page until "Analyse" is pressed.

    Args:
        at: Server and visit.
        wish: What is wanted now.
        place: Where it stands; each form on the page is a draft of its own.
    """
    keys = _Keys(wish.item.key, place)
    strip = at.server.strips.of(at.visit.id, wish.item)
    media = media_of(at, wish.item) or strip.wait(_PATIENCE_S).info
    is_clip = wish.item.kind == "video"
    with st.container(key=f"frames form {place}"):
        if is_clip:
            with st.container(key=f"frames strip {place}"):
                _part_of_time(at, wish, keys, strip, media)
        with st.container(horizontal=True, key=f"frames choices {place}"):
            if is_clip:
                _how_many(wish.framing.sampling, keys, media)
            _size(wish.framing, keys)
        wanted = keys.drafted(wish.framing)
        _conclude(at, dataclasses.replace(wish, framing=wanted), wish.framing, keys, media)


def drop_draft(item: Item, place: Place) -> None:
    """Forget a part that was chosen and not analysed."""
    forget(_Keys(item.key, place).of("strip"))


@dataclasses.dataclass(frozen=True)
class _Keys:
    """Names of one form's controls.

    Attributes:
        item: Key of the photo or clip.
        place: Where the form stands.
    """

    item: str
    place: Place

    def of(self, control: str) -> str:
        """Name of a control in the page's state."""
        return f"{control} of {self.item} in the {self.place}"

    def drafted(self, framing: Framing) -> Framing:
        """What the form says now; what was not touched is as it was."""

        def value(control: str, otherwise: float) -> float:
            found = st.session_state.get(self.of(control))
            return otherwise if found is None else found

        usual = framing.sampling
        part = held(self.of("strip"), _part(usual))
        sampling = Sampling(
            start_s=part.start_s,
            end_s=part.end_s,
            max_frames=int(value("most", usual.max_frames)),
            max_fps=value("rate", usual.max_fps or EVERY_FRAME) or None,
        )
        return Framing(
            sampling=sampling,
            resize=st.session_state.get(self.of("resize")) or framing.resize,
            detail=value("detail", framing.detail),
        )


def _part(sampling: Sampling) -> Part:
    return Part(start_s=sampling.start_s, end_s=sampling.end_s)


def _part_of_time(at: Here, wish: Wish, keys: _Keys, strip: Strip, media: MediaInfo | None) -> None:
    """The strip, or its place while nothing is known of the clip."""
    view = strip.view if strip.view.held else strip.wait(_PATIENCE_S)
    if media is None:
        st.skeleton(height=_STRIP_HEIGHT)
    else:
        shown = at.visit.shown
        plays = shown is not None and shown.request.item == wish.item.key
        start = _part(wish.framing.sampling)
        filmstrip(media, view, player=PLAYER if plays else None, key=keys.of("strip"), start=start)
    if not view.done:
        _growing(strip, view.held, media is not None)


def _how_many(sampling: Sampling, keys: _Keys, media: MediaInfo | None) -> None:
    """The frame rate and the most frames."""
    rates = _rates(media, sampling)
    if len(rates) > 1:
        st.segmented_control(
            "Frames per second",
            rates,
            default=sampling.max_fps or EVERY_FRAME,
            required=True,
            format_func=lambda rate: f"{rate:g}" if rate else "every frame",
            key=keys.of("rate"),
            help="Of every second of the clip, at even distances in time. Fewer take less time and memory.",
        )
    st.number_input(
        "Frames at most",
        1,
        MOST_FRAMES,
        min(sampling.max_frames, MOST_FRAMES),
        step=50,
        key=keys.of("most"),
        width=150,
        help="If the part holds more at this rate, they are taken at even distances in time.",
    )


def _rates(media: MediaInfo | None, sampling: Sampling) -> tuple[float, ...]:
    """The frame rates to choose from: those below the clip's own, and the one that is chosen."""
    own = media.fps if media is not None else RATES[0] + 1
    below = {rate for rate in RATES if rate < own}
    chosen = {sampling.max_fps} if sampling.max_fps is not None else set()
    return (EVERY_FRAME, *sorted(below | chosen, reverse=True))


def _size(framing: Framing, keys: _Keys) -> None:
    """What of each frame the model sees."""
    st.segmented_control(
        "What the model sees",
        ("whole", "crop"),
        default=framing.resize,
        required=True,
        format_func={"whole": "whole frame", "crop": "centre square"}.__getitem__,
        key=keys.of("resize"),
        help="Whole frames keep their shape; the grid of patches takes it on. The centre has the shape that the model "
        "was trained with.",
    )
    st.segmented_control(
        "Grid of the maps",
        DETAILS,
        default=framing.detail,
        required=True,
        format_func=_DETAIL_NAMES.__getitem__,
        key=keys.of("detail"),
        help="A larger input gives more and smaller patches. The network was trained at the normal size, so accuracy "
        "may change; the cost grows with the square.",
    )


def _conclude(at: Here, wanted: Wish, framing: Framing, keys: _Keys, media: MediaInfo | None) -> None:
    """What it will cost, and the buttons."""
    with st.container(horizontal=True, vertical_alignment="center", key=f"frames cost {keys.place}"):
        if media is not None:
            times_s = at.server.strips.of(at.visit.id, wanted.item).view.times_s
            cost = cost_of(at, wanted, media, times_s)
            faster = speed_note(wanted.model.card.config.num_frames, media.fps, cost.frames, cost.frames_in_range)
            unknown = "" if cost.seconds is not None else "How long that takes is known after the first analysis. "
            st.markdown(f"**{cost_sentence(cost, wanted.device)}** {unknown}{faster}")
        with st.container(horizontal=True, width="content", key=f"frames decide {keys.place}"):
            _buttons(at, wanted, framing, keys)


def _buttons(at: Here, wanted: Wish, framing: Framing, keys: _Keys) -> None:
    """To go back to the whole clip, and to begin."""
    sampling = wanted.framing.sampling
    if wanted.item.kind == "video":
        st.button(
            "Whole clip",
            icon=":material/fit_width:",
            disabled=sampling.start_s == 0 and sampling.end_s is None,
            key=keys.of("whole"),
            on_click=_reset,
            args=(keys, framing),
        )
    if st.button(
        "Analyse",
        type="primary",
        disabled=keys.place == "popover" and wanted.framing == framing,
        key=keys.of("analyse"),
        on_click=_analyse,
        args=(at, wanted, framing, keys),
    ):
        st.rerun()


def _reset(keys: _Keys, framing: Framing) -> None:
    version = held(keys.of("strip"), _part(framing.sampling)).version
    choose_part(keys.of("strip"), Part(version=version + 1))


def _analyse(at: Here, wanted: Wish, framing: Framing, keys: _Keys) -> None:
    """Take what the form says at this moment, which may be newer than what was drawn; its cost was on the screen."""
    drafted = dataclasses.replace(wanted, framing=keys.drafted(framing))
    choose(drafted.item, drafted.framing)
    forget(keys.of("strip"))
    at.visit.refusals.pop(drafted.request, None)
    at.visit.agreed.add(drafted.request)


@fragment(run_every=_EVERY_S)
def _growing(strip: Strip, drawn: int, known: bool) -> None:
    """Draw the page again when there is more to see of a strip."""
    view = strip.view
    if view.done or view.held >= drawn + _PICTURES_AT_ONCE or (view.info is not None and not known):
        st.rerun()
