"""Tokens over time: where each one goes, how it spreads, when it changes, and how much they repeat. NumPy only.

Places are (x, y) in 0..1 of what the model saw, from its top left; `frame_xy` moves them to the whole frame.
Maps of TokenLearner v1.0 are divided by their sum first wherever a distribution is meant; peaks keep their unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float64

from tokenlearner.agreement import softmax, total_variation
from tokenlearner.analysis.maps import as_shares, centroid, entropy, peak
from tokenlearner.analysis.switches import Switch, SwitchRule, cosine, find_switches
from tokenlearner.engine import Analysis, Geometry
from tokenlearner.errors import ConfigError

_ROUNDING: Final = 1e-5  # relative: a uniform map in float32 gives no patch more than its share


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A step at which much changes.

    Attributes:
        step: Index into the series that changed: time steps for maps, rows of the logits for predictions.
        time_s: Presentation time of the later of the two frames compared.
        change: How much, 0..1: of the maps `Tracks.map_change`, of predictions their total variation.
    """

    step: int
    time_s: float
    change: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Tracks:
    """Tokens over the time steps of one clip (one step for a photo). Arrays are read-only.

    Attributes:
        timestamps_s: Presentation time of each step.
        centroid_xy: Centre of mass of each map, 0..1.
        spread: Entropy of each map over that of a uniform one: 1 everywhere alike, 0 all on one patch.
        peak: Largest weight of each map, in the maps' own unit.
        peak_xy: Centre of the cell that holds it, 0..1.
        stability: Cosine between each map and that of the step before, 0..1; the first step has none, so one
            entry less.
        map_change: `1 -` the mean of `stability` over tokens: how much all maps change from step to step, 0..1.
        switches: When tokens turn to another subject: a heuristic, see `tokenlearner.analysis.switches`.
        redundancy: Cosine between the maps of two tokens, mean over the steps, 0 disjoint .. 1 equal; symmetric.
        coverage: Share of the patches to which some token gives more than the uniform share, 0..1, per step.
        effective_tokens: Between 1 (all tokens look at the same) and the number of tokens (none overlap): the
            exponential of the entropy of the eigenvalues of `redundancy / tokens` (the Vendi score, Friedman
            and Dieng, arXiv:2210.02410). Attention common to all maps, such as an even ground, lowers it.
        moments: Steps with the largest changes of the maps, most first.
    """

    timestamps_s: Float64[np.ndarray, " time"]
    centroid_xy: Float64[np.ndarray, "time tokens 2"]
    spread: Float64[np.ndarray, "time tokens"]
    peak: Float64[np.ndarray, "time tokens"]
    peak_xy: Float64[np.ndarray, "time tokens 2"]
    stability: Float64[np.ndarray, "changes tokens"]
    map_change: Float64[np.ndarray, " changes"]
    switches: tuple[Switch, ...]
    redundancy: Float64[np.ndarray, "tokens tokens"]
    coverage: Float64[np.ndarray, " time"]
    effective_tokens: float
    moments: tuple[Moment, ...]

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def num_tokens(self) -> int:
        """Tokens per time step."""
        return self.spread.shape[1]

    def summary(self) -> dict[str, Any]:
        """Means over the clip and all events, ready for JSON; None where a single step says nothing."""
        several = len(self.stability) > 0
        return {
            "time_steps": len(self.timestamps_s),
            "num_tokens": self.num_tokens,
            "tokens": [
                {
                    "token": token,
                    "mean_centroid_xy": self.centroid_xy[:, token].mean(axis=0).tolist(),
                    "mean_spread": float(self.spread[:, token].mean()),
                    "largest_peak": float(self.peak[:, token].max()),
                    "mean_stability": float(self.stability[:, token].mean()) if several else None,
                    "path_length": path_length(self.centroid_xy[:, token]),
                    "switches_s": [switch.time_s for switch in self.switches if switch.token == token],
                }
                for token in range(self.num_tokens)
            ],
            "switches": [switch.summary() for switch in self.switches],
            "redundancy": self.redundancy.tolist(),
            "mean_coverage": float(self.coverage.mean()),
            "effective_tokens": self.effective_tokens,
            "moments": [vars(moment).copy() for moment in self.moments],
        }


def track(analysis: Analysis, rule: SwitchRule | None = None, *, moments: int = 5) -> Tracks:
    """Follow the tokens of an analysis; see `track_maps`.

    Raises:
        ConfigError: If the plain network was run, which has no tokens.
    """
    if analysis.token_maps is None:
        raise ConfigError("The plain network has no tokens to follow.")
    return track_maps(analysis.token_maps, analysis.timestamps_s, rule, moments=moments)


def track_maps(
    token_maps: Float[np.ndarray, "time tokens rows cols"],
    timestamps_s: Float[np.ndarray, " time"],
    rule: SwitchRule | None = None,
    *,
    moments: int = 5,
) -> Tracks:
    """Follow tokens over the steps of a clip.

    Args:
        token_maps: Weights >= 0, of either version.
        timestamps_s: Time of each step, ascending.
        rule: What counts as a switch; None for the defaults.
        moments: Most moments of change that are listed.
    """
    shares = as_shares(token_maps)
    steps, tokens, rows, columns = shares.shape
    cell = peak(token_maps)
    flat = shares.reshape(steps, tokens, rows * columns)
    stability = cosine(flat[1:], flat[:-1])
    change = 1 - stability.mean(axis=1)
    similarity = redundancy(shares)
    times = timestamps_s.astype(np.float64)
    return Tracks(
        timestamps_s=times,
        centroid_xy=centroid(shares),
        spread=entropy(shares),
        peak=token_maps.max(axis=(2, 3)).astype(np.float64),
        peak_xy=(cell[..., ::-1] + 0.5) / np.array([columns, rows]),
        stability=stability,
        map_change=change,
        switches=find_switches(shares, times, rule),
        redundancy=similarity,
        coverage=covered(shares),
        effective_tokens=effective_number(similarity),
        moments=largest_changes(change, times, moments),
    )


def redundancy(maps: Float[np.ndarray, "time tokens rows cols"]) -> Float64[np.ndarray, "tokens tokens"]:
    """Cosine between the maps of every two tokens, mean over time: 0 disjoint, 1 equal up to scale."""
    flat = maps.reshape(*maps.shape[:2], -1).astype(np.float64)
    norms = np.linalg.norm(flat, axis=-1, keepdims=True)
    unit = np.divide(flat, norms, out=np.zeros_like(flat), where=norms > 0)
    return np.asarray(np.einsum("tip,tjp->ij", unit, unit) / len(maps))


def covered(shares: Float[np.ndarray, "*batch tokens rows cols"]) -> Float64[np.ndarray, "*batch"]:
    """Share of the patches that get more than `1 / patches` from some token; 0 if all maps are uniform."""
    patches = shares.shape[-2] * shares.shape[-1]
    return np.asarray((shares.max(axis=-3) * patches > 1 + _ROUNDING).mean(axis=(-2, -1)), dtype=np.float64)


def effective_number(similarity: Float[np.ndarray, "tokens tokens"]) -> float:
    """Exponential of the entropy of the eigenvalues of `similarity / tokens`: 1 for equal, `tokens` for unlike ones.

    Args:
        similarity: Symmetric, >= 0 as a quadratic form, ones on the diagonal.
    """
    values = np.linalg.eigvalsh(similarity.astype(np.float64) / len(similarity)).clip(0)
    values = values[values > 0] / values.sum()
    return float(np.exp(-(values * np.log(values)).sum()))


def prediction_change(analysis: Analysis, group: str | None = None) -> Float64[np.ndarray, " changes"]:
    """Total variation between each prediction and the one before, 0..1; one entry less than rows of the logits.

    Args:
        analysis: What was found.
        group: The question, by its name in `analysis.label_groups`; None for the first.
    """
    held = analysis.label_groups[next(iter(analysis.label_groups)) if group is None else group]
    probs = softmax(analysis.logits[:, held])
    return total_variation(probs[1:], probs[:-1])


def prediction_moments(analysis: Analysis, group: str | None = None, *, count: int = 5) -> tuple[Moment, ...]:
    """Rows of the logits at which the prediction changes most, most first."""
    return largest_changes(prediction_change(analysis, group), analysis.logits_timestamps_s, count)


def largest_changes(
    change: Float[np.ndarray, " changes"],
    timestamps_s: Float[np.ndarray, " time"],
    count: int,
    *,
    apart_s: float = 0.5,
    least: float = 0.02,
) -> tuple[Moment, ...]:
    """The largest changes, most first, of those nearer than `apart_s` only the largest, and none below `least`.

    Args:
        change: From each step to the next; entry i belongs to step i + 1.
        timestamps_s: Time of each step.
        count: Most that are listed.
        apart_s: Least distance in seconds.
        least: Smallest change worth listing.
    """
    found: list[Moment] = []
    for i in np.argsort(-change, kind="stable"):
        if len(found) == count or change[i] < least:
            break
        time_s = float(timestamps_s[i + 1])
        if all(abs(time_s - moment.time_s) >= apart_s for moment in found):
            found.append(Moment(step=int(i) + 1, time_s=time_s, change=float(change[i])))
    return tuple(found)


def trail(
    tracks: Tracks, token: int, time_s: float, *, seconds: float = 1.0
) -> tuple[Float64[np.ndarray, "points 2"], Float64[np.ndarray, " points"]]:
    """The path of a token's centroid over the last moments, for drawing a fading trail.

    A trail does not reach back over a switch of its token: that was no movement.

    Args:
        tracks: All paths.
        token: Which one.
        time_s: Now.
        seconds: Length of the trail.

    Returns:
        Points (x, y) in 0..1 of what the model saw, oldest first, and the age of each, 0 now .. 1 `seconds` ago.
    """
    since = max([time_s - seconds, *(s.time_s for s in tracks.switches if s.token == token and s.time_s <= time_s)])
    chosen = (tracks.timestamps_s >= since) & (tracks.timestamps_s <= time_s)
    age = (time_s - tracks.timestamps_s[chosen]) / seconds
    return tracks.centroid_xy[chosen, token], age.clip(0, 1)


def path_length(path_xy: Float[np.ndarray, "time 2"]) -> float:
    """Length of a path, in sides of what the model saw."""
    return float(np.linalg.norm(np.diff(path_xy, axis=0), axis=1).sum())


def frame_xy(points_xy: Float[np.ndarray, "*batch 2"], geometry: Geometry) -> Float64[np.ndarray, "*batch 2"]:
    """Move points from 0..1 of what the model saw to 0..1 of the whole frame."""
    left, top, width, height = geometry.box_normalized
    return np.asarray(points_xy * np.array([width, height]) + np.array([left, top]), dtype=np.float64)
