"""Run an image model over pictures for every place and number of tokens, in one prefix pass each."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64, UInt8
from torch import Tensor

from tokenlearner.analysis.maps import MapQuality, as_shares, quality
from tokenlearner.analysis.objects import ObjectMass, object_mass
from tokenlearner.config import ModelConfig
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.errors import ConfigError
from tokenlearner.model import Tokenized, TokenLearnerViT

DEFAULT_TOKENS: Final = (1, 2, 4, 8, 16)
BATCH_SIZE: Final = 64

Picture = UInt8[np.ndarray, "_ _ 3"]
"""RGB bytes [height, width, 3]; sizes may differ between pictures."""


@dataclass(frozen=True, order=True)
class Choice:
    """Where the module sits and how many tokens it makes.

    Attributes:
        loc: Block before which it sits; None for the plain network.
        num_tokens: Tokens; 0 for the plain network.
    """

    loc: int | None
    num_tokens: int


def choices_of(config: ModelConfig, num_tokens: Sequence[int] = DEFAULT_TOKENS) -> tuple[Choice, ...]:
    """Every location of a model with each of `num_tokens` that it holds and with all it holds, then the plain network.

    A model with TokenFuser has no plain network: its blocks behind the module know only tokens.
    """
    ks = sorted({k for k in num_tokens if 1 <= k < config.num_tokens} | {config.num_tokens})
    with_module = tuple(Choice(loc, k) for loc in config.tokenlearner_locs for k in ks)
    return with_module if config.uses_fuser else (*with_module, Choice(None, 0))


@dataclass(frozen=True, eq=False)
class Collected:
    """What a model made of a list of pictures, in their order.

    Attributes:
        probs: Class probabilities for each choice.
        shares: For each location the maps of all its tokens, normalised over space; the first
            `k` of them are the maps at `k` tokens.
    """

    probs: dict[Choice, Float32[np.ndarray, "pictures classes"]]
    shares: dict[int, tuple[Float32[np.ndarray, "tokens _ _"], ...]]

    def first_tokens(self, choice: Choice) -> list[Float32[np.ndarray, "tokens _ _"]]:
        """The maps at one choice."""
        assert choice.loc is not None
        return [one[: choice.num_tokens] for one in self.shares[choice.loc]]

    def predictions(self, choice: Choice) -> Int64[np.ndarray, " pictures"]:
        """The most probable class of each picture."""
        return self.probs[choice].argmax(axis=1).astype(np.int64)


def collect(
    model: TokenLearnerViT,
    pictures: Iterable[Picture],
    choices: Sequence[Choice],
    *,
    device: ComputeDevice | None = None,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
) -> Collected:
    """Run every choice on every picture; pictures of one size share batches.

    Args:
        model: An image model; it is run in evaluation mode and left as it was.
        pictures: Network inputs as RGB bytes, whole patches, of any sizes. Read once.
        choices: What to run.
        device: Where; by default where the model is, in float32.
        batch_size: Pictures a pass.
        progress: Called with the number of pictures done.

    Raises:
        ConfigError: If the model is a video model or holds no module where a choice says.
    """
    if model.config.is_video:
        raise ConfigError("This measures image models; a video model takes clips.")
    for choice in choices:
        model.config.check_choice(choice.loc, choice.num_tokens or None)
    place = ComputeDevice(model.pos_embed.device) if device is None else device
    probs: dict[Choice, dict[int, np.ndarray]] = {choice: {} for choice in choices}
    shares: dict[int, dict[int, np.ndarray]] = {c.loc: {} for c in choices if c.loc is not None}
    done = 0
    with evaluating(model), place.inference():
        for positions, batch in _batches(pictures, batch_size):
            pixels = model.normalize(torch.from_numpy(batch).to(place.device))
            logits, maps = run_choices(model, pixels, choices)
            for choice, values in logits.items():
                rows = values.float().softmax(dim=-1).cpu().numpy()
                probs[choice].update(zip(positions, rows, strict=True))
            for loc, found in maps.items():
                exact = as_shares(found[:, 0].float().cpu().numpy())
                shares[loc].update(zip(positions, exact.astype(np.float32), strict=True))
            done += len(positions)
            if progress is not None:
                progress(done)
    return Collected(
        {choice: np.stack([rows[i] for i in range(done)]) for choice, rows in probs.items()},
        {loc: tuple(found[i] for i in range(done)) for loc, found in shares.items()},
    )


def run_choices(
    model: TokenLearnerViT, pixels: Float[Tensor, "batch *frames 3 height width"], choices: Sequence[Choice]
) -> tuple[dict[Choice, Float[Tensor, "batch classes"]], dict[int, Float[Tensor, "batch time tokens rows columns"]]]:
    """Logits of every choice and maps of every location and time step, from a single pass through the prefix.

    Tokens do not depend on how many are made, so each location makes its most once and fewer are the first of them.
    """
    features = model.prefixes(pixels, list(dict.fromkeys(choice.loc for choice in choices)))
    logits, maps = {}, {}
    for loc, feature in features.items():
        here = [choice for choice in choices if choice.loc == loc]
        if loc is None:
            logits[here[0]] = model.suffix(feature).logits
            continue
        most = model.tokenize(feature, max(choice.num_tokens for choice in here))
        maps[loc] = most.token_maps.unflatten(-1, feature.grid_hw)
        for choice in here:
            k = choice.num_tokens
            first = Tokenized(most.tokens[:, :, :k], most.token_maps[:, :, :k], feature)
            logits[choice] = model.suffix(first).logits
    return logits, maps


def run_maps(
    model: TokenLearnerViT, pixels: Float[Tensor, "batch *frames 3 height width"], choices: Sequence[Choice]
) -> dict[int, Float32[np.ndarray, "batch time tokens rows columns"]]:
    """Maps of every location and time step, normalised over space, of as many tokens as its choices need at most.

    Only the blocks before the last location run.
    """
    most: dict[int, int] = {}
    for choice in choices:
        if choice.loc is not None:
            most[choice.loc] = max(choice.num_tokens, most.get(choice.loc, 0))
    features = model.prefixes(pixels, list(most))
    found = {}
    for loc, k in most.items():
        maps = model.tokenize(features[loc], k).token_maps.unflatten(-1, features[loc].grid_hw)
        found[loc] = as_shares(maps.float().cpu().numpy()).astype(np.float32)
    return found


def map_quality(
    model: TokenLearnerViT,
    pixels: UInt8[np.ndarray, "pictures height width 3"],
    loc: int,
    num_tokens: int | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> MapQuality:
    """Measure the maps at one place on a stack of pictures; cheap enough for every epoch.

    Only the blocks before `loc` run, on the device where the model is.

    Raises:
        ConfigError: If the model is a video model, holds no module at `loc`, or not so many tokens.
    """
    return quality(maps_of(model, pixels, loc, num_tokens, batch_size=batch_size), model.config.grid_hw())


def object_mass_of(
    model: TokenLearnerViT,
    pixels: UInt8[np.ndarray, "pictures height width 3"],
    fractions: Float[np.ndarray, "pictures rows columns"],
    loc: int,
    num_tokens: int | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> ObjectMass:
    """Measure the tokens at one place against known objects; like `map_quality`, for every epoch.

    Args:
        model: An image model.
        pixels: Pictures, e.g. `Scene.rgb`.
        fractions: Fraction of each patch that the object covers.
        loc: Block before which the module sits.
        num_tokens: Tokens; None for all.
        batch_size: Pictures a pass.

    Raises:
        ConfigError: As `map_quality`.
    """
    shares = maps_of(model, pixels, loc, num_tokens, batch_size=batch_size)
    return object_mass(shares, list(fractions), model.config.grid_hw())


def maps_of(
    model: TokenLearnerViT,
    pixels: UInt8[np.ndarray, "pictures height width 3"],
    loc: int,
    num_tokens: int | None = None,
    *,
    batch_size: int = BATCH_SIZE,
) -> list[Float64[np.ndarray, "tokens _ _"]]:
    """The maps at one place, normalised over space, running only the blocks before it.

    Raises:
        ConfigError: As `map_quality`.
    """
    if model.config.is_video:
        raise ConfigError("This measures image models; a video model takes clips.")
    device = model.pos_embed.device
    found: list[np.ndarray] = []
    with evaluating(model), torch.inference_mode():
        for start in range(0, len(pixels), batch_size):
            batch = torch.from_numpy(pixels[start : start + batch_size]).to(device)
            features = model.prefix(model.normalize(batch), loc)
            maps = model.tokenize(features, num_tokens).token_maps[:, 0].unflatten(-1, features.grid_hw)
            found.extend(as_shares(maps.float().cpu().numpy()))
    return found


@contextlib.contextmanager
def evaluating(model: torch.nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode and back into the mode it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _batches(
    pictures: Iterable[Picture], batch_size: int
) -> Iterator[tuple[list[int], UInt8[np.ndarray, "batch height width 3"]]]:
    """Stacks of equally large pictures, with their positions; at most one unfinished stack a size waits."""
    waiting: dict[tuple[int, ...], tuple[list[int], list[np.ndarray]]] = {}
    for position, picture in enumerate(pictures):
        positions, stack = waiting.setdefault(picture.shape, ([], []))
        positions.append(position)
        stack.append(picture)
        if len(stack) == batch_size:
            yield positions, np.stack(stack)
            del waiting[picture.shape]
    for positions, stack in waiting.values():
        yield positions, np.stack(stack)
