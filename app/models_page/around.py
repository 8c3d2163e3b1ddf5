"""Widgets that build untrained modules around a network of timm, by its name."""

from __future__ import annotations

import re
from typing import Final

import streamlit as st
import timm

from app.brought import LISTED
from app.explore.page import Here
from app.jobs import Ticket
from app.models import ModelChoice
from app.models_page import coming
from app.text import millions, operations, plain, size
from tokenlearner import flops
from tokenlearner.cli.again import command_line
from tokenlearner.config import TokenLearnerConfig
from tokenlearner.errors import TokenLearnerError
from tokenlearner.timm_backbone import TimmNetwork, default_locs, timm_config

PRETRAINED: Final = "pretrained"
FROM_FILE: Final = "from a file"
RANDOM: Final = "random"
_ROUND: Final = "weights upload round"
_CLASSIFIERS: Final = re.compile(r"\.(?!.*(clip|dino|mae|siglip)).*in(1k|12k|21k)")
_OTHER_KINDS: Final = re.compile(r"_r\d+_|_r_s|rope|relpos|sam|srelpos|_rmlp|mci|_gap_|_pe_|_plus_|_parallel|_cls_")
_FIRST: Final = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


def draw(at: Here, taken: tuple[str, ...]) -> None:
    """Draw name, places, tokens, weights, what would be built, and the button.

    Args:
        at: Server and visit.
        taken: Names of the models that there are.
    """
    limits = coming.brought().limits
    names = _names()
    name = st.selectbox(
        "Name",
        names,
        index=names.index(_FIRST) if _FIRST in names else 0,
        accept_new_options=True,
        key="timm name",
        on_change=coming.forget_problem,
        help=f"A Vision Transformer with a classifier that timm {timm.__version__} knows, up to "
        f"{millions(limits.max_params)} parameters; type to search, or write a name. The part behind the dot names its "
        "pretrained weights.",
    )
    try:
        whole = timm_config(name, locs=())
        limits.require(whole.config)
    except TokenLearnerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    depth = whole.config.depth
    locs = st.multiselect(
        "Modules after so many blocks", list(range(depth)), default_locs(depth), key=f"timm places {depth}"
    )
    tokens = st.number_input("Tokens that they hold", 1, 64, 8, key="timm tokens")
    offered = (PRETRAINED, FROM_FILE, RANDOM) if whole.weights else (FROM_FILE, RANDOM)
    weights = st.radio(
        "Weights",
        offered,
        key=f"timm weights {len(offered)}",
        horizontal=True,
        on_change=coming.forget_problem,
    )
    if weights == PRETRAINED:
        st.caption("Fetched from the Hugging Face hub, unless this server has them already.")
    file = _weights_file(limits.max_bytes) if weights == FROM_FILE else None
    if not locs:
        st.info("Choose at least one place for the module.", icon=":material/info:")
        return
    network = timm_config(name, locs=tuple(locs), token_learner=TokenLearnerConfig(num_tokens=int(tokens)))
    st.caption(preview(network))
    with st.container(horizontal=True):
        st.button(
            "Build",
            type="primary",
            icon=":material/build:",
            on_click=_build,
            args=(at, taken),
            disabled=coming.is_coming() or (weights == FROM_FILE and file is None),
        )
        with st.popover("Train it", icon=":material/model_training:"):
            st.markdown(
                "What is built here is untrained, and every picture of its maps says so. On photographs of yours:"
            )
            st.code(distill_command(network, weights), language="sh", wrap_lines=True)
            st.markdown(
                f"No labels are needed. The checkpoint in OUT can be brought here, or put into {plain(LISTED)}."
            )


def preview(network: TimmNetwork) -> str:
    """What would be built, in a sentence."""
    config = network.config
    whole, here = flops.baseline(config).total_macs, flops.compute(config).total_macs
    value, unit = operations(here, "MACs", whole)
    plain_value, _ = operations(whole, "MACs", whole)
    licence = f"; weights under {network.licence}" if network.weights else "; timm offers no weights of it"
    return plain(
        f"{config.img_size[1]} × {config.img_size[0]} pixels, {config.depth} blocks of width {config.embed_dim}, "
        f"{millions(flops.count_params(config))} parameters; {value} {unit} an image after {config.default_loc} blocks "
        f"with all tokens, {plain_value} without{licence}."
    )


def distill_command(network: TimmNetwork, weights: str) -> str:
    """The command that trains the same network; "PHOTOS" and "OUT" stand for folders, "FILE" for the weights."""
    config = network.config
    assert config.backbone is not None
    return command_line(
        "distill",
        ["PHOTOS"],
        [
            ("-o", "OUT"),
            ("--backbone", config.backbone.name),
            *(("--loc", loc) for loc in config.tokenlearner_locs),
            ("--tokens", config.num_tokens),
            ("--weights", "FILE" if weights == FROM_FILE else None),
            ("--random-backbone", weights == RANDOM),
        ],
    )


def _weights_file(max_bytes: int) -> object:
    return st.file_uploader(
        f"timm's weights as a safetensors file, up to {size(max_bytes)}",
        key=_file_key(),
        max_upload_size=max_bytes // 10**6,
    )


def _file_key() -> str:
    return f"weights file {st.session_state.get(_ROUND, 0)}"


def _build(at: Here, taken: tuple[str, ...]) -> None:
    """Build what the widgets say now, which may be newer than what was drawn with the button."""
    state = st.session_state
    try:
        whole = timm_config(state["timm name"], locs=())
        depth = whole.config.depth
        network = timm_config(
            state["timm name"],
            locs=tuple(state.get(f"timm places {depth}", default_locs(depth))),
            token_learner=TokenLearnerConfig(num_tokens=int(state["timm tokens"])),
        )
    except TokenLearnerError as error:
        state[coming.PROBLEM] = str(error)
        return
    models, weights = coming.brought(), state[f"timm weights {3 if whole.weights else 2}"]
    file = state.get(_file_key()) if weights == FROM_FILE else None
    state[_ROUND] = state.get(_ROUND, 0) + 1  # empties the widget, so that its copy in memory can go

    def work(ticket: Ticket) -> ModelChoice:
        return models.add_timm(
            network,
            pretrained=weights != RANDOM,
            weights=file,
            weights_name="" if file is None else file.name,
            taken=taken,
            progress=ticket.report,
            cancel=ticket.cancel,
        )

    coming.start(at, work)


@st.cache_data(max_entries=1, show_spinner=False)
def _names() -> list[str]:
    """Names to choose from; others can be written."""
    listed = timm.list_pretrained(["vit_*", "deit*", "flexivit_*"])
    return [name for name in listed if _CLASSIFIERS.search(name) and not _OTHER_KINDS.search(name)]
