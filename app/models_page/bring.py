"""Widgets that bring a model: a file of one's own, or a network of timm by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import streamlit as st
import timm

from app import waiting
from app.brought import BROUGHT, MAX_BYTES, MAX_KEPT, BroughtModels
from app.explore.page import Here
from app.fragments import fragment
from app.jobs import Job, JobState, Ticket
from app.models import ModelChoice
from app.text import millions, operations, plain, size
from tokenlearner import flops
from tokenlearner.config import Pooling, TokenLearnerConfig
from tokenlearner.errors import TokenLearnerError
from tokenlearner.scenic import ScenicOptions
from tokenlearner.timm_backbone import TimmNetwork, timm_config

PICKED: Final = "picked model"
ARRIVED: Final = "model that arrived"
"""Name of a model to be picked when the page is drawn next: the list may stand on it already."""
_JOB: Final = "model being brought"
_PROBLEM: Final = "model problem"
_ROUND: Final = "model upload round"
_CLASSIFIERS: Final = re.compile(r"\.(?!.*(clip|dino|mae|siglip)).*in(1k|12k|21k)")
_OTHER_KINDS: Final = re.compile(r"_r\d+_|_r_s|rope|relpos|sam|srelpos|_rmlp|mci|_gap_|_pe_|_plus_|_parallel|_cls_")
_FIRST: Final = "vit_tiny_patch16_224.augreg_in21k_ft_in1k"


def brought() -> BroughtModels:
    """The models of this visit."""
    if BROUGHT not in st.session_state:
        st.session_state[BROUGHT] = BroughtModels()
    kept: BroughtModels = st.session_state[BROUGHT]
    return kept


def draw(at: Here, taken: Sequence[str]) -> None:
    """Draw both ways, or the progress of what is on its way.

    Args:
        at: Server and visit.
        taken: Names of the models that there are.
    """
    st.markdown("##### Bring a model")
    st.caption(f"For this visit alone; your last {MAX_KEPT} stay until you close the page.")
    problem = st.session_state.get(_PROBLEM)
    if st.session_state.get(_JOB) is not None:
        _progress()
        return
    if problem:
        waiting.say(problem)
    with st.expander("From a file", icon=":material/upload_file:", key="bring-file"):
        _file(at, taken)
    with st.expander("Around a network of timm", icon=":material/hub:", key="bring-timm", on_change="rerun") as around:
        if around.open:
            _timm(at, taken)


def _file(at: Here, taken: Sequence[str]) -> None:
    st.caption(
        f"A checkpoint of this project (safetensors, its card is inside) or of Scenic (Flax msgpack), up to "
        f"{size(MAX_BYTES)}. Pickled files (.pt, .bin, .ckpt) are not read: reading one runs what it holds."
    )
    key = f"model file {st.session_state.get(_ROUND, 0)}"
    with st.popover("Scenic: what its file does not tell", icon=":material/tune:"):
        loc = st.number_input("Block before which the module sits", 0, 100, None, key="scenic loc")
        frames = st.number_input("Frames of a clip, for a video model", 1, 256, None, key="scenic frames")
        pooling: Pooling = st.selectbox("Pooling of a v1.0 module", ("sum", "mean"), key="scenic pooling")
    options = ScenicOptions(loc=loc, num_frames=frames, pooling=pooling)
    st.file_uploader(
        "Checkpoint",
        key=key,
        label_visibility="collapsed",
        max_upload_size=MAX_BYTES // 10**6,
        on_change=_take_file,
        args=(at, key, options, tuple(taken)),
    )


def _take_file(at: Here, key: str, options: ScenicOptions, taken: tuple[str, ...]) -> None:
    """Read an upload in a worker, and empty the widget so that its copy in memory can go."""
    file = st.session_state.get(key)
    if file is None:
        return
    st.session_state[_ROUND] = st.session_state.get(_ROUND, 0) + 1
    models, name = brought(), file.name
    _start(at, lambda: models.add_file(file, name, options, taken=taken))


def _timm(at: Here, taken: Sequence[str]) -> None:
    names = _names()
    name = st.selectbox(
        "Name",
        names,
        index=names.index(_FIRST) if _FIRST in names else 0,
        accept_new_options=True,
        key="timm name",
        help=f"Any Vision Transformer with a classifier that timm {timm.__version__} knows; type to search, or write a "
        "name. The part behind the dot names its pretrained weights.",
    )
    try:
        whole = timm_config(name, locs=()).config
    except TokenLearnerError as error:
        st.error(plain(str(error)), icon=":material/error:")
        return
    blocks = list(range(whole.depth))
    locs = st.multiselect(
        "Modules after so many blocks", blocks, [whole.depth // 4, whole.depth // 2], key=f"timm places {whole.depth}"
    )
    tokens = st.number_input("Tokens that they hold", 1, 64, 8, key="timm tokens")
    st.radio("Weights", ("pretrained", "random"), key="timm weights", horizontal=True)
    if not locs:
        st.info("Choose at least one place for the module.", icon=":material/info:")
        return
    network = timm_config(name, locs=tuple(locs), token_learner=TokenLearnerConfig(num_tokens=int(tokens)))
    st.caption(preview(network))
    st.button("Build", type="primary", icon=":material/build:", on_click=_build, args=(at, tuple(taken)))
    st.caption(
        "Its maps are untrained, and every picture of them says so. To train them: "
        f"`python -m tokenlearner distill --backbone {name} PHOTOS -o OUT`"
    )


def _build(at: Here, taken: tuple[str, ...]) -> None:
    """Build what the widgets say now, which may be newer than what was drawn with the button."""
    state = st.session_state
    try:
        depth = timm_config(state["timm name"], locs=()).config.depth
        network = timm_config(
            state["timm name"],
            locs=tuple(state.get(f"timm places {depth}", (depth // 4, depth // 2))),
            token_learner=TokenLearnerConfig(num_tokens=int(state["timm tokens"])),
        )
    except TokenLearnerError as error:
        state[_PROBLEM] = str(error)
        return
    models, pretrained = brought(), state["timm weights"] == "pretrained"
    _start(at, lambda: models.add_timm(network, pretrained=pretrained, taken=taken))


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


@st.cache_data(max_entries=1, show_spinner=False)
def _names() -> list[str]:
    """Names to choose from; others can be written."""
    listed = timm.list_pretrained(["vit_*", "deit*", "flexivit_*"])
    return [name for name in listed if _CLASSIFIERS.search(name) and not _OTHER_KINDS.search(name)]


def _start(at: Here, work: Callable[[], ModelChoice]) -> None:
    """Put the work in line; files and downloads have a worker of their own."""
    st.session_state[_PROBLEM] = None

    def run(ticket: Ticket) -> ModelChoice:
        return work()

    try:
        st.session_state[_JOB] = at.server.worker("models").submit(run, owner=at.visit.id, slot="bring a model")
    except TokenLearnerError as error:
        st.session_state[_PROBLEM] = str(error)


@fragment(run_every=waiting.EVERY_S)
def _progress() -> None:
    job: Job[ModelChoice] | None = st.session_state.get(_JOB)
    if job is None:
        st.rerun()
    if job.state.is_final:
        _settle(job)
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", key="bring-progress"):
        waits = job.state is JobState.WAITING
        st.markdown("Waiting in line …" if waits else "Reading, building and checking the weights …")
        if st.button("Cancel", icon=":material/close:", key="cancel model"):
            job.cancel()
            st.session_state[_JOB], st.session_state[_PROBLEM] = None, waiting.STOPPED
            st.rerun()


def _settle(job: Job[Any]) -> None:
    st.session_state[_JOB] = None
    if job.state is JobState.DONE:
        st.session_state[ARRIVED] = job.result().card.name
    else:
        st.session_state[_PROBLEM] = waiting.reason(job, "The model could not be read")
