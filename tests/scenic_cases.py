"""Random Scenic parameter trees, parity cases made from them, and Flax msgpack files, all without the library.

Shapes and names are written out here a second time, from Scenic's source, so that a mistake in the library's own
table cannot hide.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

from tests import reference_numpy

Params = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One model; every size differs from the others, so that no axis can be taken for another."""

    image: tuple[int, int] = (12, 20)
    patch: tuple[int, int] = (4, 5)
    hidden_size: int = 24
    layers: int = 3
    heads: int = 2
    mlp_dim: int = 40
    classes: int = 7
    num_tokens: int | None = 6
    loc: int | None = 1
    use_v11: bool = True
    fuser: bool = False
    fuser_norm: bool = True
    bottleneck: int = 64
    frames: int | None = None
    tubelet: int | None = None
    representation_size: int | None = None
    classifier: str = "gap"
    sum_pooling: bool = True

    @property
    def grid(self) -> tuple[int, int]:
        return self.image[0] // self.patch[0], self.image[1] // self.patch[1]

    def meta(self) -> dict[str, Any]:
        return {
            "kind": "tokenlearner_vit",
            "layers": self.layers,
            "hidden_size": self.hidden_size,
            "heads": self.heads,
            "mlp_dim": self.mlp_dim,
            "image": list(self.image),
            "patch": list(self.patch),
            "tubelet": self.tubelet,
            "frames": self.frames,
            "num_tokens": self.num_tokens,
            "tokenlearner_loc": self.loc,
            "use_v11": self.use_v11,
            "use_tokenfuse": self.fuser,
            "use_normalization": self.fuser_norm,
            "bottleneck_dim": self.bottleneck,
            "use_sum_pooling": self.sum_pooling,
            "classifier": self.classifier,
            "representation_size": self.representation_size,
            "classes": self.classes,
        }


class ParamsMaker:
    """Draws parameters that keep activations near one, under Flax paths."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.params: Params = {}

    def normal(self, *shape: int, std: float = 1.0) -> np.ndarray:
        return (self.rng.normal(size=shape) * std).astype(np.float32)

    def norm(self, prefix: str, dim: int) -> None:
        self.params[f"{prefix}/scale"] = 1 + self.normal(dim, std=0.2)
        self.params[f"{prefix}/bias"] = self.normal(dim, std=0.2)

    def dense(self, prefix: str, in_dim: int, out_dim: int) -> None:
        self.params[f"{prefix}/kernel"] = self.normal(in_dim, out_dim, std=in_dim**-0.5)
        self.params[f"{prefix}/bias"] = self.normal(out_dim, std=0.2)

    def mlp(self, prefix: str, in_dim: int, hidden: int, out_dim: int) -> None:
        self.dense(f"{prefix}/Dense_0", in_dim, hidden)
        self.dense(f"{prefix}/Dense_1", hidden, out_dim)

    def token_learner(self, prefix: str, dim: int, tokens: int, *, v11: bool, bottleneck: int = 64) -> None:
        self.norm(f"{prefix}LayerNorm_0", dim)
        if v11:
            self.mlp(f"{prefix}token_masking", dim, bottleneck, tokens)
            return
        for i in range(4):
            width = dim if i == 0 else tokens
            self.params[f"{prefix}Conv_{i}/kernel"] = self.normal(3, 3, width, tokens, std=(9 * width) ** -0.5)

    def fuser(self, prefix: str, dim: int, tokens: int, *, norm: bool = True, bottleneck: int = 64) -> None:
        self.dense(f"{prefix}Dense_0", tokens, tokens)
        self.norm(f"{prefix}LayerNorm_0", dim)
        self.mlp(f"{prefix}token_masking", dim, bottleneck, tokens)
        if norm:
            self.norm(f"{prefix}fuser_mix_norm1", dim)
            self.norm(f"{prefix}fuser_mix_norm2", dim)

    def attention(self, prefix: str, dim: int, heads: int) -> None:
        for name in ("query", "key", "value"):
            self.params[f"{prefix}/{name}/kernel"] = self.normal(dim, heads, dim // heads, std=dim**-0.5)
            self.params[f"{prefix}/{name}/bias"] = self.normal(heads, dim // heads, std=0.2)
        self.params[f"{prefix}/out/kernel"] = self.normal(heads, dim // heads, dim, std=dim**-0.5)
        self.params[f"{prefix}/out/bias"] = self.normal(dim, std=0.2)


def model_params(spec: Spec, seed: int = 0) -> Params:
    """Flat Scenic parameters of a whole model."""
    make = ParamsMaker(seed)
    dim = spec.hidden_size
    kernel = (*spec.patch, 3, dim)
    if spec.tubelet is not None:
        kernel = (spec.tubelet, *kernel)
    make.params["embedding/kernel"] = make.normal(*kernel, std=np.prod(kernel[:-1]) ** -0.5)
    make.params["embedding/bias"] = make.normal(dim, std=0.2)
    steps = (spec.frames or 1) // (spec.tubelet or 1)
    places = steps * spec.grid[0] * spec.grid[1]
    make.params["Transformer/posembed_input/pos_embedding"] = make.normal(1, places, dim, std=0.5)
    for i in range(spec.layers):
        block = f"Transformer/encoderblock_{i}"
        make.norm(f"{block}/LayerNorm_0", dim)
        make.attention(f"{block}/MultiHeadDotProductAttention_0", dim, spec.heads)
        make.norm(f"{block}/LayerNorm_1", dim)
        make.mlp(f"{block}/MlpBlock_0", dim, spec.mlp_dim, dim)
    if spec.num_tokens is not None and spec.loc is not None:
        name = "TokenLearnerModuleV11" if spec.use_v11 else "TokenLearnerModule"
        for i in range(spec.layers - spec.loc if spec.fuser else 1):
            make.token_learner(
                f"Transformer/{name}_{i}/", dim, spec.num_tokens, v11=spec.use_v11, bottleneck=spec.bottleneck
            )
            if spec.fuser:
                fuser = f"Transformer/TokenFuser_{i}/"
                make.fuser(fuser, dim, spec.num_tokens, norm=spec.fuser_norm, bottleneck=spec.bottleneck)
    make.norm("Transformer/encoder_norm", dim)
    if spec.representation_size:
        make.dense("pre_logits", dim, spec.representation_size)
    make.dense("output_projection", spec.representation_size or dim, spec.classes)
    return make.params


def model_case(spec: Spec, seed: int = 0) -> dict[str, np.ndarray]:
    """The arrays of a parity case of a whole model, its outputs from the NumPy implementation."""
    params = model_params(spec, seed)
    shape = (2, *(() if spec.frames is None else (spec.frames,)), *spec.image, 3)
    x = np.random.default_rng(seed + 1).normal(size=shape).astype(np.float32)
    out = reference_numpy.vit(x, params, loc=spec.loc, sum_pooling=spec.sum_pooling, classifier=spec.classifier)
    maps = {f"attention_{i}": array for i, array in enumerate(out.maps)}
    return case_arrays(spec.meta(), params, {"input": x, "logits": out.logits, "encoded": out.encoded, **maps})


def case_arrays(meta: dict[str, Any], params: Params, arrays: Params) -> dict[str, np.ndarray]:
    """The content of a parity file."""
    return {
        "meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8),
        **{f"param/{name}": value for name, value in params.items()},
        **{name: value.astype(np.float32) for name, value in arrays.items()},
    }


def nested(flat: Params) -> dict[str, Any]:
    """Nest `{"a/b": array}` into `{"a": {"b": array}}`."""
    tree: dict[str, Any] = {}
    for path, value in flat.items():
        node = tree
        *folders, leaf = path.split("/")
        for folder in folders:
            node = node.setdefault(folder, {})
        node[leaf] = value
    return tree


def flax_array(value: np.ndarray, *, dtype: str | None = None, code: int = 1) -> msgpack.ExtType:
    """An array as Flax packs it: extension 1 of (shape, dtype name, row-major bytes); scalars are extension 3."""
    return msgpack.ExtType(code, msgpack.packb((value.shape, dtype or value.dtype.name, value.tobytes("C"))))


def flax_bytes(tree: dict[str, Any]) -> bytes:
    """What `flax.serialization.to_bytes` writes for nested dictionaries of arrays."""
    return bytes(msgpack.packb(tree, default=lambda leaf: flax_array(np.asarray(leaf)), strict_types=True))


def write_flax(path: Path, params: Params, at: str = "params") -> Path:
    """Write a checkpoint with the parameters under `at` ("" for the root)."""
    tree = nested(params)
    for key in reversed(at.split("/") if at else []):
        tree = {key: tree}
    path.write_bytes(flax_bytes(tree))
    return path
