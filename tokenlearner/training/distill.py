"""Distillation: modules learn to stand in for the patches of a network that is already trained, without labels.

The teacher is a frozen copy of the network. The student shares its blocks before the first location, which stay as they
are, and learns the modules and everything behind them: at every location and with any number of tokens it shall say
what the teacher says. The plain path is held to the teacher too, so that the student stays an elastic network. The same
two losses as in training from labels keep the maps apart.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tokenlearner.analysis.maps import MapQuality, quality
from tokenlearner.config import ModelConfig
from tokenlearner.data.photos import Photos, uniform
from tokenlearner.errors import ConfigError
from tokenlearner.layers import TokenLearnerV11, init_map_logits_
from tokenlearner.model import FeatureMap, ModelOutput, Tokenized, TokenLearnerViT
from tokenlearner.training.augment import centre_crops, random_crops
from tokenlearner.training.epochs import EpochRun, StepProgress, keep_peak_rates, set_rates
from tokenlearner.training.losses import distillation
from tokenlearner.training.precision import Replica, has_fast_bf16
from tokenlearner.training.steps import StepLoss, first_tokens, map_losses, tokenize_exactly
from tokenlearner.weights import LoadedModel

_MAP_TOKENS: Final = (4, 8, 16)
_MEASURED: Final = 400  # photographs an epoch
_BATCH: Final = 32
_WATCHED: Final = 8

Setting = tuple[int, int]
"""Block before which the module sits, and tokens."""


@dataclass(frozen=True, kw_only=True)
class DistillSettings:
    """How a student learns.

    Attributes:
        epochs: Passes over the photographs.
        batch_size: Photographs a step.
        lr: Peak learning rate of the blocks and of what is behind them.
        module_lr: Peak learning rate of the modules, which start from nothing.
        weight_decay: Of matrices.
        warmup_steps: Steps of linear warm-up.
        clip_norm: Largest norm of the gradient.
        min_scale: Smallest share of a photograph's area in a crop.
        rebuild: Weight of the error of rebuilding the features from the tokens.
        overlap: Weight of the overlap of the maps.
        plain: Weight of the plain path.
        map_init_std: Standard deviation of the last layer of the map branch at the start.
        seed: Same seed, same student.
    """

    epochs: int = 10
    batch_size: int = 64
    lr: float = 5e-5
    module_lr: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    clip_norm: float = 1.0
    min_scale: float = 0.35
    rebuild: float = 0.5
    overlap: float = 0.2
    plain: float = 0.5
    map_init_std: float = 0.5
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ConfigError("Epochs and batch size must be at least 1.")
        if min(self.lr, self.module_lr) <= 0:
            raise ConfigError("Learning rates must be above 0.")


@dataclass(frozen=True)
class Likeness:
    """How close one setting of the student comes to the teacher, over photographs that it did not learn from.

    Attributes:
        loc: Block before which the module sits; None for the plain path.
        num_tokens: Tokens; 0 for the plain path.
        agreement: Share of photographs for which both name the same class, 0..1.
        unexplained: Squared difference of the features that the head sees, as a share of their variance over the
            photographs: 0 the same, 1 no better than their mean.
    """

    loc: int | None
    num_tokens: int
    agreement: float
    unexplained: float


class Distiller(EpochRun):
    """One run of distillation.

    Args:
        start: The network with its untrained modules (v1.1, without TokenFuser); its plain path is the teacher.
        photos: Photographs to learn from, and to measure on, on the device.
        settings: How to learn.
        run_dir: Where state and history are kept; made if missing.
        bf16: Compute in bfloat16; None where the hardware has it.

    Raises:
        ConfigError: If the network has no modules that learn maps.
        CheckpointError: If the folder holds the state of another run.
    """

    def __init__(
        self,
        start: LoadedModel,
        photos: tuple[Photos, Photos],
        settings: DistillSettings,
        run_dir: Path,
        *,
        bf16: bool | None = None,
    ) -> None:
        config = start.model.config
        _check(config)
        self.start, self.settings = start, settings
        self.train, self.val = photos
        device = self.train.pixels.device
        super().__init__(
            run_dir,
            device,
            photographs=len(self.train),
            batch_size=settings.batch_size,
            epochs=settings.epochs,
            seed=settings.seed,
            bf16=has_fast_bf16(device) if bf16 is None else bf16,
        )
        self.teacher = copy.deepcopy(start.model).to(self.device).eval().requires_grad_(False)
        self.model = copy.deepcopy(start.model).to(self.device)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(settings.seed)
            for module in self.model.token_learners.cpu().values():
                assert isinstance(module, TokenLearnerV11)
                init_map_logits_(module, settings.map_init_std)
        self.model.token_learners.to(self.device)
        freeze_shared_(self.model)
        self.optimizer = _optimizer(self.model, settings)
        self._run = self._identity()
        self._resume()
        self.replica = Replica(self.model, bf16=self.bf16)

    def run(self, progress: StepProgress | None = None) -> TokenLearnerViT:
        """Learn until all epochs are done.

        Args:
            progress: Called every few steps.

        Returns:
            The student, on the device, in evaluation mode.
        """
        self._learn(progress)
        return self.model.eval()

    def likeness(self, max_photos: int | None = None) -> tuple[tuple[Likeness, ...], dict[Setting, MapQuality]]:
        """How close the student is at every location with a few token counts, and what its maps are like there.

        Args:
            max_photos: So many photographs; None for all that were kept back.
        """
        return measure(self.model, self.teacher, self.val, max_photos=max_photos)

    def _begin_epoch(self) -> None:
        self.replica.model.eval()  # nothing here is stochastic, and timm's dropout stays off

    def _measure(self) -> dict[str, Any]:
        last = self.epoch + 1 == self.settings.epochs
        alike, quality_at = self.likeness(None if last else _MEASURED)
        count = watched_tokens(self.model.config)
        maps = {loc: quality_at[loc, count] for loc in self.model.config.tokenlearner_locs}
        return {
            "likeness": [dataclasses.asdict(one) for one in alike],
            "maps": {str(loc): found.to_dict() for loc, found in maps.items()},
            "collapsed": [loc for loc, found in maps.items() if found.collapsed],
        }

    def _train_step(self, chosen: Tensor, draw: random.Random, generator: torch.Generator) -> StepLoss:
        scale = uniform(len(chosen), self.settings.min_scale, 1.0, generator)
        rgb = random_crops(self.train, chosen, self.model.config.img_size, scale, generator)
        loss = self._loss((rgb - self.model.mean) / self.model.std, draw)
        loss.total.backward()
        self.replica.pull_gradients()
        learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        nn.utils.clip_grad_norm_(learning, self.settings.clip_norm)
        set_rates(self.optimizer, self._rate_share())
        self.optimizer.step()
        self.replica.push_weights()
        return loss

    def _loss(self, pixels: Tensor, draw: random.Random) -> StepLoss:
        settings, model, config = self.settings, self.replica.model, self.model.config
        first = config.tokenlearner_locs[0]
        with torch.no_grad():
            shared = self.teacher.prefix(pixels, first)
            wanted = self.teacher.suffix(self.teacher.advance(shared, (None,))[None])
        start = FeatureMap(shared.x.to(_dtype(model)), shared.grid_hw, first)
        features = model.advance(start, (*config.tokenlearner_locs, None))
        plain = unlike(model.suffix(features[None]), wanted, config)
        zero = plain.new_zeros(())
        tails, rebuild, overlap = zero, zero, zero
        for loc in config.tokenlearner_locs:
            k = draw.randint(1, config.num_tokens) if draw.random() < 0.5 else config.num_tokens
            tokenized = first_tokens(tokenize_exactly(model, features[loc]), k)
            tails = tails + unlike(model.suffix(tokenized), wanted, config)
            map_tokens = min(draw.choice(_MAP_TOKENS), config.num_tokens)
            rebuild_here, overlap_here = map_losses(model, features[loc], map_tokens)
            rebuild, overlap = rebuild + rebuild_here, overlap + overlap_here
        tails, rebuild, overlap = (part / len(config.tokenlearner_locs) for part in (tails, rebuild, overlap))
        total = settings.plain * plain + tails + settings.rebuild * rebuild + settings.overlap * overlap
        return StepLoss(total, plain, tails, rebuild, overlap)

    def _rate_share(self) -> float:
        """Share of the peak rates: linear warm-up, then linear to zero."""
        warmup = min(1.0, (self.step + 1) / max(self.settings.warmup_steps, 1))
        return warmup * (self.total_steps - self.step) / self.total_steps

    def _identity(self) -> str:
        """What a state must agree with to be continued: settings, network, its weights, and the photographs."""
        weights = [float(one.double().sum()) for one in self.teacher.parameters()]
        photographs = [len(self.train), int(self.train.pixels.sum(dtype=torch.int64))]
        parts = [dataclasses.asdict(self.settings), self.model.config.to_dict(), weights, photographs]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def _state(self) -> dict[str, Any]:
        return {
            "run": self._run,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def _load(self, state: Mapping[str, Any]) -> None:
        if state["run"] != self._run:
            raise ValueError("settings, network, weights or photographs differ")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])


def unlike(student: ModelOutput, teacher: ModelOutput, config: ModelConfig) -> Float[Tensor, ""]:
    """How far a student's answer is from the teacher's: divergence of the classes in nats, plus `unexplained`."""
    groups = tuple(config.group_slices().values())
    wanted = teacher.logits.float()
    certain = distillation(wanted, wanted, groups)
    divergence = distillation(student.logits.float(), wanted, groups) - certain
    return divergence + unexplained(student.pooled, teacher.pooled)


def unexplained(student: Float[Tensor, "batch width"], teacher: Float[Tensor, "batch width"]) -> Float[Tensor, ""]:
    """Squared difference of two sets of features, as a share of the teacher's variance over the batch."""
    wanted = teacher.float()
    spread = (wanted - wanted.mean(dim=0, keepdim=True)).square().mean()
    if len(wanted) < 2:
        spread = wanted.square().mean()  # a single picture has no variance
    return (student.float() - wanted).square().mean() / spread.clamp_min(1e-6)


@torch.inference_mode()
def measure(
    model: TokenLearnerViT, teacher: TokenLearnerViT, photos: Photos, *, max_photos: int | None = None
) -> tuple[tuple[Likeness, ...], dict[Setting, MapQuality]]:
    """Compare a student with its teacher on centred crops, at every location with a few token counts.

    Args:
        model: The student; put in evaluation mode.
        teacher: What it shall be like.
        photos: Photographs that it did not learn from.
        max_photos: So many of them, spread evenly; None for all.
    """
    config = model.eval().config
    count = min(len(photos), max_photos or len(photos))
    chosen = torch.linspace(0, len(photos) - 1, count, device=photos.pixels.device).round().long()
    few = sorted({k for k in (1, 2, 4, _WATCHED, 16, config.num_tokens) if k <= config.num_tokens})
    with_maps: list[Setting] = [(loc, k) for loc in config.tokenlearner_locs for k in few]
    settings: list[tuple[int | None, int]] = [(None, 0), *with_maps]
    answers: dict[tuple[int | None, int], list[ModelOutput]] = {setting: [] for setting in settings}
    wanted: list[ModelOutput] = []
    maps: dict[int, list[np.ndarray]] = {loc: [] for loc in config.tokenlearner_locs}
    for part in chosen.split(_BATCH):
        pixels = (centre_crops(photos, part, config.img_size) - model.mean) / model.std
        wanted.append(teacher(pixels, loc=None))
        features = model.prefixes(pixels, (*config.tokenlearner_locs, None))
        for loc, k in settings:
            source: FeatureMap | Tokenized = features[loc]
            if loc is not None:
                source = model.tokenize(features[loc], k)
                if k == few[-1]:
                    shown = source.token_maps[:, 0].unflatten(2, features[loc].grid_hw)
                    maps[loc].extend(shown.float().cpu().numpy())
            answers[loc, k].append(model.suffix(source))
    names = torch.cat([output.logits.argmax(dim=1) for output in wanted])
    pooled = torch.cat([output.pooled for output in wanted])
    alike = tuple(
        Likeness(
            loc,
            k,
            round(float((torch.cat([one.logits.argmax(dim=1) for one in outputs]) == names).float().mean()), 4),
            round(float(unexplained(torch.cat([one.pooled for one in outputs]), pooled)), 4),
        )
        for (loc, k), outputs in answers.items()
    )
    # The first maps are the same however many there are.
    return alike, {(loc, k): quality([one[:k] for one in maps[loc]], config.grid_hw()) for loc, k in with_maps}


def watched_tokens(config: ModelConfig) -> int:
    """Tokens whose maps tell whether a place has collapsed: as many as one looks at."""
    return min(_WATCHED, config.num_tokens)


def freeze_shared_(model: TokenLearnerViT) -> None:
    """Leave what lies before the first location as it is, and the classifier, whose meaning the student takes over."""
    first = model.config.tokenlearner_locs[0]
    model.requires_grad_(False)
    for i in range(first, model.config.depth):
        model.block(i).requires_grad_(True)
    model.token_learners.requires_grad_(True)
    for name, module in model.named_modules():
        if name.rsplit(".", maxsplit=1)[-1] in ("norm", "fc_norm", "attn_pool") and "patch_embed" not in name:
            module.requires_grad_(True)
    for i in range(first):
        model.block(i).requires_grad_(False)


def _check(config: ModelConfig) -> None:
    module = config.token_learner
    if module is None or module.version != "1.1" or module.use_fuser or config.is_video:
        raise ConfigError("Distillation needs an image network with TokenLearner v1.1, without TokenFuser.")


def _optimizer(model: TokenLearnerViT, settings: DistillSettings) -> torch.optim.Optimizer:
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (name.startswith("token_learners"), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    optimizer = torch.optim.AdamW(
        [
            {
                "params": parameters,
                "lr": settings.module_lr if in_module else settings.lr,
                "weight_decay": settings.weight_decay if matrix else 0.0,
            }
            for (in_module, matrix), parameters in groups.items()
        ],
        betas=(0.9, 0.98),
    )
    return keep_peak_rates(optimizer)


def _dtype(model: TokenLearnerViT) -> torch.dtype:
    """What the blocks compute in."""
    return next(model.block(model.config.depth - 1).parameters()).dtype
