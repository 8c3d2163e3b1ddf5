"""What a TokenLearner network is made of, as frozen dataclasses. Standard library only."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final, Literal

from tokenlearner.errors import ConfigError

Version = Literal["1.0", "1.1", "average", "strided"]
Pooling = Literal["sum", "mean"]
HeadPool = Literal["avg", "max", "sum"]
Stem = Literal["patch", "conv"]
SizeName = Literal["Ti", "S", "B", "L", "H", "G"]
Loc = int | Literal["default"] | None
"""A block index, None for the plain network, or "default" for the configuration's own."""

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)


@dataclass(frozen=True, kw_only=True)
class TokenLearnerConfig:
    """One TokenLearner module (and, with `use_fuser`, the TokenFuser behind it).

    Attributes:
        num_tokens: Tokens (spatial maps) the module holds; fewer can be asked for per call.
        version: "1.0" convolutions and a sigmoid, "1.1" an MLP and a softmax over space. "average" and
            "strided" learn nothing and look at no picture: the means of equal cells, or their centre
            patches. They answer the paper's question whether learning is needed.
        bottleneck_dim: Hidden width of the v1.1 MLP and of the TokenFuser's mixing MLP.
        pooling: v1.0 only: "sum" (reference) or "mean" over the patches.
        use_fuser: From the first location on, every block runs on tokens and is mapped back
            to the grid by a TokenFuser.
        fuser_norm: Whether the TokenFuser normalises around its token mixing.
    """

    num_tokens: int = 8
    version: Version = "1.1"
    bottleneck_dim: int = 64
    pooling: Pooling = "sum"
    use_fuser: bool = False
    fuser_norm: bool = True

    def __post_init__(self) -> None:
        _require_positive(num_tokens=self.num_tokens, bottleneck_dim=self.bottleneck_dim)
        _require_choice("version", self.version, ("1.0", "1.1", "average", "strided"))
        _require_choice("pooling", self.pooling, ("sum", "mean"))


@dataclass(frozen=True, kw_only=True)
class LabelGroup:
    """One question that a model answers, by classes of which one is right.

    Attributes:
        name: What is asked, such as "object" or "motion".
        num_classes: Possible answers.
    """

    name: str
    num_classes: int

    def __post_init__(self) -> None:
        _require_positive(**{f"num_classes of {self.name}": self.num_classes})


Option = str | int | float | bool | None
"""A value of `BackboneConfig.options`."""


@dataclass(frozen=True, kw_only=True)
class BackboneConfig:
    """A Vision Transformer of timm that carries the modules, with what its counts need.

    The numbers follow from name, options, size and classes; `timm_backbone.TimmTokenLearner` checks them when it builds
    the network, so that compute can be counted without building it.

    Attributes:
        name: What timm calls it, with or without the tag of its weights.
        options: Arguments that depart from the name's own, as (name, value), sorted by name.
        num_prefix_tokens: Class, distillation and register tokens; they pass by the module and join its tokens.
        pool: How the head makes one vector: "token", "avg", "max", "avgmax", "map", or "distilled" (class and
            distillation token, a classifier each).
        block_weights: Weights of one block's matrices: its multiply-adds for each place, but for attention's products.
        head_macs: Multiply-adds of the head that do not depend on the length of the sequence.
        head_macs_per_place: Multiply-adds of the head for each place that it pools.
        head_pools_prefix: Whether prefix tokens are among those places.
        params: Trainable numbers without the modules.
    """

    name: str
    options: tuple[tuple[str, Option], ...] = ()
    num_prefix_tokens: int
    pool: str
    block_weights: int
    head_macs: int
    head_macs_per_place: int = 0
    head_pools_prefix: bool = False
    params: int

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> BackboneConfig:
        """Rebuild from a JSON object.

        Raises:
            TypeError: If a field is unknown, missing or no such thing.
        """
        options = tuple((str(name), value) for name, value in data.get("options", ()))
        return cls(**{**data, "options": options})


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A Vision Transformer for images (`num_frames` is None) or video, with TokenLearner.

    Attributes:
        img_size: Standard input as (height, width) in pixels; other sizes resample `pos_embed`.
        patch_size: Patch as (height, width) in pixels. With `stem="conv"` the stem's stride.
        embed_dim: Width of the residual stream.
        depth: Number of transformer blocks.
        num_heads: Self-attention heads.
        mlp_dim: Hidden width of each block's MLP.
        num_classes: Size of the logits.
        in_chans: Colour channels (3, RGB).
        representation_size: Width of the tanh `pre_logits` layer, or None for none.
        head_pool: How the encoder's tokens become one vector.
        stem: "patch" one strided convolution (ViT), "conv" a stack of stride-2 3x3
            convolutions with batch norm (Xiao et al., 2021) ending in a 1x1 projection. A video
            model runs it on each frame; its projection spans the frames of a tubelet.
        stem_dims: Output channels of the 3x3 convolutions of `stem="conv"`.
        stem_strides: Their strides; the product equals `patch_size`.
        num_frames: Standard clip length in frames for a video model, None for an image model.
        tubelet_size: Frames that one tubelet spans (video only).
        token_learner: The module, the same at each location, or None for a plain ViT.
        tokenlearner_locs: Blocks before which a module sits, ascending. Several make the
            model elastic: each call chooses one of them, or none.
        default_loc: The location used when a call does not say; None runs the plain network.
        mean: Normalisation mean per channel, for pixels in 0..1.
        std: Normalisation standard deviation per channel, for pixels in 0..1.
        class_names: Names of the classes, in logit order; empty if unknown.
        label_groups: Questions that the logits answer one after the other, each with classes of its
            own that exclude one another (what moves, how it moves); empty for a single question.
        backbone: The network of timm around which the modules are built; None for this project's own. Its head and
            position embeddings are timm's: `head_pool` says nothing then.
    """

    img_size: tuple[int, int]
    patch_size: tuple[int, int]
    embed_dim: int
    depth: int
    num_heads: int
    mlp_dim: int
    num_classes: int
    in_chans: int = 3
    representation_size: int | None = None
    head_pool: HeadPool = "avg"
    stem: Stem = "patch"
    stem_dims: tuple[int, ...] = ()
    stem_strides: tuple[int, ...] = ()
    num_frames: int | None = None
    tubelet_size: int = 1
    token_learner: TokenLearnerConfig | None = None
    tokenlearner_locs: tuple[int, ...] = ()
    default_loc: int | None = None
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    class_names: tuple[str, ...] = dataclasses.field(default=(), repr=False)
    label_groups: tuple[LabelGroup, ...] = ()
    backbone: BackboneConfig | None = None

    def __post_init__(self) -> None:
        _require_positive(
            img_height=self.img_size[0],
            img_width=self.img_size[1],
            patch_height=self.patch_size[0],
            patch_width=self.patch_size[1],
            embed_dim=self.embed_dim,
            depth=self.depth,
            num_heads=self.num_heads,
            mlp_dim=self.mlp_dim,
            num_classes=self.num_classes,
            in_chans=self.in_chans,
            tubelet_size=self.tubelet_size,
        )
        _require_choice("head_pool", self.head_pool, ("avg", "max", "sum"))
        _require_choice("stem", self.stem, ("patch", "conv"))
        if self.representation_size is not None:
            _require_positive(representation_size=self.representation_size)
        if self.embed_dim % self.num_heads:
            raise ConfigError(f"embed_dim {self.embed_dim} is not a multiple of num_heads {self.num_heads}.")
        self.grid_hw(self.img_size)
        self._check_stem()
        self._check_frames()
        self._check_locations()
        if self.backbone is not None and (self.is_video or self.uses_fuser or self.stem != "patch"):
            raise ConfigError("Around a network of timm there are TokenLearners for images, without TokenFuser.")
        if self.class_names and len(self.class_names) != self.num_classes:
            raise ConfigError(f"{len(self.class_names)} class names were given for {self.num_classes} classes.")
        grouped = sum(group.num_classes for group in self.label_groups)
        if self.label_groups and grouped != self.num_classes:
            raise ConfigError(f"The label groups hold {grouped} classes, the model {self.num_classes}.")

    def _check_stem(self) -> None:
        if self.stem == "patch":
            if self.stem_dims or self.stem_strides:
                raise ConfigError('stem_dims and stem_strides belong to stem="conv" alone.')
            return
        if not self.stem_dims or len(self.stem_dims) != len(self.stem_strides):
            raise ConfigError('stem="conv" needs stem_dims and stem_strides of one length.')
        _require_positive(**{f"stem_dims[{i}]": dim for i, dim in enumerate(self.stem_dims)})
        if not set(self.stem_strides) <= {1, 2}:
            raise ConfigError(f"stem_strides {self.stem_strides} must each be 1 or 2.")
        stride = math.prod(self.stem_strides)
        if (stride, stride) != self.patch_size:
            raise ConfigError(f"stem_strides multiply to {stride}, but patch_size is {self.patch_size}.")

    def _check_frames(self) -> None:
        if self.num_frames is None:
            if self.tubelet_size != 1:
                raise ConfigError("tubelet_size belongs to a video model: set num_frames too.")
            return
        _require_positive(num_frames=self.num_frames)
        if self.num_frames % self.tubelet_size:
            raise ConfigError(f"num_frames {self.num_frames} is not a multiple of tubelet_size {self.tubelet_size}.")

    def _check_locations(self) -> None:
        if (self.token_learner is None) != (not self.tokenlearner_locs):
            raise ConfigError("token_learner and tokenlearner_locs are given together or not at all.")
        if list(self.tokenlearner_locs) != sorted(set(self.tokenlearner_locs)):
            raise ConfigError(f"tokenlearner_locs {self.tokenlearner_locs} must ascend without repeats.")
        for loc in self.tokenlearner_locs:
            if not 0 <= loc < self.depth:
                raise ConfigError(f"tokenlearner_loc {loc} lies outside 0..{self.depth - 1}.")
        if self.default_loc is not None and self.default_loc not in self.tokenlearner_locs:
            raise ConfigError(f"default_loc {self.default_loc} is not one of {self.tokenlearner_locs}.")
        if self.uses_fuser and len(self.tokenlearner_locs) != 1:
            raise ConfigError("With TokenFuser a model has exactly one location, from which on every block is fused.")

    @property
    def is_video(self) -> bool:
        """Whether the model takes clips rather than single images."""
        return self.num_frames is not None

    @property
    def uses_fuser(self) -> bool:
        """Whether TokenFuser maps the tokens back to the grid after each block."""
        return self.token_learner is not None and self.token_learner.use_fuser

    @property
    def num_prefix_tokens(self) -> int:
        """Class and register tokens, which pass by the module; 0 for this project's own networks."""
        return self.backbone.num_prefix_tokens if self.backbone else 0

    @property
    def num_tokens(self) -> int:
        """Tokens the modules hold (the largest `k`); 0 for a plain ViT."""
        return self.token_learner.num_tokens if self.token_learner else 0

    @property
    def num_time_steps(self) -> int:
        """Time steps of the standard input: tubelets for video, 1 for an image."""
        return self.num_frames // self.tubelet_size if self.num_frames is not None else 1

    def group_slices(self) -> dict[str, slice]:
        """Where the logits of each question lie, by its name; a single one is called "class"."""
        if not self.label_groups:
            return {"class": slice(0, self.num_classes)}
        slices, start = {}, 0
        for group in self.label_groups:
            slices[group.name] = slice(start, start + group.num_classes)
            start += group.num_classes
        return slices

    def time_steps(self, num_frames: int) -> int:
        """Time steps of a clip of `num_frames` frames.

        Raises:
            ConfigError: If this is an image model, or the clip is not a whole number of tubelets.
        """
        if not self.is_video:
            raise ConfigError("An image model takes no num_frames: it sees a video frame by frame.")
        if num_frames < 1 or num_frames % self.tubelet_size:
            raise ConfigError(
                f"A clip of {num_frames} frames is not a whole number of tubelets of {self.tubelet_size} frames."
            )
        return num_frames // self.tubelet_size

    def grid_hw(self, image_hw: tuple[int, int] | None = None) -> tuple[int, int]:
        """Patch grid as (rows, columns) of an input of `image_hw` pixels (default: `img_size`).

        Raises:
            ConfigError: If the input is not a whole number of patches.
        """
        height, width = image_hw or self.img_size
        rows, columns = height // self.patch_size[0], width // self.patch_size[1]
        if rows * self.patch_size[0] != height or columns * self.patch_size[1] != width or not rows * columns:
            raise ConfigError(
                f"An input of {height}x{width} pixels is not a whole number of {self.patch_size[0]}x"
                f"{self.patch_size[1]} patches."
            )
        return rows, columns

    def check_choice(self, loc: int | None, num_tokens: int | None) -> int:
        """Validate a per-call `(loc, num_tokens)` and return the token count it stands for (0 without module).

        Raises:
            ConfigError: If there is no module at `loc`, or `num_tokens` is out of range.
        """
        if loc is None:
            return 0
        if loc not in self.tokenlearner_locs:
            held = ", ".join(map(str, self.tokenlearner_locs)) or "none"
            raise ConfigError(f"This model holds no TokenLearner before block {loc} (it has: {held}).")
        k = self.num_tokens if num_tokens is None else num_tokens
        if not 1 <= k <= self.num_tokens:
            raise ConfigError(f"num_tokens {k} lies outside 1..{self.num_tokens}.")
        return k

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-ready dictionary; `from_dict` is its inverse."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ModelConfig:
        """Rebuild a configuration from `to_dict` output (lists in place of tuples are fine).

        Raises:
            ConfigError: If a field is unknown, missing or out of range.
        """
        fields = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(data) - fields)
        if unknown:
            raise ConfigError(f"Unknown model settings: {', '.join(unknown)}. A newer version may have written them.")
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in data.items()
        }
        try:
            if isinstance(values.get("token_learner"), dict):
                values["token_learner"] = TokenLearnerConfig(**values["token_learner"])
            if isinstance(values.get("backbone"), dict):
                values["backbone"] = BackboneConfig.from_dict(values["backbone"])
            values["label_groups"] = tuple(
                group if isinstance(group, LabelGroup) else LabelGroup(**group)
                for group in values.get("label_groups", ())
            )
            return cls(**values)
        except (TypeError, IndexError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"The model settings cannot be used: {error}.") from error


@dataclass(frozen=True)
class ArchSize:
    """Width, depth, heads and MLP width of a named ViT size."""

    embed_dim: int
    depth: int
    num_heads: int
    mlp_dim: int


ARCH_SIZES: Final[dict[SizeName, ArchSize]] = {
    "Ti": ArchSize(192, 12, 3, 768),
    "S": ArchSize(384, 12, 6, 1536),
    "B": ArchSize(768, 12, 12, 3072),
    "L": ArchSize(1024, 24, 16, 4096),
    "H": ArchSize(1280, 32, 16, 5120),
    "G": ArchSize(1664, 48, 16, 8192),
}
ARCH_PATCHES: Final = (32, 16, 14, 10, 8)
"""Sides in pixels of the patches that Vision Transformers were published with; each goes with every size."""


def parse_arch(arch: str) -> tuple[ArchSize, int]:
    """Read a name such as "B/16" into its size and patch side in pixels.

    Raises:
        ConfigError: If the size or the patch is not one of the named ones.
    """
    for name, size in ARCH_SIZES.items():
        for patch in ARCH_PATCHES:
            if arch == f"{name}/{patch}":
                return size, patch
    raise ConfigError(
        f'"{arch}" is not a named architecture. Known: {", ".join(ARCH_SIZES)}, each with patches of '
        f"{', '.join(map(str, ARCH_PATCHES))} pixels, such as B/16."
    )


def named_config(
    arch: str,
    *,
    img_size: int | tuple[int, int] = 224,
    num_classes: int = 1000,
    depth: int | None = None,
    token_learner: TokenLearnerConfig | None = None,
    loc: int | None = None,
    num_frames: int | None = None,
    tubelet_size: int | None = None,
) -> ModelConfig:
    """Configuration of a named ViT or ViViT, such as "B/16", with or without TokenLearner.

    Args:
        arch: Size and patch, e.g. "B/16".
        img_size: Side, or (height, width), in pixels.
        num_classes: Size of the logits.
        depth: Blocks, if other than the size's own (the paper's "B/16 (21)").
        token_learner: The module, or None for the plain network.
        loc: The block before which it sits.
        num_frames: Clip length for a video model.
        tubelet_size: Frames per tubelet; 2 by default for a video model.
    """
    size, patch = parse_arch(arch)
    return ModelConfig(
        img_size=(img_size, img_size) if isinstance(img_size, int) else img_size,
        patch_size=(patch, patch),
        embed_dim=size.embed_dim,
        depth=size.depth if depth is None else depth,
        num_heads=size.num_heads,
        mlp_dim=size.mlp_dim,
        num_classes=num_classes,
        num_frames=num_frames,
        tubelet_size=1 if num_frames is None else (2 if tubelet_size is None else tubelet_size),
        token_learner=token_learner,
        tokenlearner_locs=() if loc is None else (loc,),
        default_loc=loc,
    )


def _require_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise ConfigError(f"{name} must be at least 1, not {value}.")


def _require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ConfigError(f'{name} must be one of {", ".join(choices)}, not "{value}".')
