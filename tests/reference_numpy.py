"""TokenLearner in plain NumPy float64: a second route to every number, sharing no code with the library.

Written from the equations of `scenic/projects/token_learner/model.py`, on Flax parameter names and layouts, and
checked itself against the golden vectors. It computes slowly and plainly: convolutions are sums over shifted
copies, attention is three einsums.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Params = dict[str, np.ndarray]


def sub(params: Params, prefix: str) -> Params:
    """The parameters under `prefix`, with the prefix cut off, in float64."""
    return {k.removeprefix(prefix + "/"): v.astype(np.float64) for k, v in params.items() if k.startswith(prefix + "/")}


def gelu(x: np.ndarray) -> np.ndarray:
    """Flax's `nn.gelu`: the tanh approximation."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Logistic function."""
    return 1 / (1 + np.exp(-x))


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def layer_norm(x: np.ndarray, p: Params) -> np.ndarray:
    """Flax's LayerNorm over the last axis, epsilon 1e-6."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6) * p["scale"] + p["bias"]


def dense(x: np.ndarray, p: Params) -> np.ndarray:
    """Affine map of the last axis, kernel [in, out]."""
    return x @ p["kernel"] + p["bias"]


def mlp(x: np.ndarray, p: Params) -> np.ndarray:
    """Two dense layers with GELU between."""
    return dense(gelu(dense(x, sub(p, "Dense_0"))), sub(p, "Dense_1"))


def conv3x3(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Stride 1, zero padding 1, no bias; x [n, h, w, in], kernel [3, 3, in, out]."""
    _, height, width, _ = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    return sum(padded[:, i : i + height, j : j + width] @ kernel[i, j] for i in range(3) for j in range(3))


def token_learner_v10(
    x: np.ndarray, p: Params, grid_hw: tuple[int, int], *, sum_pooling: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """v1.0 on x [n, patches, dim]: tokens [n, tokens, dim] and maps [n, tokens, patches]."""
    selected = layer_norm(x, sub(p, "LayerNorm_0")).reshape(len(x), *grid_hw, -1)
    for i in range(4):
        selected = conv3x3(selected, p[f"Conv_{i}/kernel"].astype(np.float64))
        if i < 3:
            selected = gelu(selected)
    maps = sigmoid(selected).reshape(len(x), x.shape[1], -1).swapaxes(1, 2)
    weighted = maps[..., None] * x[:, None]
    return weighted.sum(axis=2) if sum_pooling else weighted.mean(axis=2), maps


def token_learner_v11(x: np.ndarray, p: Params) -> tuple[np.ndarray, np.ndarray]:
    """v1.1 on x [n, patches, dim]: tokens [n, tokens, dim] and maps [n, tokens, patches]."""
    logits = mlp(layer_norm(x, sub(p, "LayerNorm_0")), sub(p, "token_masking"))
    maps = softmax(logits.swapaxes(1, 2))
    return maps @ x, maps


def token_fuser(tokens: np.ndarray, original: np.ndarray, p: Params) -> np.ndarray:
    """Spread tokens [n, tokens, dim] over the places of original [n, patches, dim]; without the residual."""
    if "fuser_mix_norm1/scale" in p:
        tokens = layer_norm(tokens, sub(p, "fuser_mix_norm1"))
    mixed = dense(tokens.swapaxes(1, 2), sub(p, "Dense_0")).swapaxes(1, 2)
    if "fuser_mix_norm2/scale" in p:
        mixed = layer_norm(mixed, sub(p, "fuser_mix_norm2"))
    weights = sigmoid(mlp(layer_norm(original, sub(p, "LayerNorm_0")), sub(p, "token_masking")))
    return weights @ mixed


def attention(x: np.ndarray, p: Params) -> np.ndarray:
    """Multi-head self-attention, kernels [dim, heads, head_dim] and [heads, head_dim, dim]."""
    q, k, v = (
        np.einsum("nsd,dhe->nhse", x, p[f"{name}/kernel"]) + p[f"{name}/bias"][:, None]
        for name in ("query", "key", "value")
    )
    weights = softmax(np.einsum("nhse,nhte->nhst", q, k) / np.sqrt(q.shape[-1]))
    return np.einsum("nhst,nhte,hed->nsd", weights, v, p["out/kernel"], optimize=True) + p["out/bias"]


def block(x: np.ndarray, p: Params) -> np.ndarray:
    """Pre-norm transformer block."""
    x = x + attention(layer_norm(x, sub(p, "LayerNorm_0")), sub(p, "MultiHeadDotProductAttention_0"))
    return x + mlp(layer_norm(x, sub(p, "LayerNorm_1")), sub(p, "MlpBlock_0"))


def embed(x: np.ndarray, p: Params) -> np.ndarray:
    """Cut x [n, (frames,) height, width, chans] into patches or tubelets: [n, time, rows, columns, dim]."""
    kernel = p["kernel"]
    kernel = kernel if kernel.ndim == 5 else kernel[None]
    x = x if x.ndim == 5 else x[:, None]
    ft, fh, fw, chans, _ = kernel.shape
    n, frames, height, width, _ = x.shape
    pieces = x.reshape(n, frames // ft, ft, height // fh, fh, width // fw, fw, chans)
    return np.einsum("ntarbscq,abcqe->ntrse", pieces, kernel, optimize=True) + p["bias"]


@dataclass(frozen=True)
class Outputs:
    """What the whole network returns."""

    logits: np.ndarray
    encoded: np.ndarray
    maps: tuple[np.ndarray, ...]


def vit(
    x: np.ndarray,
    params: Params,
    *,
    loc: int | None,
    sum_pooling: bool = True,
    classifier: str = "gap",
) -> Outputs:
    """The whole image or video network; what its parts are is read from the parameter names."""
    trunk = sub(params, "Transformer")
    x = embed(x.astype(np.float64), sub(params, "embedding"))
    n, time, rows, columns, dim = x.shape
    x = x.reshape(n, time * rows * columns, dim) + trunk["posembed_input/pos_embedding"]
    fused = "TokenFuser_0/Dense_0/kernel" in trunk
    version = "" if "TokenLearnerModule_0/Conv_0/kernel" in trunk else "V11"
    maps: list[np.ndarray] = []

    def learn(features: np.ndarray) -> np.ndarray:
        p = sub(trunk, f"TokenLearnerModule{version}_{len(maps)}")
        flat = features.reshape(n * time, -1, dim)
        if version:
            tokens, found = token_learner_v11(flat, p)
        else:
            tokens, found = token_learner_v10(flat, p, (rows, columns), sum_pooling=sum_pooling)
        maps.append(found)
        return tokens.reshape(n, -1, dim)

    depth = sum(name.startswith("encoderblock_") and name.endswith("LayerNorm_0/scale") for name in trunk)
    for i in range(depth):
        here = sub(trunk, f"encoderblock_{i}")
        if loc is not None and fused and i >= loc:
            tokens = block(learn(x), here).reshape(n * time, -1, dim)
            fuser = sub(trunk, f"TokenFuser_{i - loc}")
            x = x + token_fuser(tokens, x.reshape(n * time, -1, dim), fuser).reshape(x.shape)
            continue
        x = block(learn(x) if i == loc and not fused else x, here)
    encoded = layer_norm(x, sub(trunk, "encoder_norm"))
    pooled = {"gap": encoded.mean, "gmp": encoded.max, "gsp": encoded.sum}[classifier](axis=1)
    if "pre_logits/kernel" in params:
        pooled = np.tanh(dense(pooled, sub(params, "pre_logits")))
    return Outputs(dense(pooled, sub(params, "output_projection")), encoded, tuple(maps))
