"""The loop: learns, goes on where it was, exports what loads."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from tokenlearner.data.dataset import PhotoStore
from tokenlearner.data.photos import Cutouts, Photos
from tokenlearner.engine.device import pick_device
from tokenlearner.errors import CheckpointError, ConfigError
from tokenlearner.training.export import export
from tokenlearner.training.loop import Trainer, TrainingData, canvas_hw
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
        stages=(Stage(img_size=24, epochs=epochs),),
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
    return TrainingData(photos, none, photos, NAMES)


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
    with pytest.raises(CheckpointError, match="does not continue this recipe"):
        trainer(tmp_path / "run", other)


def test_only_elastic_v11_image_models_are_trained_here(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    v10 = dataclasses.replace(recipe, model={**recipe.model, "token_learner": {"num_tokens": 3, "version": "1.0"}})
    with pytest.raises(ConfigError, match=r"v1\.1, without TokenFuser"):
        trainer(tmp_path / "run", v10)


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
