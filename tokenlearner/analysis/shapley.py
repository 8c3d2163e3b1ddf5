"""Shapley values: what each token adds to the probability of a class, fairly shared out.

The tokens of a frame are players, a coalition S is a set of tokens that go on to the remaining blocks, and its
value v(S) is what the network then says about one class. A token's value is the mean, over all orders in which the
tokens could join, of what v gains when it joins; the values of a frame's tokens sum to v(all) - v(none) (Shapley
1953; Lundberg and Lee, arXiv:1705.07874).

Only the blocks behind TokenLearner run, on kept tokens. Up to `EXACT_LIMIT` tokens all 2^k coalitions are run;
beyond, orders are drawn at random, each with its reverse, and the standard error is stated.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64, Shaped
from torch import Tensor

from tokenlearner.agreement import softmax
from tokenlearner.engine import Analysis, Engine, HeldTokens
from tokenlearner.errors import ConfigError

Baseline = Literal["dropped", "mean", "blank"]
"""What stands in for a token that is out of the coalition."""

BASELINES: Final[Mapping[Baseline, str]] = {
    "dropped": (
        "A token that is out is dropped, as on the mixing desk. With no token at all there is nothing to attend to, "
        "so the start is what the network says about an empty picture in one colour."
    ),
    "mean": (
        "A token that is out is replaced by its own mean over the frames of the clip, so the values say what it adds "
        "to its usual state. The start is the prediction from mean tokens alone."
    ),
    "blank": (
        "A token that is out is replaced by the same token of an empty picture in one colour. The start is what the "
        "network says about that picture."
    ),
}
"""Each baseline in words, for the screen."""

BESIDE: Final = (
    "This network also has a class token or registers, which pass by the module: they stay as they are throughout, so "
    "the values say what the tokens add to what those know already."
)

EXACT_LIMIT: Final = 10
_DEFAULT_ORDERS: Final = 64

Report = Callable[[int, int], None]
Coalition = Int64[np.ndarray, " _"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ShapleyValues:
    """What each token adds to one class. Arrays are read-only; rows are frames (clips for a video model).

    Attributes:
        class_index: The class.
        baseline: What stood in for absent tokens; `BASELINES` has the words.
        exact: Whether all coalitions were run.
        orders: Orders drawn, reverses included; 0 if exact.
        coalitions: Coalitions run on each row, the empty one included.
        rows: Rows of the analysis' logits that were taken, ascending.
        timestamps_s: Their presentation times.
        probability: Value of each token in probability, -1..1.
        logit: Value of each token in the class's logit.
        probability_error: Standard error of `probability`, over the orders drawn; None if exact.
        logit_error: The same of `logit`.
        mean_probability_error: Standard error of the mean of `probability` over the rows, which share their orders;
            None if exact.
        all_probability: Probability of the class with all tokens, v(all).
        none_probability: The same with none, v(none).
        all_logit: Logit of the class with all tokens.
        none_logit: The same with none.
        beside: Whether class or register tokens stood beside the tokens all the time.
    """

    class_index: int
    baseline: Baseline
    exact: bool
    orders: int
    coalitions: int
    rows: Int64[np.ndarray, " rows"]
    timestamps_s: Float64[np.ndarray, " rows"]
    probability: Float64[np.ndarray, "rows tokens"]
    logit: Float64[np.ndarray, "rows tokens"]
    probability_error: Float64[np.ndarray, "rows tokens"] | None
    logit_error: Float64[np.ndarray, "rows tokens"] | None
    mean_probability_error: Float64[np.ndarray, " tokens"] | None
    all_probability: Float64[np.ndarray, " rows"]
    none_probability: Float64[np.ndarray, " rows"]
    all_logit: Float64[np.ndarray, " rows"]
    none_logit: Float64[np.ndarray, " rows"]
    beside: bool = False

    def __post_init__(self) -> None:
        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.setflags(write=False)

    @property
    def mean_probability(self) -> Float64[np.ndarray, " tokens"]:
        """Mean of `probability` over the rows: it sums to the mean of v(all) - v(none)."""
        return self.probability.mean(axis=0)

    @property
    def mean_logit(self) -> Float64[np.ndarray, " tokens"]:
        """Mean of `logit` over the rows."""
        return self.logit.mean(axis=0)

    @property
    def gap(self) -> float:
        """Largest difference, over the rows, between the sum of `probability` and v(all) - v(none)."""
        total = self.all_probability - self.none_probability
        return float(np.abs(self.probability.sum(axis=1) - total).max())

    @property
    def baseline_text(self) -> str:
        """The baseline in words, for the screen."""
        return f"{BASELINES[self.baseline]} {BESIDE}" if self.beside else BASELINES[self.baseline]

    def summary(self) -> dict[str, Any]:
        """Means over the rows and how they were found, ready for JSON."""
        error = self.mean_probability_error
        return {
            "class_index": self.class_index,
            "baseline": self.baseline,
            "baseline_text": self.baseline_text,
            "exact": self.exact,
            "orders": self.orders,
            "coalitions": self.coalitions,
            "rows": len(self.rows),
            "mean_probability": self.mean_probability.tolist(),
            "mean_probability_standard_error": None if error is None else error.tolist(),
            "mean_logit": self.mean_logit.tolist(),
            "all_probability": float(self.all_probability.mean()),
            "none_probability": float(self.none_probability.mean()),
            "largest_gap": self.gap,
        }


def token_values(
    engine: Engine,
    analysis: Analysis,
    class_index: int,
    *,
    baseline: Baseline = "dropped",
    rows: Sequence[int] | None = None,
    orders: int = _DEFAULT_ORDERS,
    exact: bool | None = None,
    seed: int = 0,
    progress: Report | None = None,
    cancel: threading.Event | None = None,
) -> ShapleyValues:
    """Shapley values of the tokens of an analysis for one class.

    With the baseline "dropped", coalitions of the same size run together, each gathered from the kept tokens: what
    is absent is not computed, exactly as a muted token. v(none) cannot be had that way, since attention over no
    tokens is undefined; it is the network's answer to a picture all in its mean colour, so that nothing of the media
    is in it. With "mean" and "blank" all coalitions have k tokens, and v(none) is that of the stand-ins alone. Class
    and register tokens, which networks of timm have, stay beside every coalition, the empty one included.

    Args:
        engine: That made the analysis.
        analysis: With kept features; tokens muted in it take part.
        class_index: Index into the logits; its probability is within its label group.
        baseline: What stands in for a token that is out; "mean" needs a clip of at least two rows.
        rows: Rows of the logits to explain; None for all.
        orders: Orders to draw where not all coalitions are run, even, at least 4.
        exact: Whether to run all 2^k coalitions; None where there are at most `EXACT_LIMIT` tokens.
        seed: Of the orders.
        progress: Told (tokens run, tokens in all): a coalition takes about as long as it has tokens.
        cancel: Set it to stop; acts within one batch.

    Raises:
        ConfigError: If the plain network was run, the model carries TokenFuser, there is no such class or row, or a
            photo is asked for its mean over time.
        FeaturesGone: If the features were dropped; analyse the media again.
        DeviceError: If memory does not hold even one coalition.
        Cancelled: If the caller asked to stop.
    """
    group = analysis.group_of(class_index)
    count = len(analysis.logits)
    chosen = np.arange(count) if rows is None else np.unique(np.array(rows, dtype=np.int64))
    if not len(chosen) or chosen[0] < 0 or chosen[-1] >= count:
        raise ConfigError(f"There are rows 0 to {count - 1}; at least one of them is needed.")
    if orders < 4 or orders % 2:
        raise ConfigError(f"orders must be even and at least 4, not {orders}: each order goes with its reverse.")
    held = engine.hold(analysis, cancel=cancel)
    game = _Game(held, chosen, baseline, class_index, group)
    k = held.num_tokens
    exact = k <= EXACT_LIMIT if exact is None else exact
    drawn = None if exact else draw_orders(k, orders, seed)
    masks = list(range(1 << k)) if drawn is None else _masks_of(drawn)
    values = game.play(masks, progress, cancel)
    if drawn is None:
        found = np.einsum("tm,urm->urt", exact_weights(k), values)
        errors = mean_errors = None
    else:
        pairs = _gains(drawn, masks, values).reshape(2, 2, orders // 2, len(chosen), k).mean(axis=1)
        found = pairs.mean(axis=1)
        errors = _standard_error(pairs)
        mean_errors = _standard_error(pairs.mean(axis=2))
    return ShapleyValues(
        class_index=class_index,
        baseline=baseline,
        exact=drawn is None,
        orders=0 if drawn is None else orders,
        coalitions=len(masks),
        rows=chosen,
        timestamps_s=analysis.logits_timestamps_s[chosen],
        probability=found[0],
        logit=found[1],
        probability_error=None if errors is None else errors[0],
        logit_error=None if errors is None else errors[1],
        mean_probability_error=None if mean_errors is None else mean_errors[0],
        all_probability=values[0, :, -1].copy(),
        none_probability=values[0, :, 0].copy(),
        all_logit=values[1, :, -1].copy(),
        none_logit=values[1, :, 0].copy(),
        beside=engine.config.num_prefix_tokens > 0,
    )


def exact_weights(num_tokens: int) -> Float64[np.ndarray, "tokens coalitions"]:
    """Weight of each coalition's value in each token's Shapley value.

    Column m is the coalition of the tokens whose bits are set in m. A coalition of s of the k tokens counts
    `(s - 1)! (k - s)! / k!` for its members, and `-s! (k - s - 1)! / k!` for the others.
    """
    masks = np.arange(1 << num_tokens)
    members = (masks >> np.arange(num_tokens)[:, None]) & 1 == 1
    sizes = members.sum(axis=0)
    total = math.factorial(num_tokens)
    inside = [0.0] + [math.factorial(s - 1) * math.factorial(num_tokens - s) / total for s in range(1, num_tokens + 1)]
    outside = [math.factorial(s) * math.factorial(num_tokens - s - 1) / total for s in range(num_tokens)] + [0.0]
    return np.where(members, np.array(inside)[sizes], -np.array(outside)[sizes])


def draw_orders(num_tokens: int, count: int, seed: int) -> Int64[np.ndarray, "orders tokens"]:
    """Random orders, the first half independent, the second half their reverses in the same order."""
    rng = np.random.default_rng(seed)
    first = np.stack([rng.permutation(num_tokens) for _ in range(count // 2)])
    return np.concatenate([first, first[:, ::-1]]).astype(np.int64)


def _masks_of(orders: Int64[np.ndarray, "orders tokens"]) -> list[int]:
    """Every coalition that forms along the orders, ascending: the first is empty, the last holds all."""
    return sorted(np.unique(_along(orders)).tolist())


def _along(orders: Int64[np.ndarray, "orders tokens"]) -> Shaped[np.ndarray, "orders joined"]:
    """The coalitions along each order, from none to all tokens.

    Python's integers, since a module may hold more tokens than an int64 has bits.
    """
    joined = np.cumsum(2 ** orders.astype(object), axis=1)
    return np.concatenate([np.zeros((len(orders), 1), dtype=object), joined], axis=1)


def _gains(
    orders: Int64[np.ndarray, "orders tokens"], masks: Sequence[int], values: Float64[np.ndarray, "units rows masks"]
) -> Float64[np.ndarray, "units orders rows tokens"]:
    """What each token gains where it joins, in each order."""
    along = values[
        :, :, np.searchsorted(np.array(masks, dtype=object), _along(orders))
    ]  # units, rows, orders, tokens + 1
    gains = np.empty((len(values), len(orders), values.shape[1], orders.shape[1]))
    joined = np.diff(along, axis=-1).transpose(0, 2, 1, 3)
    index = np.broadcast_to(orders[None, :, None, :], joined.shape)
    np.put_along_axis(gains, index, joined, axis=-1)
    return gains


def _standard_error(pairs: Float64[np.ndarray, "units pairs ..."]) -> Float64[np.ndarray, "units ..."]:
    """Of the mean over pairs of orders, which are independent of one another."""
    return np.asarray(pairs.std(axis=1, ddof=1) / math.sqrt(pairs.shape[1]))


class _Game:
    """Values of coalitions on some rows."""

    def __init__(
        self,
        held: HeldTokens,
        rows: Int64[np.ndarray, " rows"],
        baseline: Baseline,
        class_index: int,
        group: slice,
    ) -> None:
        if baseline not in BASELINES:
            raise ConfigError(f'The baseline must be one of {", ".join(BASELINES)}, not "{baseline}".')
        if baseline == "mean" and held.num_rows < 2:
            raise ConfigError('A single picture has no mean over time. Choose the baseline "dropped" or "blank".')
        self._held, self._class, self._group, self._baseline = held, class_index, group, baseline
        self._rows = torch.from_numpy(rows).to(held.device)
        self._tokens = held.tokens[self._rows]
        self._stand_in = held.tokens.mean(dim=0, keepdim=True) if baseline == "mean" else held.blank()

    def play(
        self, masks: Sequence[int], progress: Report | None, cancel: threading.Event | None
    ) -> Float64[np.ndarray, "units rows masks"]:
        """Probability and logit of the class for each coalition on each row; `masks` ascend from the empty one."""
        rows, k = len(self._tokens), self._held.num_tokens
        values = np.empty((2, rows, len(masks)))
        alone = self._stand_in.expand_as(self._tokens)
        empty = list(self._held.answers(rows, k, lambda items: alone[items], rows=self._rows, cancel=cancel))
        values[:, :, 0] = self._value(np.concatenate(empty))
        batches = self._together(masks)
        lengths = [masks[columns[0]].bit_count() if self._baseline == "dropped" else k for columns in batches]
        done = rows * k  # what is counted is tokens: a coalition takes about as long as it has
        total = done + rows * sum(size * len(columns) for size, columns in zip(lengths, batches, strict=True))
        for size, columns in zip(lengths, batches, strict=True):
            members = [_members(masks[column], k) for column in columns]
            build = self._dropping(members) if self._baseline == "dropped" else self._replacing(members)
            start = 0
            found = np.empty((2, len(columns) * rows))
            belongs = self._rows.repeat(len(columns))
            for logits in self._held.answers(len(columns) * rows, size, build, rows=belongs, cancel=cancel):
                found[:, start : start + len(logits)] = self._value(logits)
                start += len(logits)
                if progress is not None:
                    progress(done + start * size, total)
            values[:, :, columns] = found.reshape(2, len(columns), rows).transpose(0, 2, 1)
            done += len(columns) * rows * size
        return values

    def _together(self, masks: Sequence[int]) -> list[list[int]]:
        """Positions of the coalitions, the empty one left out, that run in the same batches."""
        if self._baseline != "dropped":
            return [list(range(1, len(masks)))]
        by_size = sorted(range(1, len(masks)), key=lambda column: masks[column].bit_count())
        return [list(group) for _, group in itertools.groupby(by_size, key=lambda column: masks[column].bit_count())]

    def _dropping(self, members: Sequence[Coalition]) -> Callable[[Tensor], Tensor]:
        """Tokens of item number (coalition, row): those of the coalition alone."""
        chosen = torch.from_numpy(np.stack(members)).to(self._held.device)
        rows = len(self._tokens)

        def build(items: Tensor) -> Tensor:
            index = chosen[items // rows][:, None, :, None]
            whole = self._tokens[items % rows]
            return whole.gather(2, index.expand(-1, whole.shape[1], -1, whole.shape[3]))

        return build

    def _replacing(self, members: Sequence[Coalition]) -> Callable[[Tensor], Tensor]:
        """Tokens of item number (coalition, row): all of them, those not in the coalition replaced."""
        table = np.zeros((len(members), self._held.num_tokens), dtype=bool)
        for row, coalition in zip(table, members, strict=True):
            row[coalition] = True
        inside = torch.from_numpy(table).to(self._held.device)
        rows = len(self._tokens)

        def build(items: Tensor) -> Tensor:
            keep = inside[items // rows][:, None, :, None]
            return torch.where(keep, self._tokens[items % rows], self._stand_in)

        return build

    def _value(self, logits: Float[np.ndarray, "items classes"]) -> Float64[np.ndarray, "units items"]:
        probs = softmax(logits[:, self._group])
        return np.stack([probs[:, self._class - self._group.start], logits[:, self._class].astype(np.float64)])


def _members(mask: int, num_tokens: int) -> Coalition:
    """Tokens of a coalition, ascending."""
    return np.array([token for token in range(num_tokens) if mask >> token & 1], dtype=np.int64)
