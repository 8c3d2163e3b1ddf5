"""Scenic checkpoints: the msgpack reader, the inference of configurations, the conversion and the command."""

import json
import shlex
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest
import torch

from tests import reference_numpy
from tests.scenic_cases import Spec, flax_array, flax_bytes, model_params, nested, write_flax
from tokenlearner.cards import file_sha256
from tokenlearner.cli import main
from tokenlearner.config import ModelConfig, TokenLearnerConfig
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.model import TokenLearnerViT
from tokenlearner.scenic import ScenicOptions, convert_params, find_params, read_scenic
from tokenlearner.scenic.flax_file import flatten, read_flax_file, restore
from tokenlearner.weights import load_checkpoint

GOLDEN = Path(__file__).parent / "golden"
SQUARE = Spec(image=(12, 15))
CLIP = Spec(image=(12, 15), frames=8, tubelet=2)


def golden(name: str) -> tuple[dict[str, Any], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Meta, parameters and other arrays of a golden file."""
    with np.load(GOLDEN / f"{name}.npz") as file:
        arrays = {key: file[key] for key in file.files}
    params = {key.removeprefix("param/"): arrays.pop(key) for key in list(arrays) if key.startswith("param/")}
    return json.loads(bytes(arrays.pop("meta"))), params, arrays


def pixels(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(array).movedim(-1, -3)


# The reader.


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "uint64", "bool", "complex64"])
def test_arrays_of_every_kind_come_back(dtype: str) -> None:
    value = np.arange(6).reshape(2, 3).astype(dtype)
    found = restore(flax_bytes({"a": {"b": value}}))["a"]["b"]
    assert found.dtype == value.dtype
    np.testing.assert_array_equal(found, value)


def test_bfloat16_becomes_float32() -> None:
    # Sign, 8 bits of exponent, 7 of mantissa: 1.5, -0.25, the largest finite number, and infinity.
    bits = np.array([0x3FC0, 0xBE80, 0x7F7F, 0x7F80], dtype=np.uint16)
    found = restore(msgpack.packb({"a": flax_array(bits, dtype="bfloat16")}))["a"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([1.5, -0.25, 3.3895314e38, np.inf], dtype=np.float32))


def test_scalars_numbers_and_nothing_come_back() -> None:
    tree = {
        "step": flax_array(np.asarray(np.int32(7)), code=3),
        "z": msgpack.ExtType(2, msgpack.packb((1.5, -2.0))),
        "none": None,
        "text": "é",
    }
    found = restore(msgpack.packb(tree))
    assert found == {"step": 7, "z": 1.5 - 2j, "none": None, "text": "é"}
    assert isinstance(found["step"], np.int32)


@pytest.mark.parametrize("as_list", [False, True])
def test_arrays_in_chunks_are_joined(as_list: bool) -> None:
    value = np.arange(10, dtype=np.float32).reshape(2, 5)
    chunks = [value.reshape(-1)[i : i + 4] for i in range(0, 10, 4)]
    as_map = lambda items: items if as_list else {str(i): item for i, item in enumerate(items)}  # noqa: E731
    tree = {"p": {"a": {"__msgpack_chunked_array__": True, "shape": as_map([2, 5]), "chunks": as_map(chunks)}}}
    np.testing.assert_array_equal(restore(flax_bytes(tree))["p"]["a"], value)


def chunked(shape: list[int], chunks: list[Any]) -> bytes:
    return flax_bytes({"a": {"__msgpack_chunked_array__": True, "shape": shape, "chunks": chunks}})


WHOLE = flax_bytes({"params": {"a": np.ones((3, 4), np.float32)}})
NOT_FLAX = r'^"model" is cut short or is not a Flax checkpoint in msgpack format'
DAMAGED = {
    "cut": (WHOLE[:-5], NOT_FLAX),
    "cut inside the header": (WHOLE[:3], NOT_FLAX),
    "text": (b"hello", r'^"model" is not a Flax checkpoint in msgpack format: something follows'),
    "zip archive": (
        (GOLDEN / "vit_v11.npz").read_bytes(),
        r'^"model" is not a Flax checkpoint in msgpack format: some',
    ),
    "one number": (msgpack.packb(3), r'^"model" is not a Flax checkpoint: it holds one int, not a tree'),
    "keys that are numbers": (msgpack.packb({1: 2}), NOT_FLAX),
    "nesting without end": (b"\x81\xa1a" * 3000, NOT_FLAX),
    "bad text": (b"\x81\xa2\xff\xfe\x01", NOT_FLAX),
    "array of two parts": (msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb(((3,), "float32")))}), NOT_FLAX),
    "unknown extension": (
        msgpack.packb({"a": msgpack.ExtType(9, b"x")}),
        r'^"model" is damaged: it uses the unknown extension type 9',
    ),
    "too few bytes": (
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb(((3, 4), "float32", b"1234")))}),
        r'^"model" is damaged: an array of shape \(3, 4\) and type float32 comes with 4 bytes',
    ),
    "negative size": (
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb(((-1, -1), "int8", b"1")))}),
        r'^"model" is damaged: an array has the shape \[-1, -1\]',
    ),
    "python objects": (
        msgpack.packb({"a": msgpack.ExtType(1, msgpack.packb(((1,), "object", b"12345678")))}),
        r'^"model" is damaged: an array has the type "object", which cannot be read',
    ),
    "chunks that do not fit": (
        chunked([2, 5], [np.ones(4, np.float32)]),
        r'^"model" is damaged: an array of shape \(2, 5\) comes in chunks of 4 numbers together',
    ),
    "no chunks": (chunked([0], []), r'^"model" is damaged: an array in chunks has none'),
}


@pytest.mark.parametrize(("content", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_file_is_refused_in_a_sentence(content: bytes, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        restore(content, "model")


def test_no_prefix_of_a_checkpoint_is_accepted() -> None:
    for length in range(len(WHOLE)):
        with pytest.raises(CheckpointError):
            restore(WHOLE[:length])


def test_pickle_is_not_read() -> None:
    content = b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94."
    with pytest.raises(CheckpointError, match="not a Flax checkpoint"):
        restore(content)


def test_missing_empty_and_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r'none" cannot be read: No such file or directory.$'):
        read_flax_file(tmp_path / "none")
    (tmp_path / "empty").touch()
    with pytest.raises(CheckpointError, match=r'^"empty" is empty.$'):
        read_flax_file(tmp_path / "empty")
    (tmp_path / "orbax").mkdir()
    with pytest.raises(CheckpointError, match=r'^"orbax" is a folder. Give the checkpoint file inside it; Orbax'):
        read_flax_file(tmp_path / "orbax")


@pytest.mark.parametrize(
    "path", ["params", "optimizer/target", "optimizer/target/params", "model/params", "state/params", "target", ""]
)
def test_parameters_are_found_where_scenic_and_flax_put_them(path: str) -> None:
    tree: dict[str, Any] = {"embedding": {"kernel": np.ones(2)}, "Transformer": {}}
    for key in reversed(path.split("/") if path else []):
        tree = {key: tree, "global_step": 3}
    found_at, params = find_params(tree)
    assert found_at == path
    assert set(params) >= {"embedding", "Transformer"}


def test_checkpoint_of_another_network_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r'neither "params" nor "optimizer/target" has .* \(found: opt, params\)'):
        find_params({"params": {"ResNet": {}}, "opt": {}})


def test_flatten_accepts_flat_nested_and_mixed_trees_alike() -> None:
    expected = {"a/b/c": 1.0, "a/d": 2.0}
    for tree in ({"a/b/c": np.float32(1), "a/d": np.float32(2)}, {"a": {"b/c": np.float32(1), "d": np.float32(2)}}):
        assert {key: float(value) for key, value in flatten(tree).items()} == expected


def test_leaf_that_is_no_array_is_refused() -> None:
    with pytest.raises(CheckpointError, match=r'^The parameter "kernel" is str, not an array of numbers.$'):
        flatten({"a": {"kernel": "x"}})


# Inference and conversion.


@pytest.mark.parametrize("name", ["vit_v11", "vit_v10_prelogits", "vit_v11_fuser", "vivit_v11"])
@pytest.mark.parametrize("at", ["params", "optimizer/target"])
def test_golden_models_give_their_logits_through_a_checkpoint_file(tmp_path: Path, name: str, at: str) -> None:
    meta, params, arrays = golden(name)
    path = write_flax(tmp_path / "checkpoint_5", params, at)
    loc = None if meta["use_tokenfuse"] else meta["tokenlearner_loc"]
    read = read_scenic(path, ScenicOptions(loc=loc, num_frames=meta["frames"]))
    assert read.found_at == at
    assert read.config.default_loc == meta["tokenlearner_loc"]
    model = TokenLearnerViT(read.config).eval()
    model.load_state_dict(read.state_dict)
    with torch.inference_mode():
        logits = model(pixels(arrays["input"])).logits
    np.testing.assert_allclose(logits.numpy(), arrays["logits"], rtol=0, atol=2e-5)


def test_configuration_is_read_off_the_shapes() -> None:
    spec = Spec(image=(12, 15), representation_size=11, bottleneck=48)
    names = tuple("abcdefg")
    config, _ = convert_params(nested(model_params(spec)), ScenicOptions(loc=2, head_pool="max", class_names=names))
    assert config == ModelConfig(
        img_size=(12, 15),
        patch_size=(4, 5),
        embed_dim=24,
        depth=3,
        num_heads=2,
        mlp_dim=40,
        num_classes=7,
        representation_size=11,
        head_pool="max",
        token_learner=TokenLearnerConfig(num_tokens=6, bottleneck_dim=48),
        tokenlearner_locs=(2,),
        default_loc=2,
        class_names=names,
    )


@pytest.mark.parametrize(
    ("spec", "options", "expected"),
    [
        (SQUARE, ScenicOptions(loc=0), {"default_loc": 0, "num_frames": None}),
        (Spec(), ScenicOptions(loc=1, img_size=(12, 20)), {"img_size": (12, 20)}),
        (Spec(fuser=True, loc=1), ScenicOptions(img_size=(12, 20)), {"default_loc": 1, "uses_fuser": True}),
        (Spec(fuser=True, loc=1), ScenicOptions(img_size=(12, 20), loc=1), {"tokenlearner_locs": (1,)}),
        (CLIP, ScenicOptions(loc=1, num_frames=8), {"num_frames": 8, "tubelet_size": 2, "img_size": (12, 15)}),
        (CLIP, ScenicOptions(loc=1, img_size=(12, 15)), {"num_frames": 8, "num_time_steps": 4}),
        (Spec(image=(12, 15), frames=6), ScenicOptions(loc=1, num_frames=6), {"tubelet_size": 1, "num_frames": 6}),
        (Spec(num_tokens=None), ScenicOptions(img_size=(12, 20)), {"token_learner": None, "default_loc": None}),
    ],
)
def test_options_and_shapes_complete_each_other(spec: Spec, options: ScenicOptions, expected: dict[str, Any]) -> None:
    config, state_dict = convert_params(model_params(spec), options)
    assert {name: getattr(config, name) for name in expected} == expected
    TokenLearnerViT(config).load_state_dict(state_dict)


@pytest.mark.parametrize(
    ("fuser", "use_v11"), [(False, False), (True, True), (True, False)], ids=["v1.0", "v1.1 fuser", "v1.0 fuser"]
)
def test_pooling_and_fuser_norms_reach_the_model(fuser: bool, use_v11: bool) -> None:
    spec = Spec(image=(12, 15), fuser=fuser, fuser_norm=False, use_v11=use_v11, sum_pooling=False, bottleneck=48)
    params = model_params(spec)
    config, state_dict = convert_params(params, ScenicOptions(loc=spec.loc, pooling="mean", head_pool="sum"))
    model = TokenLearnerViT(config).eval()
    model.load_state_dict(state_dict)
    x = np.random.default_rng(0).normal(size=(2, 12, 15, 3)).astype(np.float32)
    wanted = reference_numpy.vit(x, params, loc=1, sum_pooling=False, classifier="gsp").logits
    with torch.inference_mode():
        np.testing.assert_allclose(model(pixels(x)).logits.numpy(), wanted, rtol=0, atol=2e-5)


def test_half_precision_parameters_are_widened() -> None:
    params = {name: value.astype(np.float16) for name, value in model_params(SQUARE).items()}
    _, state_dict = convert_params(params, ScenicOptions(loc=1))
    assert {value.dtype for value in state_dict.values()} == {torch.float32}
    np.testing.assert_array_equal(state_dict["norm.bias"].numpy(), params["Transformer/encoder_norm/bias"])


def changed(name: str, value: np.ndarray | None, spec: Spec = SQUARE) -> dict[str, np.ndarray]:
    """Parameters with one taken away, added or replaced."""
    params = model_params(spec)
    if value is None:
        del params[name]
    else:
        params[name] = value
    return params


BLOCK = "Transformer/encoderblock_1"
ATTENTION = f"{BLOCK}/MultiHeadDotProductAttention_0"
POS = "Transformer/posembed_input/pos_embedding"
REFUSED: dict[str, tuple[dict[str, np.ndarray], ScenicOptions, str]] = {
    "missing parameter": (
        changed(f"{BLOCK}/LayerNorm_0/bias", None),
        ScenicOptions(loc=1),
        rf'^The checkpoint lacks the parameter "{BLOCK}/LayerNorm_0/bias" of shape \(24,\).$',
    ),
    "missing block": (
        {name: value for name, value in model_params(SQUARE).items() if not name.startswith(BLOCK)},
        ScenicOptions(loc=1),
        rf'^The checkpoint lacks the parameters "{BLOCK}/LayerNorm_0/scale" of shape \(24,\), .* and 13 more.$',
    ),
    "missing embedding": (
        changed("embedding/kernel", None),
        ScenicOptions(loc=1),
        r'^The checkpoint lacks the parameter "embedding/kernel" of shape \(patch height, patch width, 3, width\)',
    ),
    "class token": (
        changed("cls", np.zeros((1, 1, 24), np.float32)),
        ScenicOptions(loc=1),
        r'^The checkpoint holds the parameter "cls" of shape \(1, 1, 24\), for which the model has no place.$',
    ),
    "second module without fuser": (
        changed("Transformer/TokenLearnerModuleV11_1/LayerNorm_0/bias", np.zeros(24, np.float32)),
        ScenicOptions(loc=1),
        r'holds the parameter "Transformer/TokenLearnerModuleV11_1/LayerNorm_0/bias" of shape \(24,\), for which',
    ),
    "other shape": (
        changed(f"{BLOCK}/MlpBlock_0/Dense_0/kernel", np.zeros((24, 41), np.float32)),
        ScenicOptions(loc=1),
        rf'^The parameter "{BLOCK}/MlpBlock_0/Dense_0/kernel" has shape \(24, 41\) in the checkpoint, but the model '
        r"needs \(24, 40\).$",
    ),
    "other heads": (
        changed(f"{ATTENTION}/query/kernel", np.zeros((24, 3, 8), np.float32)),
        ScenicOptions(loc=1),
        rf'^The parameter "{ATTENTION}/query/kernel" has shape \(24, 3, 8\) in .*, but the model needs \(24, 2, 12\).$',
    ),
    "four colour channels": (
        changed("embedding/kernel", np.zeros((4, 5, 4, 24), np.float32)),
        ScenicOptions(loc=1),
        r'"embedding/kernel" has shape \(4, 5, 4, 24\) in the checkpoint, but the model needs \(4, 5, 3, 24\).$',
    ),
    "kernel of another rank": (
        changed("embedding/kernel", np.zeros((4, 24), np.float32)),
        ScenicOptions(loc=1),
        r'"embedding/kernel" has shape \(4, 24\) in the checkpoint, but the model needs 4 axes \(patch height',
    ),
    "head of another rank": (
        changed("output_projection/kernel", np.zeros(7, np.float32)),
        ScenicOptions(loc=1),
        r'"output_projection/kernel" has shape \(7,\) in the checkpoint, but the model needs \(width, classes\).$',
    ),
    "flat attention": (
        changed("Transformer/encoderblock_0/MultiHeadDotProductAttention_0/query/kernel", np.zeros((24, 24), "f")),
        ScenicOptions(loc=1),
        r'query/kernel" has shape \(24, 24\) in the checkpoint, but the model needs \(width, heads, width / heads\).$',
    ),
    "fuser of another bottleneck": (
        changed(
            "Transformer/TokenLearnerModuleV11_1/token_masking/Dense_0/bias",
            np.zeros(48, np.float32),
            Spec(image=(12, 15), fuser=True),
        ),
        ScenicOptions(),
        r'_1/token_masking/Dense_0/bias" has shape \(48,\) in the checkpoint, but the model needs \(64,\).$',
    ),
    "other image size": (
        model_params(SQUARE),
        ScenicOptions(loc=1, img_size=(12, 20)),
        rf'^The parameter "{POS}" has shape \(1, 9, 24\) in the checkpoint, but the model needs \(1, 12, 24\).$',
    ),
    "other clip length": (
        model_params(CLIP),
        ScenicOptions(loc=1, num_frames=10),
        rf'^The parameter "{POS}" has shape \(1, 36, 24\) in .*, but the model needs a multiple of 5 time steps as',
    ),
    "integers": (
        changed("embedding/bias", np.zeros(24, np.int32)),
        ScenicOptions(loc=1),
        r'^The parameter "embedding/bias" is of type int32, not of real numbers.$',
    ),
    "not a number": (
        changed("embedding/bias", np.full(24, np.nan, np.float32)),
        ScenicOptions(loc=1),
        r'^The parameter "embedding/bias" holds values that are not finite',
    ),
    "no location": (
        model_params(SQUARE),
        ScenicOptions(),
        r"^The parameters do not tell before which of the 3 blocks TokenLearner sits \(0 to 2;",
    ),
    "location of a fuser": (
        model_params(Spec(image=(12, 15), fuser=True)),
        ScenicOptions(loc=2),
        r"^The checkpoint has 2 TokenFusers in 3 blocks, which puts the first module before block 1, not 2\.$",
    ),
    "location without module": (
        model_params(Spec(image=(12, 15), num_tokens=None)),
        ScenicOptions(loc=1),
        r"^The checkpoint is a plain Vision Transformer without TokenLearner: there is no",
    ),
    "grid that is not square": (
        model_params(Spec()),
        ScenicOptions(loc=1),
        r"^The position embedding has 12 places, which is not a square grid: the input size is needed",
    ),
    "clip of unknown length": (
        model_params(CLIP),
        ScenicOptions(loc=1),
        r"^The parameters do not tell how many frames a clip has \(36 places in space and time together\)\.$",
    ),
}


@pytest.mark.parametrize(("params", "options", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(
    params: dict[str, np.ndarray], options: ScenicOptions, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        convert_params(params, options)


def test_location_outside_the_network_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"tokenlearner_loc 3 lies outside 0..2"):
        convert_params(model_params(SQUARE), ScenicOptions(loc=3))


# The command.


def run(*arguments: object) -> int:
    return main(["import", "scenic", *map(str, arguments)])


def test_command_writes_a_checkpoint_that_gives_the_same_logits(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, params, arrays = golden("vivit_v11")
    source = write_flax(tmp_path / "checkpoint_9", params, "optimizer/target")
    names = tmp_path / "names.txt"
    names.write_text("\n".join("abcdefg") + "\n")
    out = tmp_path / "new" / "clips.safetensors"
    assert run(source, "-o", out, "--loc", 2, "--frames", 8, "--class-names", names, "--title", "Clips") == 0
    printed = capsys.readouterr().out
    assert "8 frames of 24x24 px, 4 blocks of width 32, 2 heads, 7 classes" in printed
    assert "TokenLearner v1.1, 4 tokens before block 2" in printed
    loaded = load_checkpoint(out)
    with torch.inference_mode():
        logits = loaded.model(pixels(arrays["input"])).logits
    np.testing.assert_allclose(logits.numpy(), arrays["logits"], rtol=0, atol=2e-5)
    card = loaded.card
    assert (card.name, card.title, card.origin, card.trained) == ("clips", "Clips", "imported", True)
    assert card.config.class_names == tuple("abcdefg")
    assert card.provenance["sha256 of the source"] == file_sha256(source)
    assert card.provenance["parameters at"] == "optimizer/target"
    assert (card.recipe["loc"], card.recipe["frames"], card.recipe["classifier"]) == (2, 8, "gap")
    page = out.with_suffix(".md").read_text()
    assert "imported from another program's checkpoint" in page
    assert file_sha256(source) in page


def test_command_passes_every_option_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = Spec(use_v11=False, image=(12, 20))
    source = write_flax(tmp_path / "ckpt", model_params(spec))
    out = tmp_path / "model.safetensors"
    options = ["--loc", 1, "--img-size", "12x20", "--pooling", "mean", "--classifier", "gmp"]
    assert run(source, "-o", out, *options, "--mean", "0.485,0.456,0.406", "--std", "0.25", "--half") == 0
    card = load_checkpoint(out).card
    config = card.config
    assert config.img_size == (12, 20)
    assert config.token_learner == TokenLearnerConfig(version="1.0", num_tokens=6, pooling="mean")
    assert (config.head_pool, config.mean, config.std) == ("max", (0.485, 0.456, 0.406), (0.25, 0.25, 0.25))
    assert card.notes[-1] == (
        'Not told by the parameters, but given or assumed when importing: the head pools by "gmp"; pixels are '
        "normalised by mean 0.485, 0.456, 0.406 and deviation 0.25; the module pools by mean; the module sits before "
        "block 1; pictures are 20 x 12 pixels."
    )
    # What the card tells to type makes the same again.
    monkeypatch.chdir(tmp_path)
    out.unlink()
    assert main(shlex.split(card.command)[3:]) == 0
    assert load_checkpoint(out).card.config == config


def test_half_precision_output_is_smaller(tmp_path: Path) -> None:
    source = write_flax(tmp_path / "ckpt", model_params(SQUARE))
    full, half = tmp_path / "full.safetensors", tmp_path / "half.safetensors"
    assert run(source, "-o", full, "--loc", 1) == 0
    assert run(source, "-o", half, "--loc", 1, "--half") == 0
    matrices = sum(value.numel() for value in load_checkpoint(full).model.state_dict().values() if value.ndim > 1)
    assert full.stat().st_size - half.stat().st_size == pytest.approx(2 * matrices, rel=0.02)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            [],
            "error: The parameters do not tell before which of the 3 blocks TokenLearner sits (0 to 2; "
            '"tokenlearner_loc" in the training configuration). The option for it is --loc.\n',
        ),
        (["--loc", 9], "error: tokenlearner_loc 9 lies outside 0..2."),
        (["--loc", 1, "--class-names", "names.txt"], 'error: The class names in "names.txt" cannot be read'),
        (["--loc", 1, "--frames", 0], "error: num_frames must be at least 1, not 0."),
    ],
)
def test_command_asks_for_what_it_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[object], message: str
) -> None:
    source = write_flax(tmp_path / "ckpt", model_params(SQUARE))
    out = tmp_path / "out.safetensors"
    assert run(source, "-o", out, *arguments) == 1
    assert capsys.readouterr().err.startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["ckpt"]


def test_command_refuses_another_suffix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_flax(tmp_path / "ckpt", model_params(SQUARE))
    assert run(source, "-o", tmp_path / "out.pt", "--loc", 1) == 1
    assert capsys.readouterr().err == 'error: "out.pt" must end in .safetensors, the format of checkpoints.\n'


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--img-size", "12*20", '"12*20" is not a size such as 224 or 192x256'),
        ("--mean", "0.5,0.5", '"0.5,0.5" is not one number, nor three'),
        ("--std", "0", '"0" must be above 0'),
    ],
)
def test_malformed_option_is_wrong_usage(
    capsys: pytest.CaptureFixture[str], option: str, value: str, message: str
) -> None:
    with pytest.raises(SystemExit) as exit_:
        run("ckpt", "-o", "out.safetensors", option, value)
    assert exit_.value.code == 2
    assert message in capsys.readouterr().err
