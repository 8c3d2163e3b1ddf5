"""One set of controls for the players of all lanes, and where the lanes disagree: drawn in the browser.

It finds the players of the page, keeps them in step however one of them is moved, and works without the server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from app.compare.disagreement import Disagreement, Peak
from app.components import component
from app.text import class_label, clock, percent

_FOLDER: Final = Path(__file__).parent
SCALE: Final = 1000
"""Divergences travel as whole numbers of this fraction."""


def deck(
    players: Sequence[tuple[str, str]],
    compared: Disagreement,
    *,
    clip: str,
    still: bool,
    link: Mapping[str, str],
    start_s: float | None,
    key: str,
) -> None:
    """Draw the controls.

    Args:
        players: Letter and key of each lane's player, the lane that others are read against first.
        compared: What the lanes answer.
        clip: Says which photo or clip it is; another one begins at its start.
        still: Whether there is nothing to play.
        link: What a link to this comparison says; the browser adds the playhead's time.
        start_s: Where the playhead stands at first; None for the clip's start.
        key: Name of the element on the page.
    """
    component("compare_deck", _FOLDER / "deck")(
        key=key, data=deck_data(players, compared, clip=clip, still=still) | {"link": dict(link), "start": start_s}
    )


def deck_data(players: Sequence[tuple[str, str]], compared: Disagreement, *, clip: str, still: bool) -> dict[str, Any]:
    """What the controls need, ready for JSON."""
    letters = [letter for letter, _ in players]
    return {
        "players": [key for _, key in players],
        "clip": clip,
        "still": still,
        "scale": SCALE,
        "times": [round(float(time_s), 4) for time_s in compared.times_s],
        "end": round(compared.end_s, 4),
        "lines": [
            {"letter": letter, "values": [round(float(value) * SCALE) for value in compared.divergence[lane]]}
            for lane, letter in enumerate(letters)
            if lane and compared.common[lane]
        ],
        "strips": [{"letter": letter, "parts": parts(compared, lane)} for lane, letter in enumerate(letters)],
        "peaks": [_peak(compared, peak, letters) for peak in compared.peaks()],
    }


def parts(compared: Disagreement, lane: int) -> list[dict[str, Any]]:
    """Stretches of time with one most probable class and the same verdict against the first lane."""
    top1, same = compared.top1[lane], compared.same[lane]
    starts = np.flatnonzero(np.r_[True, (np.diff(top1) != 0) | (np.diff(same.astype(int)) != 0)])
    edges = [*(float(compared.times_s[start]) for start in starts), compared.end_s]
    return [
        {
            "from": round(edges[i], 4),
            "to": round(edges[i + 1], 4),
            "name": class_label(compared.names[top1[start]]) if top1[start] >= 0 else "not compared",
            "differs": bool(top1[start] >= 0 and not same[start]),
        }
        for i, start in enumerate(starts)
    ]


def _peak(compared: Disagreement, peak: Peak, letters: Sequence[str]) -> dict[str, Any]:
    moment = int(np.searchsorted(compared.times_s, peak.time_s))
    first, other = (class_label(compared.names[compared.top1[lane, moment]]) for lane in (0, peak.lane))
    letter = letters[peak.lane]
    said = f"both say {first}" if first == other else f"A says {first}, {letter} says {other}"
    return {
        "time": round(peak.time_s, 4),
        "share": round(peak.divergence * SCALE),
        "short": clock(peak.time_s),
        "words": f"{clock(peak.time_s)}: {percent(peak.divergence)} of the probability has moved between A and "
        f"{letter}; {said}.",
    }
