"""The tokens of one analysis, held on the device, for questions to the blocks behind them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from tokenlearner import flops
from tokenlearner.engine.batching import Batcher, Load
from tokenlearner.engine.network import Choice, Network
from tokenlearner.engine.waiting import raise_if_set
from tokenlearner.errors import ConfigError
from tokenlearner.model import FeatureMap, Tokenized

_MAX_ITEMS: Final = {"cuda": 4096, "mps": 1024, "cpu": 512}  # a few tokens an item: larger batches than of frames
_MACS_PER_BATCH: Final = 1e10  # on the CPU, about half a second on two cores, so that Cancel acts soon
_MEMORY_SHARE: Final = 0.125
_FLOAT_BYTES: Final = 4

Build = Callable[[Tensor], Tensor]
"""From item numbers on the device to their tokens [items, time, tokens, dim]."""


class HeldTokens:
    """Tokens of every frame (clip for a video model) with the features they were pooled from.

    Made by `Engine.hold`. Nothing changes after it is made, so threads may share one; it keeps its
    features alive until it is let go, whatever the engine's store drops.

    Class and register tokens of a network of timm are none of the module's: they stay beside whatever tokens are
    dropped or exchanged, each item with those of its own row.

    Args:
        network: What runs.
        features: Kept features before the module.
        choice: Location and number of tokens, nothing muted.
        input_hw: Input as (height, width) in pixels.
        batcher: Makes a batcher from a size.
        cancel: Set it to stop; acts within one batch.

    Attributes:
        loc: Block that comes next.
        tokens: Pooled features, [rows, time, tokens, dim], on the device, as the network computes them.
        token_maps: Their maps [rows, time, tokens, patches], on the device.

    Raises:
        ConfigError: If the network has no tokens at the location, or carries TokenFuser.
        Cancelled: If the caller asked to stop.
    """

    tokens: Float[Tensor, "rows time tokens dim"]
    token_maps: Float[Tensor, "rows time tokens patches"]

    def __init__(
        self,
        network: Network,
        features: FeatureMap,
        choice: Choice,
        input_hw: tuple[int, int],
        batcher: Callable[[int], Batcher],
        cancel: threading.Event | None = None,
    ) -> None:
        if choice.loc is None:
            raise ConfigError("The plain network has no tokens to exchange.")
        if network.config.uses_fuser:
            raise ConfigError("Tokens can be exchanged only in a model without TokenFuser.")
        self.loc = choice.loc
        self._network, self._features, self._choice, self._input_hw = network, features, choice, input_hw
        self._make_batcher = batcher
        self._patches = features.patches.shape[2]
        parts = []
        for part in self._batcher(features.x.shape[2] + choice.num_tokens).run(features.x, self._tokenize):
            raise_if_set(cancel)
            parts.append(part)
        self.tokens = torch.cat([part.tokens for part in parts])
        self.token_maps = torch.cat([part.token_maps for part in parts])

    @property
    def num_rows(self) -> int:
        """Frames, or clips for a video model: rows of the logits."""
        return len(self.tokens)

    @property
    def num_tokens(self) -> int:
        """Tokens per time step."""
        return self._choice.num_tokens

    @property
    def device(self) -> torch.device:
        """Where the tokens lie."""
        return self._network.device.device

    def answer(
        self, tokens: Float[Tensor, "rows time some_tokens dim"], *, cancel: threading.Event | None = None
    ) -> Float32[np.ndarray, "rows classes"]:
        """Logits for tokens of one's own, as many for each row as one likes.

        Raises:
            ValueError: If the model has class or register tokens and there are not as many items as rows.
            DeviceError: If memory does not hold even one item.
            Cancelled: If the caller asked to stop.
        """
        parts = self.answers(len(tokens), tokens.shape[2], lambda items: tokens[items], cancel=cancel)
        return np.concatenate(list(parts))

    def answers(
        self,
        count: int,
        num_tokens: int,
        build: Build,
        *,
        rows: Int64[Tensor, " count"] | None = None,
        cancel: threading.Event | None = None,
    ) -> Iterator[Float32[np.ndarray, "batch classes"]]:
        """Yield the logits of items whose tokens are built batch by batch, so that memory stays bounded.

        Args:
            count: Items, numbered from 0.
            num_tokens: Tokens of each, per time step.
            build: Gives the tokens of some items; called in inference mode.
            rows: Whose class and register tokens stand beside each item's; None for item i beside those of row i.
                Without meaning in a model that has none.
            cancel: Set it to stop; acts within one batch.

        Raises:
            ValueError: If the model has class or register tokens and it cannot be told whose go with which item.
            DeviceError: If memory does not hold even one item.
            Cancelled: If the caller asked to stop.
        """
        if rows is None:
            if self._network.config.num_prefix_tokens and count != self.num_rows:
                raise ValueError(f"of {count} items it has to be said which of the {self.num_rows} rows they belong to")
            rows = torch.arange(count)
        belongs = rows.to(self.device)

        def work(items: Int64[Tensor, " batch"]) -> Tensor:
            with self._network.device.inference():
                return self._after(build(items), belongs[items])

        places = num_tokens + (self._features.x.shape[2] if self._network.config.num_prefix_tokens else 0)
        for logits in self._batcher(places).run(torch.arange(count, device=self.device), work):
            raise_if_set(cancel)
            yield logits.float().cpu().numpy()

    def answer_with_maps(
        self, maps: Float[np.ndarray, "steps tokens rows cols"], *, cancel: threading.Event | None = None
    ) -> Float32[np.ndarray, "clips classes"]:
        """Logits when other maps pool the same features, through the same blocks.

        Args:
            maps: One set per time step, in the unit of the model's own maps (v1.1: each sums to 1). Steps
                missing at the end (they saw only frames that fill up a clip) take the last one's.
            cancel: Set it to stop; acts within one batch.

        Raises:
            ValueError: If there are more steps than the analysis has, or the grid is another one.
            DeviceError: If memory does not hold even one frame.
            Cancelled: If the caller asked to stop.
        """
        clips, time, patches = self._features.patches.shape[:3]
        if not 0 < len(maps) <= clips * time or maps.shape[2:] != self._features.grid_hw:
            raise ValueError(f"maps of shape {maps.shape} do not fit {clips * time} steps of {self._features.grid_hw}")
        filled = np.concatenate([maps, np.repeat(maps[-1:], clips * time - len(maps), axis=0)])
        flat = torch.from_numpy(filled.astype(np.float32)).reshape(clips, time, maps.shape[1], patches)
        flat = flat.to(self.device)

        def work(items: Int64[Tensor, " batch"]) -> Tensor:
            with self._network.device.inference():
                return self._after(self._pool(flat[items], self._features.patches[items]), items)

        parts = []
        batcher = self._batcher(self._features.x.shape[2] + maps.shape[1])
        for logits in batcher.run(torch.arange(clips, device=self.device), work):
            raise_if_set(cancel)
            parts.append(logits.float().cpu())
        return torch.cat(parts).numpy()

    def blank(self) -> Float[Tensor, "1 time tokens dim"]:
        """The tokens of a picture (or clip) that shows nothing: all of it in the colour that the network sees as 0.

        The colour is rounded to whole 255ths.
        """
        config = self._network.config
        colour = torch.tensor([round(255 * value) for value in config.mean], dtype=torch.uint8)
        frames = (config.num_frames,) if config.num_frames else ()
        rgb = colour.expand(1, *frames, *self._input_hw, 3)
        _, kept = self._network.full(rgb, self._choice, keep_locs=(self.loc,))
        return self._tokenize(kept[self.loc].x).tokens

    def _tokenize(self, x: Tensor) -> Tokenized:
        return self._network.tokenize(FeatureMap(x, self._features.grid_hw, self.loc), self._choice)

    def _pool(self, maps: Tensor, x: Tensor) -> Tensor:
        x = x.float() if x.dtype == torch.float16 else x
        tokens = maps.to(x.dtype) @ x
        module = self._network.config.token_learner
        assert module is not None
        return tokens / x.shape[-2] if module.version == "1.0" and module.pooling == "mean" else tokens

    def _after(self, tokens: Tensor, rows: Int64[Tensor, " batch"]) -> Tensor:
        """Logits of tokens beside the class and register tokens of their rows: the blocks see nothing else."""
        items, time, k, dim = tokens.shape
        unseen = tokens.new_zeros(())
        x = unseen.expand(items, time, self._patches, dim)
        if self._network.config.num_prefix_tokens:
            prefix = self._features.prefix_tokens[rows]
            x = torch.cat([prefix.to(tokens.dtype), x], dim=2)
        features = FeatureMap(x, self._features.grid_hw, self.loc)
        source = Tokenized(tokens, unseen.expand(items, time, k, self._patches), features)
        return self._network.model.suffix(source).logits

    def _batcher(self, places: int) -> Batcher:
        """For items of so many places per time step."""
        config, device = self._network.config, self._network.device
        stages = flops.compute(config, image_hw=self._input_hw, loc=self.loc, num_tokens=self.num_tokens).stages
        macs = 1 + sum(stages[stage] for stage in ("TokenLearner", "blocks after", "head"))
        width = 6 * config.embed_dim + 2 * config.mlp_dim
        load = Load(_FLOAT_BYTES * config.num_time_steps * places * width, macs)
        size = min(_MAX_ITEMS[device.device.type], int(device.free_bytes() * _MEMORY_SHARE) // load.item_bytes)
        if device.device.type == "cpu":
            size = min(size, int(_MACS_PER_BATCH // load.item_macs))
        return self._make_batcher(max(1, size))
