"""When a token turns from one subject to another: a heuristic on its maps alone. NumPy only.

A *switch* of a token at step t is a change of place that is large, quick and lasting:

1. What a map says is what it gives a patch beyond the uniform share (`1 / patches`), so that attention spread
   evenly over the frame counts for nothing. It is blurred by a Gaussian of `tolerance` of the frame's sides, so
   that movement by about so much within a window is movement and no jump.
2. The mean of the `window` maps before t and the mean of the `window` maps from t on have a cosine below
   `threshold`, and their largest cells lie at least `2 * tolerance` apart; t is where that cosine is lowest within
   a window to either side.
3. It stays: at least four in five of the maps on each side have a cosine of at least `threshold` with the mean of
   their own side, and a larger one than with that of the other. A token that wanders about is nowhere.
4. On both sides at least `min_excess` of the attention lies beyond the uniform share: a token that looks
   everywhere has no subject that it could leave.

Means over windows make single wild maps harmless. A token that turns away for less than about half a window and
returns does not switch. Nothing here knows what is in the picture: a token that follows an object across half the
frame within a window is taken for one that jumps, and one that jumps between two objects closer than the
tolerance for one that stays. The first and the last window of a clip hold no switches.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Final

import cv2
import numpy as np
from jaxtyping import Float, Float64

HEURISTIC: Final = (
    "A switch is found by a rule of thumb: the token's attention leaves its place of the last moments and stays "
    "at another. Nothing in it knows what is in the picture."
)
"""For the screen, beside switches."""

_STAYS: Final = 0.8


@dataclass(frozen=True, kw_only=True)
class SwitchRule:
    """When a change of place counts as a switch; see the module's description.

    Attributes:
        hold_s: Length of a window in seconds, turned into steps by the median interval.
        min_steps: Shortest window in steps.
        threshold: Cosine below which two places are different, 0..1.
        tolerance: Standard deviation of the blur, and half the least distance, in fractions of the frame's sides.
        min_excess: Least attention beyond the uniform share that makes a subject, 0..1.
    """

    hold_s: float = 0.5
    min_steps: int = 3
    threshold: float = 0.5
    tolerance: float = 0.08
    min_excess: float = 0.1

    def window(self, timestamps_s: Float[np.ndarray, " time"]) -> int:
        """Steps in a window, at least `min_steps`."""
        if len(timestamps_s) < 2:
            return self.min_steps
        interval = float(np.median(np.diff(timestamps_s)))
        return max(self.min_steps, round(self.hold_s / interval)) if interval > 0 else self.min_steps


@dataclass(frozen=True, kw_only=True)
class Switch:
    """A token turns to another subject.

    Attributes:
        token: Which one.
        step: First time step at the new place.
        time_s: Its presentation time.
        from_xy: Where it looked most before: the largest cell of the blurred mean map of the window, its centre as
            (x, y) in 0..1 of what the model saw.
        to_xy: The same afterwards.
        overlap: Cosine of the blurred maps before and after, 0..1; the lower, the clearer.
    """

    token: int
    step: int
    time_s: float
    from_xy: tuple[float, float]
    to_xy: tuple[float, float]
    overlap: float

    def summary(self) -> dict[str, Any]:
        """The fields by name, for JSON."""
        return asdict(self)


def find_switches(
    shares: Float[np.ndarray, "time tokens rows cols"],
    timestamps_s: Float[np.ndarray, " time"],
    rule: SwitchRule | None = None,
) -> tuple[Switch, ...]:
    """Find the moments at which tokens turn to another subject, by time, then by token.

    Args:
        shares: Maps that sum to 1 over space.
        timestamps_s: Time of each step, ascending.
        rule: What counts; None for the defaults.
    """
    rule = rule or SwitchRule()
    window = rule.window(timestamps_s)
    uniform = 1 / (shares.shape[2] * shares.shape[3])
    found = [
        Switch(
            token=token,
            step=turn.step,
            time_s=float(timestamps_s[turn.step]),
            from_xy=turn.from_xy,
            to_xy=turn.to_xy,
            overlap=turn.overlap,
        )
        for token in range(shares.shape[1])
        for turn in _turns(np.maximum(shares[:, token].astype(np.float64) - uniform, 0), window, rule)
    ]
    return tuple(sorted(found, key=lambda switch: (switch.step, switch.token)))


@dataclass(frozen=True)
class _Turn:
    """A switch of the one token that is looked at."""

    step: int
    overlap: float
    from_xy: tuple[float, float]
    to_xy: tuple[float, float]


def _turns(excess: Float64[np.ndarray, "time rows cols"], window: int, rule: SwitchRule) -> list[_Turn]:
    """Where one token switches."""
    steps = len(excess)
    if steps < 2 * window:
        return []
    grid_hw = excess.shape[1:]
    flat = np.stack([_blurred(one, rule.tolerance) for one in excess]).reshape(steps, -1)
    means = _window_means(flat, window)  # means[i] is over steps i .. i + window - 1
    masses = _window_means(excess.sum(axis=(1, 2))[:, None], window)[:, 0]
    candidates = np.arange(window, steps - window + 1)
    overlaps = cosine(means[candidates - window], means[candidates])
    single = cosine(flat[candidates - 1], flat[candidates])
    found: list[_Turn] = []
    taken = np.zeros(len(candidates), dtype=bool)
    for i in np.lexsort((single, overlaps.round(6))):  # lowest first; among equals the sharpest step
        if overlaps[i] >= rule.threshold:
            break
        if taken[max(0, i - window) : i + window + 1].any():
            continue
        taken[i] = True
        step = int(candidates[i])
        before, after = means[step - window], means[step]
        if min(masses[step - window], masses[step]) < rule.min_excess:
            continue
        from_xy, to_xy = _place(before, grid_hw), _place(after, grid_hw)
        if math.dist(from_xy, to_xy) < 2 * rule.tolerance:
            continue
        if _stays(flat[step - window : step + window], before, after, rule.threshold):
            found.append(_Turn(step, float(overlaps[i]), from_xy, to_xy))
    return found


def _window_means(values: Float64[np.ndarray, "time width"], window: int) -> Float64[np.ndarray, "windows width"]:
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    return np.asarray((sums[window:] - sums[:-window]) / window)


def _stays(
    around: Float64[np.ndarray, "steps patches"],
    before: Float64[np.ndarray, " patches"],
    after: Float64[np.ndarray, " patches"],
    threshold: float,
) -> bool:
    """Whether the maps on both sides keep to the mean of their own."""
    half = len(around) // 2
    for maps, own, other in ((around[:half], before, after), (around[half:], after, before)):
        near = cosine(maps, own[None])
        if ((near >= threshold) & (near > cosine(maps, other[None]))).mean() < _STAYS:
            return False
    return True


def cosine(
    first: Float[np.ndarray, "*batch patches"], second: Float[np.ndarray, "*#batch patches"]
) -> Float64[np.ndarray, "*batch"]:
    """Cosine over the last axis; 0 where one of both is zero everywhere."""
    product = np.linalg.norm(first, axis=-1) * np.linalg.norm(second, axis=-1)
    dot = (first * second).sum(axis=-1)
    return np.divide(dot, product, out=np.zeros(np.shape(dot)), where=product > 0)


def _blurred(one: Float64[np.ndarray, "rows cols"], tolerance: float) -> Float64[np.ndarray, "rows cols"]:
    rows, columns = one.shape
    if tolerance <= 0:
        return one
    border = cv2.BORDER_CONSTANT
    return np.asarray(
        cv2.GaussianBlur(one, (0, 0), sigmaX=tolerance * columns, sigmaY=tolerance * rows, borderType=border)
    )


def _place(flat: Float64[np.ndarray, " patches"], grid_hw: tuple[int, ...]) -> tuple[float, float]:
    """Centre of the largest cell, (x, y) in 0..1."""
    row, column = divmod(int(flat.argmax()), grid_hw[1])
    return (column + 0.5) / grid_hw[1], (row + 0.5) / grid_hw[0]
