"""Tiny networks of timm with random weights, one for each thing that its Vision Transformers do differently."""

from __future__ import annotations

import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from tokenlearner.config import Option, TokenLearnerConfig
from tokenlearner.layers import init_map_logits_
from tokenlearner.timm_backbone import TimmTokenLearner, timm_config
from tokenlearner.timm_models import around_timm
from tokenlearner.weights import LoadedModel

Options = dict[str, Option]
SMALL: Options = {"embed_dim": 24, "depth": 4, "num_heads": 3}
SIZE_HW = (32, 48)
MODULE = TokenLearnerConfig(num_tokens=5, bottleneck_dim=7)

KINDS: dict[str, tuple[str, Options]] = {
    "class token": ("vit_tiny_patch16_224", {}),
    "average, fc_norm": ("vit_tiny_patch16_224", {"class_token": False, "global_pool": "avg"}),
    "average beside a class token": ("vit_tiny_patch16_224", {"global_pool": "avg", "fc_norm": False}),
    "average over the class token too": ("vit_tiny_patch16_224", {"global_pool": "avg", "pool_include_prefix": True}),
    "largest": ("vit_tiny_patch16_224", {"class_token": False, "global_pool": "max"}),
    "largest and average": ("vit_tiny_patch16_224", {"global_pool": "avgmax"}),
    "attention pooling": ("vit_tiny_patch16_224", {"global_pool": "map", "class_token": False, "reg_tokens": 2}),
    "attention pooling of all": ("vit_tiny_patch16_224", {"global_pool": "map", "pool_include_prefix": True}),
    "registers": ("vit_tiny_patch16_224", {"reg_tokens": 3}),
    "registers without places": ("vit_tiny_patch16_224", {"reg_tokens": 2, "no_embed_class": True}),
    "no position embedding": ("vit_tiny_patch16_224", {"pos_embed": "none"}),
    "norm before, as in CLIP": ("vit_tiny_patch16_224", {"pre_norm": True, "final_norm": False}),
    "layer scale, normed queries": ("vit_tiny_patch16_224", {"init_values": 0.3, "qk_norm": True, "qkv_bias": False}),
    "distilled": ("deit_tiny_distilled_patch16_224", {}),
    "deit 3": ("deit3_small_patch16_224", {}),
}


def tiny_timm(
    kind: str = "class token", *, locs: tuple[int, ...] = (1, 3), img_size: tuple[int, int] = SIZE_HW, seed: int = 0
) -> LoadedModel:
    """A tiny network of timm with random weights, none of which is zero; its maps are far from uniform."""
    name, options = KINDS[kind]
    network = timm_config(name, locs=locs, token_learner=MODULE, img_size=img_size, options={**SMALL, **options})
    loaded = around_timm(network, pretrained=False, seed=seed)
    stir_(loaded.model, seed)
    return loaded


def stir_(model: nn.Module, seed: int = 0) -> None:
    """Move every number away from where initialisation put it: zeros and ones would hide what is left out."""
    assert isinstance(model, TimmTokenLearner)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for parameter in model.backbone.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
        for module in model.token_learners.values():
            init_map_logits_(module, std=1.0)


def timms_own(loaded: LoadedModel, img_size: tuple[int, int] | None = None) -> VisionTransformer:
    """The same network with the same weights, as timm runs it."""
    model = loaded.model
    assert isinstance(model, TimmTokenLearner)
    backbone = model.config.backbone
    assert backbone is not None
    vit = timm.create_model(
        backbone.name, img_size=model.config.img_size, num_classes=model.config.num_classes, **dict(backbone.options)
    )
    vit.load_state_dict(model.backbone.state_dict())
    if img_size is not None:
        vit.set_input_size(img_size)
    return vit.eval()
