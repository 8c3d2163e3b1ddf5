"""Which model, with its card's numbers, and on which device."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import streamlit as st

from app.models import ModelChoice, accuracy_in_words, first_for, what_it_does
from app.server import compute_devices
from app.text import millions, operations, plain, size
from tokenlearner import flops
from tokenlearner.media.info import MediaKind

_MODEL: Final = "model"
_DEVICE: Final = "device"


def chosen(known: Sequence[ModelChoice], kind: MediaKind) -> tuple[ModelChoice, str]:
    """Model and device, drawn or not: those picked last for this kind of media, else the first ones for it.

    A video model does not answer for a photo, where nothing moves, unless it was picked for that.

    Args:
        known: The models, the one to begin with first.
        kind: "image" or "video".
    """
    by_name = {model.card.name: model for model in known}
    model = by_name.get(st.session_state.get(_model_key(kind), ""), first_for(known, kind))
    devices = list(compute_devices())
    device = st.session_state.get(_DEVICE)
    return model, device if device in devices else devices[0]


def choose(kind: MediaKind, model: ModelChoice) -> None:
    """Pick a model for a kind of media; to be called before the choice is drawn."""
    st.session_state[_model_key(kind)] = model.card.name


def popover(known: Sequence[ModelChoice], kind: MediaKind) -> None:
    """Draw the button with the choice behind it."""
    model, device = chosen(known, kind)
    devices = compute_devices()
    with st.popover(_button(model, device), icon=":material/network_node:", help="Model and device"):
        if len(known) > 1:
            st.session_state.setdefault(_model_key(kind), model.card.name)
            st.radio(
                "Model",
                [one.card.name for one in known],
                key=_model_key(kind),
                captions=[_caption(one) for one in known],
                persist_state="session",
            )
        _card(model)
        if len(devices) > 1:
            st.radio(
                "Device",
                list(devices),
                format_func=lambda name: devices[name].label,
                key=_DEVICE,
                persist_state="session",
            )
        st.caption(
            f"Runs on {plain(devices[device].label)}, in {devices[device].dtype_name}.",
            help="The device is shared: analyses of all visitors run one after the other.",
        )


def twin_if(model: ModelChoice, random: bool) -> ModelChoice:
    """The model, or its random twin."""
    return dataclasses.replace(model, random=random)


def _model_key(kind: MediaKind) -> str:
    return f"{_MODEL} for a {kind}"


def _caption(model: ModelChoice) -> str:
    accuracy = accuracy_in_words(model.card)
    return plain(what_it_does(model) + (f" {accuracy[0].upper()}{accuracy[1:]}." if accuracy else ""))


def _button(model: ModelChoice, device: str) -> str:
    accuracy = accuracy_in_words(model.card)
    known = f" · {plain(accuracy)}" if accuracy else ""
    kind = "CPU" if device == "cpu" else "GPU"
    return f"{plain(model.card.name)}{known} · {kind}"


def _card(model: ModelChoice) -> None:
    """The card in a few lines."""
    card, config = model.card, model.card.config
    st.markdown(f"**{plain(card.title)}**")
    if card.summary:
        st.markdown(plain(card.summary))
    if not card.trained:
        st.warning("These weights are untrained: maps and predictions mean nothing.")
    accuracy = accuracy_in_words(card)
    lines = []
    if accuracy:
        lines.append(f"{plain(accuracy)} on {config.num_classes} classes (model card, validation split)")
    trained_on = ", ".join(f"{plain(credit.name)} ({plain(credit.licence)})" for credit in card.data)
    if trained_on:
        lines.append(f"trained on {trained_on}")
    plain_cost = " ".join(operations(flops.baseline(config).total_macs, "MACs"))
    lines.append(f"{millions(flops.count_params(config))} parameters, {size(model.size_bytes)}")
    per = "frame" if config.num_frames is None else f"clip of {config.num_frames} frames"
    lines.append(
        f"{config.depth} blocks of width {config.embed_dim}; {plain_cost} a {per} as a plain ViT at "
        f"{config.img_size[1]} × {config.img_size[0]} pixels"
    )
    st.markdown("\n".join(f"- {line}" for line in lines))
    for note in card.notes:
        st.caption(plain(note))
