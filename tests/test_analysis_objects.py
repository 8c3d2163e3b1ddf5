from itertools import permutations

import numpy as np
import pytest

from tokenlearner.analysis import objects


def one_hot(row: int, column: int, grid_hw: tuple[int, int] = (3, 4)) -> np.ndarray:
    shares = np.zeros(grid_hw)
    shares[row, column] = 1
    return shares


def test_centre_prior_is_a_hann_window_over_the_frame() -> None:
    rows, columns = 3, 5
    prior = objects.centre_prior((rows, columns))
    assert prior.sum() == pytest.approx(1)
    down = [0.25, 1, 0.25]  # sin^2 of 30, 90, 150 degrees
    right = [np.sin(np.radians(angle)) ** 2 for angle in (18, 54, 90, 126, 162)]
    by_hand = np.array([[a * b for b in right] for a in down])
    np.testing.assert_allclose(prior, by_hand / by_hand.sum())


def test_uniform_map_has_the_objects_share_as_its_mass() -> None:
    fractions = np.random.default_rng(0).random((3, 4))
    assert objects.mass(objects.uniform_map((3, 4))[None], fractions)[0] == pytest.approx(fractions.mean())


def test_mass_counts_partly_covered_cells_in_part() -> None:
    maps = np.stack([0.5 * one_hot(0, 1) + 0.5 * one_hot(2, 2), one_hot(1, 1)])
    fractions = 0.4 * one_hot(0, 1) + one_hot(2, 2)
    np.testing.assert_allclose(objects.mass(maps, fractions), [0.7, 0])


def test_mass_of_a_batch_pairs_maps_with_masks() -> None:
    maps = np.stack([np.stack([one_hot(0, 0)] * 2), np.stack([one_hot(1, 1)] * 2)])
    fractions = np.stack([one_hot(0, 0), one_hot(2, 2)])
    assert objects.mass(maps, fractions).tolist() == [[1, 1], [0, 0]]


def test_peak_fraction_looks_under_the_largest_cell_of_each_token() -> None:
    maps = np.stack([0.6 * one_hot(2, 3) + 0.4 * one_hot(0, 0), one_hot(1, 0)])
    fractions = 0.25 * one_hot(2, 3) + one_hot(0, 0)
    assert objects.peak_fraction(maps, fractions).tolist() == [0.25, 0]


def test_mean_maps_average_over_pictures_of_any_grid() -> None:
    wide = np.stack([one_hot(0, 0, (1, 2)), one_hot(0, 1, (1, 2))])
    tall = np.stack([one_hot(1, 0, (2, 1)), one_hot(1, 0, (2, 1))])
    found = objects.mean_maps([wide, tall, tall], (2, 2))
    # wide: a half each in the upper and lower left cell; tall: a half each in the two lower cells.
    np.testing.assert_allclose(found[0], np.array([[0.5, 0], [1.5, 1]]) / 3)
    np.testing.assert_allclose(found[1], np.array([[0, 0.5], [1, 1.5]]) / 3)


def test_object_mass_of_hand_made_maps() -> None:
    # Token 0 finds the object in both pictures, to 0.5 and 0.9; token 1 only in the first, wholly.
    first = np.stack([0.5 * one_hot(0, 0) + 0.5 * one_hot(0, 1), one_hot(0, 0)])
    second = np.stack([0.9 * one_hot(2, 3) + 0.1 * one_hot(1, 2), one_hot(0, 0)])
    fractions = [one_hot(0, 0), one_hot(2, 3)]
    random = [np.stack([one_hot(1, 1), 0.2 * one_hot(0, 0) + 0.8 * one_hot(1, 1)]), np.stack([one_hot(1, 1)] * 2)]
    found = objects.object_mass([first, second], fractions, (3, 4), random)
    assert found.pictures == 2
    assert found.best == pytest.approx((1 + 0.9) / 2)
    assert (found.kept_token, found.kept) == (0, pytest.approx(0.7))
    assert found.peak == 1  # among equals the first cell counts, which is the object's
    assert found.found == 1
    assert found.uniform == pytest.approx(1 / 12)
    prior = objects.centre_prior((3, 4))
    assert found.centre_prior == pytest.approx((prior[0, 0] + prior[2, 3]) / 2)
    assert found.lift == pytest.approx(0.95 / found.centre_prior)
    # Mean maps: token 0 (1/4, 1/4, ... 0.45 at the last cell), token 1 all at the first cell.
    assert found.mean_map == pytest.approx((1 + 0.45) / 2)
    assert found.random_weights == pytest.approx(0.1)
    assert found.to_dict()["lift"] == found.lift


def test_best_token_is_chosen_picture_by_picture_and_the_kept_one_is_not() -> None:
    pictures = [np.stack([one_hot(0, 0), one_hot(1, 1)]), np.stack([one_hot(1, 1), one_hot(0, 0)])]
    found = objects.object_mass(pictures, [one_hot(0, 0)] * 2, (3, 4))
    assert (found.best, found.kept, found.mean_map) == (1, 0.5, 0.5)
    assert found.random_weights is None


def test_found_needs_seven_tenths_of_one_token() -> None:
    def picture(share: float) -> np.ndarray:
        return (share * one_hot(0, 0) + (1 - share) * one_hot(2, 2))[None]

    found = objects.object_mass([picture(0.69), picture(0.71)], [one_hot(0, 0)] * 2, (3, 4))
    assert found.found == 0.5


def test_object_mass_takes_pictures_of_different_grids() -> None:
    pictures = [one_hot(0, 0, (2, 5))[None], one_hot(1, 0, (4, 3))[None]]
    fractions = [one_hot(0, 0, (2, 5)), one_hot(0, 0, (4, 3))]
    for _ in range(5):  # run-time type checks look at one picture of a list, drawn anew each time
        found = objects.object_mass(pictures, fractions, (2, 3))
    assert (found.best, found.uniform) == (0.5, pytest.approx((1 / 10 + 1 / 12) / 2))


def test_as_many_masks_as_maps_are_needed() -> None:
    with pytest.raises(ValueError, match="1 maps were given for 2 masks"):
        objects.object_mass([one_hot(0, 0)[None]], [one_hot(0, 0)] * 2, (3, 4))


def test_matching_beats_every_other_assignment() -> None:
    masses = np.random.default_rng(3).random((5, 3))
    best = max(sum(masses[t, o] for o, t in enumerate(chosen)) for chosen in permutations(range(5), 3))
    pairs = objects.match_objects(masses)
    assert [o for _, o, _ in pairs] == [0, 1, 2]
    assert len({t for t, _, _ in pairs}) == 3
    assert sum(m for _, _, m in pairs) == pytest.approx(best)


def test_two_objects_cannot_share_a_token() -> None:
    masses = np.array([[0.6, 0.6], [0.1, 0.3]])
    assert objects.match_objects(masses) == [(0, 0, 0.6), (1, 1, 0.3)]
    assert objects.matched_share([masses]) == 0.5


def test_objects_beyond_the_tokens_are_missed() -> None:
    assert objects.matched_share([np.array([[0.9, 0.2, 0.8]]), np.array([[0.5]])]) == 2 / 4
