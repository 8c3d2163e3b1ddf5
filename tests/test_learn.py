"""The lesson's parts without a page: its numbers are the library's, its code is the code, its claims hold."""

import base64
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from app.items import Item, from_upload
from app.learn.board import board_data, read_painted
from app.learn.code import Excerpt
from app.learn.costs import level_tokens, saving, split, vit_b16
from app.learn.lesson import STEPS
from app.learn.steps import pooling
from app.learn.steps.eight import drop_of
from app.learn.steps.one_map import how_learned
from app.learn.steps.place import answer_rows, place_bars, rivals, share_left
from app.learn.steps.pooling import corner_map, presets_of
from app.learn.study import Answer, Study, half_of, study
from app.models import ModelChoice
from app.uploads import UploadFolder
from tests.app_cases import tiny_choice
from tests.engine_cases import TINY, VIDEO, pictures, tiny_model, write_clip, write_photo
from tokenlearner import flops
from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config
from tokenlearner.engine import Engine
from tokenlearner.weights import LoadedModel

GRID = (2, 3)


@pytest.fixture(scope="module")
def folder() -> Iterator[UploadFolder]:
    made = UploadFolder()
    yield made
    made.close()


@pytest.fixture(scope="module")
def photo(folder: UploadFolder, tmp_path_factory: pytest.TempPathFactory) -> Item:
    path = write_photo(tmp_path_factory.mktemp("photo") / "photo.png")
    with path.open("rb") as file:
        return from_upload(folder.add(file, path.name))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelChoice:
    return tiny_choice(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine() -> Engine:
    return Engine(tiny_model(), device="cpu")


@pytest.fixture(scope="module")
def known(engine: Engine, photo: Item, model: ModelChoice) -> Study:
    return study(engine, photo, model)


# What attention costs


@pytest.mark.parametrize(("image_hw", "patches"), [((32, 48), 6), ((224, 224), 196)])
def test_the_pairs_cost_two_products_of_n_by_n_in_each_block(image_hw: tuple[int, int], patches: int) -> None:
    found = split(named_config("B/16"), image_hw)
    assert found.patches == patches
    assert found.attention == 12 * 2 * patches**2 * 768
    assert found.rest + found.attention == flops.baseline(named_config("B/16"), image_hw=image_hw).total_macs


def test_the_formula_of_the_second_step_is_the_cost_of_a_block() -> None:
    config, n = named_config("B/16"), 196
    d, m = config.embed_dim, config.mlp_dim
    one_block = flops.baseline(config).stages["blocks before"] // config.depth
    assert one_block == n * (4 * d**2 + 2 * d * m) + 2 * n**2 * d


def test_twice_the_side_is_sixteen_times_the_pairs_and_they_are_dear_on_large_images_only() -> None:
    small, large = vit_b16(224), vit_b16(448)
    assert large.pairs == 16 * small.pairs
    assert large.attention == 16 * small.attention
    assert small.attention / small.total < 0.05
    assert large.attention / large.total > 3 * small.attention / small.total


def test_the_pairs_draw_level_with_the_rest_of_a_block_where_the_lesson_says() -> None:
    config = named_config("B/16")
    n = level_tokens(config)
    assert n == 4608
    assert n * (4 * config.embed_dim**2 + 2 * config.embed_dim * config.mlp_dim) == 2 * n**2 * config.embed_dim
    assert split(config, (16 * 64, 16 * 72)).attention * 2 == pytest.approx(
        flops.baseline(config, image_hw=(16 * 64, 16 * 72)).stages["blocks before"]
    )


def test_what_the_blocks_save_is_the_librarys_and_mostly_what_runs_once_a_token() -> None:
    config = named_config("B/16", token_learner=TokenLearnerConfig(num_tokens=8), loc=6)
    found = saving(config, (224, 224), 6, 8)
    d, m = config.embed_dim, config.mlp_dim
    assert found.pairs == 6 * 2 * d * (196**2 - 8**2)
    assert found.total == found.pairs + 6 * (196 - 8) * (4 * d**2 + 2 * d * m)
    assert found.pairs / found.total < 0.05
    words = found.words(8, 196)
    assert "**96 %** ran once for each token" in words
    assert "196 times, now 8. The pairs are **4.2 %** of it." in words


def test_in_a_clip_all_time_steps_are_compared() -> None:
    config = named_config("B/16", num_frames=16, token_learner=TokenLearnerConfig(num_tokens=8), loc=6)
    assert saving(config, (224, 224), 6, 5).pairs == 6 * 2 * 768 * (1568**2 - 40**2)


# Code


@pytest.mark.parametrize(
    "excerpt", [excerpt for step in STEPS for excerpt in step.code], ids=lambda excerpt: excerpt.first
)
def test_the_lines_of_a_step_stand_in_the_file_where_it_says(excerpt: Excerpt, repository: Path) -> None:
    lines = excerpt.read()
    shown = lines.text.splitlines()
    file = (repository / lines.path).read_text("utf-8").splitlines()[lines.number - 1 :][: len(shown)]
    assert [line.strip() for line in file] == [line.strip() for line in shown]
    assert excerpt.first in shown[0]
    assert 1 <= len(shown) <= 8
    assert not any(line.startswith(" ") for line in (shown[0], shown[-1]))


def test_lines_that_are_gone_are_not_made_up() -> None:
    with pytest.raises(LookupError, match="grid_hw holds no line"):
        Excerpt(ModelConfig.grid_hw, "this line was taken out").read()
    with pytest.raises(LookupError):
        Excerpt(ModelConfig.grid_hw, "rows, columns = ", "def grid_hw").read()


# A picture and what the network makes of it


def test_a_study_pools_and_answers_as_the_engine_does(known: Study, engine: Engine) -> None:
    for loc in (1, 3):
        for k in (1, 4, 6):
            expected = engine.rerun(known.analysis, loc=loc, num_tokens=k)
            np.testing.assert_allclose(known.with_first(loc, k), expected.logits[0], atol=1e-4)
            np.testing.assert_allclose(known.maps(loc)[:, :k], expected.token_maps, atol=1e-6)
    np.testing.assert_array_equal(known.plain, engine.rerun(known.analysis, loc=None).logits[0])


def test_a_token_pooled_by_the_learned_map_is_the_learned_token(known: Study) -> None:
    for loc in (1, 3):
        learned = presets_of(known, loc)["Learned"]
        np.testing.assert_allclose(known.with_map(loc, learned), known.with_first(loc, 1), atol=1e-4)
        token = learned.ravel() @ known.features[loc]
        np.testing.assert_allclose(token, known.held[loc].tokens[0, 0, 0].float().numpy(), atol=1e-2)


def test_another_map_is_another_answer(known: Study) -> None:
    corner = corner_map(known.grid_hw)
    assert corner.sum() == 1
    assert corner[0, 0] > 0
    assert corner[-1, -1] == 0
    even = presets_of(known, 1)["Even"]
    assert np.abs(known.with_map(1, corner) - known.with_map(1, even)).max() > 0.1


def test_the_best_classes_come_with_their_names(known: Study) -> None:
    answer = known.best(np.log(np.array([0.1, 0.02, 0.5, 0.08, 0.1, 0.15, 0.05], np.float32)), 2)
    assert answer.names == ("cat", "fox")
    assert answer.probs == pytest.approx((0.5, 0.15))


def test_the_picture_is_the_square_that_the_network_saw(known: Study) -> None:
    assert known.analysis.geometry.box_xywh == (12, 0, 40, 40)
    (picture,) = known.pictures
    assert picture.shape[0] == picture.shape[1]


def test_a_clip_has_a_picture_and_a_set_of_maps_for_each_time_step(
    tmp_path: Path, folder: UploadFolder, model: ModelChoice
) -> None:
    loaded: LoadedModel = tiny_model(VIDEO)
    path = write_clip(tmp_path / "clip.mp4", pictures(12, (64, 96)))
    with path.open("rb") as file:
        item = from_upload(folder.add(file, path.name))
    choice = dataclasses.replace(model, card=loaded.card)
    found = study(Engine(loaded, device="cpu"), item, choice)
    assert len(found.pictures) == 2
    assert found.maps(1).shape == (2, 6, 4, 4)
    np.testing.assert_allclose(found.with_first(1, 6), found.analysis.logits[0], atol=1e-3)


def test_half_of_a_map_is_held_by_its_heaviest_patches() -> None:
    assert half_of(np.array([[0.1, 0.3, 0.05], [0.35, 0.15, 0.05]], np.float32)) == [3, 1]
    assert len(half_of(np.full((2, 5), 0.1, np.float32))) == 5


# The board


def test_a_painted_map_is_read_as_shares() -> None:
    presets = {"Learned": np.array([[0.5, 0.5, 0], [0, 0, 0]], np.float32), "Even": np.full(GRID, 1 / 6, np.float32)}
    painted = read_painted({"map": [0, 0, 2, 0, 0, 6]}, presets, GRID)
    assert painted is not None
    np.testing.assert_allclose(painted, [[0, 0, 0.25], [0, 0, 0.75]])
    np.testing.assert_array_equal(read_painted({"preset": "Even"}, presets, GRID), presets["Even"])
    assert read_painted({"map": [0] * 6}, presets, GRID) is None


@pytest.mark.parametrize(
    "told", [None, "x", {}, {"map": [1, 2]}, {"map": [-1, 1, 1, 1, 1, 1]}, {"map": ["a"] * 6}, {"preset": "gone"}]
)
def test_what_does_not_fit_leaves_the_first_map(told: object) -> None:
    presets = {"Learned": np.full(GRID, 1 / 6, np.float32)}
    np.testing.assert_array_equal(read_painted(told, presets, GRID), presets["Learned"])


def test_the_browser_gets_the_features_that_are_pooled() -> None:
    features = np.random.default_rng(0).normal(size=(6, 5)).astype(np.float32)
    picture = np.zeros((8, 12, 3), np.uint8)
    data = board_data(picture, GRID, mode="paint", label="", presets={}, features=features)
    levels = np.frombuffer(base64.b64decode(data["features"]), np.int8).reshape(6, 5)
    np.testing.assert_allclose(levels * np.abs(features).max() / 127, features, atol=np.abs(features).max() / 250)
    assert data["dim"] == 5
    assert data["picture"].startswith("data:image/jpeg;base64,")


# What is said about the models


def test_what_the_recipe_asked_beside_the_paper_is_said(model: ModelChoice) -> None:
    recipe = {"augment": {"collage_share": 0.3}, "loss": {"rebuild": 0.5, "overlap": 0.2, "distill": 0.5}}
    words = how_learned(dataclasses.replace(model.card, recipe=recipe))
    assert "30 % of what it saw were **collages**" in words
    assert "rebuild the patches' vectors" in words
    assert words.endswith("; maps should not overlap.")
    assert "collages" not in how_learned(dataclasses.replace(model.card, recipe={**recipe, "augment": {}}))
    assert "Ours" not in how_learned(model.card)


@pytest.mark.parametrize(
    ("loc", "same", "said", "not_said"),
    [
        (0, True, "does not mean that the thing itself was seen", "never get"),
        (0, False, "the blocks behind never get", "the class stays"),
        (1, True, "In one block of attention", "did not bring"),
        (4, False, "In 4 blocks of attention", "does not prove"),
    ],
)
def test_what_follows_from_the_corner_depends_on_what_happened(loc: int, same: bool, said: str, not_said: str) -> None:
    words = pooling._why(loc, same)
    assert said in words
    assert not_said not in words


def test_places_cost_what_the_library_counts_and_are_as_accurate_as_the_card_says(model: ModelChoice) -> None:
    rows = place_bars(TINY, model.card, 6)
    assert [row.value.split("· ")[1] for row in rows] == ["58.7 %", "60.4 %", "62.0 %"]
    whole = flops.compute(TINY, loc=None).total_macs
    for row, loc in zip(rows, (1, 3), strict=False):
        assert sum(row.parts) == pytest.approx(flops.compute(TINY, loc=loc, num_tokens=6).total_macs / whole)
        assert sum(row.parts) == pytest.approx(share_left(TINY, loc, 6))
    assert sum(rows[-1].parts) == pytest.approx(1)
    assert "not measured" in place_bars(TINY, model.card, 4)[0].value


def test_answers_by_place_stand_beside_their_place() -> None:
    found = {
        1: Answer(("water_lilly", "ant"), (0.7, 0.1)),
        3: Answer(("ant",), (0.25,)),
        None: Answer(("ant",), (1.0,)),
    }
    rows = answer_rows(found, TINY)
    assert [(row.name, row.parts, row.value, row.strong) for row in rows] == [
        ("after 1 of 5 blocks", (0.7,), "water lily 70 %", True),
        ("after 3 of 5 blocks", (0.25,), "ant 25 %", False),
        ("nowhere: plain ViT", (1.0,), "ant 100 %", False),
    ]


def test_the_loss_by_fewer_tokens_is_the_cards(model: ModelChoice) -> None:
    found = drop_of(model.card, 1)
    assert found is not None
    many, few, points = found
    assert (many, few) == ((6, 0.587), (2, 0.551))
    assert points == pytest.approx(3.6)
    assert drop_of(model.card, 3) is None


def test_the_comparison_still_says_that_learned_pooling_is_no_more_accurate() -> None:
    found = rivals()
    assert found["average-8"].top1 >= found["v11-8"].top1
    assert found["plain"].top1 >= found["average-8"].top1
    assert found["average-8"].macs < found["plain"].macs
