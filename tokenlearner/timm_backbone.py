"""TokenLearner around a Vision Transformer of timm (`vit_*`, `deit*` and kin), by name.

The network is timm's own, built by timm; `TimmTokenLearner` runs it in the pieces that the rest of this project knows
(`prefix`, `tokenize`, `suffix`). Class, distillation and register tokens pass by the module: behind it they run through
the blocks beside the tokens that it made of the patches, and the head reads what it always reads.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import timm
import torch
from jaxtyping import Float
from timm.data import ImageNetInfo, infer_imagenet_subset
from timm.layers import Attention, AttentionPoolLatent, PatchEmbed, resample_abs_pos_embed
from timm.models.deit import VisionTransformerDistilled
from timm.models.vision_transformer import Block, ResPostBlock, VisionTransformer
from torch import Tensor, nn

from tokenlearner.config import BackboneConfig, ModelConfig, Option, TokenLearnerConfig
from tokenlearner.errors import CheckpointError, ConfigError, TokenLearnerError
from tokenlearner.model import TokenLearnerViT
from tokenlearner.timm_hub import CONTACT, FetchProgress, fetch

OPTIONS: Final = frozenset(
    {
        "class_token",
        "depth",
        "embed_dim",
        "fc_norm",
        "final_norm",
        "global_pool",
        "init_values",
        "mlp_ratio",
        "no_embed_class",
        "num_heads",
        "patch_size",
        "pool_include_prefix",
        "pos_embed",
        "pre_norm",
        "qk_norm",
        "qkv_bias",
        "reg_tokens",
    }
)
"""Arguments of timm's `VisionTransformer` that a configuration may change. None of them names a file or an address."""

_POOLS: Final = ("token", "avg", "max", "avgmax", "map")


class TimmTokenLearner(TokenLearnerViT):
    """A Vision Transformer of timm carrying TokenLearner before any of several blocks.

    Without the module its logits are timm's own; at other input sizes too, as with timm's `dynamic_img_size`.

    Args:
        config: What to build; `timm_config` makes it.
        drop_path: Largest stochastic-depth rate (training only).

    Raises:
        ConfigError: If timm knows no such network, it is of a kind that cannot carry the modules, or it is not what the
            configuration says.
    """

    def _build_body(self, drop_path: float) -> None:
        config = self.config
        assert config.backbone is not None
        self.backbone = create_vit(config.backbone, config.img_size, config.num_classes, drop_path=drop_path)
        _require_same(self.backbone, config)

    def _build_head(self) -> None:
        """The head is timm's."""

    def block(self, i: int) -> nn.Module:
        """The transformer block of this number, from 0."""
        return self.backbone.blocks[i]

    def _embed(
        self, pixels: Float[Tensor, "batch *frames 3 height width"], grid_hw: tuple[int, int]
    ) -> Float[Tensor, "batch 1 places dim"]:
        if pixels.ndim != 4:
            raise ConfigError(
                f"This model takes images [batch, 3, height, width], not an array of {pixels.ndim} dimensions."
            )
        vit, stem = self.backbone, self.backbone.patch_embed
        x = stem.norm(stem.proj(pixels).flatten(2).transpose(1, 2))
        prefix = [token.expand(len(x), -1, -1).to(x.dtype) for token in _prefix_parameters(vit)]
        if vit.pos_embed is None:
            x = torch.cat([*prefix, x], dim=1)
        else:
            placed = 0 if vit.no_embed_class else vit.num_prefix_tokens
            own = self.config.grid_hw()
            pos = resample_abs_pos_embed(vit.pos_embed, list(grid_hw), list(own), num_prefix_tokens=placed).to(x.dtype)
            x = torch.cat([*prefix, x + pos], dim=1) if vit.no_embed_class else torch.cat([*prefix, x], dim=1) + pos
        return vit.norm_pre(vit.pos_drop(x)).unsqueeze(1)

    def _read_out(
        self, x: Float[Tensor, "batch sequence dim"]
    ) -> tuple[Float[Tensor, "batch sequence dim"], Float[Tensor, "batch width"], Float[Tensor, "batch classes"]]:
        vit = self.backbone
        encoded = vit.norm(x)
        pooled = vit.forward_head(encoded, pre_logits=True)
        two_heads = isinstance(vit, VisionTransformerDistilled)
        return encoded, pooled, vit.forward_head(encoded) if two_heads else vit.head(pooled)


@dataclass(frozen=True)
class TimmNetwork:
    """What timm says about one of its networks.

    Attributes:
        config: The network, with the modules that were asked for.
        weights: Name of the pretrained weights, with their tag; "" if timm knows of none.
        licence: Their licence, "unknown" if timm does not say.
        source: Where timm gets them.
    """

    config: ModelConfig
    weights: str
    licence: str
    source: str


def timm_config(
    name: str,
    *,
    locs: tuple[int, ...],
    token_learner: TokenLearnerConfig | None = None,
    default_loc: int | None = None,
    img_size: int | tuple[int, int] | None = None,
    options: Mapping[str, Option] | None = None,
) -> TimmNetwork:
    """Configuration of a network of timm with TokenLearner; nothing is downloaded and no weight is made.

    Args:
        name: As timm calls it, such as "vit_small_patch16_224" or "deit_tiny_distilled_patch16_224.fb_in1k".
        locs: Blocks before which a module sits, in any order; none for the plain network.
        token_learner: The module; None for the default one.
        default_loc: The location used when a call does not say; None for the middle one of `locs`.
        img_size: Side, or (height, width), in pixels; None for timm's own.
        options: Arguments of timm's network that depart from the name's own; see `OPTIONS`.

    Raises:
        ConfigError: If timm knows no such network, it cannot carry the modules, or a setting cannot be.
    """
    given = tuple(sorted((options or {}).items()))
    asked = BackboneConfig(
        name=name, options=given, num_prefix_tokens=0, pool="", block_weights=0, head_macs=0, params=0
    )
    with torch.device("meta"):
        vit = create_vit(asked, img_size)
    found = describe(vit, asked)
    cfg = _pretrained_cfg(vit)
    places = tuple(sorted(set(locs)))
    backbone_size = vit.patch_embed.img_size
    config = ModelConfig(
        img_size=(int(backbone_size[0]), int(backbone_size[1])),
        **_sizes(vit, vit.blocks[0]),
        token_learner=(token_learner or TokenLearnerConfig(num_tokens=16)) if places else None,
        tokenlearner_locs=places,
        default_loc=(places[len(places) // 2] if default_loc is None else default_loc) if places else None,
        mean=_three(cfg.get("mean"), 0.5),
        std=_three(cfg.get("std"), 0.5),
        class_names=_class_names(vit),
        backbone=found,
    )
    has_weights = bool(cfg.get("hf_hub_id") or cfg.get("url") or cfg.get("file"))
    tag = cfg.get("tag") or ""
    base = name.split(".", maxsplit=1)[0]
    return TimmNetwork(
        config,
        weights=(f"{base}.{tag}" if tag else base) if has_weights else "",
        licence=str(cfg.get("license") or "unknown"),
        source=f"https://huggingface.co/{cfg['hf_hub_id']}" if cfg.get("hf_hub_id") else str(cfg.get("url") or ""),
    )


def default_locs(depth: int) -> tuple[int, ...]:
    """Where modules sit if nobody says: after a quarter and half of the blocks."""
    return tuple(sorted({depth // 4, depth // 2}))


def create_vit(
    backbone: BackboneConfig,
    img_size: int | tuple[int, int] | None,
    num_classes: int | None = None,
    *,
    drop_path: float = 0.0,
    pretrained: bool = False,
    overlay: dict[str, Any] | None = None,
) -> VisionTransformer:
    """Let timm build its network.

    Raises:
        ConfigError: If it is none of timm's, or timm refuses the options.
    """
    name = backbone.name
    # Names such as "hf-hub:..." or "local-dir:..." would make timm fetch or read files: only its own list counts.
    if not timm.is_model(name):
        known = timm.list_models(f"{name.split('.')[0].split('_patch')[0]}*")[:3] if "/" not in name else []
        hint = f" Did you mean {', '.join(known)}?" if known else ""
        raise ConfigError(f'timm {timm.__version__} knows no network named "{name}".{hint}')
    unknown = sorted(set(dict(backbone.options)) - OPTIONS)
    if unknown:
        raise ConfigError(f"These settings of timm's networks cannot be changed: {', '.join(unknown)}.")
    arguments: dict[str, Any] = dict(backbone.options)
    if img_size is not None:
        arguments["img_size"] = img_size
    if num_classes is not None:
        arguments["num_classes"] = num_classes
    if drop_path:
        arguments["drop_path_rate"] = drop_path
    try:
        vit: Any = timm.create_model(name, pretrained=pretrained, pretrained_cfg_overlay=overlay, **arguments)
    except (TypeError, AssertionError, ZeroDivisionError) as error:
        raise ConfigError(f'timm cannot build "{name}" like this: {str(error) or type(error).__name__}.') from error
    except (ValueError, RuntimeError) as error:  # such as an unknown tag of weights
        if pretrained:
            raise
        raise ConfigError(f'timm cannot build "{name}": {str(error).rstrip(".")}.') from error
    return _usable(vit, name)


def describe(vit: VisionTransformer, asked: BackboneConfig) -> BackboneConfig:
    """The numbers of a network that its configuration carries, counted on the network itself."""
    dim = vit.embed_dim
    distilled = isinstance(vit, VisionTransformerDistilled)
    head_macs, per_place = (2 if distilled else 1) * dim * vit.num_classes, 0
    if isinstance(vit.attn_pool, AttentionPoolLatent):
        per_place = _weights(vit.attn_pool.kv) + 2 * dim * vit.attn_pool.latent_len
        head_macs += vit.attn_pool.latent_len * (_weights(vit.attn_pool) - _weights(vit.attn_pool.kv))
    return dataclasses.replace(
        asked,
        num_prefix_tokens=vit.num_prefix_tokens,
        pool="distilled" if distilled else vit.global_pool,
        block_weights=_weights(vit.blocks[0]),
        head_macs=head_macs,
        head_macs_per_place=per_place,
        head_pools_prefix=bool(per_place and vit.pool_include_prefix),
        params=sum(parameter.numel() for parameter in vit.parameters()),
    )


def load_pretrained_(
    model: TimmTokenLearner, weights: Path | None = None, *, progress: FetchProgress | None = None
) -> str:
    """Put timm's pretrained weights into a network; its modules stay as they are.

    Args:
        model: The network.
        weights: A safetensors file of timm's weights; None to let timm fetch them from the Hugging Face hub, or take
            them from its cache.
        progress: Told how far the fetching is.

    Returns:
        Where they came from.

    Raises:
        CheckpointError: If there are none, they cannot be had, or do not fit.
    """
    config, backbone = model.config, model.config.backbone
    assert backbone is not None
    overlay: dict[str, Any] | None = None
    hub = ""
    if weights is not None:
        if weights.suffix != ".safetensors" or not weights.is_file():
            raise CheckpointError(f'"{weights.name}" is no safetensors file. Other formats of weights are not read.')
        overlay = {"file": str(weights)}
        source = weights.name
    else:
        hub = str(_pretrained_cfg(model.backbone).get("hf_hub_id") or "")
        if not hub:
            raise CheckpointError(f'timm offers no pretrained weights of "{backbone.name}" on the hub. {CONTACT}')
        source = f"https://huggingface.co/{hub}"
    try:
        if hub:
            fetch(hub, backbone.name, _pretrained_cfg(model.backbone).get("hf_hub_filename"), progress)
        loaded = create_vit(backbone, config.img_size, config.num_classes, pretrained=True, overlay=overlay)
    except TokenLearnerError:
        raise
    except Exception as error:  # the hub's client and timm raise all kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(":.")
        raise CheckpointError(f'The weights of "{backbone.name}" cannot be used: {reason}. {CONTACT}') from error
    model.backbone.load_state_dict(loaded.state_dict())
    return source


def _usable(vit: nn.Module, name: str) -> VisionTransformer:
    """The network, unless it is of a kind that would not be what it is said to be."""
    if type(vit) not in (VisionTransformer, VisionTransformerDistilled):
        raise ConfigError(
            f'"{name}" is a {type(vit).__name__}. TokenLearner is built around timm\'s VisionTransformer alone: '
            "vit_*, deit_*, deit3_*, flexivit_* and the like."
        )
    assert isinstance(vit, VisionTransformer)
    stem: Any = vit.patch_embed
    block: Any = vit.blocks[0]
    if type(stem) is not PatchEmbed:
        raise ConfigError(f'"{name}" begins with a {type(stem).__name__}, not with patches; that is not supported.')
    if vit.in_chans != 3:
        raise ConfigError(f'"{name}" takes {vit.in_chans} channels; RGB pictures have 3.')
    if type(block) not in (Block, ResPostBlock) or type(block.attn) is not Attention or not hasattr(block.mlp, "fc1"):
        kinds = f"{type(block).__name__} with {type(getattr(block, 'attn', None)).__name__}"
        raise ConfigError(f'"{name}" has blocks of a kind ({kinds}) whose compute is not known here; not supported.')
    if vit.num_classes < 1:
        raise ConfigError(
            f'"{name}" gives features and no classes. Choose a network with a classifier, such as '
            "vit_small_patch16_224.augreg_in21k_ft_in1k."
        )
    if vit.global_pool not in _POOLS:
        raise ConfigError(f'"{name}" pools by "{vit.global_pool}"; supported are {", ".join(_POOLS)}.')
    return vit


def _pretrained_cfg(vit: VisionTransformer) -> dict[str, Any]:
    """What timm knows about the pretrained weights."""
    found: Any = vit.pretrained_cfg
    return dict(found or {})


def check_backbone(config: ModelConfig) -> None:
    """See that timm builds the network that a configuration describes, without making a weight.

    Raises:
        ConfigError: If it does not.
    """
    assert config.backbone is not None
    with torch.device("meta"):
        vit = create_vit(config.backbone, config.img_size, config.num_classes)
    _require_same(vit, config)


def _require_same(vit: VisionTransformer, config: ModelConfig) -> None:
    assert config.backbone is not None
    found, block = describe(vit, config.backbone), vit.blocks[0]
    different = [
        field.name
        for field in dataclasses.fields(found)
        if getattr(found, field.name) != getattr(config.backbone, field.name)
    ]
    sizes: dict[str, Any] = _sizes(vit, block)
    different += [name for name, value in sizes.items() if getattr(config, name) != value]
    if different:
        raise ConfigError(
            f'timm {timm.__version__} builds another "{found.name}" than the configuration describes '
            f"({', '.join(different)}). It was written with another version of timm, or changed by hand."
        )


def _sizes(vit: VisionTransformer, block: Any) -> dict[str, Any]:
    """What `ModelConfig` holds for any network."""
    height, width = vit.patch_embed.patch_size
    return {
        "patch_size": (int(height), int(width)),
        "embed_dim": vit.embed_dim,
        "depth": len(vit.blocks),
        "num_heads": block.attn.num_heads,
        "mlp_dim": block.mlp.fc1.out_features,
        "num_classes": vit.num_classes,
    }


def _prefix_parameters(vit: VisionTransformer) -> list[Tensor]:
    """Class, distillation or register tokens, in timm's order."""
    tokens = [vit.cls_token, getattr(vit, "dist_token", None), vit.reg_token]
    return [token for token in tokens if token is not None]


def _weights(module: nn.Module) -> int:
    """Weights of all linear layers in a module."""
    return sum(layer.weight.numel() for layer in module.modules() if isinstance(layer, nn.Linear))


def _three(values: Any, otherwise: float) -> tuple[float, float, float]:
    if not values or len(values) != 3:
        return (otherwise, otherwise, otherwise)
    return (float(values[0]), float(values[1]), float(values[2]))


def _class_names(vit: VisionTransformer) -> tuple[str, ...]:
    """Names of ImageNet's classes where timm knows which of its subsets the weights were trained on."""
    subset = infer_imagenet_subset(vit)
    if subset is None:
        return ()
    info = ImageNetInfo(subset)
    if info.num_classes() != vit.num_classes:
        return ()
    return tuple(info.index_to_description(index) for index in range(vit.num_classes))
