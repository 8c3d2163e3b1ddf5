"""What a setting costs: counted by stage against the plain network, measured here, and how good the card says it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import streamlit as st

from app.charts import CountUnit, compute_bars, stage_legend
from app.explore.page import Here, wait_for
from app.models import accuracies_near
from app.results import Shown
from app.server import View
from app.text import millions, milliseconds, operations, percent, place_name, plain
from tokenlearner.engine import Analysis, Latency
from tokenlearner.errors import TokenLearnerError
from tokenlearner.flops import CONVENTION

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

_UNIT: Final = "counted in"


def heading() -> None:
    """The panel's title, with the switch of what is counted."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader("Compute", anchor=False, width="content")
        st.segmented_control(
            "Count", ("MACs", "FLOPs"), default="MACs", required=True, key=_UNIT, label_visibility="collapsed"
        )


def figures(shown: Shown, found: Analysis) -> None:
    """Counts by stage, parameters and accuracy."""
    per = "frame" if found.clip_frames == 1 else f"clip of {found.clip_frames} frames"
    here, baseline = found.compute, found.baseline
    unit: CountUnit = st.session_state.get(_UNIT) or "MACs"
    factor = 2 if unit == "FLOPs" else 1
    value, counted = operations(factor * here.total_macs, unit, factor * baseline.total_macs)
    beside, _ = operations(factor * baseline.total_macs, unit)
    with st.container(horizontal=True, vertical_alignment="bottom", key="figures"):
        st.metric(
            f"{counted} per {per}",
            value,
            help=f"{CONVENTION} Counted for the input that the model saw: {found.geometry.input_hw[1]} × "
            f"{found.geometry.input_hw[0]} pixels, {found.geometry.grid_hw[1]} × {found.geometry.grid_hw[0]} patches.",
        )
        st.metric(
            "of the plain ViT",
            percent(here.total_macs / baseline.total_macs),
            help="The same network without TokenLearner, on the same input.",
        )
        st.metric(
            "Parameters",
            millions(here.params),
            help="Trained numbers of the whole model, with the modules at every place that it can be run with.",
        )
    st.plotly_chart(
        compute_bars(here, baseline, unit, per=per),
        key="compute bars",
        config={"displayModeBar": False},
        alt=f"{counted} by stage: {value} with this setting, {beside} as a plain ViT",
    )
    st.html(stage_legend(here, baseline))
    _accuracy(shown, found)


def _accuracy(shown: Shown, found: Analysis) -> None:
    """Accuracy of this very setting, from the card."""
    config = shown.model.card.config
    help_text = "Top-1 on the validation split, from the model's card; measured at its standard size, not on this clip."
    if not found.provenance.trained:
        st.caption("Untrained weights: accuracy is that of guessing.")
        return
    rows = accuracies_near(shown.model.card, found.loc, found.num_tokens)
    if not rows:
        st.caption("The model's card gives no accuracy for this setting.", help=help_text)
    elif found.loc is None or rows[0].num_tokens == found.num_tokens:
        plain_rows = accuracies_near(shown.model.card, None, 0)
        beside = f" (plain ViT: {percent(plain_rows[0].top1)})" if plain_rows and found.loc is not None else ""
        st.caption(f"Accuracy with this setting: **{percent(rows[0].top1)}**{beside}, from the card.", help=help_text)
    else:
        known = " and ".join(f"{percent(row.top1)} with {row.num_tokens} tokens" for row in rows)
        st.caption(f"Accuracy {place_name(found.loc, config)}: {known}, from the card.", help=help_text)


def speed(at: Here, shown: Shown, found: Analysis, line: DeltaGenerator) -> None:
    """Latency of this setting and of the plain network, measured here once and kept.

    Measuring gives way to whatever the visitor does next, and is left out while the device is busy.

    Args:
        at: Server and visit.
        shown: What is on the screen.
        found: The answer for the setting.
        line: Where the sentence goes.
    """
    model, device, image_hw = shown.model, shown.request.device, found.geometry.input_hw
    views: tuple[View, View] = (found.loc, found.num_tokens, ()), (None, 0, ())
    known = [at.server.known_latency(model, device, image_hw, view) for view in views]
    if None in known:
        if at.server.worker(device).is_busy:
            line.caption("Speed: the device is busy; measured when it is free.")
            return
        line.caption("Speed: measuring …")
    try:
        here, baseline = (
            latency or wait_for(at.server.measure_latency(at.visit, model, device, image_hw, view))
            for latency, view in zip(known, views, strict=True)
        )
    except TokenLearnerError as error:
        line.caption(f"Speed: {plain(str(error))}")
        return
    line.caption(
        _speed_words(here, baseline),
        help="Median time of one pass from pixels to probabilities, measured on this server just now, one input at a "
        "time. Decoding is not in it.",
    )


def _speed_words(here: Latency, baseline: Latency) -> str:
    """Median, spread and comparison in a sentence."""
    words = f"Speed: **{milliseconds(here.median_ms)}**"
    if here.loc is not None:
        words += f", plain ViT {milliseconds(baseline.median_ms)} ({baseline.median_ms / here.median_ms:.1f} × as long)"
    return (
        f"{words}. Median of {here.repeats} passes, the middle half {milliseconds(here.q1_ms)} to "
        f"{milliseconds(here.q3_ms)}; batch {here.batch_size}, {here.dtype}, {plain(here.device)}."
    )
