"""Training in bfloat16 with float32 master weights, the same on CPU and GPU.

The master holds the weights that the optimiser moves. A replica of it computes: in bfloat16, but for batch norm
and the TokenLearner modules, whose softmax decides the maps. On CPUs with bf16 instructions this is about
twice as fast as autocast, which casts every activation back and forth.
"""

from __future__ import annotations

import copy

import torch
from timm.layers import Attention
from torch import nn

from tokenlearner.model import TokenLearnerViT


class Replica:
    """A copy of `master` that runs forward and backward, at lower precision if `bf16`.

    Args:
        master: The model whose weights are trained.
        bf16: Compute in bfloat16; False keeps the master's precision.
        exact_maps: Leave the TokenLearner modules in float32.
    """

    def __init__(self, master: TokenLearnerViT, *, bf16: bool, exact_maps: bool = True) -> None:
        self.master = master
        self.model = copy.deepcopy(master)
        if bf16:
            for name, module in self.model.named_modules():
                keep = isinstance(module, nn.BatchNorm2d) or (exact_maps and name.startswith("token_learners"))
                if not keep:
                    for parameter in module.parameters(recurse=False):
                        parameter.data = parameter.data.to(torch.bfloat16)
        if next(master.parameters()).device.type == "cpu":
            self._prefer_plain_attention()

    def pull_gradients(self) -> None:
        """Move the replica's gradients to the master."""
        for master, replica in zip(self.master.parameters(), self.model.parameters(), strict=True):
            master.grad = None if replica.grad is None else replica.grad.to(master.dtype)
            replica.grad = None

    @torch.no_grad()
    def push_weights(self) -> None:
        """Copy the master's weights to the replica, and the replica's running statistics to the master."""
        torch._foreach_copy_(list(self.model.parameters()), list(self.master.parameters()))
        torch._foreach_copy_(list(self.master.buffers()), list(self.model.buffers()))

    def _prefer_plain_attention(self) -> None:
        """Short sequences: on CPUs, torch's fused attention is the slower one backward."""
        for module in self.model.modules():
            if isinstance(module, Attention):
                module.fused_attn = False  # type: ignore[misc]  # timm marks it final for TorchScript


def has_fast_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return (
            bool(torch.backends.cpu.get_cpu_capability() == "AVX512") and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        )
    return False
