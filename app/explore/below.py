"""Below the player: what is not needed at first, one click away."""

from __future__ import annotations

from typing import Final

import streamlit as st

from app.explore import cause, doubting, overlap, parts, questioning
from app.explore.compute import counted_in
from app.explore.page import Here
from app.fragments import fragment
from app.results import Shown
from app.timeline import timeline
from tokenlearner.analysis.tracks import track
from tokenlearner.engine import Analysis

TIME: Final = "Over time"
OVERLAP: Final = "Overlap"
CAUSE: Final = "Cause"
DOUBT: Final = "Doubt"
_CHOICE: Final = "below"
_ICONS: Final = {
    TIME: ":material/timeline:",
    CAUSE: ":material/balance:",
    DOUBT: ":material/help_center:",
    OVERLAP: ":material/join_inner:",
}


@fragment()
def draw(at: Here, shown: Shown, found: Analysis, whole: Analysis, player: str) -> None:
    """Draw the row of views, and the one that is open; its controls move nothing else on the page.

    Args:
        at: Server and visit.
        shown: What is on the screen.
        found: The answer for the setting.
        whole: The same with all its tokens.
        player: Key of the player.
    """
    questioning.tidy(at, shown)
    if found.token_maps is None:
        st.caption("The plain ViT makes no tokens: there is nothing to follow over time, to leave out or to doubt.")
        return
    still = len(found.timestamps_s) == 1
    views = [view for view in _ICONS if not (still and view == TIME)]
    choice = st.segmented_control(
        "More about the tokens",
        views,
        default=None if still else TIME,
        format_func=lambda view: f"{_ICONS[view]} {view}",
        key=f"{_CHOICE} a {'still' if still else 'clip'}",
        label_visibility="collapsed",
        persist_state="session",
    )
    if choice == TIME:
        timeline(found, track(found), player=player, key="timeline")
    elif choice == OVERLAP:
        overlap.draw(at, shown, found, track(found), counted_in())
    elif choice in (CAUSE, DOUBT) and shown.is_part:
        st.caption(parts.WAITS)
    elif choice == CAUSE:
        cause.draw(at, shown, whole)
    elif choice == DOUBT:
        doubting.draw(at, shown, whole)
