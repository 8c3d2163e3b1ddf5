"""Where lanes disagree: expected numbers are worked out by hand."""

import dataclasses

import numpy as np
import pytest
import torch

from app.compare.deck import deck_data
from app.compare.disagreement import disagreement
from tests.engine_cases import pictures, tiny_model, write_clip
from tokenlearner.engine import Analysis, ComputeDevice, Engine

CLASSES = ("ant", "bee", "cat", "dog", "elk", "fox", "gnu")
STEPS = 12


@pytest.fixture(scope="module")
def found(tmp_path_factory) -> Analysis:
    clip = write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(STEPS, (40, 64)))
    return Engine(tiny_model(), device=ComputeDevice(torch.device("cpu"), None, "test CPU")).analyze(clip)


def saying(found: Analysis, *rows: dict[str, float], times_s=None, names=CLASSES, groups=None) -> Analysis:
    """The analysis with given probabilities; what a row does not name has none worth speaking of."""
    logits = np.full((len(rows), len(names)), -40.0, np.float32)
    for row, said in zip(logits, rows, strict=True):
        for name, share in said.items():
            row[names.index(name)] = np.log(share)
    times_s = found.timestamps_s if times_s is None else np.array(times_s)
    return dataclasses.replace(
        found,
        logits=logits,
        logits_timestamps_s=times_s,
        class_names=names,
        label_groups=groups or {"class": slice(0, len(names))},
    )


def cats(count: int) -> list[dict[str, float]]:
    return [{"cat": 0.8, "dog": 0.2}] * count


def test_divergence_is_the_probability_that_has_moved(found):
    other = [{"cat": 0.8, "dog": 0.2}] * 5 + [{"cat": 0.3, "dog": 0.7}] + [{"cat": 0.6, "fox": 0.4}] * 6
    seen = disagreement([saying(found, *cats(STEPS)), saying(found, *other)], "class")
    assert seen.times_s == pytest.approx(np.arange(STEPS) / 10, abs=1e-3)
    assert seen.divergence[0] == pytest.approx(0.0)
    assert seen.divergence[1] == pytest.approx([0.0] * 5 + [0.5] + [0.4] * 6, abs=1e-5)
    assert seen.same[1].tolist() == [True] * 5 + [False] + [True] * 6
    assert seen.agreement(1) == pytest.approx((11 / 12, (0.5 + 6 * 0.4) / 12), abs=1e-5)


def test_peaks_are_the_moments_that_stand_out_in_the_order_of_time(found):
    second = [{"cat": 0.8, "dog": 0.2}] * STEPS
    second[2] = {"cat": 0.5, "dog": 0.5}
    third = [{"cat": 0.8, "dog": 0.2}] * STEPS
    third[9] = {"dog": 1.0}
    lanes = [saying(found, *rows) for rows in (cats(STEPS), second, third)]
    peaks = disagreement(lanes, "class").peaks()
    assert [(round(peak.time_s, 2), peak.lane) for peak in peaks] == [(0.2, 1), (0.9, 2)]
    assert [peak.divergence for peak in peaks] == pytest.approx([0.3, 0.8], abs=1e-5)
    assert [peak.lane for peak in disagreement(lanes, "class").peaks(most=1)] == [2]


def test_peaks_at_both_ends_count_and_ripples_do_not(found):
    rows = [{"cat": 0.80 - 0.01 * (i % 2), "dog": 0.2 + 0.01 * (i % 2)} for i in range(STEPS)]
    rows[0] = rows[-1] = {"cat": 0.4, "dog": 0.6}
    peaks = disagreement([saying(found, *cats(STEPS)), saying(found, *rows)], "class").peaks()
    assert [round(peak.time_s, 1) for peak in peaks] == [0.0, 1.1]


def test_lanes_that_agree_have_no_peaks(found):
    seen = disagreement([saying(found, *cats(STEPS))] * 2, "class")
    assert seen.peaks() == ()
    assert seen.agreement(1) == (1.0, 0.0)


def test_a_video_models_answer_holds_until_its_next_one(found):
    names = ("still", *CLASSES)
    groups = {"motion": slice(0, 1), "object": slice(1, 8)}
    said = [{"still": 1.0, "cat": 0.8, "dog": 0.2}, {"still": 1.0, "dog": 1.0}]
    video = saying(found, *said, times_s=[0.0, 0.8], names=names, groups=groups)
    seen = disagreement([saying(found, *cats(STEPS)), video], "class")
    assert seen.names == CLASSES
    assert seen.divergence[1] == pytest.approx([0.0] * 8 + [0.8] * 4, abs=1e-5)
    other_way = disagreement([video, saying(found, *cats(STEPS))], "object")
    assert other_way.divergence[1] == pytest.approx(seen.divergence[1], abs=1e-5)


def test_a_class_that_one_lane_does_not_know_has_no_probability_there(found):
    other = saying(found, *[{"cat": 0.45, "owl": 0.55}] * STEPS, names=("owl", "cat"))
    seen = disagreement([saying(found, *cats(STEPS)), other], "class")
    assert seen.names == (*CLASSES, "owl")
    assert seen.common == (7, 1)
    assert seen.divergence[1] == pytest.approx(0.55, abs=1e-5)  # 0.35 from the cat and 0.2 from the dog to the owl
    assert not seen.same[1].any()


def test_lanes_without_a_common_class_are_not_compared(found):
    other = saying(found, *[{"owl": 1.0}] * STEPS, names=("owl", "yak"))
    seen = disagreement([saying(found, *cats(STEPS)), other], "class")
    assert np.isnan(seen.divergence[1]).all()
    assert (seen.agreement(1), seen.peaks()) == (None, ())
    data = deck_data([("A", "a"), ("B", "b")], seen, clip="clip", still=False)
    assert data["lines"] == []
    assert [part["name"] for part in data["strips"][1]["parts"]] == ["not compared"]


@pytest.mark.parametrize("question", ["motion", ""])
def test_a_question_that_the_first_lane_does_not_answer_is_refused(found, question):
    with pytest.raises(ValueError, match=f'"{question}"'):
        disagreement([saying(found, *cats(STEPS))] * 2, question)


def test_the_controls_get_stretches_of_one_answer(found):
    other = [*cats(5), *[{"dog": 0.9, "cat": 0.1}] * 4, *cats(3)]
    seen = disagreement([saying(found, *cats(STEPS)), saying(found, *other)], "class")
    data = deck_data([("A", "a"), ("B", "b")], seen, clip="clip", still=False)
    first, second = (strip["parts"] for strip in data["strips"])
    assert [(part["name"], part["differs"]) for part in first] == [("cat", False)]
    assert [(part["from"], part["to"], part["name"], part["differs"]) for part in second] == [
        (0.0, 0.5, "cat", False),
        (0.5, 0.9, "dog", True),
        (0.9, pytest.approx(1.2), "cat", False),
    ]
    assert data["lines"] == [{"letter": "B", "values": [0] * 5 + [700] * 4 + [0] * 3}]
    (peak,) = data["peaks"]
    assert peak["words"].endswith("70 % of the probability has moved between A and B; A says cat, B says dog.")
