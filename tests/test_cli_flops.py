"""The `flops` command: the right network is counted, printed both ways, and what cannot be counted is refused."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tokenlearner import flops
from tokenlearner.cli import main
from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config
from tokenlearner.weights import save_checkpoint, untrained

ELASTIC = ModelConfig(
    img_size=(16, 24),
    patch_size=(4, 4),
    embed_dim=20,
    depth=5,
    num_heads=2,
    mlp_dim=28,
    num_classes=3,
    token_learner=TokenLearnerConfig(num_tokens=6, bottleneck_dim=9),
    tokenlearner_locs=(1, 3),
    default_loc=3,
)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds one installed model, "small"."""
    loaded = untrained(ELASTIC, seed=0)
    save_checkpoint(tmp_path / "small.safetensors", loaded.model, loaded.card)
    monkeypatch.setenv("TOKENLEARNER_MODELS", str(tmp_path))
    return tmp_path


def run(options: str) -> int:
    return main(["flops", *options.split()])


def test_command_prints_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--arch B/16 --img-size 384 --num-tokens 8 --loc 10 --depth 21 --json") == 0
    printed = json.loads(capsys.readouterr().out)
    config = named_config("B/16", img_size=384, depth=21, token_learner=TokenLearnerConfig(num_tokens=8), loc=10)
    compute = flops.compute(config)
    assert printed["stages"] == compute.stages
    assert printed["total_macs"] == compute.total_macs
    assert printed["total_flops"] == 2 * compute.total_macs
    assert printed["params"] == compute.params
    assert printed["baseline_macs"] == flops.baseline(config).total_macs
    assert printed["convention"] == flops.CONVENTION
    assert printed["notes"] == []


def test_command_counts_video_v10_and_fuser(capsys: pytest.CaptureFixture[str]) -> None:
    network = "--arch S/32 --img-size 64x96 --num-tokens 5 --loc 4 --frames 12 --tubelet 3 --v10 --fuser"
    assert run(f"{network} --json") == 0
    config = named_config(
        "S/32",
        img_size=(64, 96),
        num_frames=12,
        tubelet_size=3,
        token_learner=TokenLearnerConfig(num_tokens=5, version="1.0", use_fuser=True),
        loc=4,
    )
    printed = json.loads(capsys.readouterr().out)
    assert printed["total_macs"] == flops.compute(config).total_macs
    assert printed["image_hw"] == [64, 96]


def test_command_without_module_counts_the_plain_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--arch Ti/16 --json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["total_macs"] == printed["baseline_macs"]
    assert printed["params"] == printed["baseline_params"]
    assert printed["loc"] is None


def test_command_places_the_module_in_the_middle_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--arch L/16 --num-tokens 16 --json") == 0
    assert json.loads(capsys.readouterr().out)["loc"] == 12


def test_command_prints_a_table_with_its_convention(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--arch B/16 --img-size 384 --num-tokens 8 --loc 6") == 0
    printed = capsys.readouterr().out
    lines = {line.split("  ")[0]: line.split()[-3:] for line in printed.splitlines() if "%" in line}
    assert lines["total"] == ["28.23", "56.46", "100.0%"]
    assert lines["TokenLearner"] == ["0.03215", "0.06429", "0.1%"]
    assert "this one takes 51.0% of its multiply-adds" in printed
    assert flops.CONVENTION in printed


def test_command_says_what_it_leaves_out_of_an_odd_size(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--arch L/10 --frames 32 --num-tokens 16 --loc 18") == 0
    printed = capsys.readouterr().out
    assert "224x224 pixels are not a whole number of patches; counted for the 220x220 pixels" in printed
    assert "3990.2" in printed


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--arch B/17", '"B/17" is not a named architecture'),
        ("--arch B/16 --loc 12", "tokenlearner_loc 12 lies outside 0..11"),
        ("--arch B/16 --fuser", "--v10 and --fuser describe a TokenLearner"),
        ("--arch B/16 --tubelet 2", "--tubelet belongs to a video model"),
        ("--arch B/16 --frames 33", "num_frames 33 is not a multiple of tubelet_size 2"),
        ("--arch B/16 --img-size 8", "8x8 pixels is smaller than one 16x16 patch"),
        ("--arch B/16 --num-tokens 0", "num_tokens must be at least 1, not 0"),
        ("--model nowhere", 'There is no model "nowhere". Known: '),
        ("--model nowhere --fuser --depth 3", "An installed model is what it is: --depth, --fuser can be given with"),
    ],
)
def test_command_refuses_in_one_sentence(options: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(options) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert message in captured.err


def test_command_refuses_a_size_it_cannot_read(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        run("--arch B/16 --img-size 3o4")
    assert stopped.value.code == 2
    assert '"3o4" is neither a side such as 384 nor a size such as 384x512' in capsys.readouterr().err


def test_counting_from_the_command_line_does_not_load_torch(repository: Path) -> None:
    code = (
        "import sys\n"
        "from tokenlearner.cli import main\n"
        "assert main(['flops', '--arch', 'Ti/16', '--num-tokens', '8', '--json']) == 0\n"
        "print(sorted({'torch', 'timm', 'numpy'} & set(sys.modules)), file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["total_macs"] > 0
    assert done.stderr.strip() == "[]"


def test_an_installed_model_is_counted_as_its_card_says(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model small --json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["network"], printed["loc"], printed["num_tokens"]) == ("small", 3, 6)
    assert printed["total_macs"] == flops.compute(ELASTIC).total_macs
    assert printed["params"] == flops.count_params(ELASTIC)


def test_an_installed_model_is_counted_for_a_choice(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"--model {models / 'small.safetensors'} --loc 1 --num-tokens 2 --img-size 20x31 --json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["total_macs"] == flops.compute(ELASTIC, image_hw=(20, 28), loc=1, num_tokens=2).total_macs
    assert printed["baseline_macs"] == flops.baseline(ELASTIC, image_hw=(20, 28)).total_macs
    assert len(printed["notes"]) == 1


def test_an_installed_model_refuses_a_place_it_does_not_hold(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--model small --loc 2") == 1
    assert "no TokenLearner before block 2 (it has: 1, 3)" in capsys.readouterr().err
