"""Checkpoints and cards: what is written comes back, and what is damaged or strange is refused in a sentence."""

import dataclasses
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from tokenlearner import cards, weights
from tokenlearner.cards import DataCredit, ModelCard, file_sha256, list_models, maps_picture, read_card, scan_models
from tokenlearner.cli import main
from tokenlearner.config import ModelConfig, TokenLearnerConfig
from tokenlearner.errors import CheckpointError
from tokenlearner.model import TokenLearnerViT
from tokenlearner.weights import (
    build_model,
    load_checkpoint,
    load_model,
    random_twin,
    save_card,
    save_checkpoint,
    untrained,
)

CONFIG = ModelConfig(
    img_size=(16, 24),
    patch_size=(8, 8),
    embed_dim=12,
    depth=3,
    num_heads=2,
    mlp_dim=20,
    num_classes=5,
    stem="conv",
    stem_dims=(6, 7, 9),
    stem_strides=(2, 2, 2),
    token_learner=TokenLearnerConfig(num_tokens=4, bottleneck_dim=11),
    tokenlearner_locs=(1, 2),
    default_loc=1,
    class_names=("ant", "bee", "cat", "dog", "eel"),
)
CARD = ModelCard(
    name="other",
    title="Small test model",
    config=CONFIG,
    trained=True,
    origin="trained",
    summary="Nothing to see.",
    data=(DataCredit(name="Ten photographs", licence="CC0", attribution="Somebody", split="8 train, 2 test"),),
    recipe={"steps": 3, "lr": 0.001},
    command="python -m tokenlearner train tiny",
    hardware="2 CPU cores",
    seconds=90.0,
    created="2026-01-02T03:04:05+00:00",
    metrics={
        "top-1": 0.61234,
        "maps": {"entropy": 0.5, "note": "of uniform"},
        "per choice": [{"k": 8, "loc": 2, "top-1": 0.61}, {"k": 4, "loc": None, "top-1": 0.6, "ms": 1.5}],
    },
    notes=("Only a test.",),
)


@pytest.fixture
def model() -> TokenLearnerViT:
    return build_model(CONFIG, seed=3)


@pytest.fixture
def saved(tmp_path: Path, model: TokenLearnerViT) -> Path:
    path = tmp_path / "small.safetensors"
    save_checkpoint(path, model, CARD)
    return path


@pytest.fixture
def models_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of models, which is the only one."""
    folder = tmp_path / "models"
    folder.mkdir()
    monkeypatch.setattr(cards, "BUNDLED_DIR", tmp_path / "bundled")
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(folder))
    return folder


def rewrite(path: Path, *, metadata: dict[str, str] | None = None, **tensors: torch.Tensor | None) -> None:
    """Write a checkpoint again with other metadata or weights, and its card's sha256 made to fit."""
    with safetensors.safe_open(path, framework="pt") as file:
        content = {name: file.get_tensor(name) for name in file.keys()} | tensors  # noqa: SIM118
        old = file.metadata()
    kept = {name: value for name, value in content.items() if value is not None}
    safetensors.torch.save_file(kept, path, old | (metadata or {}))
    edit_card(path, sha256=file_sha256(path))


def edit_card(path: Path, **fields: Any) -> None:
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | fields))


# Writing and reading back.


def test_full_precision_comes_back_exactly(tmp_path: Path, model: TokenLearnerViT) -> None:
    path = tmp_path / "exact.safetensors"
    save_checkpoint(path, model, CARD, half=False)
    loaded = load_checkpoint(path)
    assert not loaded.model.training
    for name, value in model.state_dict().items():
        torch.testing.assert_close(loaded.model.state_dict()[name], value, rtol=0, atol=0, msg=name)


def test_half_precision_rounds_matrices_and_keeps_vectors(saved: Path, model: TokenLearnerViT) -> None:
    loaded = load_checkpoint(saved)
    for name, value in model.state_dict().items():
        found = loaded.model.state_dict()[name]
        assert found.dtype == value.dtype
        expected = value.half().to(value.dtype) if value.ndim > 1 else value
        torch.testing.assert_close(found, expected, rtol=0, atol=0, msg=name)


def test_what_half_precision_cannot_hold_stays_single(tmp_path: Path, model: TokenLearnerViT) -> None:
    with torch.no_grad():
        model.head.weight[0, 0] = 70000.0
    path = tmp_path / "large.safetensors"
    save_checkpoint(path, model, CARD)
    assert load_checkpoint(path).model.head.weight[0, 0] == 70000.0


def test_card_comes_back_whole(saved: Path) -> None:
    card = load_checkpoint(saved).card
    assert card == dataclasses.replace(CARD, name="small", sha256=file_sha256(saved))
    assert card.config == CONFIG
    assert card.config.class_names == CONFIG.class_names


def test_saved_card_is_returned_and_hashes_the_file(tmp_path: Path, model: TokenLearnerViT) -> None:
    other = dataclasses.replace(CARD, config=dataclasses.replace(CONFIG, default_loc=2), sha256="stale")
    card = save_checkpoint(tmp_path / "a.safetensors", model, other)
    assert card.config == CONFIG
    assert card.sha256 == file_sha256(tmp_path / "a.safetensors")
    assert read_card(tmp_path / "a.safetensors") == card


def test_nothing_but_the_three_files_is_left(saved: Path) -> None:
    assert sorted(path.name for path in saved.parent.iterdir()) == ["small.json", "small.md", "small.safetensors"]


def test_weights_travel_alone_with_their_card_inside(saved: Path) -> None:
    sha256 = file_sha256(saved)
    saved.with_suffix(".json").unlink()
    moved = saved.rename(saved.with_name("renamed.safetensors"))
    loaded = load_checkpoint(moved)
    assert loaded.card == dataclasses.replace(CARD, name="renamed", sha256=sha256)
    assert (loaded.sha256, loaded.path) == (sha256, moved)


def test_saving_again_replaces_the_model(saved: Path) -> None:
    second = build_model(CONFIG, seed=4)
    save_checkpoint(saved, second, CARD, half=False)
    torch.testing.assert_close(load_checkpoint(saved).model.head.weight, second.head.weight)


def test_card_can_be_written_anew_after_measuring(saved: Path) -> None:
    card = dataclasses.replace(load_checkpoint(saved).card, metrics={"top-1": 0.7})
    save_card(saved, card)
    assert load_checkpoint(saved).card.metrics == {"top-1": 0.7}
    assert "| top-1 | 0.7 |" in saved.with_suffix(".md").read_text()


def test_saving_fails_whole_when_the_disk_does(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {path.name: path.read_bytes() for path in saved.parent.iterdir()}

    write = Path.write_bytes

    def full(path: Path, content: bytes) -> None:
        write(path, content[: len(content) // 2])
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CheckpointError, match=r'small.safetensors" cannot be written: No space left on device.$'):
        save_checkpoint(saved, build_model(CONFIG, seed=5), CARD)
    assert {path.name: path.read_bytes() for path in saved.parent.iterdir()} == before


def test_folder_that_is_a_file_cannot_be_written(tmp_path: Path, model: TokenLearnerViT) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r'file/a.safetensors" cannot be written'):
        save_checkpoint(tmp_path / "file" / "a.safetensors", model, CARD)
    with pytest.raises(CheckpointError, match=r'file/a.json" cannot be written: (Not a directory|File exists).$'):
        save_card(tmp_path / "file" / "a.safetensors", CARD)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no umask")
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640)])
def test_who_may_read_a_checkpoint_is_for_the_umask_to_say(
    tmp_path: Path, model: TokenLearnerViT, umask: int, mode: int
) -> None:
    before = os.umask(umask)
    try:
        save_checkpoint(tmp_path / "open.safetensors", model, CARD)
    finally:
        os.umask(before)
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {mode}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_model_that_is_not_finite_is_not_saved(tmp_path: Path, model: TokenLearnerViT, value: float) -> None:
    with torch.no_grad():
        model.norm.bias[2] = value
    with pytest.raises(CheckpointError, match=r'^The weight "norm.bias" is not finite .*; the model was not saved.$'):
        save_checkpoint(tmp_path / "a.safetensors", model, CARD)
    assert not list(tmp_path.iterdir())


def test_other_suffix_is_refused(tmp_path: Path, model: TokenLearnerViT) -> None:
    with pytest.raises(CheckpointError, match=r'^"a.bin" must end in .safetensors, the format of checkpoints.$'):
        save_checkpoint(tmp_path / "a.bin", model, CARD)


# What cannot be loaded.


def test_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r'^There is no checkpoint at ".*/none.safetensors".$'):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 64], ids=["empty", "text", "noise"])
def test_file_that_is_no_safetensors_is_refused(saved: Path, content: bytes) -> None:
    saved.write_bytes(content)
    with pytest.raises(CheckpointError, match=r'^"small.safetensors" is not a safetensors file, or is cut short.'):
        load_checkpoint(saved)


def test_truncated_file_is_refused(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(CheckpointError, match="or is cut short"):
        load_checkpoint(saved)


def test_one_flipped_bit_is_noticed(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-7] ^= 1
    saved.write_bytes(content)
    with pytest.raises(
        CheckpointError, match=r'^"small.safetensors" is not the file that its card describes \(sha256 '
    ):
        load_checkpoint(saved)


def test_weights_of_another_program_are_refused(tmp_path: Path) -> None:
    safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "resnet.safetensors")
    with pytest.raises(
        CheckpointError, match=r'^"resnet.safetensors" holds the weights of another program: it carries'
    ):
        load_checkpoint(tmp_path / "resnet.safetensors")


def test_newer_format_is_refused(saved: Path) -> None:
    rewrite(saved, metadata={"format_version": "2"})
    with pytest.raises(
        CheckpointError, match=r'^"small.safetensors" is a checkpoint of format 2; this program reads f'
    ):
        load_checkpoint(saved)


@pytest.mark.parametrize("config", ["{", "3", "[]", '{"depth": 3}', '{"depht": 3}'])
def test_unusable_configuration_is_refused(saved: Path, config: str) -> None:
    rewrite(saved, metadata={"config": config})
    with pytest.raises(CheckpointError, match=r'^The configuration inside "small.safetensors" cannot be used.'):
        load_checkpoint(saved)


def test_unknown_setting_is_named(saved: Path) -> None:
    rewrite(saved, metadata={"config": json.dumps(CONFIG.to_dict() | {"use_rope": True})})
    with pytest.raises(CheckpointError, match=r"cannot be used. Unknown model settings: use_rope."):
        load_checkpoint(saved)


def test_card_of_another_network_is_refused(saved: Path) -> None:
    edit_card(saved, config=dataclasses.replace(CONFIG, default_loc=2).to_dict())
    with pytest.raises(CheckpointError, match=r'^The card of "small.safetensors" describes another network than the f'):
        load_checkpoint(saved)


def test_missing_weight_is_named(saved: Path) -> None:
    rewrite(saved, **{"blocks.1.attn.qkv.weight": None})
    message = r'^"small.safetensors" lacks the weight "blocks.1.attn.qkv.weight" of shape \(36, 12\).$'
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


def test_unknown_weight_is_named(saved: Path) -> None:
    rewrite(saved, cls_token=torch.zeros(1, 12))
    with pytest.raises(CheckpointError, match=r'holds the weight "cls_token", for which its network has no place.$'):
        load_checkpoint(saved)


def test_weight_of_another_shape_is_named_with_both_shapes(saved: Path) -> None:
    rewrite(saved, **{"head.weight": torch.zeros(6, 12)})
    message = r'^The weight "head.weight" in "small.safetensors" has shape \(6, 12\), but its network needs \(5, 12\).$'
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


def test_weight_that_is_not_finite_is_named(saved: Path) -> None:
    rewrite(saved, **{"norm.weight": torch.full((12,), float("nan"))})
    with pytest.raises(CheckpointError, match=r'^The weight "norm.weight" in "small.safetensors" is not finite'):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", r'^The model card "small.json" cannot be read: it is damaged.$'),
        (b"\xff\xfe", r'^The model card "small.json" cannot be read: it is damaged.$'),
        (b"[1]", r'^"small.json" is not a model card: it holds a list, not an object.$'),
        (b"{}", r'^"small.json" is a model card of version None; this program reads version 1.'),
        (b'{"card_version": 2}', r'^"small.json" is a model card of version 2; this program reads version 1.'),
        (b'{"card_version": 1}', r'^"small.json" is not a complete model card: it lacks the field "name".$'),
    ],
)
def test_damaged_card_is_refused(saved: Path, content: bytes, message: str) -> None:
    saved.with_suffix(".json").write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(saved)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"title": 3}, 'is not a complete model card: its field "title" is not a text.'),
        ({"trained": "yes"}, 'is not a complete model card: its field "trained" is not true or false.'),
        ({"origin": "found"}, 'has the unknown origin "found"; known are trained, imported, untrained.'),
        ({"metrics": [1]}, 'is not a complete model card: its field "metrics" is not an object.'),
        ({"seconds": "long"}, 'is not a complete model card: its field "seconds" is not a number.'),
        ({"notes": "one"}, 'is not a complete model card: its field "notes" is not a list.'),
        ({"config": 3}, 'is not a complete model card: its field "config" is not an object.'),
        ({"data": ["x"]}, "is not a complete model card: an entry of its data is no object."),
        ({"data": [{"name": "x"}]}, 'is not a complete model card: it lacks the field "licence".'),
        ({"stars": 5}, 'holds the unknown field "stars". A newer version may have written it.'),
        (
            {"config": CONFIG.to_dict() | {"depth": 0}},
            "describes a model that cannot be built: depth must be at least 1",
        ),
    ],
)
def test_card_with_wrong_fields_is_refused(saved: Path, fields: dict[str, Any], message: str) -> None:
    edit_card(saved, **fields)
    with pytest.raises(CheckpointError, match=f'^"small.json" {message}'):
        load_checkpoint(saved)


def test_weights_without_any_card_are_refused(saved: Path) -> None:
    saved.with_suffix(".json").unlink()
    content = safetensors.torch.load_file(saved)
    own = {"format": "tokenlearner", "format_version": "1", "config": json.dumps(CONFIG.to_dict())}
    safetensors.torch.save_file(content, saved, own)
    with pytest.raises(
        CheckpointError, match=r'^"small.safetensors" came without a model card, and holds none inside.$'
    ):
        load_checkpoint(saved)


# Untrained networks.


def test_untrained_says_so_and_follows_its_seed() -> None:
    first, again, other = untrained(CONFIG, 1), untrained(CONFIG, 1), untrained(CONFIG, 2)
    assert not first.card.trained
    assert first.card.origin == "untrained"
    assert "**Not trained.**" in first.card.to_markdown()
    assert first.path is None
    assert first.sha256 == again.sha256 == first.card.sha256 != other.sha256
    torch.testing.assert_close(first.model.head.weight, again.model.head.weight, rtol=0, atol=0)


def test_random_numbers_of_others_are_left_alone() -> None:
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    untrained(CONFIG, 5)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


def test_networks_built_at_once_by_several_threads_follow_their_seeds() -> None:
    alone = [untrained(CONFIG, seed).sha256 for seed in range(8)]
    with ThreadPoolExecutor(8) as executor:
        for _ in range(6):
            assert [loaded.sha256 for loaded in executor.map(lambda seed: untrained(CONFIG, seed), range(8))] == alone


def test_twin_is_the_same_network_untrained(saved: Path) -> None:
    loaded = load_checkpoint(saved)
    twin = random_twin(loaded, seed=9)
    assert twin.model.config == loaded.model.config
    assert not twin.card.trained
    assert twin.card.title == "Untrained twin of: Small test model"
    assert not torch.equal(twin.model.pos_embed, loaded.model.pos_embed)


# Finding models.


def fill(folder: Path, *names: str) -> None:
    for seed, name in enumerate(names):
        save_checkpoint(folder / f"{name}.safetensors", build_model(CONFIG, seed=seed), CARD)


def test_models_are_listed_and_loaded_by_name(models_dir: Path) -> None:
    fill(models_dir, "one", "two")
    assert [(listed.card.name, listed.path.name, listed.bundled) for listed in list_models()] == [
        ("one", "one.safetensors", False),
        ("two", "two.safetensors", False),
    ]
    assert list_models()[0].size_bytes == (models_dir / "one.safetensors").stat().st_size
    assert load_model("two").path == models_dir / "two.safetensors"
    assert load_model(models_dir / "one.safetensors").card.name == "one"


def test_listing_reads_no_weights(models_dir: Path) -> None:
    fill(models_dir, "one")
    with (models_dir / "one.safetensors").open("r+b") as file:
        file.seek(-4, os.SEEK_END)
        file.write(b"\0\0\0\1")
    assert [listed.card.name for listed in list_models()] == ["one"]
    with pytest.raises(CheckpointError, match="is not the file that its card describes"):
        load_model("one")


def test_unknown_name_lists_the_known_ones(models_dir: Path) -> None:
    fill(models_dir, "one", "two")
    message = r'^There is no model "three". Known: one, two; or give the path of a .safetensors file.$'
    with pytest.raises(CheckpointError, match=message):
        load_model("three")


def test_name_of_a_broken_model_gives_its_problem(models_dir: Path) -> None:
    fill(models_dir, "one")
    (models_dir / "one.json").write_text("{")
    with pytest.raises(CheckpointError, match=r'^The model card "one.json" cannot be read'):
        load_model("one")


def test_first_folder_wins_and_problems_are_told(
    models_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = tmp_path / "bundled"
    fill(bundled, "one")
    fill(models_dir, "one", "two")
    (models_dir / "noise.safetensors").write_bytes(b"noise")
    missing = tmp_path / "missing"
    monkeypatch.setenv("TOKENLEARNER_MODELS", os.pathsep.join([str(models_dir), str(missing)]))
    models, problems = scan_models()
    assert [(listed.card.name, listed.bundled) for listed in models] == [("one", True), ("two", False)]
    assert [problem.split(" is ")[0] if " is " in problem else problem for problem in problems] == [
        '"noise.safetensors"',
        f'"{models_dir / "one.safetensors"}"',
        f'The folder "{missing}" of TOKENLEARNER_MODELS does not exist.',
    ]


def test_bundled_checkpoints_all_load() -> None:
    for path in sorted(cards.BUNDLED_DIR.glob("*.safetensors")):
        loaded = load_checkpoint(path)
        assert loaded.card.sha256 == file_sha256(path)
        picture = maps_picture(path)
        page = loaded.card.to_markdown(picture.name if picture.exists() else None)
        assert path.with_suffix(".md").read_text() == page
        assert path.stat().st_size < 25e6


# The card as a page, and the command.


def test_markdown_card_holds_every_fact(saved: Path) -> None:
    page = saved.with_suffix(".md").read_text()
    for line in [
        "# Small test model",
        "| input | 16x24 pixels |",
        "| patches | 8x8 pixels, conv stem |",
        "| width, depth, heads, MLP | 12, 3, 2, 20 |",
        "| TokenLearner | v1.1, 4 tokens, bottleneck 11 |",
        "| before block | 1, 2 |",
        "| default | block 1 |",
        "### Ten photographs",
        "| licence | CC0 |",
        "| top-1 | 0.6123 |",
        "| maps / entropy | 0.5 |",
        "### per choice",
        "| k | loc | top-1 | ms |",
        "| 4 | none | 0.6 | 1.5 |",
        "| time | 2 min |",
        "- Only a test.",
        f"| sha256 of the weights | `{file_sha256(saved)}` |",
    ]:
        assert line in page.splitlines(), line
    assert "Not trained" not in page


def test_markdown_card_describes_every_kind_of_network() -> None:
    video = dataclasses.replace(
        CONFIG,
        stem="patch",
        stem_dims=(),
        stem_strides=(),
        num_frames=6,
        tubelet_size=2,
        representation_size=13,
        token_learner=TokenLearnerConfig(version="1.0", use_fuser=True, fuser_norm=False),
        tokenlearner_locs=(1,),
    )
    page = dataclasses.replace(CARD, config=video).to_markdown()
    assert "| input | 16x24 pixels, 6 frames in tubelets of 2 |" in page
    assert "| TokenLearner | v1.0, 8 tokens, sum pooling, TokenFuser without norms of bottleneck 64 |" in page
    assert "| before block | 1 and all after it |" in page
    assert "| head | avg pooling, pre_logits of 13 |" in page
    plain = dataclasses.replace(CONFIG, token_learner=None, tokenlearner_locs=(), default_loc=None)
    assert "| TokenLearner | none (plain Vision Transformer) |" in dataclasses.replace(CARD, config=plain).to_markdown()


def test_table_cells_cannot_break_the_table() -> None:
    card = dataclasses.replace(CARD, hardware="a | b\nc")
    assert "| hardware | a \\| b c |" in card.to_markdown()


def test_models_command_prints_the_cards_numbers(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(models_dir, "one")
    assert main(["models"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("one  Small test model\n")
    assert "trained, trained  " in out
    assert "16x24 px, 3 blocks of width 12, TokenLearner v1.1, 4 tokens before block 1, 2" in out
    assert "top-1: 0.6123" in out
    assert "maps / entropy: 0.5" in out


def test_models_command_prints_json(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(models_dir, "one")
    assert main(["models", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["name"] == "one"
    assert entry["metrics"]["top-1"] == 0.61234
    assert entry["path"] == str(models_dir / "one.safetensors")
    assert entry["size_bytes"] == (models_dir / "one.safetensors").stat().st_size
    assert ModelConfig.from_dict(entry["config"]) == CONFIG


def test_models_command_warns_of_broken_files_and_fails_without_any_model(
    models_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (models_dir / "noise.safetensors").write_bytes(b"noise")
    assert main(["models"]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith('warning: "noise.safetensors" is not a safetensors file')
    fill(models_dir, "one")
    assert main(["models"]) == 0
    assert "warning: " in capsys.readouterr().err


def test_no_models_is_said(models_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    assert capsys.readouterr().out.startswith("No models found in ")


def test_listing_models_loads_no_torch(repository: Path) -> None:
    code = "import sys, tokenlearner.cards as c; c.scan_models(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repository, check=False).returncode == 0


def test_weights_offers_what_the_library_uses() -> None:
    assert all(hasattr(weights, name) for name in weights.__all__)
