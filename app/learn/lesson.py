"""The frame of the lesson: where one is, how one goes on, what it is shown on, and the step itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import streamlit as st

from app.explore.page import here
from app.fragments import errors_said
from app.learn import source
from app.learn.at import Lesson, Step, columns, known_study, model_for, study_of
from app.learn.code import Excerpt
from app.learn.keys import lesson_keys
from app.learn.steps import attention, eight, one_map, patches, place, pooling, video
from app.text import plain
from app.tradeoffs.published import published
from tokenlearner.media.info import MediaKind

STEPS: Final[tuple[Step, ...]] = (
    patches.STEP,
    attention.STEP,
    one_map.STEP,
    pooling.STEP,
    eight.STEP,
    place.STEP,
    video.STEP,
)
_STEP: Final = "step"
_PRESENT: Final = "present"
_CSS: Final = Path(__file__).parent / "learn.css"


def draw() -> None:
    """Draw the page."""
    st.html(_CSS)
    st.html(f"<style>{_names()}</style>")
    lesson_keys(_number(), _press, presenting=_presents())
    with st.container(key="lesson-present" if _presents() else "lesson"):
        _head()
        number = _number()
        step = STEPS[number - 1]
        st.header(f"{number}\u2002{step.title}", anchor=False)
        with errors_said():
            _draw(step)
        _formula_and_code(step)
        with errors_said():
            said = published()
            st.caption(f"The paper: [{plain(said.paper)}]({said.paper_url})")


def _names() -> str:
    """The names of the steps behind their numbers, as CSS: the buttons' own words are what the address holds."""
    return "".join(
        f'.st-key-{_STEP} button:nth-child({number}) p::after {{ content: " {step.name}"; }}'
        for number, step in enumerate(STEPS, start=1)
    )


def _head() -> None:
    at = here()
    with st.container(horizontal=True, vertical_alignment="center", key="lesson-head"):
        with st.container(horizontal=True, vertical_alignment="center", width="content", key="lesson-nav"):
            st.button(
                "Previous",
                icon=":material/arrow_back:",
                on_click=_press,
                args=("previous",),
                disabled=_number() == 1,
                help="Arrow left",
            )
            st.segmented_control(
                "Step",
                range(1, len(STEPS) + 1),
                default=None if _STEP in st.session_state else 1,  # a default beside a set value is warned of
                required=True,
                key=_STEP,
                bind="query-params",
                label_visibility="collapsed",
                width="content",
            )
            st.button(
                "Next",
                icon=":material/arrow_forward:",
                on_click=_press,
                args=("next",),
                disabled=_number() == len(STEPS),
                help="Arrow right",
            )
            if _presents():
                st.button(
                    "Leave",
                    icon=":material/close_fullscreen:",
                    on_click=_press,
                    args=("leave",),
                    help="Esc",
                    key="leave",
                )
        with st.container(horizontal=True, vertical_alignment="center", width="content", key="lesson-source"):
            kinds = [step.kind for step in STEPS]
            st.session_state["lesson item"] = source.choose(at, kinds[_number() - 1], go_on=_show(kinds))
            st.toggle(
                "Present",
                key=_PRESENT,
                bind="query-params",
                help="Large type and nothing else, for a lecture hall. Keys: arrows or Page up and down for the steps, "
                "Home and End, P or Esc to leave. The address holds the step and the mode.",
            )


def _draw(step: Step) -> None:
    at, item, model = here(), st.session_state["lesson item"], model_for(step.kind)
    if known_study(item, model) is not None:
        place = st.container()
    else:
        empty = st.empty()  # takes the last step away at once: it would stand under this one's title
        with empty.container():
            st.skeleton(height=480)
        study_of(at, item, model)
        place = empty.container()
    with place:
        step.draw(Lesson(at, study_of(at, item, model)))


def _formula_and_code(step: Step) -> None:
    with st.container(key="lesson-formula"):
        left, right = columns()
        with left:
            st.subheader("The formula", anchor=False)
            st.latex(step.formula)
            st.caption(step.symbols)
        with right:
            st.subheader("The same in our code", anchor=False)
            _code(step.code)


def _code(excerpts: Sequence[Excerpt]) -> None:
    for excerpt in excerpts:
        lines = excerpt.read()
        st.code(lines.text, language="python", wrap_lines=True)
        st.caption(f"`{lines.name}` in `{lines.path}`, line {lines.number}")


def _show(kinds: Sequence[MediaKind]) -> Callable[[MediaKind], None]:
    """What is done once a file has come: where the step shows no files of its kind, the first that does is opened."""

    def show(kind: MediaKind) -> None:
        if kinds[_number() - 1] != kind:
            st.session_state[_STEP] = 1 + kinds.index(kind)

    return show


def _number() -> int:
    """The step on show; before the page has run once, the address says it."""
    number = st.session_state.get(_STEP, st.query_params.get(_STEP))
    return int(number) if str(number) in {str(known) for known in range(1, len(STEPS) + 1)} else 1


def _presents() -> bool:
    """Whether the page is set for a hall."""
    return bool(st.session_state.get(_PRESENT, st.query_params.get(_PRESENT) == "true"))


def _press(wish: str) -> None:
    """Do what a key or a button asks for, before the page runs again."""
    number = _number()
    if wish == "leave":
        st.session_state[_PRESENT] = False
        return
    target = {"next": number + 1, "previous": number - 1, "first": 1, "last": len(STEPS)}.get(wish, number)
    st.session_state[_STEP] = min(max(target, 1), len(STEPS))
