"""The parity checker on the golden vectors, on cases of a second implementation, and on what must fail."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from tests import reference_numpy
from tests.scenic_cases import ParamsMaker, Spec, case_arrays, model_case, model_params
from tokenlearner import parity
from tokenlearner.cli import main
from tokenlearner.errors import CheckpointError
from tokenlearner.parity import check_file, check_folder

GOLDEN = Path(__file__).parent / "golden"
GOLDEN_FILES = sorted(GOLDEN.glob("*.npz"))


def load(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def save(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    np.savez(path, **arrays)
    return path


def params_of(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix("param/"): value for name, value in arrays.items() if name.startswith("param/")}


# The second implementation, before anything is built on it.


@pytest.mark.parametrize("path", GOLDEN_FILES, ids=lambda path: path.stem)
def test_numpy_reference_reproduces_golden_vectors(path: Path) -> None:
    case = load(path)
    meta = json.loads(bytes(case["meta"]))
    params = params_of(case)
    if meta["kind"] == "tokenlearner_vit":
        out = reference_numpy.vit(case["input"], params, loc=meta["tokenlearner_loc"], classifier=meta["classifier"])
        found = {"logits": out.logits, "encoded": out.encoded} | {f"attention_{i}": m for i, m in enumerate(out.maps)}
    elif meta["kind"] == "fuser":
        found = {"output": reference_numpy.token_fuser(case["tokens"], case["original"], params)}
    else:
        x = case["input"].astype(np.float64)
        flat = x.reshape(len(x), -1, x.shape[-1])
        if meta["kind"] == "v10":
            tokens, maps = reference_numpy.token_learner_v10(flat, params, x.shape[1:3])
        else:
            tokens, maps = reference_numpy.token_learner_v11(flat, params)
        found = {"output": tokens, "attention": maps}
    outputs = {name for name in case if name not in {"meta", "input", "tokens", "original"} and "param/" not in name}
    assert found.keys() == outputs
    for name, value in found.items():
        np.testing.assert_allclose(value, case[name], rtol=0, atol=5e-7 if "attention" in name else 3e-6, err_msg=name)


# The library against the golden vectors.


def test_golden_vectors_agree_with_all_their_quantities() -> None:
    results = check_folder(GOLDEN)
    assert [result.name for result in results] == [path.name for path in GOLDEN_FILES]
    assert len(results) == 7
    assert all(result.passed for result in results), results
    assert sum(len(result.comparisons) for result in results) == 18


def test_tolerances_are_those_of_the_quantities() -> None:
    found = {c.quantity: c.tolerance for result in check_folder(GOLDEN) for c in result.comparisons}
    assert found == {
        "output": 1e-5,
        "encoded": 1e-5,
        "logits": 2e-5,
        "attention": 1e-6,
        "attention_0": 1e-6,
        "attention_1": 1e-6,
    }


# The options that the golden vectors lack, by way of the second implementation.

VIDEO = Spec(image=(8, 15), frames=8, tubelet=2, num_tokens=4)
MODELS = {
    "rectangular image and patch": Spec(),
    "v1.0 on a rectangle": Spec(use_v11=False),
    "v1.0, mean pooling": Spec(use_v11=False, sum_pooling=False),
    "bottleneck 48": Spec(bottleneck=48),
    "fuser": Spec(fuser=True),
    "fuser without norms": Spec(fuser=True, fuser_norm=False, bottleneck=48),
    "v1.0 with fuser": Spec(fuser=True, use_v11=False),
    "v1.0 with fuser, mean, no norms": Spec(fuser=True, use_v11=False, sum_pooling=False, fuser_norm=False),
    "fuser in the last block only": Spec(fuser=True, loc=2),
    "video": VIDEO,
    "video with v1.0": Spec(image=(8, 15), frames=8, tubelet=2, use_v11=False),
    "video with fuser": Spec(image=(8, 15), frames=6, tubelet=2, fuser=True),
    "tubelet 4": Spec(image=(8, 15), frames=12, tubelet=4),
    "tubelet 1": Spec(image=(8, 15), frames=5, tubelet=1),
    "clip embedded frame by frame": Spec(image=(8, 15), frames=5),
    "max pooling": Spec(classifier="gmp"),
    "sum pooling of the head": Spec(classifier="gsp"),
    "pre_logits on video": Spec(image=(8, 15), frames=8, tubelet=2, representation_size=11),
    "before the first block": Spec(loc=0, layers=2),
    "before the last block": Spec(loc=4, layers=5, hidden_size=30, heads=3),
    "plain network": Spec(num_tokens=None, loc=None),
    "location beyond the blocks": Spec(num_tokens=None, loc=12),
    "one token": Spec(num_tokens=1),
}


@pytest.mark.parametrize("spec", MODELS.values(), ids=MODELS)
def test_model_options_agree_with_the_numpy_reference(tmp_path: Path, spec: Spec) -> None:
    result = check_file(save(tmp_path / "case.npz", model_case(spec)))
    assert result.passed, result
    modules = 0 if spec.num_tokens is None else (spec.layers - spec.loc if spec.fuser else 1)
    assert [c.quantity for c in result.comparisons] == [
        "logits",
        "encoded",
        *(f"attention_{i}" for i in range(modules)),
    ]


@pytest.mark.parametrize("sum_pooling", [True, False])
@pytest.mark.parametrize("grid", [(5, 7), (24, 23), None], ids=["rectangle", "large", "flat square"])
def test_v10_module_agrees(tmp_path: Path, grid: tuple[int, int] | None, sum_pooling: bool) -> None:
    make = ParamsMaker(3)
    make.token_learner("", 26, 6, v11=False)
    rows, columns = grid or (9, 9)
    x = make.normal(2, rows * columns, 26)
    tokens, maps = reference_numpy.token_learner_v10(
        x.astype(np.float64), make.params, (rows, columns), sum_pooling=sum_pooling
    )
    stored = x if grid is None else x.reshape(2, rows, columns, 26)
    meta = {"kind": "v10", "num_tokens": 6, "use_sum_pooling": sum_pooling}
    case = case_arrays(meta, make.params, {"input": stored, "output": tokens, "attention": maps})
    assert check_file(save(tmp_path / "case.npz", case)).passed


@pytest.mark.parametrize("bottleneck", [48, 64])
def test_v11_module_agrees(tmp_path: Path, bottleneck: int) -> None:
    make = ParamsMaker(4)
    make.token_learner("", 26, 6, v11=True, bottleneck=bottleneck)
    x = make.normal(2, 35, 26)
    tokens, maps = reference_numpy.token_learner_v11(x.astype(np.float64), make.params)
    meta = {"kind": "v11", "num_tokens": 6, "bottleneck_dim": bottleneck}
    case = case_arrays(meta, make.params, {"input": x, "output": tokens, "attention": maps})
    assert check_file(save(tmp_path / "case.npz", case)).passed


@pytest.mark.parametrize("norm", [True, False])
def test_fuser_agrees_and_keeps_grid_order(tmp_path: Path, norm: bool) -> None:
    make = ParamsMaker(5)
    make.fuser("", 26, 6, norm=norm, bottleneck=48)
    tokens, original = make.normal(2, 6, 26), make.normal(2, 35, 26)
    output = reference_numpy.token_fuser(tokens.astype(np.float64), original.astype(np.float64), make.params)
    meta = {"kind": "fuser", "num_tokens": 6, "bottleneck_dim": 48, "use_normalization": norm}
    arrays = {"tokens": tokens, "original": original.reshape(2, 5, 7, 26), "output": output.reshape(2, 5, 7, 26)}
    assert check_file(save(tmp_path / "case.npz", case_arrays(meta, make.params, arrays))).passed


# What must fail: a wrong library, wrong numbers, unusable files.


def test_exact_gelu_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenlearner.layers.GELUTanh", nn.GELU)
    assert {result.name for result in check_folder(GOLDEN) if not result.passed} >= {"module_v10.npz", "module_v11.npz"}


def test_other_layer_norm_epsilon_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tokenlearner.layers.LayerNorm", lambda dim: nn.LayerNorm(dim, eps=1e-5))
    assert {result.name for result in check_folder(GOLDEN) if not result.passed} >= {"module_v10.npz", "module_v11.npz"}


@pytest.mark.parametrize(
    ("quantity", "shift", "passes"),
    [
        ("logits", 1.5e-5, True),
        ("logits", 3e-5, False),
        ("encoded", 7e-6, True),
        ("encoded", 1.5e-5, False),
        ("attention_0", 7e-7, True),
        ("attention_0", 1.5e-6, False),
        ("logits", np.nan, False),
        ("attention_0", np.inf, False),
    ],
)
def test_each_quantity_is_held_to_its_tolerance(tmp_path: Path, quantity: str, shift: float, passes: bool) -> None:
    case = load(GOLDEN / "vit_v11.npz")
    case[quantity] = case[quantity].copy()
    case[quantity].flat[-1] += shift
    result = check_file(save(tmp_path / "case.npz", case))
    assert result.passed is passes
    failed = [comparison.quantity for comparison in result.comparisons if not comparison.passed]
    assert failed == ([] if passes else [quantity])


def module_case() -> dict[str, np.ndarray]:
    return load(GOLDEN / "module_v11.npz")


def with_meta(**changes: object) -> dict[str, np.ndarray]:
    case = module_case()
    meta = json.loads(bytes(case["meta"])) | changes
    return case | {"meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)}


def without(name: str) -> dict[str, np.ndarray]:
    case = module_case()
    del case[name]
    return case


def vit_without(name: str) -> dict[str, np.ndarray]:
    case = load(GOLDEN / "vit_v11.npz")
    meta = json.loads(bytes(case["meta"]))
    del meta[name]
    return case | {"meta": np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)}


UNUSABLE = {
    "no meta": (without("meta"), r'"case.npz" lacks the array "meta"'),
    "meta is a list": (
        module_case() | {"meta": np.frombuffer(b"[1]", np.uint8)},
        r'"meta" of "case.npz" is not a JSON',
    ),
    "meta is no JSON": (module_case() | {"meta": np.frombuffer(b"{", np.uint8)}, r'"case.npz" is not a readable .npz'),
    "unknown kind": (with_meta(kind="v12"), r'"case.npz" is of the unknown kind "v12"; known are v10, v11'),
    "kind is a number": (with_meta(kind=11), r'"case.npz" has the option kind = 11, which is no str'),
    "bottleneck as text": (with_meta(bottleneck_dim="64"), r"the option bottleneck_dim = '64', which is no int"),
    "no input": (without("input"), r'"case.npz" lacks the array "input"'),
    "input of two axes": (module_case() | {"input": np.ones((2, 24), "f")}, r'"input" of "case.npz" has 2 axes'),
    "v1.0 input not square": (
        with_meta(kind="v10") | {"input": np.ones((2, 60, 24), "f")},
        r'"case.npz" has 60 patches, which is not a square grid',
    ),
    "no output": (without("output"), r'"case.npz" stores no "output" to compare with'),
    "stray output": (
        module_case() | {"logits": np.ones((2, 7), "f")},
        r'"case.npz" stores "logits", which such a model does not return',
    ),
    "output of another shape": (
        module_case() | {"output": np.ones((2, 24, 8), "f")},
        r'"output" of "case.npz" has shape \(2, 24, 8\), but the model returns \(2, 8, 24\)',
    ),
    "output transposed in the middle": (
        module_case() | {"attention": np.ones((2, 6, 80), "f")},
        r'"attention" of "case.npz" has shape \(2, 6, 80\), but the model returns \(2, 8, 60\)',
    ),
    "integers": (
        module_case() | {"input": np.ones((2, 6, 10, 24), np.int32)},
        r'"input" of "case.npz" is of type int32, not of real numbers',
    ),
    "other bottleneck than the option": (
        with_meta(bottleneck_dim=48),
        r'"token_masking/Dense_0/kernel" has shape \(24, 64\) in the checkpoint, but the model needs \(24, 48\)',
    ),
    "fuser norms against the option": (
        load(GOLDEN / "module_fuser.npz") | {"meta": with_meta(kind="fuser", use_normalization=False)["meta"]},
        r'holds the parameters "fuser_mix_norm1/bias" of shape \(24,\), .* and 1 more, for which the model has no',
    ),
    "fuser tokens that do not fit": (
        load(GOLDEN / "module_fuser.npz") | {"tokens": np.ones((2, 7, 24), "f")},
        r'"tokens" \(2, 7, 24\) and "original" \(2, 64, 24\) of "case.npz" do not fit a TokenFuser of 8 tokens',
    ),
    "no location": (vit_without("tokenlearner_loc"), r'"case.npz" lacks the option tokenlearner_loc'),
    "unknown classifier": (
        load(GOLDEN / "vit_v11.npz") | {"meta": with_meta(kind="tokenlearner_vit", classifier="token")["meta"]},
        r'"case.npz" has the classifier "token"; known are gap, gmp, gsp',
    ),
    "image without batch": (
        load(GOLDEN / "vit_v11.npz") | {"input": np.ones((32, 32, 3), "f")},
        r'"input" of "case.npz" has 3 axes; an image model takes 4, a video model 5',
    ),
}


@pytest.mark.parametrize(("case", "message"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_case_is_refused_in_a_sentence(tmp_path: Path, case: dict[str, np.ndarray], message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        check_file(save(tmp_path / "case.npz", case))


def test_input_that_is_no_whole_number_of_patches_is_a_problem_of_its_file(tmp_path: Path) -> None:
    save(tmp_path / "odd.npz", load(GOLDEN / "vit_v11.npz") | {"input": np.ones((2, 30, 32, 3), "f")})
    (result,) = check_folder(tmp_path)
    assert result.problem == '"odd.npz": An input of 30x32 pixels is not a whole number of 4x4 patches.'


@pytest.mark.parametrize("damage", ["empty", "text", "cut", "npy", "pickle"])
def test_unreadable_file_is_refused_in_a_sentence(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "case.npz"
    whole = (GOLDEN / "module_v11.npz").read_bytes()
    if damage == "npy":
        with path.open("wb") as file:
            np.save(file, np.ones(3))
    elif damage == "pickle":
        np.savez(path, meta=np.array([{"kind": "v11"}], dtype=object))
    else:
        path.write_bytes({"empty": b"", "text": b"not an archive", "cut": whole[: len(whole) // 2]}[damage])
    with pytest.raises(CheckpointError, match=r'^"case.npz" is not a readable .npz file of arrays, or is cut short.$'):
        check_file(path)


def test_flipped_bytes_inside_the_archive_are_noticed(tmp_path: Path) -> None:
    content = bytearray((GOLDEN / "module_v11.npz").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 8] = b"\xff" * 8
    (tmp_path / "case.npz").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a readable"):
        check_file(tmp_path / "case.npz")


# The command.


def test_command_prints_every_quantity_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["parity", str(GOLDEN)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0].split() == ["file", "kind", "quantity", "error", "tolerance"]
    rows = [line.split() for line in out[1:19]]
    assert [row[2] for row in rows[:4]] == ["output", "output", "attention", "output"]
    assert all(row[-1] == "ok" and float(row[3]) <= float(row[4]) for row in rows)
    assert out[-1].startswith("all 7 files agree; 18 quantities compared")


def test_command_fails_beyond_tolerance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in GOLDEN_FILES:
        shutil.copy(path, tmp_path)
    case = load(GOLDEN / "vivit_v11.npz")
    save(tmp_path / "vivit_v11.npz", case | {"encoded": case["encoded"] + np.float32(1e-4)})
    assert main(["parity", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    (failed,) = [line for line in out.splitlines() if "FAILS" in line]
    assert failed.split() == ["vivit_v11.npz", "tokenlearner_vit", "encoded", failed.split()[3], "1e-05", "FAILS"]
    assert float(failed.split()[3]) == pytest.approx(1e-4, rel=0.05)
    assert "1 of 7 files fail; 18 quantities compared" in out


def test_command_goes_on_after_an_unreadable_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(GOLDEN / "module_v11.npz", tmp_path)
    (tmp_path / "broken.npz").write_bytes(b"PK")
    assert main(["parity", str(tmp_path)]) == 1
    captured = capsys.readouterr()
    assert captured.err == 'error: "broken.npz" is not a readable .npz file of arrays, or is cut short.\n'
    assert "1 of 2 files fail; 2 quantities compared" in captured.out


@pytest.mark.parametrize("exists", [True, False])
def test_command_refuses_a_folder_without_cases(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], exists: bool
) -> None:
    folder = tmp_path / "cases"
    if exists:
        folder.mkdir()
        (folder / "README.md").write_text("nothing here")
    assert main(["parity", str(folder)]) == 1
    message = f'There are no .npz files in "{folder}", so nothing was checked.' if exists else "There is no folder"
    assert message in capsys.readouterr().err


def test_module_runs_as_a_program(repository: Path) -> None:
    command = [sys.executable, "-m", "tokenlearner", "parity", "tests/golden"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "all 7 files agree" in done.stdout


def test_parameters_of_another_model_are_named(tmp_path: Path) -> None:
    spec = Spec()
    case = model_case(spec)
    narrow = model_params(Spec(mlp_dim=39))
    name = "Transformer/encoderblock_2/MlpBlock_0/Dense_0/kernel"
    case[f"param/{name}"] = narrow[name]
    with pytest.raises(
        CheckpointError, match=rf'"{name}" has shape \(24, 39\) in the .*, but the model needs \(24, 40\)'
    ):
        parity.check_file(save(tmp_path / "case.npz", case))
