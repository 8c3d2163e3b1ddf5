"""Read Flax msgpack checkpoints into NumPy arrays, without flax or jax and never through pickle.

Source of the format: `flax/serialization.py`. A checkpoint is one msgpack map; arrays are extension type 1,
itself msgpack of (shape, dtype name, row-major bytes); type 2 is a complex number, type 3 a NumPy scalar packed
like an array. Arrays of more than 1 GiB are split into a map marked `__msgpack_chunked_array__`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgpack
import numpy as np
from numpy.typing import NDArray

from tokenlearner.errors import CheckpointError

Array = NDArray[Any]
Tree = Mapping[str, Any]
"""Nested maps whose leaves are arrays, or the scalars, strings and None that a training state also holds."""

_CHUNKED: Final = "__msgpack_chunked_array__"
_NDARRAY, _COMPLEX, _SCALAR = 1, 2, 3
_DTYPES: Final = frozenset(
    {"bool", "complex64", "complex128", "float16", "float32", "float64"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
_PARAMS_PATHS: Final = (
    "params",
    "optimizer/target",
    "optimizer/target/params",
    "model/params",
    "params/params",
    "state/params",
    "target/params",
    "target",
    "",
)
_MODEL_KEYS: Final = frozenset({"Transformer", "embedding", "output_projection"})


class _Malformed(ValueError):
    """An extension object whose content contradicts itself."""


def read_flax_file(path: Path) -> Tree:
    """Read a Flax msgpack file into nested dictionaries of NumPy arrays.

    Raises:
        CheckpointError: If there is no such file, or it is not msgpack as Flax writes it.
    """
    if path.is_dir():
        raise CheckpointError(
            f'"{path.name}" is a folder. Give the checkpoint file inside it; Orbax folders must be saved again with '
            "flax.serialization.to_bytes."
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f'"{path}" cannot be read: {error.strerror or error}.') from error
    if not data:
        raise CheckpointError(f'"{path.name}" is empty.')
    return restore(data, path.name)


def restore(data: bytes, name: str = "checkpoint") -> Tree:
    """Decode the bytes of a Flax msgpack file.

    Args:
        data: The whole file.
        name: What messages call it.

    Raises:
        CheckpointError: If the bytes are cut short or are not a msgpack map as Flax writes it.
    """
    try:
        tree = msgpack.unpackb(data, ext_hook=_decode_ext, raw=False)
        if not isinstance(tree, dict):
            raise CheckpointError(f'"{name}" is not a Flax checkpoint: it holds one {type(tree).__name__}, not a tree.')
        return _join_chunks(tree)
    except msgpack.exceptions.ExtraData as error:
        raise CheckpointError(
            f'"{name}" is not a Flax checkpoint in msgpack format: something follows its first object.'
        ) from error
    except _Malformed as error:
        raise CheckpointError(f'"{name}" is damaged: {error}.') from error
    except (ValueError, TypeError, KeyError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise CheckpointError(
            f'"{name}" is cut short or is not a Flax checkpoint in msgpack format. Copy or export it again.'
        ) from error


def find_params(tree: Tree) -> tuple[str, Tree]:
    """Find the network's parameters inside a checkpoint.

    Args:
        tree: A bare parameter tree, variables (`params`) or a training state (`params`, `optimizer/target`,
            `model/params`, ...).

    Returns:
        The path at which they were found ("" for the root), and the parameters.

    Raises:
        CheckpointError: If no part of the tree looks like a Scenic Vision Transformer.
    """
    for path in _PARAMS_PATHS:
        node: Any = tree
        for key in path.split("/") if path else ():
            node = node.get(key) if isinstance(node, Mapping) else None
        if isinstance(node, Mapping) and any(key.split("/")[0] in _MODEL_KEYS for key in node):
            return path, node
    found = ", ".join(sorted(map(str, tree))[:8]) or "nothing"
    raise CheckpointError(
        f'This file holds no Scenic Vision Transformer: neither "params" nor "optimizer/target" has a "Transformer" '
        f"in it (found: {found})."
    )


def flatten(tree: Tree) -> dict[str, Array]:
    """Turn nested parameters (or parameters that are flat already) into `{"a/b/c": array}`.

    Raises:
        CheckpointError: If a leaf is not an array.
    """
    flat: dict[str, Array] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            flat.update({f"{key}/{name}": leaf for name, leaf in flatten(value).items()})
        elif isinstance(value, np.ndarray | np.generic):
            flat[key] = np.asarray(value)
        else:
            raise CheckpointError(f'The parameter "{key}" is {type(value).__name__}, not an array of numbers.')
    return flat


def _decode_ext(code: int, data: bytes) -> Any:
    if code == _NDARRAY:
        return _decode_array(data)
    if code == _SCALAR:
        return _decode_array(data)[()]
    if code == _COMPLEX:
        real, imaginary = msgpack.unpackb(data)
        return complex(real, imaginary)
    raise _Malformed(f"it uses the unknown extension type {code}")


def _decode_array(data: bytes) -> Array:
    shape, raw_name, buffer = msgpack.unpackb(data, raw=True)
    name = raw_name.decode() if isinstance(raw_name, bytes) else str(raw_name)
    if not all(isinstance(size, int) and size >= 0 for size in shape):
        raise _Malformed(f"an array has the shape {shape!r}")
    bfloat16 = name == "bfloat16"
    if not bfloat16 and name not in _DTYPES:
        raise _Malformed(f'an array has the type "{name}", which cannot be read')
    dtype = np.dtype(np.uint16 if bfloat16 else name).newbyteorder("<")
    if math.prod(shape) * dtype.itemsize != len(buffer):
        raise _Malformed(f"an array of shape {tuple(shape)} and type {name} comes with {len(buffer)} bytes")
    array = np.frombuffer(buffer, dtype=dtype).reshape(shape)
    # A bfloat16 is the upper half of a float32.
    return (array.astype(np.uint32) << 16).view(np.float32) if bfloat16 else array


def _join_chunks(node: dict[str, Any]) -> dict[str, Any]:
    return {key: _join(value) if isinstance(value, dict) else value for key, value in node.items()}


def _join(node: dict[str, Any]) -> Any:
    if _CHUNKED not in node:
        return _join_chunks(node)
    shape, chunks = _as_sequence(node["shape"]), _as_sequence(node["chunks"])
    if not chunks or not all(isinstance(chunk, np.ndarray) for chunk in chunks):
        raise _Malformed("an array in chunks has none")
    size = sum(chunk.size for chunk in chunks)
    if math.prod(shape) != size:
        raise _Malformed(f"an array of shape {tuple(shape)} comes in chunks of {size} numbers together")
    return np.concatenate([chunk.reshape(-1) for chunk in chunks]).reshape(shape)


def _as_sequence(value: Any) -> Sequence[Any]:
    """Flax writes tuples as maps with keys "0", "1", ...; early versions wrote lists."""
    return [value[str(i)] for i in range(len(value))] if isinstance(value, Mapping) else list(value)
