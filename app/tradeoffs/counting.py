"""Where the FLOP figure comes from: four counters on one small network, run here and now."""

from __future__ import annotations

import streamlit as st

from app.charts import CountUnit
from app.explore.page import here, wait_for
from app.fragments import fragment
from app.text import operations, percent
from app.tradeoffs.counters import EXAMPLE, FVCORE, SIDES, Counts, count_four_ways
from app.tradeoffs.counting_figure import four_counts
from app.tradeoffs.marks import PLOT_CONFIG, factor, giga


@fragment()
def draw(unit: CountUnit) -> None:
    """Draw the comparison."""
    st.subheader("Where the figure comes from", anchor=False)
    st.markdown(
        "Counters that watch a network run see the modules and operators that they know. Many miss the two matrix "
        "products of self-attention, which usually run inside one fused operator. Here the same small network with "
        "random weights runs under three counters on this machine, beside the closed form that every count of this "
        "app comes from."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control(
            "Image side, pixels",
            SIDES,
            default=224,
            required=True,
            key="counting side",
            persist_state="session",
        )
        network = st.segmented_control(
            "Network",
            ("plain ViT-Ti/16", "with TokenLearner"),
            default="plain ViT-Ti/16",
            required=True,
            key="counting network",
            persist_state="session",
        )
    found = _counted(side, network != "plain ViT-Ti/16")
    st.plotly_chart(
        four_counts(found, unit),
        key="four counts",
        config=PLOT_CONFIG,
        alt="Multiply-adds of one network by four counters",
    )
    st.markdown(words(found, unit))
    st.caption(
        "Counted by running the network just now. “Hooks on modules” sees linear and convolution layers alone, as "
        "simple counters do; “torch, attention fused” sees every operator but counts the fused one as 0 on a CPU. "
        + fvcore_words(unit)
    )


def _counted(side: int, with_module: bool) -> Counts:
    at = here()
    job = at.server.worker("cpu").submit(
        lambda ticket: count_four_ways(side, with_module), owner=at.visit.id, slot="counting", quick=True
    )
    return wait_for(job)


def fvcore_words(unit: CountUnit) -> str:
    """What fvcore, run once and apart, said about the plain network at its smallest side."""
    operator, calls = FVCORE.skipped
    return (
        f"fvcore ({FVCORE.version}), run apart on the plain network at {EXAMPLE.side} pixels, counts as the hooks do: "
        f"{giga(FVCORE.layers, unit):.3f} G{unit} in linear and convolution layers. It adds "
        f"{giga(FVCORE.norms, unit):.3f} for normalisation and names `{operator}` as not supported, {calls} times."
    )


def words(found: Counts, unit: CountUnit) -> str:
    """Who misses what, and by how much."""
    by = factor(unit)
    attention = " ".join(operations(by * found.attention, unit))
    share = percent(found.attention / found.closed_form)
    names = ", ".join(f"`{name}` ran {calls} times" for name, calls in found.fused_calls.items())
    same = "the same number" if found.closed_form == found.spelled_out else "another number"
    lines = [
        f"The closed form and torch's counter with attention spelled out give **{same}**. Self-attention's matrix "
        f"products are {attention} of it, **{share}**.",
    ]
    if names and found.fused < found.closed_form:
        lines.append(
            f"Fused, {names}, and the counter was {' '.join(operations(by * (found.closed_form - found.fused), unit))} "
            "short: exactly these products."
            if found.closed_form - found.fused == found.attention
            else f"Fused, {names}, and the counter was short."
        )
    elif names:
        lines.append(f"Fused, {names}, and this version of torch counted it.")
    if found.in_module:
        more = " ".join(operations(by * found.in_module, unit))
        lines.append(
            f"Hooks on modules also miss what TokenLearner computes without a module: its weighted sums, and the last "
            f"layer of its map branch ({more})."
        )
    lines.append("The larger the picture, the more is missed: attention grows with the square of the patches.")
    return " ".join(lines)
