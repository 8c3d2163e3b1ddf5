"""Check the library against stored outputs of the official implementation.

A case is an `.npz` file with the parameters, inputs and outputs of one TokenLearner module, TokenFuser or whole
model, computed by Scenic; `tests/golden/README.md` describes the format. The parameters take the same way as
those of an imported checkpoint, so that agreement also proves the import.
"""

from __future__ import annotations

import dataclasses
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from tokenlearner.config import ModelConfig, Pooling, TokenLearnerConfig, Version
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.layers import TokenFuser, build_token_learner
from tokenlearner.model import TokenLearnerViT
from tokenlearner.scenic import ScenicOptions, convert_params
from tokenlearner.scenic.flax_file import Array
from tokenlearner.scenic.infer import CLASSIFIERS, infer_token_fuser, infer_token_learner
from tokenlearner.scenic.layout import apply_layout, token_fuser_layout, token_learner_layout

MAP_TOLERANCE: Final = 1e-6
OUTPUT_TOLERANCE: Final = 1e-5
LOGIT_TOLERANCE: Final = 2e-5

_KINDS: Final = ("v10", "v11", "fuser", "tokenlearner_vit")


@dataclass(frozen=True)
class Comparison:
    """One quantity of one case.

    Attributes:
        quantity: Its name in the file, such as "logits" or "attention_0".
        max_error: Largest absolute difference; NaN if either side is not finite.
        tolerance: The largest allowed.
    """

    quantity: str
    max_error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the difference is within tolerance (NaN is not)."""
        return self.max_error <= self.tolerance


@dataclass(frozen=True)
class CaseResult:
    """What became of one file.

    Attributes:
        name: File name.
        kind: "v10", "v11", "fuser" or "tokenlearner_vit"; "" if the file could not be used.
        comparisons: One per stored output.
        problem: A sentence if the file could not be used, else "".
    """

    name: str
    kind: str = ""
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether everything was compared and is within tolerance."""
        return not self.problem and all(comparison.passed for comparison in self.comparisons)


@dataclass(frozen=True)
class _Case:
    name: str
    meta: dict[str, Any]
    params: dict[str, Array]
    arrays: dict[str, Array]

    def array(self, name: str) -> Array:
        if name not in self.arrays:
            raise CheckpointError(f'"{self.name}" lacks the array "{name}".')
        return self.arrays[name]

    def tensor(self, name: str) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(self.array(name), dtype=np.float32))

    def option(self, name: str, expected: type, default: Any = None) -> Any:
        value = self.meta.get(name)
        value = default if value is None else value
        wrong_bool = isinstance(value, bool) and expected is not bool
        if value is not None and (not isinstance(value, expected) or wrong_bool):
            raise CheckpointError(f'"{self.name}" has the option {name} = {value!r}, which is no {expected.__name__}.')
        return value

    @property
    def pooling(self) -> Pooling:
        return "sum" if self.option("use_sum_pooling", bool, True) else "mean"


def check_folder(folder: Path) -> tuple[CaseResult, ...]:
    """Check every `.npz` file of a folder.

    Raises:
        CheckpointError: If there is no such folder, or no `.npz` file in it.
    """
    if not folder.is_dir():
        raise CheckpointError(f'There is no folder "{folder}".')
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".npz")
    if not paths:
        raise CheckpointError(f'There are no .npz files in "{folder}", so nothing was checked.')
    return tuple(_check_quietly(path) for path in paths)


def check_file(path: Path) -> CaseResult:
    """Run one case in float32 on the CPU and compare everything that its file stores.

    Raises:
        CheckpointError: If the file cannot be read, is of an unknown kind, or its parts do not fit together.
        ConfigError: If its sizes cannot make a model.
    """
    case = _read_case(path)
    kind = case.option("kind", str, "")
    if kind not in _KINDS:
        raise CheckpointError(f'"{case.name}" is of the unknown kind "{kind}"; known are {", ".join(_KINDS)}.')
    with torch.inference_mode():
        if kind == "tokenlearner_vit":
            results = _run_model(case)
        elif kind == "fuser":
            results = _run_fuser(case)
        else:
            results = _run_module(case, "1.0" if kind == "v10" else "1.1")
        return CaseResult(case.name, kind, tuple(_compare(case, results)))


def _check_quietly(path: Path) -> CaseResult:
    try:
        return check_file(path)
    except (CheckpointError, ConfigError) as error:
        message = str(error)
        return CaseResult(path.name, problem=message if path.name in message else f'"{path.name}": {message}')


def _read_case(path: Path) -> _Case:
    try:
        with path.open("rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(bytes(arrays.pop("meta")))
    except KeyError as error:
        raise CheckpointError(f'"{path.name}" lacks the array "meta", which says what it is.') from error
    except (OSError, ValueError, EOFError, AttributeError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise CheckpointError(f'"{path.name}" is not a readable .npz file of arrays, or is cut short.') from error
    if not isinstance(meta, dict):
        raise CheckpointError(f'The array "meta" of "{path.name}" is not a JSON object.')
    params = {name.removeprefix("param/"): arrays.pop(name) for name in list(arrays) if name.startswith("param/")}
    for name, value in (params | arrays).items():
        if not np.issubdtype(value.dtype, np.floating):
            raise CheckpointError(f'The array "{name}" of "{path.name}" is of type {value.dtype}, not of real numbers.')
    return _Case(path.name, meta, params, arrays)


def _run_module(case: _Case, version: Version) -> dict[str, tuple[Tensor, float]]:
    x = case.tensor("input")
    if x.ndim == 4:
        grid_hw = (x.shape[1], x.shape[2])
    elif x.ndim == 3:
        grid_hw = _square_grid(case, x.shape[1]) if version == "1.0" else (x.shape[1], 1)
    else:
        raise CheckpointError(f'The array "input" of "{case.name}" has {x.ndim} axes; a module takes 3 or 4.')
    x = x.reshape(x.shape[0], -1, x.shape[-1])
    tl = _with_options(case, infer_token_learner(case.params, version=version, pooling=case.pooling))
    module = build_token_learner(tl, x.shape[-1])
    module.load_state_dict(apply_layout(case.params, token_learner_layout(tl, x.shape[-1])))
    tokens, token_maps = module(x, grid_hw)
    return {"output": (tokens, OUTPUT_TOLERANCE), "attention": (token_maps, MAP_TOLERANCE)}


def _run_fuser(case: _Case) -> dict[str, tuple[Tensor, float]]:
    tokens, original = case.tensor("tokens"), case.tensor("original")
    original = original.reshape(original.shape[0], -1, original.shape[-1])
    tl = _with_options(case, infer_token_fuser(case.params))
    if tokens.ndim != 3 or tokens.shape != (len(original), tl.num_tokens, original.shape[-1]):
        raise CheckpointError(
            f'The arrays "tokens" {tuple(tokens.shape)} and "original" {tuple(original.shape)} of "{case.name}" do not '
            f"fit a TokenFuser of {tl.num_tokens} tokens."
        )
    module = TokenFuser(original.shape[-1], tl.num_tokens, tl.bottleneck_dim, tl.fuser_norm)
    module.load_state_dict(apply_layout(case.params, token_fuser_layout(tl, original.shape[-1])))
    return {"output": (module(tokens, original), OUTPUT_TOLERANCE)}


def _run_model(case: _Case) -> dict[str, tuple[Tensor, float]]:
    pixels = case.tensor("input").movedim(-1, -3)
    config, state_dict = _model_parts(case, pixels)
    model = TokenLearnerViT(config).eval()
    model.load_state_dict(state_dict)
    out = model(pixels)
    results = {"logits": (out.logits, LOGIT_TOLERANCE), "encoded": (out.encoded, OUTPUT_TOLERANCE)}
    maps = {f"attention_{i}": (m.flatten(0, 1), MAP_TOLERANCE) for i, m in enumerate(out.all_token_maps)}
    return results | maps


def _model_parts(case: _Case, pixels: Tensor) -> tuple[ModelConfig, dict[str, Tensor]]:
    if pixels.ndim not in (4, 5):
        raise CheckpointError(
            f'The array "input" of "{case.name}" has {pixels.ndim} axes; an image model takes 4, a video model 5.'
        )
    classifier = case.option("classifier", str, "gap")
    if classifier not in CLASSIFIERS:
        raise CheckpointError(f'"{case.name}" has the classifier "{classifier}"; known are {", ".join(CLASSIFIERS)}.')
    plain = not any(name.startswith("Transformer/TokenLearnerModule") for name in case.params)
    if not plain and case.option("tokenlearner_loc", int) is None:
        raise CheckpointError(f'"{case.name}" lacks the option tokenlearner_loc.')
    options = ScenicOptions(
        loc=None if plain else case.option("tokenlearner_loc", int),
        img_size=(pixels.shape[-2], pixels.shape[-1]),
        num_frames=pixels.shape[1] if pixels.ndim == 5 else None,
        pooling=case.pooling,
        head_pool=CLASSIFIERS[classifier],
    )
    return convert_params(case.params, options)


def _with_options(case: _Case, tl: TokenLearnerConfig) -> TokenLearnerConfig:
    """Let the file's options, where given, decide over what the parameters imply."""
    return dataclasses.replace(
        tl,
        num_tokens=case.option("num_tokens", int, tl.num_tokens),
        bottleneck_dim=case.option("bottleneck_dim", int, tl.bottleneck_dim),
        fuser_norm=case.option("use_normalization", bool, tl.fuser_norm),
    )


def _square_grid(case: _Case, patches: int) -> tuple[int, int]:
    side = round(patches**0.5)
    if side * side != patches:
        raise CheckpointError(f'The array "input" of "{case.name}" has {patches} patches, which is not a square grid.')
    return side, side


def _compare(case: _Case, results: Mapping[str, tuple[Tensor, float]]) -> Iterator[Comparison]:
    inputs = {"input", "tokens", "original"}
    expected = [name for name in case.arrays if name not in inputs]
    for name in expected:
        if name not in results:
            raise CheckpointError(f'"{case.name}" stores "{name}", which such a model does not return.')
    main = next(iter(results))
    if main not in expected:
        raise CheckpointError(f'"{case.name}" stores no "{main}" to compare with.')
    for name in expected:
        value, tolerance = results[name]
        found, wanted = value.double().numpy(), case.array(name).astype(np.float64)
        if not _same_places(found, wanted):
            raise CheckpointError(
                f'"{name}" of "{case.name}" has shape {wanted.shape}, but the model returns {found.shape}.'
            )
        with np.errstate(invalid="ignore"):
            error = np.abs(found - wanted.reshape(found.shape)).max()
        yield Comparison(name, float(error), tolerance)


def _same_places(found: Array, wanted: Array) -> bool:
    """Whether both have one shape, but for a patch grid that one side stores as rows and columns."""
    ends = (found.shape[0], found.shape[-1]) == (wanted.shape[0], wanted.shape[-1]) if wanted.ndim > 1 else False
    return ends and found.size == wanted.size > 0
