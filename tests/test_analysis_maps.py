import numpy as np
import pytest
from scipy.stats import entropy as scipy_entropy

from tokenlearner.analysis import maps


def one_hot(row: int, column: int, grid_hw: tuple[int, int] = (3, 4)) -> np.ndarray:
    shares = np.zeros(grid_hw)
    shares[row, column] = 1
    return shares


def uniform(grid_hw: tuple[int, int] = (3, 4)) -> np.ndarray:
    return np.full(grid_hw, 1 / (grid_hw[0] * grid_hw[1]))


def random_shares(*shape: int, seed: int = 0) -> np.ndarray:
    return maps.as_shares(np.random.default_rng(seed).exponential(size=shape))


def test_shares_of_sigmoids_sum_to_one_and_keep_their_shape() -> None:
    sigmoids = np.array([[0.2, 0.6], [0.0, 0.8], [0.4, 0.0]], dtype=np.float32)
    np.testing.assert_allclose(maps.as_shares(sigmoids), sigmoids / 2.0, atol=1e-7)


def test_map_of_zeros_becomes_uniform_while_its_neighbour_does_not() -> None:
    found = maps.as_shares(np.stack([np.zeros((2, 5)), one_hot(1, 3, (2, 5))]))
    np.testing.assert_array_equal(found, np.stack([uniform((2, 5)), one_hot(1, 3, (2, 5))]))


def test_entropy_is_one_for_uniform_and_zero_for_one_patch() -> None:
    found = maps.entropy(np.stack([uniform(), one_hot(2, 1)]))
    np.testing.assert_allclose(found, [1, 0], atol=1e-12)


def test_entropy_of_two_equal_patches_is_a_log_ratio() -> None:
    half = (one_hot(0, 0) + one_hot(2, 3)) / 2
    assert maps.entropy(half) == pytest.approx(np.log(2) / np.log(12))


def test_entropy_agrees_with_scipy() -> None:
    shares = random_shares(2, 5, 3, 4)
    expected = scipy_entropy(shares.reshape(2, 5, 12), axis=-1, base=12)
    np.testing.assert_allclose(maps.entropy(shares), expected)


def test_single_patch_counts_as_uniform() -> None:
    assert maps.entropy(np.ones((2, 1, 1))).tolist() == [1, 1]


def test_overlap_of_hand_made_maps() -> None:
    equal, disjoint = np.stack([uniform()] * 3), np.stack([one_hot(0, 0), one_hot(1, 1), one_hot(2, 2)])
    assert maps.overlap(equal) == pytest.approx(1)
    assert maps.overlap(disjoint) == pytest.approx(0)
    # One patch against uniform over 12: cosine 1 / sqrt(12).
    assert maps.overlap(np.stack([one_hot(1, 2), uniform()])) == pytest.approx(12**-0.5)


def test_overlap_agrees_with_a_loop_over_pairs() -> None:
    shares = random_shares(2, 5, 3, 4)
    expected = []
    for tokens in shares.reshape(2, 5, 12):
        cosines = [a @ b / np.sqrt((a @ a) * (b @ b)) for i, a in enumerate(tokens) for b in tokens[i + 1 :]]
        expected.append(np.mean(cosines))
    np.testing.assert_allclose(maps.overlap(shares), expected)


def test_overlap_does_not_depend_on_scale() -> None:
    shares = random_shares(5, 3, 4)
    scales = np.array([1, 9, 0.1, 3, 2]).reshape(5, 1, 1)
    assert maps.overlap(shares * scales) == pytest.approx(float(maps.overlap(shares)))


def test_overlap_of_one_token_is_refused() -> None:
    with pytest.raises(ValueError, match="at least two"):
        maps.overlap(uniform()[None])


def test_fixed_maps_are_not_adaptive() -> None:
    fixed = np.stack([random_shares(2, 3, 4)] * 7)
    assert maps.adaptivity(fixed) == pytest.approx(0)


def test_uniform_maps_are_not_adaptive() -> None:
    assert maps.adaptivity(np.stack([uniform()[None]] * 7)) == 0


def test_maps_that_visit_every_patch_alike_are_wholly_adaptive() -> None:
    visits = np.stack([one_hot(row, column)[None] for row in range(3) for column in range(4)])
    assert maps.adaptivity(visits) == pytest.approx(1)


def test_adaptivity_of_two_patches_taken_in_turns() -> None:
    # |one hot - u|^2 = 1 - 1/12; the mean map has two halves: |mean - u|^2 = 1/2 - 1/12.
    turns = np.stack([one_hot(0, 0)[None], one_hot(1, 1)[None]])
    assert maps.adaptivity(turns) == pytest.approx(1 - (1 / 2 - 1 / 12) / (1 - 1 / 12))


def test_a_fixed_token_beside_an_adaptive_one_halves_adaptivity() -> None:
    moving = [one_hot(row, column) for row in range(3) for column in range(4)]
    together = np.stack([np.stack([one, one_hot(2, 3)]) for one in moving])
    assert maps.adaptivity(together) == pytest.approx(0.5)


def test_coverage_counts_the_patches_that_tokens_share_out() -> None:
    three = np.stack([one_hot(0, 0), one_hot(1, 1), one_hot(2, 2)])
    assert maps.coverage(three) == pytest.approx(3 / 12)
    assert maps.coverage(np.stack([one_hot(0, 0)] * 3)) == pytest.approx(1 / 12)
    assert maps.coverage(np.stack([uniform()] * 3)) == pytest.approx(1)


def test_centroid_is_x_then_y_in_fractions_of_the_frame() -> None:
    np.testing.assert_allclose(maps.centroid(one_hot(2, 0)), [0.5 / 4, 2.5 / 3])
    np.testing.assert_allclose(maps.centroid(uniform()), [0.5, 0.5])


def test_spread_of_uniform_map_matches_its_variance() -> None:
    expected = np.sqrt((1 - 1 / 3**2) / 12 + (1 - 1 / 4**2) / 12)  # of equal steps, per axis
    assert maps.spread(uniform()) == pytest.approx(expected)
    assert maps.spread(one_hot(1, 3)) == pytest.approx(0, abs=1e-9)


def test_spread_of_two_patches_is_half_their_distance() -> None:
    pair = (one_hot(0, 1) + one_hot(0, 3)) / 2
    assert maps.spread(pair) == pytest.approx(0.25)


def test_peak_is_row_then_column() -> None:
    shares = np.stack([one_hot(2, 0), one_hot(0, 3), uniform()])
    assert maps.peak(shares).tolist() == [[2, 0], [0, 3], [0, 0]]


def test_regrid_keeps_attention_where_it_lies() -> None:
    shares = random_shares(2, 4, 6)
    coarse = maps.regrid_shares(shares, (2, 3))
    by_hand = shares.reshape(2, 2, 2, 3, 2).sum(axis=(2, 4))
    np.testing.assert_allclose(coarse, by_hand)
    fine = maps.regrid_shares(shares, (8, 18))
    np.testing.assert_allclose(fine, np.repeat(np.repeat(shares, 2, axis=1), 3, axis=2) / 6)


def test_regrid_to_cells_that_do_not_fit_keeps_the_sum() -> None:
    shares = random_shares(5, 4, 6)
    np.testing.assert_allclose(maps.regrid_shares(shares, (7, 5)).sum(axis=(1, 2)), 1)
    # Two cells become three: the middle one takes a third of each... of 1 and 3.
    np.testing.assert_allclose(maps.regrid_shares(np.array([[0.3, 0.7]]), (1, 3)), [[0.2, 1 / 3, 1.4 / 3]])


def test_regrid_mean_averages() -> None:
    mask = np.zeros((6, 4))
    mask[:3, :2] = 1
    np.testing.assert_allclose(maps.regrid_mean(mask, (2, 2)), [[1, 0], [0, 0]])
    np.testing.assert_allclose(maps.regrid_mean(mask, (3, 2)), [[1, 0], [0.5, 0], [0, 0]])


def test_regrid_part_takes_the_attention_inside() -> None:
    shares = random_shares(4, 8)
    inside = maps.regrid_part(shares, (0.25, 0.5, 0.5, 0.5), (2, 4))
    np.testing.assert_allclose(inside, shares[2:, 2:6])


def test_quality_over_pictures_of_two_grids() -> None:
    wide = np.stack([one_hot(0, 0, (2, 4)), one_hot(1, 3, (2, 4))])
    tall = np.stack([uniform((4, 2)), uniform((4, 2))])
    found = maps.quality([wide, tall, wide], (2, 2))
    assert found.entropy == pytest.approx(1 / 3)
    assert found.overlap == pytest.approx(1 / 3)
    assert found.coverage == pytest.approx((2 / 8 + 1 + 2 / 8) / 3)
    # On the 2x2 grid the corners stay corners: per token |corner - u|^2 = 3/4, twice of three pictures.
    # The mean map is u + 2/3 (corner - u): |mean - u|^2 = 4/9 * 3/4.
    assert found.adaptivity == pytest.approx(1 - (4 / 9) / (2 / 3))
    assert not found.collapsed


def test_quality_of_one_token_has_no_overlap() -> None:
    assert maps.quality([one_hot(0, 0)[None]], (3, 4)).overlap is None


def test_quality_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="no maps"):
        maps.quality([], (3, 4))


@pytest.mark.parametrize(
    ("tokens", "collapsed"),
    [
        (np.stack([uniform(), uniform()]), True),
        (np.stack([one_hot(0, 0), one_hot(0, 0)]), True),
        (np.stack([one_hot(0, 0), one_hot(1, 0)]), False),
        (uniform()[None], True),
    ],
    ids=["uniform", "all the same", "distinct", "one uniform token"],
)
def test_collapse_is_called_by_its_name(tokens: np.ndarray, collapsed: bool) -> None:
    found = maps.quality([tokens, tokens], (3, 4))
    assert found.collapsed is collapsed
    assert set(found.to_dict()) == {"entropy", "overlap", "adaptivity", "coverage"}
