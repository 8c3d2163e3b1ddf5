"""The page as a whole: what is compared, the lanes, the controls that play all of them, and the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import streamlit as st

from app import cache
from app.charts import compute_bars
from app.compare import asking, link, opened, settings, source, state, table
from app.compare.asking import Filled
from app.compare.deck import deck
from app.compare.disagreement import Disagreement, disagreement
from app.compare.lanes import FEWEST, LETTERS, MOST, Lane, lane_of, named, presets
from app.explore import model_choice, trim
from app.explore.page import Here, here
from app.explore.wish import Wish
from app.fragments import errors_said
from app.items import Item
from app.models import ModelChoice
from app.player import token_player
from app.predictions import prediction_panel
from app.text import plain
from tokenlearner import render
from tokenlearner.engine.results import UNTRAINED_NOTE
from tokenlearner.errors import CheckpointError
from tokenlearner.export import UNTRAINED_MARK
from tokenlearner.flops import Compute

_QUESTION: Final = "compare question"


def draw() -> None:
    """Draw the page."""
    choice, messages, place = st.container(), st.container(), st.container(key="compare")
    with errors_said():
        at = here()
        known, problems = cache.models()
        if not known:
            raise CheckpointError(
                problems[0] if problems else "No model is installed. Put a checkpoint into assets/checkpoints."
            )
        opened.follow(known)
        with choice.container(horizontal=True, vertical_alignment="center", gap="small", key="compare-source"):
            item = source.choose_item(at)
            first, device = model_choice.chosen(known, item.kind)
            usual = next((preset.lanes for preset in presets(known, first)), (lane_of(first),) * FEWEST)
            lanes = state.get(known, usual)
            source.choose_preset(presets(known, named(known, lanes[0].model)), lanes)
            st.button(
                "Lane",
                icon=":material/add:",
                on_click=state.add,
                args=(lanes,),
                disabled=len(lanes) == MOST,
                help="One lane more, like the last with half as many tokens; the button above a lane changes it.",
            )
        with messages:
            for sentence in source.problems():
                st.error(plain(sentence), icon=":material/error:")
            for sentence in state.misses():
                st.info(plain(sentence), icon=":material/link:")
        with place:
            _stage(at, known, lanes, wishes_for(lanes, known, item, device))


def wishes_for(lanes: Sequence[Lane], known: Sequence[ModelChoice], item: Item, device: str) -> list[Wish]:
    """What each lane needs: the frames of the item as they were chosen in Explore, with the lane's own model."""
    framing = trim.framing_of(item)
    return [
        Wish(
            item=item, model=model_choice.twin_if(named(known, lane.model), lane.random), device=device, framing=framing
        )
        for lane in lanes
    ]


def _stage(at: Here, known: Sequence[ModelChoice], lanes: Sequence[Lane], wishes: Sequence[Wish]) -> None:
    asking.ask(at, wishes, lanes)
    filled: list[Filled] = []
    bodies = []
    with st.container(key="compare-lanes"):
        for index, (lane, wish) in enumerate(zip(lanes, wishes, strict=True)):
            with st.container(key=f"compare-lane-{LETTERS[index]}"):
                settings.draw(known, lanes, index)
                bodies.append(st.container())
                with bodies[-1]:
                    found = asking.fill(at, wish, lane, index)
                if found is not None:
                    filled.append(found)
    scales, start_s = scales_of(filled), opened.start_s(wishes[0].item)
    for one in filled:
        with bodies[one.index]:
            _lane(one, scales, longest_macs(filled), autoplay=one.index == 0 and start_s is None)
    compared = _compared(filled)
    if compared is not None:
        deck(
            [(one.letter, player_key(one.letter)) for one in filled],
            compared,
            clip=wishes[0].item.key,
            still=is_still(filled),
            link=link.parameters(lanes, filled[0].shown, filled[0].found),
            start_s=start_s,
            key="deck",
        )
        table.draw(at, filled, compared)
        for note in notes(filled, compared):
            st.caption(note)
    elif filled:
        st.info(
            "The other lanes are read against lane A. The comparison appears here as soon as lane A has a result.",
            icon=":material/compare:",
        )


def _lane(one: Filled, scales: Mapping[str, float], longest: int, *, autoplay: bool) -> None:
    """The player of a lane, what it says and what it computes.

    Args:
        one: The lane.
        scales: Top of the maps' scale by their unit.
        longest: Multiply-adds of the longest bar of all lanes.
        autoplay: Whether it plays at once.
    """
    found, clip = one.found, one.shown.clip
    token_player(
        clip.media,
        clip.mime,
        found.token_maps,
        found.timestamps_s,
        scale_max=scales.get(found.map_unit, 1.0),
        unit=found.map_unit,
        key=player_key(one.letter),
        box=found.geometry.box_normalized,
        caption=None if found.provenance.trained else UNTRAINED_MARK,
        start_s=clip.start_s,
        frame_hw=clip.frame_hw,
        autoplay=autoplay and not clip.mime.startswith("image/"),
    )
    prediction_panel(found, player=player_key(one.letter), key=f"compare says {one.letter}")
    here, plain_vit = per_frame(found.compute, found.clip_frames), per_frame(found.baseline, found.clip_frames)
    st.html(compute_bars(here, plain_vit, "MACs", per="frame", longest_macs=longest))
    if found.clip_frames > 1:
        st.caption(f"Compute of one frame: that of a clip, divided by its {found.clip_frames} frames.")


def per_frame(cost: Compute, clip_frames: int) -> Compute:
    """The part of a cost that falls on one frame, so that image and video models can be compared."""
    return Compute({stage: macs // clip_frames for stage, macs in cost.stages.items()}, cost.params)


def longest_macs(filled: Sequence[Filled]) -> int:
    """Multiply-adds a frame of the longest bar of all lanes, to which all of them are drawn."""
    found = (one.found for one in filled)
    return max(per_frame(cost, one.clip_frames).total_macs for one in found for cost in (one.compute, one.baseline))


def _compared(filled: Sequence[Filled]) -> Disagreement | None:
    """The lanes that are there against the first one; None while that is missing."""
    if not filled or filled[0].index != 0:
        return None
    groups = list(filled[0].found.label_groups)
    question = groups[0]
    if len(groups) > 1:
        question = st.segmented_control(
            "Question", groups, default=groups[0], required=True, key=f"{_QUESTION} of {'/'.join(groups)}"
        )
    return disagreement([one.found for one in filled], question)


def scales_of(filled: Sequence[Filled]) -> dict[str, float]:
    """One scale for the maps of all lanes with the same unit: the largest of theirs."""
    scales: dict[str, float] = {}
    for one in filled:
        if one.found.token_maps is not None:
            unit = one.found.map_unit
            scales[unit] = max(scales.get(unit, 0.0), render.clip_scale(one.found.token_maps))
    return scales


def is_still(filled: Sequence[Filled]) -> bool:
    """Whether there is nothing to play."""
    return filled[0].shown.clip.mime.startswith("image/")


def player_key(letter: str) -> str:
    """Name of a lane's player."""
    return f"compare player {letter}"


def notes(filled: Sequence[Filled], compared: Disagreement) -> list[str]:
    """What has to be known to read the comparison."""
    drawn = [one.found.map_unit for one in filled if one.found.token_maps is not None]
    said = ["The maps of all lanes are drawn at one scale."] if len(drawn) > 1 and len(set(drawn)) == 1 else []
    for position, one in enumerate(filled[1:], start=1):
        common = compared.common[position]
        if not common:
            said.append(f"Lane {one.letter} knows none of the classes of lane A: their answers are not compared.")
        elif common < len(compared.names):
            said.append(
                f"Lanes A and {one.letter} have {common} classes in common; a class that only one of them knows counts "
                "as probability 0 in the other."
            )
    for one in filled:
        frames = one.found.clip_frames
        if frames > 1 and one.found.media.kind == "video":
            said.append(
                f"Lane {one.letter} answers once per clip of {frames} frames; the answer holds for all of them."
            )
        if frames > 1 and one.found.media.kind == "image":
            said.append(
                f"Lane {one.letter} is a video model: it saw the picture {frames} times over, where nothing moves."
            )
        if not one.found.provenance.trained:
            said.append(f"Lane {one.letter} has random weights: its maps and answers mean nothing.")
    shared = {note for one in filled for note in one.found.notes if note != UNTRAINED_NOTE}
    return [" ".join(said), *map(plain, sorted(shared))]
