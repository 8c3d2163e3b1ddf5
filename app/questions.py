"""Questions about an analysis that take a while: what each token is worth, how many are needed, whether to doubt it.

Each is a long job: it waits in line, says how far it is, and can be stopped. No Streamlit.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from app.models import ModelChoice
from app.results import Shown
from tokenlearner import doubt
from tokenlearner.deletion import DeletionCurve, delete_most_attended
from tokenlearner.doubt import Comparison
from tokenlearner.engine import Analysis, Engine, Progress
from tokenlearner.needed import NeededTokens, tokens_needed
from tokenlearner.shapley import EXACT_LIMIT, Baseline, ShapleyValues, token_values

Kind = Literal["needed", "worth", "doubt"]
MOST_ITEMS: Final = 12_000
"""Coalitions times frames that a Shapley question runs at most; of a long clip it takes fewer frames, evenly spread."""
FEWEST_ROWS: Final = 4
_ORDERS: Final = 64
_DELETION_ROWS: Final = 6
_DELETION_DRAWS: Final = 4
"""Frames and random orders of the deletion: whole passes, the costliest part of a doubt."""
_SHARES: Final = (0.02, 0.4, 1.0)
"""Where the parts of a doubt end on its bar: maps, random weights, deletion."""


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
class Doubt:
    """What the comparisons with worthless maps show.

    Attributes:
        whole: The real answer, with all tokens.
        comparisons: The others.
        deletion: Curves over the pixels.
        sentence: What all of it shows.
    """

    whole: Analysis
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
    meter.part("moving maps", 0.0, _SHARES[0])(0, 1)
    comparisons = doubt.doubt_maps(engine, found, index, cancel=cancel)
    others = {}
    if found.provenance.trained:
        random_part = meter.part("running random weights", *_SHARES[:2])
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
        max_rows=_DELETION_ROWS,
        draws=_DELETION_DRAWS,
        progress=meter.part("deleting patches", *_SHARES[1:]),
        cancel=cancel,
    )
    sentence = doubt.sentence(comparisons, deletion, class_name=class_name)
    return Doubt(dataclasses.replace(found), comparisons, deletion, sentence)


class _Meter:
    """Turns (done, total) of a part into the progress of the whole."""

    def __init__(self, report: Callable[[Progress], None]) -> None:
        self._report = report
        self._start = time.monotonic()

    def told(self, stage: str) -> Callable[[int, int], None]:
        """For a question that is one part."""
        return self.part(stage, 0.0, 1.0)

    def part(self, stage: str, begin: float, end: float) -> Callable[[int, int], None]:
        """For one part, which fills the bar from `begin` to `end`."""

        def tell(done: int, total: int) -> None:
            share = begin + (end - begin) * min(1.0, done / max(1, total))
            spent = time.monotonic() - self._start
            left = spent * (1 - share) / share if share > 0.02 else None
            self._report(Progress(round(1000 * share), 1000, spent, left, stage))

        return tell
