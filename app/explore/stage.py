"""The picture with its maps, and beside it what the network says and what it costs.

One fragment: the sliders move all of it, and nothing else on the page.
"""

from __future__ import annotations

import dataclasses
from typing import Final

import streamlit as st

from app.desk import left_out
from app.explore import below, budget, cause, compute, details, parts, predictions, sliders, tokens
from app.explore.page import Here, wait_for
from app.fragments import fragment
from app.player import token_player
from app.results import Shown, View
from app.text import count, plain
from tokenlearner import render
from tokenlearner.engine import PART_NOTE, Analysis
from tokenlearner.errors import FeaturesGone, FeaturesNotKept, TokenLearnerError
from tokenlearner.export import UNTRAINED_MARK

PLAYER: Final = "player"


@fragment()
def draw(at: Here, shown: Shown) -> None:
    """Draw a result; the sliders choose tokens and place."""
    notes = st.container()
    # In the order of a narrow window: style.css puts the panels beside the other two where there is room.
    with st.container(key="stage"):
        picture, panels, more = (st.container(key=key) for key in ("picture", "panels", "more"))
    with panels:
        # What grows with the number of tokens stands below the sliders, so that they stay under the hand. A narrow
        # window has the tokens first.
        says, costs, desk = (st.container(key=f"panel {name}") for name in ("says", "compute", "tokens"))
    with costs:
        compute.heading(parts.SLIDERS_WAIT if shown.is_part else "")
        loc, num_tokens = sliders.draw(shown.model, waiting=shown.is_part)
        if shown.is_part:
            parts.other_setting(shown.analysis, shown.model)
        budget.draw(at, shown, compute.counted_in())
    if shown.is_part:  # without kept features: what the run began with is all there is
        loc, num_tokens = shown.analysis.loc, shown.analysis.num_tokens
    muted = () if shown.is_part else left_out(num_tokens, tokens.whose(shown.request.item, shown.model))
    with notes:
        found, whole = _views(at, shown, (loc, num_tokens, muted))
    trained = _trained(at, shown, (loc, num_tokens, muted))
    scale = _scale(found, trained)
    with picture:
        _player(at, shown, found, scale, is_trained_scale=trained is not None and trained.token_maps is not None)
    with more:
        below.draw(at, shown, found, whole or found, PLAYER)
    with says:
        predictions.draw(found, whole, PLAYER)
    with desk:
        worth = None if shown.is_part else cause.known_worth(at, shown, whole or found)
        tokens.desk(num_tokens, shown, found, worth, waiting=shown.is_part)
        tokens.sentences(found)
    with costs:
        compute.figures(at, shown, found)
        compute.footnote(shown, found)
    details.draw(shown, found, scale)


def _views(at: Here, shown: Shown, view: View) -> tuple[Analysis, Analysis | None]:
    """What is seen in a setting, and the same with all tokens, if it can be had.

    Where the setting's answer cannot be had, the page says why, and what was seen last stays.
    """
    found = _answer(at, shown, view)
    if found is None:
        last = at.visit.view
        kept = at.server.known_view(shown, last[1]) if last is not None and last[0] == shown.request else None
        found = kept or shown.analysis
        return found, at.server.known_view(shown, (found.loc, found.num_tokens, ()))
    at.visit.view = (shown.request, view)
    return found, _answer(at, shown, (found.loc, found.num_tokens, ())) if found.muted else found


def _answer(at: Here, shown: Shown, view: View) -> Analysis | None:
    """The answer for a setting, from kept features; None, with the reason drawn, if it cannot be had."""
    if shown.is_part:
        return shown.analysis
    known = at.server.known_view(shown, view)
    if known is not None:
        return known
    try:
        return wait_for(at.server.rerun(at.visit, shown, view))
    except FeaturesGone as error:
        st.info(plain(str(error)), icon=":material/history:")
        if st.button("Analyse again", icon=":material/refresh:"):
            at.server.results.drop(shown.request)
            at.visit.agreed.add(shown.request)
            st.rerun()
    except FeaturesNotKept as error:
        st.info(plain(str(error)), icon=":material/memory:")
    except TokenLearnerError as error:
        st.error(plain(str(error)), icon=":material/error:")
    return None


def _trained(at: Here, shown: Shown, view: View) -> Analysis | None:
    """What the trained network found where its random twin is shown, if that is known."""
    if not shown.model.random:
        return None
    model = dataclasses.replace(shown.model, random=False)
    request = dataclasses.replace(shown.request, model=model.key)
    trained = at.server.results.get(request, at.visit.id)
    return (at.server.known_view(trained, view) or trained.analysis) if trained is not None else None


def _scale(found: Analysis, trained: Analysis | None) -> float:
    """Weight drawn at full strength: with random weights, that of the trained ones if it is known."""
    maps = found.token_maps if trained is None or trained.token_maps is None else trained.token_maps
    return 1.0 if maps is None else render.clip_scale(maps)


def _player(at: Here, shown: Shown, found: Analysis, scale: float, *, is_trained_scale: bool) -> None:
    media, clip = found.media, shown.clip
    words = _title(found, parts.title(at, shown) if shown.is_part else "")
    if is_trained_scale:
        words += " · Drawn at the scale of the trained weights."
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center", key="title"):
        st.markdown(lead(found), width="content")
        st.caption(words, width="content")
    token_player(
        clip.media,
        clip.mime,
        found.token_maps,
        found.timestamps_s,
        scale_max=scale,
        unit=found.map_unit,
        key=PLAYER,
        box=found.geometry.box_normalized,
        muted=found.muted,
        caption=None if found.provenance.trained else UNTRAINED_MARK,
        start_s=clip.start_s,
        frame_hw=clip.frame_hw,
        clip_id=f"{shown.request.item} {shown.request.sampling}",
        autoplay=media.kind == "video",
    )


def lead(found: Analysis) -> str:
    """What the picture shows, in one sentence."""
    rows, cols = found.geometry.grid_hw
    whole = "the picture" if found.media.kind == "image" else "each frame" if found.clip_frames == 1 else "each moment"
    if found.token_maps is None:
        return f"**Plain ViT**: all {rows * cols} patches of {whole} go through every block."
    left = found.num_tokens - len(found.muted)
    if left == 1:
        return f"**1 token** stands for the {rows * cols} patches of {whole}; its colour shows where it looks."
    return f"**{left} tokens** stand for the {rows * cols} patches of {whole}; each colour shows where one looks."


def _title(found: Analysis, part: str = "") -> str:
    """What is on the screen, in one line.

    Args:
        found: What was found.
        part: How much of the clip that is, if it is not all that was asked for.
    """
    media, sampling = found.media, found.settings.sampling
    words = [f"**{plain(media.name)}**", f"{media.width} × {media.height}"]
    if media.kind == "video":
        end_s = media.duration_s if sampling.end_s is None else sampling.end_s
        cut = sampling.start_s > 0 or sampling.end_s is not None
        words.append(part or (f"{sampling.start_s:.1f} to {end_s:.1f} s" if cut else f"{end_s:.1f} s"))
        analysed = found.timings.frames
        words.append(
            count(analysed, "frame") if analysed == media.num_frames else f"{analysed} of {media.num_frames} frames"
        )
    if media.kind == "image" and found.clip_frames > 1:
        words.append(f"A video model: it saw this picture {found.clip_frames} times over, where nothing moves.")
    return " · ".join((*words, *(plain(note) for note in found.notes if note != PART_NOTE)))
