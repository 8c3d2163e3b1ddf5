"""The design bench: choose a network, see what it costs, pin two and compare them, time it on this machine."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.charts import CountUnit, cost_bars, stage_legend
from app.fragments import fragment
from app.text import count, millions, percent
from app.tradeoffs import bench_figures, choose, curves, measure
from app.tradeoffs.bench_figures import Course
from app.tradeoffs.curves import best_within
from app.tradeoffs.design import Design
from app.tradeoffs.marks import PLOT_CONFIG, counted
from tokenlearner.flops import CONVENTION

_PINS: Final = "pinned designs"
_SLOTS: Final = ("A", "B")
_CHOICES: Final = "Along location and tokens"
_INPUT: Final = "As the input grows"


@fragment()
def draw(unit: CountUnit) -> None:
    """Draw the bench; its controls run this part of the page alone."""
    head = st.container(horizontal=True, vertical_alignment="bottom", key="bench-figures")
    controls, results = st.columns([1, 2.9], gap="large")
    with controls:
        design = choose.draw()
        budget = choose.budget(unit, design.per)
    pins = _pins()
    with head:
        _figures(design, unit)
    with results:
        _bars(design, pins, unit, budget)
        if budget is not None:
            st.markdown(budget_words(design, budget, unit))
        _pinning(design, pins, unit)
        # One pair of curves at a time: four figures would follow a slider too late.
        along = st.segmented_control(
            "Curves",
            (_CHOICES, _INPUT),
            default=_CHOICES,
            required=True,
            key="bench curves",
            label_visibility="collapsed",
            persist_state="session",
        )
        if along == _INPUT:
            _growth(design, unit)
        else:
            _courses(design, pins, unit, budget)
        with st.expander("The same numbers on the command line"):
            st.code(f"python -m tokenlearner flops {design.options()}", language="bash", wrap_lines=True)
        measure.draw(design)


def _pins() -> dict[str, Design]:
    pins: dict[str, Design] = st.session_state.setdefault(_PINS, {})
    return pins


def _figures(design: Design, unit: CountUnit) -> None:
    here, plain = design.compute, design.baseline
    value, words = counted(here.total_macs, unit).split(" ")
    tokens = design.num_tokens * design.time_steps
    st.metric(f"{words} per {design.per}", value, help=f"{CONVENTION} Computed.")
    st.metric(
        "of plain ViT",
        percent(here.total_macs / plain.total_macs),
        help="The same network on the same input without TokenLearner.",
    )
    st.metric("Parameters", millions(here.params), help="With the module. Computed.")
    behind = "tokens, in each block" if design.use_fuser else "tokens"
    st.metric(
        f"patches → {behind}",
        f"{design.patches * design.time_steps:,} → {tokens:,}".replace(",", "\u202f"),
        help="What self-attention compares, before the module and behind it.",
    )


def _bars(design: Design, pins: dict[str, Design], unit: CountUnit, budget: int | None) -> None:
    rows = [("this design", design.compute), ("plain ViT", design.baseline)]
    rows += [(slot, pinned.compute) for slot, pinned in pins.items()]
    st.html(cost_bars(rows, unit, per=design.per, budget_macs=budget))
    st.html(stage_legend(design.compute, design.baseline))


def _courses(design: Design, pins: dict[str, Design], unit: CountUnit, budget: int | None) -> None:
    everything = {"": design, **pins}
    st.html(bench_figures.course_legend([*pins]))
    left, right = st.columns(2, gap="medium")
    for column, words, along, field in (
        (left, "blocks before TokenLearner", curves.over_locations, "loc"),
        (right, "tokens" if design.num_frames is None else "tokens per time step", curves.over_tokens, "num_tokens"),
    ):
        lines = [Course(label, along(one), getattr(one, field)) for label, one in everything.items()]
        column.plotly_chart(
            bench_figures.course(lines, words, unit, budget),
            key=f"course {field}",
            config=PLOT_CONFIG,
            alt=f"Compute against {words}",
        )


def budget_words(design: Design, budget: int, unit: CountUnit) -> str:
    """What fits into a budget, changing one choice at a time."""
    fits = design.compute.total_macs <= budget
    choices = [
        ("the location", curves.over_locations(design), "at most {} before the module", "block"),
        ("the tokens", curves.over_tokens(design), "at most {}", "token"),
        ("the image side", curves.over_sides(design), "a side of at most {}", "pixel"),
    ]
    if design.num_frames is not None:
        choices.append(("the clip", curves.over_clips(design), "at most {}", "frame"))
    found = [(choice, best_within(points, budget), form, thing) for choice, points, form, thing in choices]
    room = [form.format(count(best.value, thing)) for _, best, form, thing in found if best is not None]
    none = [choice for choice, best, *_ in found if best is None]
    words = [f"Budget of {counted(budget, unit)}: this design **{'fits' if fits else 'does not fit'}**."]
    if room:
        words.append(f"Changing one choice alone, this fits: {'; '.join(room)}.")
    if none:
        either = " or ".join(filter(None, (", ".join(none[:-1]), none[-1])))
        words.append(f"Changing {either} alone is not enough.")
    return " ".join(words)


def _pinning(design: Design, pins: dict[str, Design], unit: CountUnit) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        for slot in _SLOTS:
            st.button(
                f"Pin as {slot}",
                icon=":material/keep:",
                on_click=_pin,
                args=(slot, design),
                help="Keep this design to compare others with it",
            )
        for slot, pinned in pins.items():
            st.button(
                f"Back to {slot}",
                icon=":material/undo:",
                on_click=choose.keep,
                args=(pinned,),
                help="Put the pinned design on the bench again",
            )
        if pins:
            st.button("Unpin", icon=":material/keep_off:", on_click=pins.clear)
    if pins:
        st.dataframe(
            [_row(label or "this", one, unit) for label, one in {"": design, **pins}.items()],
            hide_index=True,
            alt="The designs beside each other",
        )


def _pin(slot: str, design: Design) -> None:
    st.session_state[_PINS] = dict(sorted({**_pins(), slot: design}.items()))


def _row(label: str, design: Design, unit: CountUnit) -> dict[str, str]:
    here, plain = design.compute, design.baseline
    measured = measure.known(design)
    return {
        "": label,
        "design": design.name(),
        f"{unit} per input": counted(here.total_macs, unit),
        "of plain": percent(here.total_macs / plain.total_macs),
        "parameters": millions(here.params),
        "measured here": measure.latency_words(measured) if measured else "–",
    }


def _growth(design: Design, unit: CountUnit) -> None:
    sides, clips = curves.every_side(design), curves.every_clip(design)
    left, right = st.columns(2, gap="medium")
    with left:
        steps = design.time_steps
        st.plotly_chart(
            bench_figures.growth(
                sides, [design.num_tokens * steps] * len(sides), "image side, pixels", design.side, unit
            ),
            key="growth sides",
            config=PLOT_CONFIG,
            alt="Patches and compute against the image's side",
        )
    with right:
        tubelet = design.tubelet_size if design.num_frames else curves.CLIP_TUBELET
        st.plotly_chart(
            bench_figures.growth(
                clips,
                [design.num_tokens * (point.value // tubelet) for point in clips],
                f"frames, in tubelets of {tubelet}",
                design.num_frames,
                unit,
            ),
            key="growth clips",
            config=PLOT_CONFIG,
            alt="Patches and compute against the length of a clip",
        )
    st.caption(growth_words(design))


def growth_words(design: Design) -> str:
    """What doubling the side or the clip does, in numbers."""
    twice = design.but(side=2 * design.side)
    more = twice.baseline.total_macs / design.baseline.total_macs
    share = curves.attention_macs(design) / design.baseline.total_macs
    share_twice = curves.attention_macs(twice) / twice.baseline.total_macs
    clip = "" if design.num_frames else " The clip on the right is this network as a video model."
    pairs = f"({design.patches} become {4 * design.patches}) and 16 × the pairs that attention compares"
    return (
        f"Twice the side is 4 × the patches {pairs}: the plain network costs {more:.1f} × as much, and attention's "
        f"share of it goes from {percent(share)} to {percent(share_twice)}. Twice the frames are twice the patches and "
        f"4 × the pairs.{clip}"
    )
