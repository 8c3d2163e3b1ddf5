"""What automatic counters say about one small network, by running it: who sees attention, and who does not."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from app.tradeoffs.design import Design
from tokenlearner import flops
from tokenlearner.model import TokenLearnerViT

EXAMPLE: Final = Design(size="Ti", patch=16, side=224, num_tokens=8, loc=6)
"""Small enough to be run four times while somebody waits."""
SIDES: Final = (224, 320, 384)


@dataclass(frozen=True)
class Counts:
    """Multiply-adds of one pass, by four routes.

    Attributes:
        name: Of the network.
        closed_form: By this project's formulas.
        spelled_out: By torch's `FlopCounterMode` where attention runs as plain matrix products.
        fused: By the same counter where attention runs as one fused operator, as it usually does.
        modules: By hooks on the linear and convolution modules, as simple counters do.
        attention: Of the matrix products inside self-attention, by formula.
        in_module: Of what TokenLearner computes without a module, by formula: its weighted sums, and the last layer of
            its map branch, of which only the outputs for the tokens asked for are computed.
        fused_calls: How often the fused operator ran, by its name.
    """

    name: str
    closed_form: int
    spelled_out: int
    fused: int
    modules: int
    attention: int
    in_module: int
    fused_calls: dict[str, int]


@dataclass(frozen=True)
class FvcoreCount:
    """What fvcore said about `EXAMPLE` without its module, which was run apart: fvcore is not installed here.

    Attributes:
        version: Of fvcore.
        layers: Multiply-adds of linear and convolution layers.
        norms: What it added for layer normalisation.
        skipped: The operator that it named as not supported, and how often it met it.
    """

    version: str = "0.1.5.post20221221"
    layers: int = 28_901_376 + 1_040_641_536
    norms: int = 4_704_000
    skipped: tuple[str, int] = ("aten::scaled_dot_product_attention", 12)


FVCORE: Final = FvcoreCount()


@functools.lru_cache(maxsize=8)
def count_four_ways(side: int, with_module: bool) -> Counts:
    """Run a small network of random weights on the CPU under each counter; counts do not depend on weights.

    Args:
        side: Of the picture in pixels.
        with_module: Whether TokenLearner runs, or the plain network.
    """
    design = EXAMPLE.but(side=side)
    config = design.config
    loc = design.loc if with_module else None
    model = TokenLearnerViT(config).eval()
    x = torch.rand(1, 3, side, side)
    with torch.inference_mode():
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as spelled_out:
            model(x, loc=loc)
        with FlopCounterMode(display=False) as fused:
            model(x, loc=loc)
        with _modules_counted(model) as modules:
            model(x, loc=loc)
        with _FusedCalls() as calls:
            model(x, loc=loc)
    patches, dim = design.patches, config.embed_dim
    bottleneck = config.token_learner.bottleneck_dim if config.token_learner else 0
    before = design.depth if loc is None else loc
    attention = 2 * dim * (before * patches**2 + (design.depth - before) * design.num_tokens**2)
    name = f"{design.arch}, {side} px" + (f", {design.num_tokens} tokens after {loc} of {design.depth}" if loc else "")
    return Counts(
        name=name,
        closed_form=flops.compute(config, loc=loc).total_macs,
        spelled_out=spelled_out.get_total_flops() // 2,
        fused=fused.get_total_flops() // 2,
        modules=modules["macs"],
        attention=attention,
        in_module=design.num_tokens * patches * (dim + bottleneck) if loc else 0,
        fused_calls=dict(calls.found),
    )


@contextmanager
def _modules_counted(model: nn.Module) -> Iterator[Counter[str]]:
    """Count multiply-adds of linear and convolution modules from the shapes of what they return."""
    found: Counter[str] = Counter()

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        if isinstance(module, nn.Linear):
            found["macs"] += output.numel() * module.in_features
        elif isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d):
            found["macs"] += output.numel() * module.weight[0].numel()

    handles = [module.register_forward_hook(count) for module in model.modules()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


class _FusedCalls(TorchDispatchMode):
    """Notes which fused attention operators run."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(func.overloadpacket)
        if "scaled_dot_product" in name:
            self.found[name] += 1
        return func(*args, **(kwargs or {}))
