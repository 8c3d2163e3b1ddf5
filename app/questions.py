"""Questions about an analysis that take a while: what each token is worth, how many are needed, whether to doubt it.

Each is a long job: it waits in line, says how far it is, and can be stopped. No Streamlit.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from jaxtyping import Float32, UInt8

from app.clips import BrowserClip, fit_within, resized
from app.models import ModelChoice
from app.results import Shown
from app.takeaway.clips import frame_at
from tokenlearner.analysis import doubt
from tokenlearner.analysis.deletion import DeletionCurve, delete_most_attended
from tokenlearner.analysis.doubt import Comparison
from tokenlearner.analysis.needed import NeededTokens, tokens_needed
from tokenlearner.analysis.patches import FRACTIONS
from tokenlearner.analysis.shapley import EXACT_LIMIT, Baseline, ShapleyValues, token_values
from tokenlearner.engine import Analysis, Engine, Progress

Kind = Literal["needed", "worth", "doubt"]
MOST_ITEMS: Final = 12_000
"""Coalitions times frames that a Shapley question runs at most; of a long clip it takes fewer frames, evenly spread."""
FEWEST_ROWS: Final = 4
_ORDERS: Final = 64
_DELETION_ROWS: Final = 6
_DELETION_CLIPS: Final = 2
_DELETION_DRAWS: Final = 4
"""Frames (or clips of a video model) and random orders of the deletion: whole passes, the costliest part of a doubt."""
_FRAME_SIDE: Final = 480
"""Longer side of the frame that is looked at, in pixels."""
_MAPS_SHARE: Final = 0.02
"""Where the first part of a doubt ends on its bar: passes behind TokenLearner only."""
_MARKS: Final = 16
_MIN_S: Final = 0.5
"""The pace is taken over the last so many reports of a part, and from so many seconds on."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is asked about an analysis.

    Attributes:
        kind: "needed": how many tokens keep the prediction; "worth": what each token adds to a class; "doubt":
            what worthless maps would say.
        loc: Place of the module.
        num_tokens: Tokens; none is left out.
        class_index: The class, for "worth" and "doubt".
        group: The label group, for "needed".
        baseline: What stands in for absent tokens, for "worth".
    """

    kind: Kind
    loc: int
    num_tokens: int
    class_index: int = -1
    group: str = ""
    baseline: Baseline = "dropped"


@dataclass(frozen=True, eq=False)
class Moment:
    """The middle of a clip, or a photo, with its maps: what can be looked at side by side.

    Attributes:
        time_s: Presentation time.
        frame: The frame, small.
        maps: The network's own maps then.
        top: Weight drawn at full strength for all maps: the largest of the own maps' mean over the tokens.
    """

    time_s: float
    frame: UInt8[np.ndarray, "height width 3"]
    maps: Float32[np.ndarray, "tokens rows cols"]
    top: float


@dataclass(frozen=True, eq=False)
class Doubt:
    """What the comparisons with worthless maps show.

    Attributes:
        moment: What is looked at.
        comparisons: What the network says with other maps; of those, the ones of the moment only.
        deletion: Curves over the pixels.
        sentence: What all of it shows.
    """

    moment: Moment
    comparisons: tuple[Comparison, ...]
    deletion: DeletionCurve
    sentence: str


Answer = NeededTokens | ShapleyValues | Doubt


def answer(
    question: Question,
    shown: Shown,
    engine: Engine,
    *,
    report: Callable[[Progress], None],
    cancel: threading.Event,
    class_name: str = "the class shown",
) -> Answer:
    """Answer a question; in a worker's thread.

    Args:
        question: What is asked.
        shown: About what.
        engine: That made the analysis.
        report: Told how far it is, between batches.
        cancel: Set it to stop; acts within one batch.
        class_name: Name of the class, for sentences.

    Raises:
        TokenLearnerError: As the library's functions do.
    """
    meter = _Meter(report)
    found = _whole(question, shown, engine, cancel)
    if question.kind == "needed":
        return tokens_needed(engine, found, group=question.group, progress=meter.told("trying"), cancel=cancel)
    if question.kind == "worth":
        return token_values(
            engine,
            found,
            question.class_index,
            baseline=question.baseline,
            rows=rows_for(len(found.logits), question.num_tokens),
            orders=_ORDERS,
            progress=meter.told("running coalitions"),
            cancel=cancel,
        )
    return _doubt(question, shown.model, shown, found, engine, meter, cancel, class_name)


def rows_for(rows: int, num_tokens: int) -> list[int]:
    """Rows of the logits that are asked, evenly spread, so that a question stays within `MOST_ITEMS`."""
    coalitions = 2**num_tokens if num_tokens <= EXACT_LIMIT else _ORDERS * num_tokens
    count = min(rows, max(FEWEST_ROWS, MOST_ITEMS // coalitions))
    return np.unique(np.linspace(0, rows - 1, count).round().astype(int)).tolist()


def _whole(question: Question, shown: Shown, engine: Engine, cancel: threading.Event) -> Analysis:
    """The analysis with the question's place and tokens, none left out."""
    found = shown.analysis
    if (found.loc, found.num_tokens, found.muted) == (question.loc, question.num_tokens, ()):
        return found
    return engine.rerun(found, loc=question.loc, num_tokens=question.num_tokens, cancel=cancel)


def _doubt(
    question: Question,
    model: ModelChoice,
    shown: Shown,
    found: Analysis,
    engine: Engine,
    meter: _Meter,
    cancel: threading.Event,
    class_name: str,
) -> Doubt:
    path, index = shown.item.locate(), question.class_index
    deleted_rows = _DELETION_ROWS if found.clip_frames == 1 else _DELETION_CLIPS
    random_rows, deleting = doubt_rows(found)
    middle = _MAPS_SHARE + (1 - _MAPS_SHARE) * random_rows / (random_rows + deleting)
    meter.part("moving maps", 0.0, _MAPS_SHARE)(0, 1)
    comparisons = doubt.doubt_maps(engine, found, index, cancel=cancel)
    others = {}
    if found.provenance.trained:
        random_part = meter.part("running random weights", _MAPS_SHARE, middle)
        random = doubt.analyze_random(
            model.load(),
            engine,
            path,
            found,
            progress=lambda told: random_part(told.done, told.total or len(found.logits) * found.clip_frames),
            cancel=cancel,
        )
        comparisons = (doubt.doubt_weights(found, random, index), *comparisons)
        if random.token_maps is not None:
            others["random weights"] = random.token_maps
    deletion = delete_most_attended(
        engine,
        path,
        found,
        index,
        others=others,
        max_rows=deleted_rows,
        draws=_DELETION_DRAWS,
        progress=meter.part("deleting patches", middle, 1.0),
        cancel=cancel,
    )
    sentence = doubt.sentence(comparisons, deletion, class_name=class_name)
    step = len(found.timestamps_s) // 2
    seen = tuple(
        dataclasses.replace(one, token_maps=one.token_maps[min(step, len(one.token_maps) - 1)][None].copy())
        for one in comparisons
    )
    return Doubt(_moment(found, shown.clip, step), seen, deletion, sentence)


def _moment(found: Analysis, clip: BrowserClip, step: int) -> Moment:
    assert found.token_maps is not None
    time_s = float(found.timestamps_s[step])
    rgb = frame_at(clip, time_s)
    small = resized(rgb, fit_within(rgb.shape[:2], _FRAME_SIDE))
    maps = found.token_maps[step].copy()
    return Moment(time_s, small, maps, float(maps.mean(axis=0).max()) or 1.0)


def doubt_rows(found: Analysis) -> tuple[int, int]:
    """Rows of the logits that a doubt runs through the whole network: with random weights, and with patches deleted."""
    rows = _DELETION_ROWS if found.clip_frames == 1 else _DELETION_CLIPS
    trained = found.provenance.trained
    orders = 2 + trained + _DELETION_DRAWS  # by the maps, from the middle, by the maps of random weights
    deleting = min(rows, len(found.logits)) * (1 + orders * (len(FRACTIONS) - 1))
    return len(found.logits) if trained else 0, deleting


class _Meter:
    """Turns (done, total) of a part into the progress of the whole."""

    def __init__(self, report: Callable[[Progress], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report, self._clock = report, clock
        self._start = clock()

    def told(self, stage: str) -> Callable[[int, int], None]:
        """For a question that is one part."""
        return self.part(stage, 0.0, 1.0)

    def part(self, stage: str, begin: float, end: float) -> Callable[[int, int], None]:
        """For one part, which fills the bar from `begin` to `end`.

        The time that is left follows the pace of this part's last reports: what came before them, such as running the
        blocks in front of the tokens once more, says nothing about it.
        """
        marks: deque[tuple[float, float]] = deque(maxlen=_MARKS)

        def tell(done: int, total: int) -> None:
            share = begin + (end - begin) * min(1.0, done / max(1, total))
            spent = self._clock() - self._start
            marks.append((spent, share))
            (first_s, first), (last_s, last) = marks[0], marks[-1]
            known = last > first and last_s - first_s >= _MIN_S
            left = (last_s - first_s) * (1 - share) / (last - first) if known else None
            self._report(Progress(round(1000 * share), 1000, spent, left, stage))

        return tell
