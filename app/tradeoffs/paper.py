"""The paper's three figures and its video table, beside what was counted and measured here."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app import cache
from app.charts import CountUnit
from app.text import percent, plain, significant
from app.tradeoffs import paper_figures, sources
from app.tradeoffs.curves import over_locations
from app.tradeoffs.design import Design
from app.tradeoffs.marks import PLOT_CONFIG, factor
from app.tradeoffs.own import Own, own_models
from app.tradeoffs.published import ASSUMED_TOKENS, LARGE_SIDES, Published, large_models, published

USUAL_TOKENS: Final = 8
_OF_THE_PAPER: Final = Design()
"""B/16 on 224 pixels with 8 tokens: the network of the paper's figure on placement."""


def draw(unit: CountUnit) -> None:
    """Draw all figures.

    Raises:
        DataError: If the published figures cannot be read.
    """
    said = published()
    own = _chosen_model()
    sources.shapes()
    _placement(said, own, unit)
    _families(said, own, unit)
    _large(said, unit)
    _video(said, unit)


def _chosen_model() -> Own | None:
    models, _ = cache.models()
    found = {own.card.name: own for own in own_models(model.card for model in models)}
    if len(found) < 2:
        return next(iter(found.values()), None)
    name = st.selectbox(
        "Our checkpoint",
        list(found),
        format_func=lambda name: found[name].card.title,
        key="trade-offs model",
        persist_state="session",
    )
    return found[name]


def _heading(title: str, said: Published, key: str, *more: str) -> None:
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.subheader(title, anchor=False, width="content")
        sources.popover(said, key, *more)


def _placement(said: Published, own: Own | None, unit: CountUnit) -> None:
    claims = "\n".join(f"- {plain(claim)}" for claim in said.claims)
    _heading("Where to put the module", said, "placement", f"Said in the article:\n\n{claims}")
    num_tokens = USUAL_TOKENS if own is None else _tokens_of(own)
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(
            paper_figures.placement_accuracy(own, said),
            key="placement accuracy",
            config=PLOT_CONFIG,
            alt="Accuracy difference to the plain network against relative location",
        )
    with right:
        curve = over_locations(_OF_THE_PAPER)
        st.plotly_chart(
            paper_figures.placement_cost(
                own, num_tokens, curve, _OF_THE_PAPER.depth, "B/16, 224 px, 8 tokens", said, unit
            ),
            key="placement cost",
            config=PLOT_CONFIG,
            alt="Cost as a share of the plain network against relative location",
        )
    if own is None:
        st.caption("No trained checkpoint with measured accuracies is installed: only published figures are shown.")
        return
    words = (
        f"Measured: {plain(own.card.title)}, every place and number of tokens on its card; plain network "
        f"{percent(own.plain.top1)}. Lines between points guide the eye."
    )
    if own.standard_error is not None:
        words += (
            f" Grey band: ± {significant(100 * own.standard_error)} points, one standard error of an accuracy on "
            f"{own.photographs} photographs; differences inside it say little."
        )
    st.caption(words)


def _tokens_of(own: Own) -> int:
    """Draw the choice of how many tokens of our checkpoint are counted."""
    chosen: int = st.segmented_control(
        "Tokens of our checkpoint, at the right",
        own.token_counts,
        default=min(own.token_counts, key=lambda k: abs(k - USUAL_TOKENS)),
        required=True,
        key=f"placement tokens {own.card.name}",
        help="At the left all of them are drawn. Beside hundreds of patches a few tokens more cost little.",
        persist_state="session",
    )
    return chosen


def _families(said: Published, own: Own | None, unit: CountUnit) -> None:
    _heading("Accuracy against compute", said, "families", *_families_sources(said, own))
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(
            paper_figures.published_families(said, unit),
            key="published families",
            config=PLOT_CONFIG,
            alt="Published accuracy on ImageNet against published compute, log axis, with the Pareto front",
        )
    with right:
        if own is None:
            st.caption("No trained checkpoint with measured accuracies is installed.")
        else:
            st.plotly_chart(
                paper_figures.own_family(own, unit),
                key="own family",
                config=PLOT_CONFIG,
                alt="Measured accuracy of our checkpoint against its compute, log axis, with the Pareto front",
            )
    st.caption(
        "Two axes, two data sets: a small network on a small data set says nothing about ImageNet. "
        "On the front lies what no cheaper network matches."
    )
    with st.expander("Published and counted, row by row"):
        st.dataframe(
            [
                {
                    "network": row.name,
                    "image, px": row.values["image"],
                    f"published, G{unit}": factor(unit) * (row.number("gflops") or 0),
                    f"counted here, G{unit}": factor(unit) * row.compute.total_macs / 1e9,
                    "difference": f"{row.compute.total_macs / 1e9 / (row.number('gflops') or 1) - 1:+.1%}",
                    "top-1, %": row.number("top1"),
                }
                for row in said.images
                if row.compute is not None
            ],
            hide_index=True,
            column_config={f"counted here, G{unit}": st.column_config.NumberColumn(format="%.1f")},
            alt="Image models: compute as published and as counted here",
        )
        st.caption(f"Difference of what is counted here from the published figure: {plain(said.counted)}.")


def _families_sources(said: Published, own: Own | None) -> tuple[str, ...]:
    first = (
        f"Left: pretrained on {said.pretraining}, fine-tuned on ImageNet. The paper's GFLOPs count a multiply-add "
        "once; they are shown as MACs, and doubled as FLOPs. Where the module of the 21-block networks sits is "
        "inferred from their GFLOPs."
    )
    if own is None:
        return (first,)
    return first, f"Right: the card of {plain(own.card.title)}; multiply-adds in closed form."


def _large(said: Published, unit: CountUnit) -> None:
    _heading(
        "Large models",
        said,
        "large",
        f"Open circles: accuracies quoted once, not checked against a second quotation. Our source states neither the "
        f"input size nor the number of tokens of these rows: {ASSUMED_TOKENS} tokens are assumed, and the size is "
        "chosen here. “(24+11)” is read as 24 blocks before the module and 11 behind it.",
    )
    side = st.segmented_control(
        "Input assumed, pixels",
        LARGE_SIDES,
        default=560,
        required=True,
        key="large side",
        help="Each network uses the part of it that whole patches of 14, 10 or 8 pixels cover. 280 and 560 suit all.",
        persist_state="session",
    )
    rows = large_models(side)
    for column, figure, words in zip(
        st.columns(3, gap="medium"),
        (
            paper_figures.large_bars(rows, "params", unit),
            paper_figures.large_bars(rows, "compute", unit),
            paper_figures.large_accuracy(rows),
        ),
        ("Parameters", "Compute", "Accuracy"),
        strict=True,
    ):
        column.plotly_chart(figure, key=f"large {words}", config=PLOT_CONFIG, alt=f"{words} of the large models")
    g, _, l8 = rows
    assert g.compute is not None
    assert l8.compute is not None
    st.caption(
        f"TokenLearner L/8 has {percent(l8.compute.params / g.compute.params)} of the parameters of G/14 and, on an "
        f"input of this size, {percent(l8.compute.total_macs / g.compute.total_macs)} of its multiply-adds: small "
        "patches make many tokens for its first 24 blocks."
    )


def _video(said: Published, unit: CountUnit) -> None:
    _heading(
        "Video",
        said,
        "video",
        "Counted for 32 frames of 224 pixels in tubelets of 2, as ViViT-L/16 is described; with patches of 10 pixels "
        "220 of the 224 are used. Our source does not state the input of ViViT-H/16, so nothing is computed for it.",
    )
    st.dataframe(
        [
            {
                "network": row.name,
                f"published, G{unit} per view": _times(row.number("gflops_per_view"), factor(unit)),
                f"computed, G{unit} per view": (
                    None if row.compute is None else round(factor(unit) * row.compute.total_macs / 1e9)
                ),
                "Kinetics-400 top-1, %": row.number("k400_top1"),
                "Kinetics-600 top-1, %": row.number("k600_top1"),
                "published, M parameters": row.number("params_m"),
                "computed, M parameters": None if row.compute is None else round(row.compute.params / 1e6),
                "remark": row.values.get("remark", ""),
            }
            for row in said.video
        ],
        hide_index=True,
        placeholder="–",
        column_config={"network": st.column_config.TextColumn(pinned=True)},
        alt="Video models: compute, accuracy and parameters",
    )
    st.markdown(
        f"TokenLearner reaches **{said.charades_map} %** mean average precision on Charades and **{said.avid_acc} %** "
        "accuracy on AViD (published)."
    )
    st.caption(
        "Accuracies are as published. A dash stands where our source gives no number. The 460 M parameters published "
        "for L/10 are more than its 24 blocks hold by our count."
    )


def _times(value: float | None, by: int) -> float | None:
    return None if value is None else by * value
