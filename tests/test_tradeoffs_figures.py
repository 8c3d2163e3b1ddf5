"""The figures hold the numbers of the library, the card and the published file, drawn by their origin."""

import dataclasses
import time

import pytest

from app.charts import cost_bars
from app.tradeoffs import bench_figures, curves, paper_figures
from app.tradeoffs.bench import budget_words, growth_words
from app.tradeoffs.bench_figures import Course
from app.tradeoffs.choose import design_of
from app.tradeoffs.design import Design
from app.tradeoffs.marks import MARKS, counted
from app.tradeoffs.own import own_models, read_own
from app.tradeoffs.published import large_models, published
from tests.app_cases import METRICS
from tests.engine_cases import TINY, VIDEO, tiny_model
from tokenlearner import flops
from tokenlearner.cards import list_models

CARD = dataclasses.replace(tiny_model().card, metrics={"conditions": {"photographs": 400}, **METRICS})
OWN = read_own(CARD)


def named(figure, start):
    return [trace for trace in figure.data if (trace.name or "").startswith(start)]


def test_the_card_gives_every_setting_with_its_cost():
    assert {(p.loc, p.num_tokens, p.top1) for p in OWN.points} == {
        (None, 0, 0.62), (1, 2, 0.551), (1, 6, 0.587), (3, 6, 0.604),
    }  # fmt: skip
    assert all(p.macs == flops.compute(TINY, loc=p.loc, num_tokens=p.num_tokens or None).total_macs for p in OWN.points)
    assert OWN.token_counts == (2, 6)
    assert OWN.standard_error == pytest.approx((0.62 * 0.38 / 400) ** 0.5)


def test_only_trained_image_models_that_can_be_compared_are_shown():
    untrained = dataclasses.replace(CARD, trained=False)
    video = dataclasses.replace(CARD, config=VIDEO)
    alone = dataclasses.replace(CARD, metrics={"choices": [{"loc": None, "num_tokens": 0, "top1": 0.5}]})
    odd = dataclasses.replace(CARD, metrics={"x": [*METRICS["validation"]["choices"], {"loc": 2, "num_tokens": 1, "top1": 0.1}]})  # fmt: skip  # noqa: E501
    assert own_models([untrained, video, alone]) == ()
    assert [own.points for own in own_models([odd])] == [OWN.points]  # there is no module before block 2


def test_the_model_with_the_most_measured_settings_comes_first():
    rows = METRICS["validation"]["choices"]
    fewer = dataclasses.replace(CARD, name="fewer", metrics={"choices": rows[:3]})
    better = dataclasses.replace(CARD, name="better", metrics={"choices": [{**rows[0], "top1": 0.9}, *rows[1:]]})
    assert [own.card.name for own in own_models([fewer, CARD, better])] == ["better", CARD.name, "fewer"]


def test_placement_shows_the_card_as_measured_and_the_paper_as_published():
    figure = paper_figures.placement_accuracy(OWN, published())
    (six,) = named(figure, "measured, 6 tokens")
    assert list(six.x) == [1 / 5, 3 / 5]
    assert list(six.y) == pytest.approx([-3.3, -1.6])
    assert six.marker.symbol == MARKS["measured"].symbol
    (paper,) = named(figure, "published")
    assert dict(zip([row[0] for row in paper.customdata], paper.y, strict=True)) == {
        "TokenLearner B/16": pytest.approx(83.65 - 84.73),
        "16-TokenLearner L/16 at 12": pytest.approx(87.68 - 87.35),
    }
    assert len({trace.marker.symbol for trace in figure.data}) == 3  # measured, published, said
    better = next(trace for trace in figure.data if "better" in trace.hovertemplate)
    assert better.y[1] > 0  # somewhere above the plain network, not on it


@pytest.mark.parametrize(("unit", "told"), [("MACs", "9.15 GMACs"), ("FLOPs", "18.3 GFLOPs")])
def test_placement_costs_are_shares_of_the_plain_network_with_their_counts(unit, told):
    design = Design()
    curve = curves.over_locations(design)
    figure = paper_figures.placement_cost(OWN, 2, curve, design.depth, "B/16", published(), unit)
    (line,) = named(figure, "computed, B/16")
    assert line.y[6] == design.compute.total_macs / design.baseline.total_macs
    assert line.y[3] < 1 / 3  # as the article says of a quarter of the network
    assert list(line.customdata[6]) == [6, told]
    (ours,) = named(figure, "computed, our checkpoint with 2 tokens")
    assert list(ours.y) == [flops.compute(TINY, loc=1, num_tokens=2).total_macs / flops.baseline(TINY).total_macs]
    (paper,) = named(figure, "published")
    assert list(paper.y) == pytest.approx([28.7 / 55.6, 178.1 / 363.1])


@pytest.mark.parametrize(("unit", "factor"), [("MACs", 1), ("FLOPs", 2)])
def test_families_stand_at_their_published_and_measured_places(unit, factor):
    figure = paper_figures.published_families(published(), unit)
    (vit,), (ours,) = named(figure, "ViT"), named(figure, "TokenLearner")
    assert list(vit.x) == pytest.approx([factor * 55.6, factor * 363.1])
    assert list(ours.y) == [83.65, 85.21, 85.45, 87.68]
    (front,) = named(figure, "Pareto")
    assert list(front.y) == [83.65, 85.21, 85.45, 87.68]  # every plain network is beaten by a cheaper one
    own = paper_figures.own_family(OWN, unit)
    (plain,) = named(own, "plain")
    assert (plain.x[0], plain.y[0]) == (factor * flops.baseline(TINY).total_macs / 1e9, 62.0)
    assert own.layout.xaxis.type == figure.layout.xaxis.type == "log"


def test_large_models_are_counted_and_their_assumption_is_hatched():
    rows = large_models(448)
    params = paper_figures.large_bars(rows, "params", "MACs")
    assert list(params.data[0].x) == [row.compute.params / 1e6 for row in rows]
    assert list(params.data[1].x) == [1843, 460, 460]
    macs = paper_figures.large_bars(rows, "compute", "FLOPs")
    assert list(macs.data[0].x) == [2 * row.compute.total_macs / 1e9 for row in rows]
    assert (params.data[0].marker.pattern.shape, macs.data[0].marker.pattern.shape) == ("", "/")
    accuracy = paper_figures.large_accuracy(rows)
    assert [trace.x[0] for trace in accuracy.data] == [90.45, 90.81, 88.5, 90.75, 88.87, 91.05]
    symbols = [MARKS[origin].symbol for origin in ("reported", "reported", "published")]
    assert [trace.marker.symbol for trace in accuracy.data[::2]] == symbols  # as the file asks for the first two
    assert accuracy.data[0].hovertemplate.startswith("as reported: ")


def test_the_bundled_checkpoint_can_be_shown():
    (own,) = own_models(model.card for model in list_models() if model.card.name == "caltech101-elastic")
    assert len(own.points) == 1 + len(own.token_counts) * len(own.card.config.tokenlearner_locs)
    macs = {(r["loc"], r["num_tokens"]): r["macs"] for r in own.card.metrics["evaluation"]["choices"]}
    assert {(p.loc, p.num_tokens): p.macs for p in own.points} == macs


def test_a_course_marks_the_design_the_pins_and_the_budget():
    here, pinned = Design(), Design(size="S", depth=7, loc=5)
    lines = [Course(label, curves.over_locations(d), d.loc) for label, d in (("", here), ("A", pinned))]
    figure = bench_figures.course(lines, "blocks", "MACs", 5e9)
    marks = {trace.text[0]: (trace.x[0], trace.y[0]) for trace in figure.data if trace.mode == "markers+text"}
    assert marks == {
        "": (6, here.compute.total_macs / 1e9),
        "A": (5, pinned.compute.total_macs / 1e9),
    }
    assert [shape.y0 for shape in figure.layout.shapes] == [5.0]
    assert not bench_figures.course(lines, "blocks", "MACs", 1e13).layout.shapes
    legend = bench_figures.course_legend(["B"])
    assert [part for part in ("plain ViT", "this design", "</i>B<", "</i>A<") if part in legend] == [
        "plain ViT",
        "this design",
        "</i>B<",
    ]
    assert legend.count("solid") == 2


def test_growth_shows_sequence_and_cost():
    design = Design()
    points = curves.every_side(design)
    figure = bench_figures.growth(points, [8] * len(points), "side", 224, "MACs")
    above = [trace for trace in figure.data if trace.yaxis == "y2"]
    assert list(above[0].y) == [(side // 16) ** 2 for side in above[0].x]
    assert set(above[1].y) == {8}
    assert [
        (line.x0, note.text) for line, note in zip(figure.layout.shapes, figure.layout.annotations, strict=True)
    ] == [(224, "this design")]
    clips = bench_figures.growth(curves.every_clip(design), [8] * 63, "frames", None, "MACs")
    assert not clips.layout.shapes  # a picture has no place among clips
    (attention,) = named(figure, "plain ViT, attention")
    at = list(attention.x).index(224)
    assert attention.y[at] == curves.attention_macs(design) / 1e9
    assert attention.fill == "tozeroy"


def test_what_a_budget_leaves_is_said():
    words = budget_words(Design(), 5_000_000_000, "MACs")
    assert "**does not fit**" in words
    assert "this fits: at most 3 blocks before the module; a side of at most 160 pixels." in words
    assert Design(loc=3).compute.total_macs <= 5e9 < Design(loc=4).compute.total_macs
    assert words.endswith("Changing the tokens alone is not enough.")  # not even one fits after six blocks
    assert budget_words(Design(num_frames=8), 10**7, "MACs").endswith(
        "**does not fit**. Changing the location, the tokens, the image side or the clip alone is not enough."
    )
    assert "10.0 GFLOPs" in budget_words(Design(), 5_000_000_000, "FLOPs")
    clip = budget_words(Design(num_frames=8), 50_000_000_000, "MACs")
    assert "**fits**" in clip
    assert "; at most 8 frames." in clip
    assert "not enough" not in clip


def test_growth_is_said_in_numbers_of_the_library():
    words = growth_words(Design())
    ratio = Design(side=448).baseline.total_macs / Design().baseline.total_macs
    assert f"196 become 784) and 16 × the pairs that attention compares: the plain network costs {ratio:.1f} ×" in words


def test_published_networks_can_be_put_on_the_bench():
    for row in (*published().images, *published().video):
        if row.has_module:
            assert design_of(row.config).config == row.config


def test_three_digits_tell_designs_apart():
    assert [counted(n, "MACs", 17_481_000_000) for n in (17_481_000_000, 9_149_000_000)] == ["17.5 GMACs", "9.15 GMACs"]
    assert counted(1_234_000, "FLOPs") == "2.47 MFLOPs"


def test_the_bench_answers_within_150_ms(unchecked_signatures):
    # What one move of a slider computes and draws, on the largest design with two others pinned; best of several.
    design = Design(size="G", patch=14, side=476, num_frames=32, depth=48, loc=24, num_tokens=16)
    pinned = {"A": Design(size="L", depth=24, loc=12), "B": Design(depth=48)}

    def draw(design):
        everything = {"": design, **pinned}
        cost_bars([(k, d.compute) for k, d in everything.items()], "MACs", per="image", budget_macs=1e12)
        for along, field in ((curves.over_locations, "loc"), (curves.over_tokens, "num_tokens")):
            lines = [Course(k, along(d), getattr(d, field)) for k, d in everything.items()]
            bench_figures.course(lines, field, "MACs", 1e12).to_json()
        for points in (curves.every_side(design), curves.every_clip(design)):
            bench_figures.growth(points, [8] * len(points), "x", 224, "MACs").to_json()
        budget_words(design, 10**12, "MACs")

    spent = []
    for patch_side in (490, 504, 518, 532, 546, 560, 574):  # nothing is remembered
        design = design.but(side=patch_side)
        begin = time.perf_counter()
        draw(design)
        spent.append(time.perf_counter() - begin)
    assert min(spent) < 0.15
