"""The first part of a clip on the screen while the rest is being analysed: what it is, and what waits for the whole."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.explore import sliders
from app.explore.page import Here
from app.models import ModelChoice
from app.results import Shown
from app.text import count, place_name, plain, seconds
from tokenlearner.engine import Analysis

WAITS: Final = "This comes when the whole clip is analysed."
SLIDERS_WAIT: Final = "Sliders come with the whole clip."


def is_news(shown: Shown | None, part: Shown) -> bool:
    """Whether a part shows more than what is on the screen; a whole result of the same wish is never taken off."""
    if shown is None or shown.request != part.request:
        return True
    return shown.is_part and shown.analysis.timings.frames < part.analysis.timings.frames


def is_growing(at: Here, shown: Shown) -> bool:
    """Whether the rest of what is on the screen is on its way."""
    return shown.is_part and at.visit.job is not None and at.visit.job[0] == shown.request


def share(found: Analysis) -> str:
    """How much of the clip a part holds: "first 6.4 s of 40 s"."""
    times, sampling = found.timestamps_s, found.settings.sampling
    done_s = float(times[-1] - times[0]) * len(times) / max(1, len(times) - 1)
    end_s = found.media.duration_s if sampling.end_s is None else min(sampling.end_s, found.media.duration_s)
    return f"first {seconds(done_s)} of {seconds(end_s - sampling.start_s)}"


def title(at: Here, shown: Shown) -> str:
    """What is on the screen, to stand beside the clip's name."""
    rest = "" if is_growing(at, shown) else ", the rest was not analysed"
    return f"**the {share(shown.analysis)}{rest}**"


def stays(shown: Shown | None, item: str) -> str:
    """What is still on the screen although there is no whole result for a photo or clip: a sentence, or ""."""
    if shown is None:
        return ""
    if shown.is_part and shown.request.item == item:
        return f" The {share(shown.analysis)} stay here."
    return " The earlier result is still here."


def other_setting(found: Analysis, model: ModelChoice) -> None:
    """Say below the sliders what a part was run with if they say something else: somebody may have begun it."""
    if (found.loc, found.num_tokens) != sliders.chosen(model):
        tokens = f"{count(found.num_tokens, 'token')} " if found.loc is not None else ""
        st.caption(plain(f"Until then: {tokens}{place_name(found.loc, model.card.config)}."))
