"""Distillation end to end, on tiny networks of timm with random weights as teachers."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from tests.timm_cases import tiny_timm
from tokenlearner.cli import main
from tokenlearner.data.photos import Photos
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.timm_backbone import TimmTokenLearner
from tokenlearner.training import distill
from tokenlearner.training.distill import Distiller, DistillSettings, unexplained
from tokenlearner.weights import load_checkpoint

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")

FEW = DistillSettings(epochs=2, batch_size=8, lr=1e-3, module_lr=5e-3, warmup_steps=2)


def photographs(count: int, seed: int, side: int = 48) -> Photos:
    """Coloured discs on coloured ground: pictures that differ in what is where."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    pixels = np.empty((count, side, side, 3), dtype=np.uint8)
    for picture in pixels:
        picture[:] = rng.integers(0, 255, 3)
        for _ in range(3):
            centre, radius = rng.uniform(0, side, 2), rng.uniform(6, 16)
            picture[(x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2] = rng.integers(0, 255, 3)
    stored = torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()
    return Photos(stored, torch.ones(count), torch.zeros(count, dtype=torch.int64))


@pytest.fixture(scope="module")
def photos() -> tuple[Photos, Photos]:
    return photographs(96, 0), photographs(24, 1)


def unexplained_at(alike, loc, k) -> float:
    return next(one.unexplained for one in alike if (one.loc, one.num_tokens) == (loc, k))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["registers", "distilled"])
def test_the_student_approaches_the_teacher_and_its_maps_do_not_collapse(tmp_path, photos, kind):
    start = tiny_timm(kind, img_size=(64, 64))
    settings = DistillSettings(epochs=24, batch_size=16, lr=2e-3, module_lr=5e-3, warmup_steps=10)
    run = Distiller(start, photos, settings, tmp_path, bf16=False)
    before, _ = run.likeness()
    run.run()
    after, maps = run.likeness()
    for loc in (1, 3):
        assert unexplained_at(after, loc, 5) < 0.6 * unexplained_at(before, loc, 5)
        assert not maps[loc, 5].collapsed
    assert unexplained_at(after, None, 0) < 0.1
    assert run.history[-1]["loss"]["rebuild"] < run.history[0]["loss"]["rebuild"]


def test_the_blocks_before_the_first_module_and_the_classifier_stay_as_they_were(tmp_path, photos):
    start = tiny_timm()
    run = Distiller(start, photos, FEW, tmp_path, bf16=False)
    run.run()
    before, after = start.model.state_dict(), run.model.state_dict()
    same = {name for name in before if torch.equal(before[name], after[name].cpu())}
    fixed = ("backbone.patch_embed", "backbone.cls_token", "backbone.pos_embed", "backbone.blocks.0.", "backbone.head.")
    assert {name for name in before if name.startswith(fixed)} == same
    teacher = run.teacher.state_dict()
    assert all(torch.equal(teacher[name], before[name]) for name in before)


def test_before_it_learns_the_plain_path_is_the_teacher(tmp_path, photos):
    alike, _ = Distiller(tiny_timm(), photos, FEW, tmp_path, bf16=False).likeness()
    assert (alike[0].loc, alike[0].agreement, alike[0].unexplained) == (None, 1.0, 0.0)
    assert all(one.unexplained > 0.01 for one in alike[1:])


def test_a_run_that_was_cut_off_ends_where_one_that_was_not_does(tmp_path, photos, monkeypatch):
    whole = Distiller(tiny_timm(), photos, FEW, tmp_path / "whole", bf16=False)
    whole.run()

    class CutOffError(Exception):
        pass

    def cut(step, total, loss):
        if step > whole.steps_per_epoch:
            raise CutOffError

    with pytest.raises(CutOffError):
        Distiller(tiny_timm(), photos, FEW, tmp_path / "cut", bf16=False).run(cut)
    again = Distiller(tiny_timm(), photos, FEW, tmp_path / "cut", bf16=False)
    assert (again.epoch, again.step) == (1, whole.steps_per_epoch)
    again.run()
    one, other = whole.model.state_dict(), again.model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    without_time = [{key: record[key] for key in record if key != "seconds"} for record in again.history]
    assert without_time == [{key: record[key] for key in record if key != "seconds"} for record in whole.history]


def test_the_state_of_another_run_is_refused(tmp_path, photos):
    Distiller(tiny_timm(), photos, FEW, tmp_path, bf16=False).run()
    with pytest.raises(CheckpointError, match="holds the state of another run"):
        Distiller(tiny_timm(locs=(2,)), photos, FEW, tmp_path, bf16=False)
    (tmp_path / "state.pt").write_bytes(b"no state")
    with pytest.raises(CheckpointError, match="holds the state of another run"):
        Distiller(tiny_timm(), photos, FEW, tmp_path, bf16=False)


def test_other_photographs_or_other_weights_of_the_teacher_are_another_run(tmp_path, photos):
    Distiller(tiny_timm(), photos, FEW, tmp_path, bf16=False)._save()
    others = (photographs(96, 7), photos[1])
    with pytest.raises(CheckpointError, match="weights or photographs differ"):
        Distiller(tiny_timm(), others, FEW, tmp_path, bf16=False)
    with pytest.raises(CheckpointError, match="weights or photographs differ"):
        Distiller(tiny_timm(seed=1), photos, FEW, tmp_path, bf16=False)
    assert Distiller(tiny_timm(), photos, FEW, tmp_path, bf16=False).epoch == 0


def test_a_network_without_modules_cannot_learn(tmp_path, photos):
    with pytest.raises(ConfigError, match=r"needs an image network with TokenLearner v1\.1"):
        Distiller(tiny_timm(locs=()), photos, FEW, tmp_path)


@pytest.mark.parametrize("changes", [{"epochs": 0}, {"batch_size": 0}, {"lr": 0.0}, {"module_lr": -1.0}])
def test_settings_that_cannot_be_are_refused(changes):
    with pytest.raises(ConfigError):
        DistillSettings(**changes)


def test_unexplained_is_a_share_of_the_teachers_variance():
    teacher = torch.tensor([[0.0, 2.0], [4.0, 2.0]])  # variance around the mean: (4 + 0 + 4 + 0) / 4 = 2
    assert unexplained(teacher, teacher) == 0
    assert unexplained(teacher + 1, teacher) == pytest.approx(0.5)
    assert unexplained(teacher.mean(dim=0).expand(2, 2), teacher) == pytest.approx(1.0)


@pytest.fixture
def folder(tmp_path):
    data = tmp_path / "photos"
    (data / "deep").mkdir(parents=True)
    for i, rgb in enumerate(photographs(20, 2).pixels.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(rgb).save(data / ("deep" if i % 2 else ".") / f"{i}.png")
    return data


def command(folder, out, *more: str) -> list[str]:
    small = ["--option", "embed_dim=24", "--option", "depth=4", "--option", "num_heads=3", "--option", "reg_tokens=1"]
    sizes = ["--img-size", "32", "--tokens", "4", "--epochs", "2", "--batch-size", "6", "--device", "cpu"]
    first = ["distill", "--backbone", "vit_tiny_patch16_224", str(folder), "-o", str(out)]
    return [*first, "--random-backbone", *sizes, *small, *more]


def test_the_command_leaves_a_checkpoint_that_loads_with_its_card(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TOKENLEARNER_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    code = main(command(folder, out, "--data-name", "Discs", "--data-licence", "CC0", "--module-lr", "0.01"))
    said = capsys.readouterr()
    path = out / "vit_tiny_patch16_224-tokenlearner.safetensors"
    assert str(path) in said.out
    assert "18 photographs to learn from, 2 to measure on" in said.out
    assert [line.split()[1] for line in said.out.splitlines() if line.startswith("epoch")] == ["0", "1"]
    collapsed = json.loads((out / "history.jsonl").read_text().splitlines()[-1])["collapsed"]
    assert code == (1 if collapsed else 0)
    loaded = load_checkpoint(path)
    assert isinstance(loaded.model, TimmTokenLearner)
    card = loaded.card
    assert card.config.tokenlearner_locs == (1, 2)
    assert card.trained is False  # its teacher was random
    assert any("teacher's weights were random" in note for note in card.notes)
    assert card.data[-1].name == "Discs"
    assert card.command.startswith("python -m tokenlearner distill photos -o out --backbone vit_tiny_patch16_224 ")
    assert "--module-lr 0.01" in card.command
    rows = card.metrics["distillation"]["likeness to the teacher"]
    assert {(row["loc"], row["num_tokens"]) for row in rows} == {
        (None, 0),
        *((loc, k) for loc in (1, 2) for k in (1, 2, 4)),
    }
    maps = {(row["loc"], row["num_tokens"]): row for row in card.metrics["maps"]}
    assert maps.keys() == {(loc, k) for loc in (1, 2) for k in (1, 2, 4)}
    assert maps[1, 1]["overlap"] is None
    assert {name for name, value in maps[1, 4].items() if value is not None} >= {"entropy", "overlap", "adaptivity"}
    assert [loc for loc in (1, 2) if any(f"before block {loc} have collapsed" in note for note in card.notes)] == (
        collapsed
    )
    assert "top1" not in json.dumps(card.metrics)
    assert "likeness to the teacher" in path.with_suffix(".md").read_text()


def test_the_same_command_again_goes_on_and_other_settings_are_refused(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TOKENLEARNER_CACHE", str(tmp_path / "cache"))
    out = tmp_path / "out"
    main(command(folder, out))
    weights = (out / "vit_tiny_patch16_224-tokenlearner.safetensors").read_bytes()
    monkeypatch.setattr(distill.Distiller, "_run_epoch", lambda *args: pytest.fail("it was finished"))
    main(command(folder, out))
    assert len((out / "vit_tiny_patch16_224-tokenlearner.safetensors").read_bytes()) == len(weights)
    capsys.readouterr()
    assert main(command(folder, out, "--seed", "5")) == 1
    assert "holds the state of another run" in capsys.readouterr().err
    for other in (["--loc", "3"], ["--img-size", "48"], ["--option", "depth=5"]):
        assert main(command(folder, out, *other)) == 1
        assert "holds a run of another network" in capsys.readouterr().err


def test_a_folder_without_photographs_is_refused_in_a_sentence(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(command(tmp_path / "empty", tmp_path / "out")) == 1
    assert "holds no photographs" in capsys.readouterr().err
