"""What every training has in common: seeded epochs, a state after each to go on from, and means of the losses."""

from __future__ import annotations

import json
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from tokenlearner.errors import CheckpointError
from tokenlearner.training.precision import Replica
from tokenlearner.training.run_folder import STATE, save_run
from tokenlearner.training.steps import StepLoss

StepProgress = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, mean loss of the epoch so far)."""

_LOSS_PARTS: Final = ("total", "plain", "tails", "rebuild", "overlap")
_SPOKEN: Final = 10  # steps between two reports of the loss


class EpochRun(ABC):
    """One run of training in a folder of its own.

    The folder holds `state.pt`, all that the run needs to go on after its last whole epoch, and `history.jsonl`, a line
    for each measurement. A run that was cut off sees the same batches as one that was not: each epoch draws from a seed
    of its own.

    A subclass makes its networks, calls `_resume`, and then sets `replica`.

    Args:
        run_dir: Where state and history are kept; made if missing.
        device: Where to compute.
        photographs: How many there are to learn from.
        batch_size: Photographs a step.
        epochs: Passes over them.
        seed: Same seed, same run.
        bf16: Compute in bfloat16.
    """

    replica: Replica

    def __init__(
        self,
        run_dir: Path,
        device: torch.device,
        *,
        photographs: int,
        batch_size: int,
        epochs: int,
        seed: int,
        bf16: bool,
    ) -> None:
        self.run_dir, self.device, self.bf16 = run_dir, device, bf16
        self._photographs, self._batch_size, self._epochs, self._seed = photographs, batch_size, epochs, seed
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.history: list[dict[str, Any]] = []
        run_dir.mkdir(parents=True, exist_ok=True)

    @property
    def precision(self) -> str:
        """Precision of the computation, in words."""
        return "bfloat16 with float32 master weights" if self.bf16 else "float32"

    @property
    def steps_per_epoch(self) -> int:
        """Batches an epoch; what is left over comes in the next one."""
        return max(1, self._photographs // self._batch_size)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.steps_per_epoch * self._epochs

    def _learn(self, progress: StepProgress | None) -> None:
        """Learn until all epochs are done, and keep the state after each."""
        while self.epoch < self._epochs:
            self._run_epoch(progress)
            self.epoch += 1
            self._save()

    def _run_epoch(self, progress: StepProgress | None) -> None:
        started = time.monotonic()
        seed = self._seed * 100_003 + self.epoch
        torch.manual_seed(seed)
        draw = random.Random(seed)
        generator = torch.Generator(self.device).manual_seed(seed)
        order = torch.randperm(self._photographs, generator=generator, device=self.device)
        sums = torch.zeros(len(_LOSS_PARTS), device=self.device)  # read now and then: reading waits for the device
        self._begin_epoch()
        for i in range(self.steps_per_epoch):
            chosen = order[i * self._batch_size : (i + 1) * self._batch_size]
            loss = self._train_step(chosen, draw, generator)
            sums += torch.stack([getattr(loss, part).detach().float() for part in _LOSS_PARTS]) / self.steps_per_epoch
            self.step += 1
            if progress is not None and (self.step % _SPOKEN == 0 or i + 1 == self.steps_per_epoch):
                progress(self.step, self.total_steps, float(sums[0]) * self.steps_per_epoch / (i + 1))
        losses = dict(zip(_LOSS_PARTS, sums.tolist(), strict=True))
        self.seconds += time.monotonic() - started
        measured = self._measure()
        if measured is not None:
            rounded = {name: round(value, 5) for name, value in losses.items()}
            self.history.append({"epoch": self.epoch, "seconds": round(self.seconds, 1), "loss": rounded, **measured})

    @abstractmethod
    def _begin_epoch(self) -> None:
        """Bring the replica into the mode in which it learns."""

    @abstractmethod
    def _train_step(self, chosen: Tensor, draw: random.Random, generator: torch.Generator) -> StepLoss:
        """Learn from one batch of photographs, given by number."""

    @abstractmethod
    def _measure(self) -> Mapping[str, Any] | None:
        """What goes into the history after an epoch, for JSON; None where this epoch is not measured."""

    @abstractmethod
    def _state(self) -> Mapping[str, Any]:
        """Networks and optimisers, for `_load`."""

    @abstractmethod
    def _load(self, state: Mapping[str, Any]) -> None:
        """Take over what `_state` gave; any error means that it is the state of another run."""

    def _save(self) -> None:
        own = {"epoch": self.epoch, "step": self.step, "seconds": self.seconds}
        save_run(self.run_dir, {**self._state(), **own}, self.history)

    def _resume(self) -> None:
        path = self.run_dir / STATE
        if not path.exists():
            return
        try:
            state = torch.load(path, map_location=self.device, weights_only=True)
            self._load(state)
            self.epoch, self.step, self.seconds = state["epoch"], state["step"], state["seconds"]
            self.history = json.loads(state["history"])
        except Exception as error:  # a damaged file fails in many ways
            reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise CheckpointError(
                f"{path} holds the state of another run ({reason}). Give the same settings and photographs, or another "
                "folder."
            ) from error


def keep_peak_rates(optimizer: torch.optim.Optimizer) -> torch.optim.Optimizer:
    """Note each group's learning rate as its peak, of which `set_rates` takes shares."""
    for group in optimizer.param_groups:
        group["peak_lr"] = group["lr"]
    return optimizer


def set_rates(optimizer: torch.optim.Optimizer, share: float) -> None:
    """Set the learning rates to a share of their peaks."""
    for group in optimizer.param_groups:
        group["lr"] = share * group["peak_lr"]
