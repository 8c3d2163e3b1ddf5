"""Fields for what the parameters of a Scenic checkpoint do not tell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import streamlit as st

from tokenlearner.errors import ConfigError
from tokenlearner.scenic import ScenicOptions
from tokenlearner.scenic.infer import CLASSIFIERS, read_channels

TITLE: Final = "Scenic: what its file does not tell"
FIELDS: Final = {
    # By what the library calls the option.
    "loc": "Block before which the module sits",
    "num_frames": "Frames of a clip",
    "img_size": "Height and width in pixels",
}
_HEAD_POOLS: Final = {"gap": "gap: average", "gmp": "gmp: maximum", "gsp": "gsp: sum"}


def draw() -> None:
    """Draw the fields; `options` reads them."""
    st.number_input(FIELDS["loc"], 0, 100, None, key="scenic loc", help="`tokenlearner_loc` of its training.")
    st.number_input(FIELDS["num_frames"], 1, 256, None, key="scenic frames", placeholder="a video model only")
    left, right = st.columns(2)
    left.number_input("Height in pixels", 1, 4096, None, key="scenic height", placeholder="square")
    right.number_input("Width in pixels", 1, 4096, None, key="scenic width", placeholder="square")
    st.selectbox(
        "The head pools by",
        list(CLASSIFIERS),
        format_func=_HEAD_POOLS.__getitem__,
        key="scenic classifier",
        help="`classifier` of its training. The file does not tell: a wrong choice gives wrong answers, not an error.",
    )
    st.selectbox("A v1.0 module pools by", ("sum", "mean"), key="scenic pooling")
    left, right = st.columns(2)
    left.text_input("Pixel mean, of 0..1", "0.5", key="scenic mean", help="One number, or three: 0.485,0.456,0.406.")
    right.text_input("Pixel deviation", "0.5", key="scenic std", help="One number, or three: 0.229,0.224,0.225.")
    st.text_area("Class names, one a line", key="scenic names", height=80)


def where(option: str) -> str:
    """Where on the page an option of the library is, in a sentence."""
    return f"The field for it is “{FIELDS[option]}” under “{TITLE}”."


def options(state: Mapping[str, Any]) -> ScenicOptions:
    """What the fields say.

    Raises:
        ConfigError: If a field holds no number where one belongs, or height comes without width.
    """
    height, width = state.get("scenic height"), state.get("scenic width")
    if (height is None) != (width is None):
        raise ConfigError("Give both height and width in pixels, or neither for a square.")
    lines = str(state.get("scenic names") or "").splitlines()
    return ScenicOptions(
        loc=state.get("scenic loc"),
        num_frames=state.get("scenic frames"),
        img_size=None if height is None or width is None else (height, width),
        pooling=state.get("scenic pooling", "sum"),
        head_pool=CLASSIFIERS[state.get("scenic classifier", "gap")],
        mean=read_channels(state.get("scenic mean", "0.5")),
        std=read_channels(state.get("scenic std", "0.5"), positive=True),
        class_names=tuple(line.strip() for line in lines if line.strip()),
    )
