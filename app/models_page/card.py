"""One model's card: what it is, what was measured, how its tokens look, how it was trained, where it comes from."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final

import streamlit as st

from app.models import ModelChoice, accuracy_in_words, what_it_does
from app.models_page import curves as training
from app.models_page import facts, heat
from app.text import millions, operations, place_name, plain, seconds, size
from app.tradeoffs.marks import PLOT_CONFIG
from tokenlearner import flops

_ORIGINS: Final = {
    "trained": "trained by this project's command",
    "imported": "imported from another program",
    "untrained": "not trained",
}


def head(model: ModelChoice, use: Callable[[ModelChoice], None], drop: Callable[[ModelChoice], None] | None) -> None:
    """Title, what it is for, and the figures that one asks for first.

    Args:
        model: The model.
        use: Called to choose it in Explore.
        drop: Called to forget it; None for a model of the server.
    """
    card, config = model.card, model.card.config
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="top", key="model-title"):
        with st.container(width="stretch", key="model-name"):
            st.subheader(plain(card.title), anchor=False)
            st.markdown(plain(card.summary or what_it_does(model)))
        with st.container(horizontal=True, width="content", key="model-actions"):
            if drop is not None:
                st.button("Forget", icon=":material/delete:", on_click=drop, args=(model,), help="Removes your file")
            if st.button("Use in Explore", icon=":material/visibility:", type="primary", key="use"):
                use(model)
                st.switch_page("app/views/explore.py")
    if not card.trained:
        st.warning(
            "Not trained: TokenLearner's weights are random. Its maps mean nothing, and every picture of them says so.",
            icon=":material/warning:",
        )
    per = "clip" if config.is_video else "image"
    whole = flops.baseline(config).total_macs
    here = flops.compute(config).total_macs
    with st.container(horizontal=True, key="model-figures"):
        accuracy = accuracy_in_words(card)
        if accuracy:
            at = place_name(config.default_loc, config)
            st.metric("Top-1", accuracy.removesuffix(" top-1"), help=f"{plain(facts.conditions(card))} Module {at}.")
        st.metric("Parameters", millions(flops.count_params(config)), help="Computed from the configuration.")
        value, unit = operations(here, "MACs", whole)
        st.metric(f"{unit} per {per}", value, help=f"{place_name(config.default_loc, config)}, all tokens. Computed.")
        value, unit = operations(whole, "MACs")
        st.metric(f"{unit} as plain ViT", value, help="The same network without the module. Computed.")
        st.metric("File", size(model.size_bytes))


def overview(model: ModelChoice) -> None:
    """What it was trained on, what is not claimed, what it is made of."""
    card = model.card
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown("##### Trained on")
        if not card.data:
            st.markdown("Nothing." if not card.trained else "The card does not say.")
        for credit in card.data:
            name = f"[{plain(credit.name)}]({credit.url})" if credit.url.startswith("https://") else plain(credit.name)
            st.markdown(f"{name} · licence **{plain(credit.licence)}**")
            more = ". ".join(part.rstrip(".") for part in (credit.attribution, credit.split) if part)
            if more:
                st.caption(plain(f"{more}."))
        st.markdown("##### Network")
        st.html(heat.fact_table(facts.network(card.config)))
    with right:
        st.markdown("##### What is not claimed")
        _list(facts.not_claimed(model))
        if card.notes:
            st.markdown("##### Notes")
            _list(card.notes)


def _list(sentences: Sequence[str]) -> None:
    st.markdown("\n".join(f"- {plain(sentence)}" for sentence in sentences))


def measured(model: ModelChoice) -> None:
    """The table over places and tokens, one measure at a time."""
    found = facts.measures(model.card)
    if not found:
        st.info(
            "The card holds no measurement over places and tokens. `python -m tokenlearner evaluate FILE PHOTOS` makes "
            "one, from photographs in a folder for each class.",
            icon=":material/info:",
        )
        return
    by_name = {measure.name: measure for measure in found}
    name = st.segmented_control(
        "Measure", list(by_name), default=found[0].name, required=True, key=f"measure of {model.key}"
    )
    measure = by_name[name]
    st.caption(plain(f"{measure.words} {facts.conditions(model.card)}"))
    st.html(heat.heat_table(measure, model.card.config))
    depth = "Deeper colour is better." if measure.good_high is not None else "Deeper colour is more, not better."
    per = "clip" if model.card.config.is_video else "image"
    cost = f"Below each figure: {heat.cost_unit(model.card.config)} per {per}, computed."
    st.caption(plain(f"{depth} Framed: what the model does by itself. {cost} {facts.chance(measure, model.card)}"))


def maps(model: ModelChoice) -> None:
    """Where the tokens look, in numbers and in a picture."""
    setting, tests = facts.looking(model.card)
    picture = model.path.with_name(f"{model.path.stem}.maps.jpg")
    if picture.is_file():
        st.image(str(picture), caption="Maps of this model on pictures that it never saw. Each token has its colour.")
    if tests and setting is not None:
        st.markdown("##### How much of the best token's attention lies on the object")
        st.html(heat.looking_table(tests))
        best = sum(one.beats_guessing for one in tests)
        st.caption(
            plain(
                f"Module {place_name(setting[0], model.card.config)}, {setting[1]} tokens. The best token is chosen on "
                "other pictures than those counted. Middle: a map that always looks at the centre; own mean map: this "
                "model's average map, the same for every picture; random weights: the same network untrained. "
                f"The token is ahead of all four in {best} of {len(tests)} tests."
            )
        )
    table = [one for one in facts.measures(model.card) if one.name in ("Entropy", "Overlap", "Adaptivity")]
    if not (picture.is_file() or tests or table):
        st.info("Nothing was measured about where its tokens look. Explore shows it.", icon=":material/info:")
    if table and not (picture.is_file() or tests):
        st.markdown("Whether its tokens look at objects was not measured.")
    if table:
        st.caption("Entropy, overlap and adaptivity of the maps, over places and tokens, stand under Measured.")


def curves(model: ModelChoice) -> None:
    """The curves of the training, one kind at a time."""
    found = {kind: several for kind, several in facts.curves(model.card).items() if kind in training.KINDS}
    if not found:
        st.info("The card holds no training curves.", icon=":material/info:")
        return
    kind = st.segmented_control(
        "Curve",
        list(found),
        default=next(iter(found)),
        required=True,
        format_func=lambda one: training.KINDS[one][0],
        key=f"curve of {model.key}",
    )
    st.caption(training.KINDS[kind][1])
    st.plotly_chart(
        training.figure(found[kind], kind),
        key="training-curve",
        config=PLOT_CONFIG,
        alt=f"{training.KINDS[kind][0]} over the epochs",
    )


def provenance(model: ModelChoice) -> None:
    """Where file and weights come from, so that both can be checked."""
    card = model.card
    told = {
        "origin": _ORIGINS[card.origin],
        "made": card.created,
        "command": card.command,
        "hardware": card.hardware,
        "time": seconds(card.seconds) if card.seconds else "",
        **{str(name): str(value) for name, value in card.provenance.items()},
        "file": f"{model.path.name}, {size(model.size_bytes)}",
        "sha256 of the weights": card.sha256,
    }
    st.html(heat.fact_table({name: value for name, value in told.items() if value}))
    if card.recipe:
        with st.expander("Recipe"):
            st.code(json.dumps(card.recipe, indent=1, ensure_ascii=False), language="json")
    with st.container(horizontal=True):
        st.download_button(
            "Card (JSON)", card.to_json, f"{card.name}.json", "application/json", icon=":material/download:"
        )
        st.download_button(
            "Card (Markdown)", card.to_markdown, f"{card.name}.md", "text/markdown", icon=":material/download:"
        )


PARTS: Final[dict[str, Callable[[ModelChoice], None]]] = {
    "Overview": overview,
    "Measured": measured,
    "Maps": maps,
    "Training": curves,
    "Provenance": provenance,
}


def short(model: ModelChoice, *, own: bool = False) -> str:
    """A model in one line, for the list; `own` marks what the visitor brought."""
    card = model.card
    kind = "video" if card.config.is_video else "image"
    told = (accuracy_in_words(card) or "accuracy not known") if card.trained else "not trained"
    return plain(" · ".join((*(("yours",) if own else ()), kind, told, size(model.size_bytes))))
