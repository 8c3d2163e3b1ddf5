"""The bench's numbers: designs, curves, budgets and fronts are those of the library, and of the command line."""

import json

import pytest

from app.tradeoffs import curves
from app.tradeoffs.design import PATCHES, SIZES, Design, frames_of, most_tokens, nearest, sides_of
from app.tradeoffs.pareto import pareto_front
from app.tradeoffs.published import PATH, large_models, plain_twin, published, relative_location
from tokenlearner import flops
from tokenlearner.cli import main
from tokenlearner.config import TokenLearnerConfig, named_config
from tokenlearner.errors import DataError

DESIGNS = (
    Design(),
    Design(size="Ti", patch=8, side=96, depth=5, num_tokens=3, loc=0, version="1.0"),
    Design(size="S", patch=10, side=220, num_frames=24, tubelet_size=4, num_tokens=16, loc=9),
    Design(size="G", patch=14, side=504, depth=48, num_tokens=1, loc=47),
    Design(size="L", patch=32, depth=24, num_frames=8, tubelet_size=2, loc=11, use_fuser=True, version="1.0"),
)


@pytest.mark.parametrize("design", DESIGNS, ids=Design.name)
def test_a_design_costs_what_the_command_line_prints(design, capsys):
    assert main(["flops", *design.options().split(), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["stages"] == design.compute.stages
    assert printed["params"] == design.compute.params
    assert printed["baseline_macs"] == design.baseline.total_macs
    assert printed["notes"] == []


@pytest.mark.parametrize("design", DESIGNS, ids=Design.name)
def test_every_curve_passes_through_the_design(design):
    along = {
        "loc": (curves.over_locations(design), design.loc),
        "tokens": (curves.over_tokens(design), design.num_tokens),
    }
    if design.side in sides_of(design.patch):
        along["side"] = (curves.over_sides(design), design.side)
    if design.num_frames:
        along["frames"] = (curves.over_clips(design), design.num_frames)
    for points, value in along.values():
        here = next(point for point in points if point.value == value)
        assert (here.macs, here.plain_macs) == (design.compute.total_macs, design.baseline.total_macs)
        assert [point.value for point in points] == sorted({point.value for point in points})


def test_the_curve_over_locations_covers_every_block():
    assert [point.value for point in curves.over_locations(Design(depth=7, loc=2))] == list(range(7))


def test_attention_is_what_is_left_when_everything_else_grows_with_the_sequence():
    # Four times the patches: all but attention fourfold (the head aside), attention sixteenfold.
    small, large = Design(side=224), Design(side=448)
    rest = [d.baseline.total_macs - d.baseline.stages["head"] - curves.attention_macs(d) for d in (small, large)]
    assert rest[1] == 4 * rest[0]
    assert curves.attention_macs(large) == 16 * curves.attention_macs(small)


def test_a_clip_is_attended_to_as_one_sequence():
    clip = Design(num_frames=16, tubelet_size=2)
    assert curves.attention_macs(clip) == 64 * curves.attention_macs(Design())
    (last,) = (point for point in curves.over_clips(clip) if point.value == 16)
    assert last.sequence == 8 * 196


def test_pictures_too_small_for_the_tokens_are_left_out():
    design = Design(patch=32, side=224, num_tokens=49)
    assert next(point.value for point in curves.over_sides(design)) == 224


def test_the_budget_finds_the_last_place_that_fits():
    points = curves.over_locations(Design())
    cost = {point.value: point.macs for point in points}
    assert curves.best_within(points, cost[5]).value == 5
    assert curves.best_within(points, cost[5] - 1).value == 4
    assert curves.best_within(points, cost[0] - 1) is None


def test_the_front_holds_what_nothing_cheaper_beats():
    points = [(3.0, 7.0), (1.0, 5.0), (2.0, 4.0), (1.0, 6.0), (4.0, 7.0), (5.0, 9.0), (5.0, 9.0)]
    assert pareto_front(points) == (3, 0, 5)
    assert pareto_front([]) == ()


@pytest.mark.parametrize("size", SIZES)
def test_every_choice_that_is_offered_can_be_built(size):
    for patch in PATCHES:
        for side in sides_of(patch):
            assert side % patch == 0
            tokens = most_tokens(patch, side)
            assert 1 <= tokens <= (side // patch) ** 2
            Design(size=size, patch=patch, side=side, num_tokens=tokens, loc=0).config  # noqa: B018
    for tubelet in (1, 2, 4):
        assert all(frames % tubelet == 0 for frames in frames_of(tubelet))


def test_the_nearest_choice_is_the_smaller_of_two():
    assert nearest(10, (4, 8, 12)) == 8
    assert nearest(11, (4, 8, 12)) == 12


def test_a_network_names_itself():
    assert Design().name() == "B/16, 224 px, 8 tokens after 6 of 12"
    fused = Design(size="L", depth=7, num_frames=8, num_tokens=1, loc=0, version="1.0", use_fuser=True)
    assert fused.name() == "L/16 (7), 224 px × 8 frames in tubelets of 2, 1 token after 0 of 7 v1.0, TokenFuser"


def test_published_image_rows_are_counted_close_to_what_was_published():
    for row in published().images:
        tolerance = 0.032 if row.name == "16-TokenLearner L/16 at 12" else 0.022  # see tests/test_flops.py
        assert row.compute.total_macs / 1e9 == pytest.approx(row.number("gflops"), rel=tolerance)


def test_published_video_rows_are_counted_close_to_what_was_published():
    counted = {row.name: row.compute for row in published().video}
    assert counted["ViViT-H/16"] is None
    for row in published().video:
        if row.compute:
            assert row.compute.total_macs / 1e9 == pytest.approx(row.number("gflops_per_view"), rel=0.022)


def test_large_models_are_counted_as_their_names_say():
    g, l10, l8 = large_models(560)
    assert g.compute == flops.compute(named_config("G/14", img_size=560))
    sixteen = TokenLearnerConfig(num_tokens=16)
    assert l10.config == named_config("L/10", img_size=560, depth=35, token_learner=sixteen, loc=24)
    assert l8.config.patch_size == (8, 8)
    assert g.compute.params / 1e6 == pytest.approx(g.number("params_m"), rel=0.005)
    assert l8.compute.params / 1e6 == pytest.approx(l8.number("params_m"), rel=0.04)
    assert [row.config.img_size for row in large_models(384)] == [(378, 378), (380, 380), (384, 384)]


def test_plain_twins_are_of_the_same_size_and_input():
    rows = published().images
    twins = {row.name: twin.name for row in rows if (twin := plain_twin(row, rows))}
    assert twins == {"TokenLearner B/16": "ViT B/16", "16-TokenLearner L/16 at 12": "ViT L/16"}
    assert [relative_location(row) for row in rows[:2]] == [None, 0.5]


def test_the_published_file_is_the_one_that_was_carried_over(shared_dir):
    ours = json.loads(PATH.read_text())
    theirs = json.loads((shared_dir / "published.json").read_text())
    for key, value in theirs.items():
        if key in ("imagenet_finetune", "imagenet_large", "kinetics"):
            for mine, other in zip(ours[key]["rows"], value["rows"], strict=True):
                assert {name: mine[name] for name in other} == other
        else:
            assert ours[key] == value


def test_a_damaged_file_gives_a_sentence(tmp_path, monkeypatch):
    broken = tmp_path / "published.json"
    broken.write_text("{}")
    monkeypatch.setitem(published.__wrapped__.__globals__, "PATH", broken)
    with pytest.raises(DataError, match="cannot be read"):
        published.__wrapped__()
