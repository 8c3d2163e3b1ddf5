"""The bench's controls: they offer only what can be built, and keep the design while other pages are open."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, TypeVar

import streamlit as st

from app.fragments import errors_said
from app.text import operations
from app.tradeoffs.design import (
    MAX_DEPTH,
    PATCHES,
    SIZES,
    TUBELETS,
    Design,
    frames_of,
    most_tokens,
    nearest,
    sides_of,
)
from app.tradeoffs.published import published
from tokenlearner.config import ARCH_SIZES, ModelConfig, SizeName

Kind = Literal["image", "video"]
Option = TypeVar("Option")

BUDGETS: Final = (0, *(base * 10**power for power in range(7, 13) for base in (1, 2, 5)))
"""In multiply-adds; 0 for no budget."""
_DESIGN: Final = "design"
_BUDGET: Final = "budget"
_PREFIX: Final = "bench "
_DEFAULT_FRAMES: Final = 16


def kept() -> Design:
    """The design on the bench."""
    found: Design = st.session_state.get(_DESIGN, Design())
    return found


def keep(design: Design) -> None:
    """Put a design on the bench, before its controls are drawn."""
    st.session_state[_DESIGN] = design
    for key in [key for key in st.session_state if str(key).startswith(_PREFIX)]:
        del st.session_state[key]


def draw() -> Design:
    """Draw the controls and return the design that they describe."""
    before = kept()
    _start_from()
    size = _one_of("Size", SIZES, before.size)
    if size != before.size:
        _move_to(size, before)
    patch = _one_of(
        "Patch, pixels", PATCHES, before.patch, tip="Half the side makes four times as many patches of one picture."
    )
    sides = sides_of(patch)
    side = _on_a_scale(
        "Image side, pixels", sides, nearest(before.side, sides), tip="Whole patches only, close to the usual sizes."
    )
    kind = _one_of("Input", ("image", "video"), "video" if before.num_frames else "image", format_func=str.capitalize)
    tubelet, frames = before.tubelet_size, None
    if kind == "video":
        tubelet = _one_of("Frames per tubelet", TUBELETS, before.tubelet_size)
        lengths = frames_of(tubelet)
        frames = _on_a_scale("Frames", lengths, nearest(before.num_frames or _DEFAULT_FRAMES, lengths))
    depth = _from_to("Depth, blocks", 2, MAX_DEPTH, before.depth)
    most = most_tokens(patch, side)
    num_tokens = _from_to(
        "Tokens" if kind == "image" else "Tokens per time step",
        1,
        most,
        before.num_tokens,
        tip=f"At most {most} here: more tokens than patches would save nothing."
        if most < 64
        else "More tokens cost more in every block behind the module.",
    )
    loc = _from_to(
        "Location: blocks before the module",
        0,
        depth - 1,
        before.loc,
        tip="Blocks before it see every patch, blocks behind it see the tokens. It sits before a block, so the last "
        "place is before the last block.",
    )
    version = _one_of(
        "TokenLearner",
        ("1.1", "1.0"),
        before.version,
        format_func="v{}".format,
        tip="v1.1: an MLP and a softmax over the patches. v1.0: 3×3 convolutions and a sigmoid.",
    )
    use_fuser = st.toggle(
        "TokenFuser",
        **_state("TokenFuser", before.use_fuser),
        help="Every block from the location on runs on tokens and is mapped back to the patches; nothing is thrown "
        "away, and every such block pays for the way there and back.",
    )
    design = Design(
        size=size,
        patch=patch,
        side=side,
        num_frames=frames,
        tubelet_size=tubelet,
        depth=depth,
        num_tokens=num_tokens,
        loc=loc,
        version=version,
        use_fuser=use_fuser,
    )
    st.session_state[_DESIGN] = design
    return design


def budget(unit: str, per: str) -> int | None:
    """Draw the budget's slider and return the budget in multiply-adds; None for none."""
    by = 2 if unit == "FLOPs" else 1
    if _BUDGET not in st.session_state:
        st.session_state[_BUDGET] = 0
    chosen: int = st.select_slider(
        "Budget",
        BUDGETS,
        format_func=lambda macs: " ".join((*operations(by * macs, unit), "per", per)) if macs else "none",
        key=_BUDGET,
        persist_state="session",
        help="What one input may cost. The figures draw it as a line.",
    )
    return chosen or None


@errors_said()
def _start_from() -> None:
    """Draw the choice of a published network; without the published figures the rest of the bench goes on."""
    presets = {row.name: row.config for row in (*published().images, *published().video) if row.has_module}

    def apply() -> None:
        config = presets.get(st.session_state.get(_PREFIX + "preset") or "")
        if config is not None:
            keep(design_of(config))

    st.selectbox(
        "Start from",
        tuple(presets),
        index=None,
        placeholder="Start from a published network",
        key=_PREFIX + "preset",
        on_change=apply,
        label_visibility="collapsed",
    )


def design_of(config: ModelConfig) -> Design:
    """The design that is a named network with one TokenLearner."""
    size = next(name for name, arch in ARCH_SIZES.items() if arch.embed_dim == config.embed_dim)
    assert config.token_learner is not None
    assert config.default_loc is not None
    return Design(
        size=size,
        patch=config.patch_size[0],
        side=config.img_size[0],
        num_frames=config.num_frames,
        tubelet_size=config.tubelet_size if config.is_video else Design().tubelet_size,
        depth=config.depth,
        num_tokens=config.num_tokens,
        loc=config.default_loc,
        version="1.0" if config.token_learner.version == "1.0" else "1.1",
        use_fuser=config.uses_fuser,
    )


def _move_to(size: SizeName, before: Design) -> None:
    """Another size brings its own depth, and keeps the module's relative place."""
    depth = ARCH_SIZES[size].depth
    st.session_state[_PREFIX + "Depth, blocks"] = depth
    loc = min(round(before.loc / before.depth * depth), depth - 1)
    st.session_state[_PREFIX + "Location: blocks before the module"] = loc


def _state(label: str, value: Any) -> dict[str, Any]:
    """The key of a control, whose value is the one that was touched last, or else the kept design's."""
    key = _PREFIX + label
    st.session_state[key] = st.session_state.get(key, value)
    return {"key": key}


def _one_of(
    label: str, options: tuple[Option, ...], value: Option, *, format_func: Callable[[Any], str] = str, tip: str = ""
) -> Option:
    key = _PREFIX + label
    if st.session_state.get(key) not in options:
        st.session_state[key] = value
    chosen: Option = st.segmented_control(
        label, options, required=True, format_func=format_func, help=tip or None, **_state(label, value)
    )
    return chosen


def _on_a_scale(label: str, options: tuple[int, ...], value: int, *, tip: str = "") -> int:
    key = _PREFIX + label
    if key in st.session_state:
        st.session_state[key] = nearest(st.session_state[key], options)
    chosen: int = st.select_slider(label, options, help=tip or None, **_state(label, value))
    return chosen


def _from_to(label: str, low: int, high: int, value: int, *, tip: str = "") -> int:
    key = _PREFIX + label
    st.session_state[key] = min(max(st.session_state.get(key, value), low), high)
    return st.slider(label, low, high, help=tip or None, key=key)
