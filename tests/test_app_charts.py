"""Figures and panels show the library's numbers, not others."""

import dataclasses
import re

import numpy as np
import pytest

from app.charts import STAGE_COLORS, compute_bars, cost_bars, stage_legend
from app.explore.predictions import without
from app.explore.tokens import half_area
from app.predictions import MAX_CLASSES, SCALE, panel_data, shown_classes
from app.text import operations
from tests.engine_cases import FUSED, TINY, VIDEO, pictures, tiny_model, write_clip
from tokenlearner import flops
from tokenlearner.config import LabelGroup
from tokenlearner.engine import AnalysisSettings, Engine

TWO_QUESTIONS = dataclasses.replace(
    VIDEO,
    class_names=("ant", "bee", "cat", "dog", "water_lilly", "fox", "gnu"),
    label_groups=(LabelGroup(name="object", num_classes=4), LabelGroup(name="motion", num_classes=3)),
)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    clip = write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(5, (46, 80)), [0.0, 0.1, 0.3, 0.4, 0.6])
    return Engine(tiny_model(), device="cpu").analyze(clip, AnalysisSettings())


def drawn(html: str, name: str) -> dict[str, tuple[float, str]]:
    """Width in percent and count in words of each part of a row."""
    found = re.findall(rf'width:([\d.]+)%[^"]*" title="([^,]+), {name}: ([^"]+) per frame"', html)
    return {stage: (float(width), words) for width, stage, words in found}


@pytest.mark.parametrize(("unit", "factor"), [("MACs", 1), ("FLOPs", 2)])
@pytest.mark.parametrize("config", [TINY, FUSED], ids=["tokens", "fuser"])
def test_bars_are_as_long_as_the_counts_by_stage(config, unit, factor):
    here, plain = flops.compute(config, num_tokens=4), flops.baseline(config)
    html = compute_bars(here, plain, unit, per="frame")
    largest = max(here.total_macs, plain.total_macs)
    for name, compute in (("this setting", here), ("plain ViT", plain)):
        parts = drawn(html, name)
        assert set(parts) == {stage for stage, macs in compute.stages.items() if macs}
        for stage, (width, words) in parts.items():
            assert width == pytest.approx(100 * compute.stages[stage] / largest, abs=1e-4)
            assert words == " ".join(operations(factor * compute.stages[stage], unit, factor * largest))
        assert f">{' '.join(operations(factor * compute.total_macs, unit, factor * largest))}</b>" in html


def test_a_budget_is_a_line_across_all_bars_and_brings_them_to_its_scale():
    here, plain = flops.compute(TINY, num_tokens=4), flops.baseline(TINY)
    rows = [("this design", here), ("plain ViT", plain), ("A", plain)]
    budget = 1.25 * plain.total_macs
    html = cost_bars(rows, "FLOPs", per="frame", budget_macs=budget)
    assert html.count('<s style="left:100.0000%"') == 3
    parts = drawn(html, "plain ViT")
    assert sum(width for width, _ in parts.values()) == pytest.approx(80, abs=1e-3)
    assert html.count('<s style="left:40.0000%"') == 0
    within = cost_bars(rows, "MACs", per="frame", budget_macs=0.4 * plain.total_macs)
    assert within.count('<s style="left:40.0000%"') == 3
    assert "<s " not in cost_bars(rows, "MACs", per="frame", budget_macs=1.4 * plain.total_macs)


def test_a_stage_that_does_not_run_has_no_bar():
    plain = flops.baseline(TINY)
    names = set(drawn(compute_bars(plain, plain, "MACs", per="frame"), "this setting"))
    assert names == {"patch embedding", "blocks before", "head"}
    legend = stage_legend(plain, plain)
    assert [stage in legend for stage in STAGE_COLORS] == [stage in names for stage in STAGE_COLORS]
    assert set(STAGE_COLORS) == set(flops.compute(TINY).stages)


def test_the_panel_gets_the_probabilities_of_every_frame(analysis):
    data = panel_data(analysis, player="player")
    assert data["times"] == [0.0, 0.1, 0.3, 0.4, 0.6]
    assert (data["still"], data["player"]) == (False, "player")
    assert data["end"] == pytest.approx(0.8)
    (group,) = data["groups"]
    assert (group["title"], group["top"], group["before"]) == ("One of 7 classes", 5, None)
    order = [analysis.class_names.index(name) for name in group["names"]]
    np.testing.assert_allclose(np.array(group["probs"]) / SCALE, analysis.probs[:, order], atol=0.6 / SCALE)
    np.testing.assert_allclose(np.array(group["mean"]) / SCALE, analysis.probs.mean(axis=0)[order], atol=0.6 / SCALE)
    assert group["mean"] == sorted(group["mean"], reverse=True)


def test_each_question_has_classes_of_its_own(tmp_path):
    engine = Engine(tiny_model(TWO_QUESTIONS), device="cpu")
    found = engine.analyze(write_clip(tmp_path / "disc.mp4", pictures(9, (46, 80))))
    data = panel_data(found, player="player")
    first, second = data["groups"]
    assert [first["title"], second["title"]] == ["Object, one of 4", "Motion, one of 3"]
    assert set(first["names"]) <= {"ant", "bee", "cat", "dog"}
    assert set(second["names"]) == {"water lily", "fox", "gnu"}
    assert [sum(row) for row in second["probs"]] == pytest.approx([SCALE] * 3, abs=2)
    assert (first["top"], second["top"]) == (3, 3)
    assert "one answer per clip of 4 frames" in data["help"]


def test_the_panel_compares_with_all_tokens_class_by_class(tmp_path):
    engine = Engine(tiny_model(), device="cpu")
    whole = engine.analyze(write_clip(tmp_path / "disc.mp4", pictures(3, (46, 80))))
    found = engine.rerun(whole, muted=(0, 4))
    (group,) = panel_data(found, player="player", whole=whole)["groups"]
    order = [whole.class_names.index(name) for name in group["names"]]
    np.testing.assert_allclose(np.array(group["before"]["probs"]) / SCALE, whole.probs[:, order], atol=0.6 / SCALE)
    np.testing.assert_allclose(np.array(group["probs"]) / SCALE, found.probs[:, order], atol=0.6 / SCALE)
    assert group["before"]["mean"] != group["mean"]


def test_every_class_that_is_ever_among_the_first_five_is_sent():
    rng = np.random.default_rng(0)
    probs = rng.dirichlet(np.full(30, 0.3), size=4).astype(np.float32)
    found = set(shown_classes(probs))
    for row in probs:
        assert set(np.argsort(-row)[:5]) <= found
    many = rng.dirichlet(np.full(300, 0.1), size=50).astype(np.float32)
    assert len(shown_classes(many)) == MAX_CLASSES


def test_the_area_that_holds_half_of_a_map():
    maps = np.zeros((1, 4, 2, 5), np.float32)
    maps[0, 0] = 0.1  # even: half of the area
    maps[0, 1, 1, 3] = 1.0  # one patch: half of it
    maps[0, 2, 0, :2] = [0.8, 0.2]  # 0.5 of 0.8: five eighths of the first patch
    np.testing.assert_allclose(half_area(maps)[0, :3], [0.5, 0.05, 0.0625], rtol=1e-5)
    assert half_area(maps)[0, 3] == pytest.approx(0.5)  # nothing at all: as if even
    np.testing.assert_allclose(half_area(7 * maps), half_area(maps), rtol=1e-5)


def test_leaving_tokens_out_is_compared_with_all_of_them(tmp_path):
    engine = Engine(tiny_model(), device="cpu")
    whole = engine.analyze(write_clip(tmp_path / "disc.mp4", pictures(3, (46, 80))))
    found = engine.rerun(whole, muted=(0, 4))
    best = whole.top(1)[0]
    after = found.probs.mean(axis=0)[best.index]
    sentence = without(found, whole)
    assert sentence.startswith(f"Without tokens 1, 5: {best.name} ")
    assert sentence.endswith(", mean of the clip.")
    assert f"→ {100 * after:.2g}"[:4] in sentence
