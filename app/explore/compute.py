"""What a setting costs: counted by stage against the plain network, measured here, and how good the card says it is."""

from __future__ import annotations

from typing import Final, Literal, TypedDict

import streamlit as st

from app.charts import CountUnit, compute_bars, stage_legend
from app.explore.page import Here
from app.fragments import fragment
from app.models import accuracies_near
from app.results import Shown, View
from app.server import PLAIN, compute_devices
from app.text import millions, milliseconds, operations, percent, plain, size
from tokenlearner.cards import ModelCard
from tokenlearner.engine import Analysis, Latency
from tokenlearner.engine.batching import full_load
from tokenlearner.errors import Cancelled, TokenLearnerError
from tokenlearner.flops import CONVENTION

_UNIT: Final = "counted in"
_TIME: Final = "Time"
_EVERY_S: Final = 0.5
_BUSY_EVERY_S: Final = 2.0
_FLOAT_BYTES: Final = 4
_TIME_HELP: Final = (
    "Median time of one pass from pixels to probabilities, measured on this server, one input at a time, in turns with "
    "the plain ViT; the calmest turn counts. Decoding is not in it."
)


class _Beside(TypedDict):
    """How the line below a figure looks: quiet, no verdict."""

    delta_color: Literal["off"]
    delta_arrow: Literal["off"]


_BESIDE: Final[_Beside] = {"delta_color": "off", "delta_arrow": "off"}


def heading(note: str = "") -> None:
    """The panel's title, with the switch of what is counted, and a short note between them."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader("Compute", anchor=False, width="content")
        if note:
            st.caption(note, width="content")
        st.segmented_control(
            "Count",
            ("MACs", "FLOPs"),
            default="MACs",
            required=True,
            key=_UNIT,
            label_visibility="collapsed",
            persist_state="session",
        )


def counted_in() -> CountUnit:
    """What the switch says."""
    chosen: CountUnit = st.session_state.get(_UNIT) or "MACs"
    return chosen


def figures(at: Here, shown: Shown, found: Analysis) -> None:
    """Cost, time and accuracy, and the counts by stage."""
    per = "frame" if found.clip_frames == 1 else f"clip of {found.clip_frames} frames"
    here, baseline = found.compute, found.baseline
    unit = counted_in()
    factor = 2 if unit == "FLOPs" else 1
    value, counted = operations(factor * here.total_macs, unit, factor * baseline.total_macs)
    with st.container(horizontal=True, key="figures"):
        st.metric(
            f"{counted} per {per}",
            value,
            f"{percent(here.total_macs / baseline.total_macs)} of plain ViT",
            **_BESIDE,
            help=f"{CONVENTION} Counted for the input that the model saw: {found.geometry.input_hw[1]} × "
            f"{found.geometry.input_hw[0]} pixels, {found.geometry.grid_hw[1]} × {found.geometry.grid_hw[0]} patches. "
            "The plain ViT is the same network without TokenLearner, on the same input.",
        )
        _speed(at, shown, found)
        _accuracy(shown, found)
    st.html(compute_bars(here, baseline, unit, per=per))
    st.html(stage_legend(here, baseline))


def _accuracy(shown: Shown, found: Analysis) -> None:
    """Accuracy of this very setting, from the card."""
    value, beside = accuracy_words(shown.model.card, found)
    st.metric(
        "Top-1 accuracy",
        value,
        beside,
        **_BESIDE,
        help="Share of the validation pictures whose most probable class is right, from the model's card; measured at "
        "the model's own input size, not on what is shown here.",
    )


def accuracy_words(card: ModelCard, found: Analysis) -> tuple[str, str]:
    """Accuracy of a setting as the card has it, and what to read it against."""
    if not found.provenance.trained:
        return "–", "untrained: like guessing"
    rows = accuracies_near(card, found.loc, found.num_tokens)
    if not rows:
        return "–", "not on the model's card"
    if rows[0].by_group:
        (first, value), *others = rows[0].by_group.items()
        beside = ", ".join(f"{name} {percent(share)}" for name, share in others)
        return percent(value), f"{first}; {beside}" if beside else first
    if found.loc is None:
        return percent(rows[0].top1), "the plain ViT"
    if rows[0].num_tokens == found.num_tokens:
        plain_rows = accuracies_near(card, None, 0)
        return percent(rows[0].top1), f"plain ViT {percent(plain_rows[0].top1)}" if plain_rows else "from the card"
    ends = list(dict.fromkeys(percent(row.top1) for row in rows))
    known = " and ".join(str(row.num_tokens) for row in rows)
    return " to ".join(ends), f"measured with {known} tokens"


def _speed(at: Here, shown: Shown, found: Analysis) -> None:
    """Latency of this setting and of the plain network, measured here once and kept.

    Measuring goes on beside the page, which stays free for whatever the visitor does next; it is left out while the
    device is busy.
    """
    model, device, image_hw = shown.model, shown.request.device, found.geometry.input_hw
    view: View = (found.loc, found.num_tokens, ())
    here, baseline = (at.server.known_latency(model, device, image_hw, one) for one in (view, PLAIN))
    if here is not None and baseline is not None:
        beside = "the plain ViT" if found.loc is None else f"plain ViT {milliseconds(baseline.median_ms)}"
        st.metric(_TIME, milliseconds(here.median_ms), beside, **_BESIDE, help=f"{_TIME_HELP} {_spread(here)}")
        return
    if at.server.worker(device).is_busy:
        _until_free(at, device)
        return
    key = (model.key, device, image_hw, view)
    held = at.visit.timing
    try:
        if held is None or held[0] != key or isinstance(held[1].error, Cancelled):
            at.visit.timing = (key, at.server.measure_latency(at.visit, model, device, image_hw, view))
        elif held[1].error is not None:
            held[1].result()  # raises it
    except TokenLearnerError as error:
        st.metric(_TIME, "–", "not measured", **_BESIDE, help=plain(str(error)))
        return
    _measuring(at, key)


@fragment(run_every=_BUSY_EVERY_S)
def _until_free(at: Here, device: str) -> None:
    """Hold the figure's place while the device works for somebody; then the page is drawn anew, and measures."""
    if not at.server.worker(device).is_busy:
        st.rerun()
    st.metric(_TIME, "–", "when the device is free", **_BESIDE, help=_TIME_HELP)


@fragment(run_every=_EVERY_S)
def _measuring(at: Here, key: tuple[object, ...]) -> None:
    """Hold the figure's place while it is measured; then the page is drawn with it."""
    held = at.visit.timing
    if held is None or held[0] != key or held[1].state.is_final:
        st.rerun()
    st.metric(_TIME, "…", "being measured", **_BESIDE, help=_TIME_HELP)


def footnote(shown: Shown, found: Analysis) -> None:
    """What the figures hold for."""
    device = compute_devices()[shown.request.device].label
    peak = peak_bytes(shown.model.card, found)
    st.caption(
        f"{millions(found.compute.params)} parameters; about {size(peak)} of memory at the peak of one pass. Time "
        f"measured here, one input at a time, on {plain(device)}; accuracy from the model's card.",
        help="Parameters of the whole model, with the modules at every place that it can be run with. Peak memory is "
        "estimated from the sizes of the weights and of the widest layer, for one input; it is not measured.",
    )


def peak_bytes(card: ModelCard, found: Analysis) -> int:
    """Memory that a pass of one input takes at its peak, as the engine foresees it: weights and the widest layer."""
    return _FLOAT_BYTES * found.compute.params + full_load(card.config, found.geometry.input_hw).item_bytes


def _spread(here: Latency) -> str:
    """How a latency was measured, in a sentence."""
    return (
        f"Here: {here.repeats} passes, the middle half {milliseconds(here.q1_ms)} to {milliseconds(here.q3_ms)}; "
        f"batch {here.batch_size}, {here.dtype}, {plain(here.device)}."
    )
