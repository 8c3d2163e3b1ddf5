import numpy as np
import pytest

from tokenlearner.evaluation.following import following, frame_difference, kept_over_all, of_uniform_map


def moment(*tokens: list[list[float]]) -> np.ndarray:
    return np.array(tokens)


# Two tokens on 2 x 3 cells. The object covers the left column in the first moment, the right one in the second.
LEFT = np.array([[1.0, 0, 0], [1.0, 0, 0]])
RIGHT = np.array([[0, 0, 1.0], [0, 0, 0.4]])
FIRST = moment([[0.5, 0.25, 0], [0.25, 0, 0]], [[0, 0, 1.0], [0, 0, 0]])
SECOND = moment([[0.2, 0, 0.3], [0, 0.1, 0.4]], [[0.9, 0, 0.1], [0, 0, 0]])


def test_measures_by_hand() -> None:
    found = following([[FIRST, SECOND]], [[LEFT, RIGHT]])
    # Token 0: 0.75, then 0.3 + 0.4 * 0.4. Token 1: 0, then 0.1.
    assert found.mass == pytest.approx((0.75 + 0.46) / 2)
    assert found.best == found.mass
    assert found.peak == 0.5  # in the second moment its largest cell holds 0.4 of the object
    assert found.touch == 1
    # Centroids: x = (0.75 + 0.25 * 3) / 6 = 0.25 in the left third; then (0.2 + 0.1 * 3 + 0.7 * 5) / 6 = 0.667, which
    # is the right third's edge from within (y 0.5: the lower row), covered to 0.4 only.
    assert found.centroid == 0.5
    assert found.best_centroid == 0.5


def test_best_is_chosen_at_each_moment_and_kept_once() -> None:
    swapped = SECOND[::-1]
    found = following([[FIRST, swapped]], [[LEFT, RIGHT]])
    assert found.best == pytest.approx((0.75 + 0.46) / 2)
    assert found.mass == pytest.approx((0.75 + 0.1) / 2)  # token 0 throughout
    assert following([[FIRST, swapped]], [[LEFT, RIGHT]], token=1).mass == pytest.approx((0 + 0.46) / 2)


def test_runs_count_alike_however_long_they_are() -> None:
    runs, masks = [[FIRST] * 9, [SECOND]], [[LEFT] * 9, [RIGHT]]
    assert following(runs, masks).mass == pytest.approx((0.75 + 0.46) / 2)


def test_token_kept_over_all_runs() -> None:
    other = FIRST[::-1]  # here token 1 is the good one
    assert kept_over_all([[FIRST]] * 2 + [[other]], [[LEFT]] * 3) == 0
    assert kept_over_all([[FIRST]] + [[other]] * 2, [[LEFT]] * 3) == 1


def test_centre_of_mass_of_two_halves_lies_between_them() -> None:
    sides = moment([[0.5, 0, 0.5], [0, 0, 0]])
    found = following([[sides]], [[np.array([[1.0, 0, 1.0], [0, 0, 0]])]])
    assert (found.mass, found.peak, found.centroid) == (1, 1, 0)


def test_uniform_map_has_the_objects_share_and_no_place() -> None:
    found = of_uniform_map([[LEFT, LEFT], [RIGHT]])
    assert found.mass == pytest.approx((2 / 6 + 1.4 / 6) / 2)
    assert (found.peak, found.touch, found.centroid, found.best_centroid) == (None,) * 4


@pytest.mark.parametrize(("shares", "masks"), [([], []), ([[FIRST]], []), ([[]], [[]])])
def test_nothing_to_measure_is_refused(shares: list[list[np.ndarray]], masks: list[list[np.ndarray]]) -> None:
    with pytest.raises(ValueError, match="runs of maps were given"):
        following(shares, masks)


def test_frame_difference_is_on_both_sides_of_a_step() -> None:
    frames = np.zeros((4, 4, 6, 3), dtype=np.uint8)
    frames[1, :2, :2] = 60  # one cell of 2 x 2 pixels lights up in frame 1 ...
    frames[2:, 2:, 4:] = 20  # ... and a third as bright another in 2 and 3
    maps = frame_difference(frames, (2, 3))
    assert maps.shape == (4, 2, 3)
    assert maps[0, 0, 0] == 1  # only the step to frame 1
    assert maps[1, 0, 0] == pytest.approx(120 / 140)
    assert maps[1, 1, 2] == pytest.approx(20 / 140)
    assert maps[2, 0, 0] == pytest.approx(60 / 80)
    assert (maps[3] == 1 / 6).all()  # nothing changed to the last frame
    assert maps.sum(axis=(1, 2)) == pytest.approx(1)


def test_frame_difference_of_a_single_frame_is_uniform() -> None:
    assert (frame_difference(np.zeros((1, 4, 6, 3), dtype=np.uint8), (2, 3)) == 1 / 6).all()
