"""How far two sets of predictions of the same frames agree. NumPy only."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from jaxtyping import Bool, Float, Float64


@dataclass(frozen=True)
class Agreement:
    """Two sets of predictions compared, frame by frame (clip by clip for a video model).

    Attributes:
        top1: Share of frames with the same most probable class, 0..1.
        total_variation: Mean over frames of `total_variation`, 0..1.
        rows: Frames compared.
    """

    top1: float
    total_variation: float
    rows: int

    def summary(self) -> dict[str, float | int]:
        """The numbers by name, for JSON."""
        return asdict(self)


def softmax(logits: Float[np.ndarray, "*batch classes"]) -> Float64[np.ndarray, "*batch classes"]:
    """Probabilities over the last axis, in double precision."""
    exact = logits.astype(np.float64)
    shifted = np.exp(exact - exact.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def total_variation(
    first: Float[np.ndarray, "*batch classes"], second: Float[np.ndarray, "*batch classes"]
) -> Float64[np.ndarray, "*batch"]:
    """Half the sum of the absolute differences of two distributions: the probability that has moved.

    0 is the same prediction, 1 two predictions that share no class.
    """
    return np.asarray(np.abs(first.astype(np.float64) - second).sum(axis=-1) / 2)


def same_answer(
    first: Float[np.ndarray, "*batch classes"], second: Float[np.ndarray, "*batch classes"]
) -> Bool[np.ndarray, "*batch"]:
    """Whether the most probable class is the same; the first in order among equals."""
    return np.asarray(first.argmax(axis=-1) == second.argmax(axis=-1))


def agreement(
    logits: Float[np.ndarray, "rows classes"], others: Float[np.ndarray, "rows classes"], group: slice
) -> Agreement:
    """Compare two sets of logits of the same frames within one label group.

    Raises:
        ValueError: If there are no frames.
    """
    if not len(logits):
        raise ValueError("there are no predictions to compare")
    first, second = softmax(logits[:, group]), softmax(others[:, group])
    return Agreement(
        top1=float(same_answer(first, second).mean()),
        total_variation=float(total_variation(first, second).mean()),
        rows=len(first),
    )
