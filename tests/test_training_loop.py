"""The loop: learns, goes on where it was, exports what loads."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tokenlearner.data.dataset import PhotoStore
from tokenlearner.data.moving import ClipSettings
from tokenlearner.data.photos import Cutouts, Photos
from tokenlearner.engine.device import pick_device
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.training.batches import TrainingData
from tokenlearner.training.export import export
from tokenlearner.training.loop import Trainer, canvas_hw
from tokenlearner.training.precision import Replica
from tokenlearner.training.recipe import AugmentSettings, OptimizerSettings, Recipe, Stage
from tokenlearner.weights import load_checkpoint

CPU = torch.device("cpu")
NAMES = ("dark", "light", "stripes")


def tiny_recipe(epochs: int = 2) -> Recipe:
    return Recipe(
        name="tiny",
        title="Tiny",
        model={
            "img_size": (24, 24),
            "patch_size": (8, 8),
            "embed_dim": 16,
            "depth": 2,
            "num_heads": 2,
            "mlp_dim": 24,
            "tokenlearner_locs": (1,),
            "default_loc": 1,
            "token_learner": {"num_tokens": 3, "bottleneck_dim": 6},
        },
        stages=(Stage(img_sizes=(24,), epochs=epochs),),
        optimizer=OptimizerSettings(batch_size=12, warmup_steps=2, lr=3e-3, ema_decay=0.7),
        augment=AugmentSettings(collage_share=0.0, jitter=0.05),
    )


def tiny_data(count: int = 36) -> TrainingData:
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    pixels = rng.integers(0, 30, (count, 32, 32, 3), dtype=np.uint8)
    pixels[labels == 1] += 200
    pixels[labels == 2, ::4] += 200
    store = PhotoStore(pixels, np.ones(count, np.float32))
    photos = Photos.from_store(store, labels, CPU)
    none = Cutouts(torch.zeros(0, 4, 64, 64, dtype=torch.uint8), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    return TrainingData(photos, none, photos, NAMES, none)


def trainer(run_dir: Path, recipe: Recipe | None = None, **options: bool) -> Trainer:
    (run_dir).mkdir(exist_ok=True)
    (run_dir / "split.json").write_text("{}")
    return Trainer(recipe or tiny_recipe(), tiny_data(), run_dir, CPU, bf16=options.get("bf16", False))


def test_training_learns_what_can_be_learned(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", tiny_recipe(epochs=14))
    run.run()
    last = run.history[-1]
    assert last["loss"]["plain"] < 0.75 * run.history[0]["loss"]["plain"]
    assert last["top1"]["none"] >= 0.9
    assert last["top1"]["1/2"] >= 0.9


def test_a_run_that_was_cut_off_ends_with_the_same_weights(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole")
    whole.run()
    first = trainer(tmp_path / "cut")
    first._run_epoch(None)
    first.epoch += 1
    first._save()
    second = trainer(tmp_path / "cut")
    assert (second.epoch, second.step) == (1, first.step)
    second.run()
    for name, value in whole.average.state_dict().items():
        assert torch.allclose(value, second.average.state_dict()[name], atol=1e-6), name
    assert [r["loss"] for r in whole.history] == [r["loss"] for r in second.history]


def test_a_state_of_another_network_is_refused(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run")
    run._save()
    recipe = tiny_recipe()
    other = dataclasses.replace(recipe, model={**recipe.model, "mlp_dim": 28})
    with pytest.raises(CheckpointError, match="holds the state of another run"):
        trainer(tmp_path / "run", other)


def test_an_elastic_run_takes_v11_modules_alone(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    v10 = dataclasses.replace(recipe, model={**recipe.model, "token_learner": {"num_tokens": 3, "version": "1.0"}})
    with pytest.raises(ConfigError, match=r"v1\.1 modules without TokenFuser. Set elastic = false"):
        trainer(tmp_path / "run", v10)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize(
    "module",
    [
        None,
        {"num_tokens": 3, "bottleneck_dim": 6},
        {"num_tokens": 3, "version": "1.0"},
        {"num_tokens": 3, "bottleneck_dim": 6, "use_fuser": True},
        {"num_tokens": 3, "version": "average"},
        {"num_tokens": 3, "version": "strided"},
    ],
)
def test_every_variant_is_trained_alone(tmp_path: Path, module: dict[str, object] | None, bf16: bool) -> None:
    recipe = tiny_recipe(epochs=6)
    model = {**recipe.model, "token_learner": module}
    if module is None:
        model |= {"tokenlearner_locs": (), "default_loc": None}
    run = trainer(tmp_path / "run", dataclasses.replace(recipe, model=model, elastic=False), bf16=bf16)
    run.run()
    part = "plain" if module is None else "tails"
    assert run.history[-1]["loss"][part] < run.history[0]["loss"][part]
    assert list(run.history[-1]["top1"]) == ["none" if module is None else "1/3"]


def test_a_run_is_measured_as_often_as_its_recipe_says_and_at_the_end(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", dataclasses.replace(tiny_recipe(epochs=5), measure_every=2))
    run.run()
    assert [record["epoch"] for record in run.history] == [1, 3, 4]


def video_recipe(start_from: str = "") -> Recipe:
    recipe = tiny_recipe(epochs=2)
    model = {**recipe.model, "num_frames": 4, "tubelet_size": 2}
    clips = ClipSettings()
    return dataclasses.replace(recipe, name="tiny-video", model=model, clips=clips, start_from=start_from)


def test_a_video_run_learns_what_moves_and_how_from_an_image_model(tmp_path: Path) -> None:
    image = trainer(tmp_path / "image")
    start = export(image, tmp_path, command="train tiny", device=pick_device("cpu"))
    run = trainer(tmp_path / "video", video_recipe(str(start)))
    assert torch.allclose(run.model.blocks[0].mlp.fc1.weight, image.average.blocks[0].mlp.fc1.weight, atol=1e-3)
    run.run()
    last = run.history[-1]
    assert set(last["top1"]) == {f"{q} {s}" for q in ("object", "motion") for s in ("none", "1/2", "1/3")}
    assert 0 <= last["object_mass"]["1"] <= 1
    assert run.average.config.class_names[:3] == NAMES
    again = trainer(tmp_path / "video", video_recipe("a file that is gone"))  # a run goes on without its start
    assert again.epoch == 2


def test_clips_and_frames_belong_together(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="num_frames in"):
        trainer(tmp_path / "run", dataclasses.replace(video_recipe(), model=tiny_recipe().model))


def test_the_export_loads_and_carries_the_curves(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run")
    run.run()
    path = export(run, tmp_path / "out", command="train tiny", device=pick_device("cpu"))
    loaded = load_checkpoint(path)
    assert loaded.card.trained
    assert loaded.card.config.class_names == NAMES
    assert [row["epoch"] for row in loaded.card.metrics["training"]] == [0, 1]
    assert "entropy 1" in loaded.card.metrics["training"][0]
    pixels = torch.randn(2, 3, 24, 24)
    with torch.inference_mode():
        assert torch.allclose(loaded.model(pixels).logits, run.average(pixels).logits, atol=2e-2)
    assert path.with_suffix(".split.json").exists()


def test_the_rate_rises_stays_and_falls_to_nearly_nothing(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run", tiny_recipe(epochs=20))
    assert run.total_steps == 60
    assert run.rate_share(0) == pytest.approx(0.5)
    assert run.rate_share(30) == pytest.approx(1.0)
    assert run.rate_share(59) == pytest.approx(1 / 21)


def test_a_bf16_replica_computes_what_the_master_computes_and_returns_gradients_in_float32(tmp_path: Path) -> None:
    master = trainer(tmp_path / "run").model.eval()
    replica = Replica(master, bf16=True)
    pixels = torch.randn(5, 3, 24, 24)
    exact = master(pixels, loc=None).logits
    rough = replica.model(pixels.bfloat16(), loc=None).logits.float()
    assert torch.allclose(exact, rough, atol=0.05)
    assert not torch.equal(exact, rough)
    rough.square().sum().backward()
    replica.pull_gradients()
    gradients = [p.grad for p in master.parameters() if p.grad is not None]
    assert gradients
    assert all(g.dtype == torch.float32 for g in gradients)
    assert all(p.grad is None for p in replica.model.parameters())


@pytest.mark.parametrize(("shape", "expected"), [(1.0, (96, 96)), (4 / 3, (80, 112)), (3 / 4, (112, 80))])
def test_canvases_of_all_shapes_are_whole_patches_of_about_one_area(shape: float, expected: tuple[int, int]) -> None:
    assert canvas_hw(96, shape, (8, 8)) == expected
