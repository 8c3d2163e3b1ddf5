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
img_sizes = [8]
epochs = 2
[[stages]]
img_sizes = [16, 12]
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
        assert recipe.name == name.replace(":", "-")
        config = recipe.model_config(("a", "b", "c"))
        assert config.group_slices()["object" if config.is_video else "class"] == slice(0, 3)
        assert all(side % config.patch_size[0] == 0 for stage in recipe.stages for side in stage.img_sizes)


def test_stages_follow_one_another(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, TINY))
    assert recipe.epochs == 5
    assert [recipe.stage_at(epoch).img_sizes for epoch in range(5)] == [(8,), (8,), (16, 12), (16, 12), (16, 12)]


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


VARIANTS = (
    TINY
    + """
[variants.wide.model]
mlp_dim = 20
[variants.plain]
elastic = false
[variants.plain.optimizer]
lr = 0.5
"""
)


def test_a_variant_changes_what_it_names_and_nothing_else(tmp_path: Path) -> None:
    path = write(tmp_path, VARIANTS)
    wide, plain = load_recipe(f"{path}:wide"), load_recipe(f"{path}:plain")
    assert (wide.name, plain.name) == ("tiny-wide", "tiny-plain")
    assert wide.model == {**plain.model, "mlp_dim": 20}
    assert (wide.elastic, plain.elastic) == (True, False)
    assert plain.optimizer.lr == 0.5
    assert wide.stages == plain.stages


@pytest.mark.parametrize("name", ["", ":narrow"])
def test_a_recipe_of_variants_needs_one_of_them(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, VARIANTS)
    with pytest.raises(ConfigError, match=r"Name one of its variants: .*tiny\.toml:plain, .*tiny\.toml:wide"):
        load_recipe(f"{path}{name}")


def test_a_variant_of_a_recipe_without_variants_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tiny.toml has no variants\."):
        load_recipe(f"{write(tmp_path, TINY)}:wide")


def test_a_stage_without_sizes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="a stage without any img_sizes"):
        load_recipe(write(tmp_path, TINY.replace("[16, 12]", "[]")))
