"""Recipes: read, refused, scheduled."""

from pathlib import Path

import pytest

from tokenlearner.errors import ConfigError
from tokenlearner.training.recipe import list_recipes, load_recipe

TINY = """
name = "tiny"
title = "Tiny"
[model]
img_size = [16, 16]
patch_size = [4, 4]
embed_dim = 8
depth = 2
num_heads = 2
mlp_dim = 12
tokenlearner_locs = [1]
default_loc = 1
[model.token_learner]
num_tokens = 3
[[stages]]
img_size = 8
epochs = 2
[[stages]]
img_size = 16
epochs = 3
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_bundled_recipe_describes_a_model_that_can_be_built() -> None:
    assert list_recipes()
    for name in list_recipes():
        recipe = load_recipe(name)
        assert recipe.name == name
        config = recipe.model_config(("a", "b", "c"))
        assert config.num_classes == 3
        assert all(stage.img_size % config.patch_size[0] == 0 for stage in recipe.stages)


def test_stages_follow_one_another(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, TINY))
    assert recipe.epochs == 5
    assert [recipe.stage_at(epoch).img_size for epoch in range(5)] == [8, 8, 16, 16, 16]


def test_an_unknown_recipe_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no recipe nonsense.*caltech101-elastic"):
        load_recipe("nonsense")


def test_a_broken_toml_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tiny\.toml is not a TOML file"):
        load_recipe(write(tmp_path, "name = ["))


def test_a_recipe_without_stages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no \[\[stages\]\]"):
        load_recipe(write(tmp_path, TINY.split("[[stages]]")[0]))


def test_an_unknown_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tiny\.toml.*'speed'.*OptimizerSettings"):
        load_recipe(write(tmp_path, TINY + "[optimizer]\nspeed = 3\n"))
