from collections.abc import Sequence

import numpy as np
import pytest

from tests.analysis_cases import COLOURS, seeing_model
from tokenlearner.analysis.patches import area, by_weight, delete_patches
from tokenlearner.evaluation.cause import deletion
from tokenlearner.evaluation.collect import Choice, Collected, collect

GRID = (3, 2)
GREY = np.array([90, 100, 110], dtype=np.uint8)


def test_patches_are_ordered_from_the_heaviest() -> None:
    assert by_weight(np.array([[0.1, 0.5], [0.4, 0.5], [0.0, 0.2]])).tolist() == [1, 3, 2, 5, 0, 4]


def test_deleted_patches_take_the_colour_and_others_stay() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    found = delete_patches(rgb, GRID, np.array([1, 4]), GREY)
    assert (found[:4, 5:] == GREY).all()  # patch 1: first row, second column
    assert (found[8:, :5] == GREY).all()  # patch 4: third row, first column
    np.testing.assert_array_equal(found[4:8], rgb[4:8])
    np.testing.assert_array_equal(found[:4, :5], rgb[:4, :5])


def test_deleting_nothing_changes_nothing() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (12, 10, 3), dtype=np.uint8)
    np.testing.assert_array_equal(delete_patches(rgb, GRID, np.array([], dtype=np.int64), GREY), rgb)


def test_area_is_the_mean_height() -> None:
    assert area([0.8] * 6) == pytest.approx(0.8)
    assert area([1.0, 0.0, 0.0, 0.0, 0.0, 0.0]) == pytest.approx(0.1)  # a triangle over the first of five steps
    assert area([1.0, 0.8, 0.6, 0.4, 0.2, 0.0]) == pytest.approx(0.5)


def test_deleting_what_seeing_tokens_see_hurts_most() -> None:
    model = seeing_model()
    inputs = []
    for number, colour in enumerate(("red", "green", "blue") * 4):
        rgb = np.full((48, 64, 3) if number % 2 else (60, 48, 3), 255, dtype=np.uint8)
        rgb[4 + 4 * number % 24 :, 8:28][:16] = COLOURS[colour]  # whole patches: no rim with a trace of colour
        inputs.append(rgb)
    choices = [Choice(0, 3), Choice(2, 3)]
    found = deletion(
        lambda pics, cs: collect(model, pics, cs), inputs, choices, model.config.mean, np.random.default_rng(0)
    )
    for choice in choices:
        result = found[choice]
        assert result.curve[0] > 0.7  # sure of itself before anything is deleted
        assert result.tokens < result.random - 0.1
        assert result.tokens < result.centre_prior - 0.1
        assert result.tokens == pytest.approx(area(result.curve))
        assert len(result.curve) == 6
        assert set(result.to_dict()) == {"tokens", "centre_prior", "random", "curve"}


def test_the_class_first_predicted_is_watched_even_if_another_takes_over() -> None:
    # A network whose probability of class 1 is twice the red share of the picture, and whose map is on the red.
    rgb = np.zeros((20, 40, 3), dtype=np.uint8)
    rgb[:, 20:40, 0] = 255
    shares = np.zeros((1, 5, 10), dtype=np.float32)
    shares[0, :, 5:10] = 1 / 25
    choice = Choice(3, 1)

    def run(pictures: Sequence[np.ndarray], choices: Sequence[Choice]) -> Collected:
        red = np.array([2 * (one[..., 0] == 255).mean() for one in pictures])
        probs = np.stack([1 - red, red], axis=1).astype(np.float32)
        return Collected(dict.fromkeys(choices, probs), {3: (shares,) * len(pictures)})

    (found,) = deletion(run, [rgb], [choice], (0.0, 0.0, 0.0), np.random.default_rng(0)).values()
    np.testing.assert_allclose(found.curve, [1, 0.8, 0.6, 0.4, 0.2, 0], atol=1e-6)
    assert found.tokens == pytest.approx(0.5)
    assert found.random == pytest.approx(0.75, abs=0.1)  # half of what is deleted is red
    assert found.centre_prior == pytest.approx(0.75, abs=0.02)  # the middle lies on the edge of the red
