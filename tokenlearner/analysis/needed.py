"""How many tokens a clip needs: the smallest number from which on its prediction stays."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tokenlearner import flops
from tokenlearner.agreement import Agreement, agreement
from tokenlearner.engine import Analysis, Engine
from tokenlearner.errors import ConfigError

MIN_TOP1: Final = 0.95
MAX_TOTAL_VARIATION: Final = 0.1


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One number of tokens against all of them.

    Attributes:
        num_tokens: Tokens per time step.
        agreement: With the predictions of all tokens.
        total_macs: Multiply-adds of one frame (clip for a video model).
    """

    num_tokens: int
    agreement: Agreement
    total_macs: int


@dataclass(frozen=True, kw_only=True)
class NeededTokens:
    """The answer to "how many tokens does this clip need?".

    Attributes:
        needed: Smallest number such that it and every larger one tried keep the prediction.
        available: All tokens that the module holds: the reference.
        tried: Every number tried, ascending; the last is the reference itself.
        loc: Block before which the module sits.
        baseline_macs: Multiply-adds of the network without TokenLearner.
        min_top1: Least share of frames whose most probable class must stay.
        max_total_variation: Largest mean total variation.
        clip_frames: Frames that one prediction stands for.
    """

    needed: int
    available: int
    tried: tuple[Tried, ...]
    loc: int
    baseline_macs: int
    min_top1: float
    max_total_variation: float
    clip_frames: int

    def at(self, num_tokens: int) -> Tried:
        """One of the numbers tried.

        Raises:
            KeyError: If it was not.
        """
        for tried in self.tried:
            if tried.num_tokens == num_tokens:
                return tried
        raise KeyError(num_tokens)

    @property
    def saved(self) -> float:
        """Share of the multiply-adds of all tokens that the needed ones save, 0..1."""
        return 1 - self.at(self.needed).total_macs / self.at(self.available).total_macs

    @property
    def saved_of_baseline(self) -> float:
        """Share of the plain network's multiply-adds that they save; below 0 if they cost more."""
        return 1 - self.at(self.needed).total_macs / self.baseline_macs

    def sentence(self) -> str:
        """The answer in plain English."""
        at = self.at(self.needed)
        frames = "frames" if self.clip_frames == 1 else "clips"
        found = f"the top class is the same on {100 * at.agreement.top1:.0f} % of {at.agreement.rows} {frames}"
        moved = f"{100 * at.agreement.total_variation:.0f} % of the probability moves on average"
        compute = (
            f"{100 * self.saved:.0f} % fewer multiply-adds than all {self.available} "
            f"and {100 * self.saved_of_baseline:.0f} % fewer than without TokenLearner"
        )
        if self.needed == self.available:
            return f"All {self.available} tokens: with fewer of them the prediction does not stay."
        enough = "1 token is" if self.needed == 1 else f"{self.needed} of {self.available} tokens are"
        return f"{enough} enough: {found}, and {moved}; {compute}."

    def summary(self) -> dict[str, Any]:
        """Everything, ready for JSON."""
        return {
            "needed": self.needed,
            "available": self.available,
            "loc": self.loc,
            "saved": self.saved,
            "saved_of_baseline": self.saved_of_baseline,
            "min_top1": self.min_top1,
            "max_total_variation": self.max_total_variation,
            "convention": flops.CONVENTION,
            "tried": [
                {"num_tokens": one.num_tokens, "total_macs": one.total_macs, **one.agreement.summary()}
                for one in self.tried
            ],
            "sentence": self.sentence(),
        }


def tokens_needed(
    engine: Engine,
    analysis: Analysis,
    *,
    counts: Sequence[int] | None = None,
    min_top1: float = MIN_TOP1,
    max_total_variation: float = MAX_TOTAL_VARIATION,
    group: str | None = None,
    progress: Callable[[int, int], None] | None = None,
    cancel: threading.Event | None = None,
) -> NeededTokens:
    """Run the rest of the network with every number of tokens, from kept features, and compare.

    The first k tokens of the module are taken, as everywhere. A number is enough if both measures hold
    for it and for every larger number tried, so that a lucky small one does not count.

    Args:
        engine: That made the analysis.
        analysis: Any analysis of the clip with tokens; its own number of tokens and muted ones do not matter.
        counts: Numbers to try; None for all. The module's own number is always among them.
        min_top1: Least share of frames whose most probable class must stay.
        max_total_variation: Largest mean total variation against the prediction of all tokens.
        group: The question, by its name in `analysis.label_groups`; None for the first.
        progress: Told (numbers done, numbers in all).
        cancel: Set it to stop; acts within one batch.

    Raises:
        ConfigError: If the plain network was run, or a number is not held.
        FeaturesGone: If the features were dropped; analyse the media again.
        Cancelled: If the caller asked to stop.
    """
    module = engine.config.token_learner
    if analysis.loc is None or module is None:
        raise ConfigError("The plain network has no tokens to count.")
    available = module.num_tokens
    chosen = sorted({*(range(1, available + 1) if counts is None else counts), available})
    for count in chosen:
        engine.config.check_choice(analysis.loc, count)
    held = analysis.label_groups[next(iter(analysis.label_groups)) if group is None else group]
    reference = engine.rerun(analysis, num_tokens=available, cancel=cancel)
    tried: list[Tried] = []
    for done, count in enumerate(chosen):
        if progress is not None:
            progress(done, len(chosen))
        found = reference if count == available else engine.rerun(analysis, num_tokens=count, cancel=cancel)
        tried.append(
            Tried(
                num_tokens=count,
                agreement=agreement(reference.logits, found.logits, held),
                total_macs=found.compute.total_macs,
            )
        )
    if progress is not None:
        progress(len(chosen), len(chosen))
    return NeededTokens(
        needed=smallest_that_stays(tried, min_top1, max_total_variation),
        available=available,
        tried=tuple(tried),
        loc=analysis.loc,
        baseline_macs=analysis.baseline.total_macs,
        min_top1=min_top1,
        max_total_variation=max_total_variation,
        clip_frames=analysis.clip_frames,
    )


def smallest_that_stays(tried: Sequence[Tried], min_top1: float, max_total_variation: float) -> int:
    """The smallest number such that it and every larger one keep the prediction.

    Args:
        tried: Ascending; the last one is the reference.
        min_top1: Least share of frames whose most probable class must stay.
        max_total_variation: Largest mean total variation.
    """
    smallest = tried[-1].num_tokens
    for one in reversed(tried[:-1]):
        if one.agreement.top1 < min_top1 or one.agreement.total_variation > max_total_variation:
            break
        smallest = one.num_tokens
    return smallest
