"""The training loop: seeded, resumable at any epoch, with collapse measured as it goes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from tokenlearner.config import ModelConfig
from tokenlearner.errors import ConfigError
from tokenlearner.layers import TokenLearnerV10, TokenLearnerV11, init_map_logits_
from tokenlearner.model import TokenLearnerViT
from tokenlearner.training.batches import TrainingData, draw_batch
from tokenlearner.training.epochs import EpochRun, StepProgress, keep_peak_rates, set_rates
from tokenlearner.training.inflate import inflate_
from tokenlearner.training.monitor import EpochMeasures, measure
from tokenlearner.training.precision import Replica, has_fast_bf16
from tokenlearner.training.recipe import Recipe
from tokenlearner.training.run_folder import STATE
from tokenlearner.training.steps import StepLoss, elastic_loss, single_loss
from tokenlearner.weights import load_model

_CANVAS_SHAPES: Final = (1.0, 1.0, 4 / 3, 3 / 4)  # width / height, drawn anew each step
_TAIL_TOKENS: Final = (1, 2, 4, 8, 8, 16, 16, 16)
_MAP_TOKENS: Final = (4, 8, 16)
_MEASURED: Final = 400  # validation photographs an epoch


class Trainer(EpochRun):
    """One run of a recipe, which keeps a running average of the weights too.

    Args:
        recipe: What to do.
        data: What to see.
        run_dir: Where state and history are kept; made if missing.
        device: Where to compute.
        bf16: Compute in bfloat16; None where the hardware has it.
    """

    def __init__(
        self, recipe: Recipe, data: TrainingData, run_dir: Path, device: torch.device, *, bf16: bool | None = None
    ) -> None:
        super().__init__(
            run_dir,
            device,
            photographs=len(data.train),
            batch_size=recipe.optimizer.batch_size,
            epochs=recipe.epochs,
            seed=recipe.seed,
            bf16=has_fast_bf16(device) if bf16 is None else bf16,
        )
        self.recipe, self.data = recipe, data
        config = recipe.model_config(data.class_names)
        _check_trainable(config, recipe)
        torch.manual_seed(recipe.seed)
        self.model = TokenLearnerViT(config, drop_path=recipe.optimizer.drop_path)
        for module in self.model.token_learners.values():
            if isinstance(module, TokenLearnerV10 | TokenLearnerV11):
                init_map_logits_(module, recipe.optimizer.map_init_std)
        if recipe.start_from and not (run_dir / STATE).exists():
            inflate_(self.model, load_model(recipe.start_from).model)
        self.model.to(device)
        self.average = copy.deepcopy(self.model).eval()
        self.optimizers = _optimizers(self.model, recipe)
        self._resume()
        self.replica = Replica(self.model, bf16=self.bf16, exact_maps=recipe.elastic)

    def run(self, progress: StepProgress | None = None) -> TokenLearnerViT:
        """Train until the recipe ends.

        Args:
            progress: Called every few steps.

        Returns:
            The average of the weights, on the device, in evaluation mode.
        """
        self._learn(progress)
        return self.average

    def rate_share(self, step: int) -> float:
        """Share of the peak learning rates at a step: linear warm-up, flat, linear to zero over `decay_share`."""
        settings = self.recipe.optimizer
        warmup = min(1.0, (step + 1) / max(settings.warmup_steps, 1))
        decay = min(1.0, (self.total_steps - step) / max(settings.decay_share * self.total_steps, 1))
        return warmup * decay

    def _begin_epoch(self) -> None:
        self.replica.model.train()

    def _measure(self) -> dict[str, Any] | None:
        last = self.epoch + 1 == self.recipe.epochs
        if (self.epoch + 1) % self.recipe.measure_every and not last:
            return None
        side = self.recipe.stage_at(self.epoch).img_sizes[0]
        measures: EpochMeasures = measure(
            self.average, self.data, side, self.recipe, max_photos=None if last else _MEASURED
        )
        return {"img_size": side, **measures.to_dict(), "collapsed": measures.collapsed}

    def _train_step(self, chosen: Tensor, draw: random.Random, generator: torch.Generator) -> StepLoss:
        recipe, config = self.recipe, self.model.config
        side = draw.choice(recipe.stage_at(self.epoch).img_sizes)
        canvas = canvas_hw(side, draw.choice(_CANVAS_SHAPES), config.patch_size)
        batch = draw_batch(self.data, chosen, canvas, config, recipe, generator)
        pixels = (batch.rgb - self.model.mean) / self.model.std
        if not config.is_video:
            pixels = pixels.contiguous(memory_format=torch.channels_last)
        loss = self._loss(pixels, batch.target, draw)
        loss.total.backward()
        self.replica.pull_gradients()
        nn.utils.clip_grad_norm_(self.model.parameters(), recipe.optimizer.clip_norm, foreach=True)
        share = self.rate_share(self.step)
        for optimizer in self.optimizers:
            set_rates(optimizer, share)
            optimizer.step()
        self.replica.push_weights()
        self._update_average()
        return loss

    def _loss(self, pixels: Tensor, target: Tensor, draw: random.Random) -> StepLoss:
        recipe, config = self.recipe, self.model.config
        if not recipe.elastic:
            return single_loss(self.replica.model, pixels, target, recipe.loss)
        locs = config.tokenlearner_locs
        taken = sorted(draw.sample(locs, min(recipe.loss.tails or len(locs), len(locs))))
        return elastic_loss(
            self.replica.model,
            pixels,
            target,
            recipe.loss,
            tail_tokens={loc: min(draw.choice(_TAIL_TOKENS), config.num_tokens) for loc in taken},
            map_tokens=min(draw.choice(_MAP_TOKENS), config.num_tokens),
        )

    @torch.no_grad()
    def _update_average(self) -> None:
        decay = min(self.recipe.optimizer.ema_decay, (1 + self.step) / (10 + self.step))
        torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - decay)
        for average, current in zip(self.average.buffers(), self.model.buffers(), strict=True):
            if average.is_floating_point():
                average.lerp_(current, 1 - decay)
            else:
                average.copy_(current)

    def _state(self) -> dict[str, Any]:
        return {
            "recipe": json.dumps(self.recipe.to_dict()),
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["average"])
        for optimizer, kept in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(kept)


def _check_trainable(config: ModelConfig, recipe: Recipe) -> None:
    if config.is_video != (recipe.clips is not None):
        raise ConfigError(
            "A recipe of a video model has num_frames in [model] and a section [clips]; one of images, neither."
        )
    module = config.token_learner
    if recipe.elastic and (module is None or module.version != "1.1" or module.use_fuser):
        raise ConfigError("An elastic model has v1.1 modules without TokenFuser. Set elastic = false for any other.")


def canvas_hw(side: int, shape: float, patch_size: tuple[int, int]) -> tuple[int, int]:
    """A canvas of about `side` x `side` pixels and the given width / height, in whole patches."""
    rows = max(1, round(side / shape**0.5 / patch_size[0]))
    columns = max(1, round(side * shape**0.5 / patch_size[1]))
    return rows * patch_size[0], columns * patch_size[1]


def _optimizers(model: TokenLearnerViT, recipe: Recipe) -> tuple[torch.optim.Optimizer, ...]:
    """Muon for the matrices inside the blocks, AdamW for all else; each group keeps its peak rate."""
    settings = recipe.optimizer
    named = dict(model.named_parameters())
    matrices = [name for name, p in named.items() if name.startswith("blocks.") and p.ndim == 2]
    others = [name for name in named if name not in set(matrices)]
    decayed = [name for name in others if named[name].ndim > 1 and name != "pos_embed"]
    muon = torch.optim.Muon(
        [named[name] for name in matrices],
        lr=settings.muon_lr,
        weight_decay=settings.weight_decay,
        adjust_lr_fn="match_rms_adamw",
    )
    adamw = torch.optim.AdamW(
        [
            {"params": [named[name] for name in decayed], "weight_decay": settings.weight_decay},
            {"params": [named[name] for name in others if name not in set(decayed)], "weight_decay": 0.0},
        ],
        lr=settings.lr,
        betas=(0.9, 0.98),
        foreach=True,
    )
    return keep_peak_rates(muon), keep_peak_rates(adamw)
