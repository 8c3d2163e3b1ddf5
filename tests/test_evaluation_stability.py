import numpy as np
import pytest

from tokenlearner.analysis.maps import as_shares, regrid_part
from tokenlearner.evaluation import stability
from tokenlearner.evaluation.stability import FIRST_VIEW


def gradient(height: int, width: int) -> np.ndarray:
    """A picture whose red is 250 x and whose green is 250 y, in fractions of the frame."""
    y, x = ((np.arange(n) + 0.5) / n for n in (height, width))
    return np.stack(np.broadcast_arrays(250 * x[None], 250 * y[:, None], 0), axis=-1).round().astype(np.uint8)


@pytest.mark.parametrize("hw", [(240, 300), (24, 30)], ids=["reduced", "enlarged"])
def test_view_shows_the_box_it_was_asked_for(hw: tuple[int, int]) -> None:
    box = (0.2, 0.35, 0.5, 0.4)
    found = stability.view(gradient(*hw), box, (32, 40)).astype(float) / 250
    x = box[0] + box[2] * (np.arange(40) + 0.5) / 40
    y = box[1] + box[3] * (np.arange(32) + 0.5) / 32
    np.testing.assert_allclose(found[16, :, 0], x, atol=0.006)
    np.testing.assert_allclose(found[:, 20, 1], y, atol=0.006)


def test_shifted_views_stay_inside_the_picture() -> None:
    rng = np.random.default_rng(0)
    boxes = np.array([stability.shifted_view(rng) for _ in range(500)])
    assert boxes[:, :2].min() >= 0
    assert (boxes[:, :2] + boxes[:, 2:]).max() <= 1
    np.testing.assert_allclose(boxes[:, :2].min(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(boxes[:, :2].max(axis=0), 0.2, atol=0.01)


def test_zoomed_view_is_the_middle_of_the_first() -> None:
    np.testing.assert_allclose(stability.zoomed_view(), (0.18, 0.18, 0.64, 0.64))


def test_common_part_is_told_in_fractions_of_each_view() -> None:
    first, second = stability.common_part((0.0, 0.2, 0.5, 0.4), (0.25, 0.0, 0.5, 0.4))
    np.testing.assert_allclose(first, (0.5, 0.0, 0.5, 0.5))
    np.testing.assert_allclose(second, (0.0, 0.5, 0.5, 0.5))


def test_views_without_common_part_are_refused() -> None:
    with pytest.raises(ValueError, match="share no part"):
        stability.common_part((0.0, 0.0, 0.3, 0.3), (0.5, 0.0, 0.3, 0.3))


def test_correlation_agrees_with_numpy_and_is_zero_for_constants() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 3, 4, 5))
    second[2] = 0.25
    found = stability.correlation(first, second)
    expected = [np.corrcoef(first[i].ravel(), second[i].ravel())[0, 1] for i in range(2)]
    np.testing.assert_allclose(found, [*expected, 0])


def smooth_map(box: tuple[float, float, float, float], grid_hw: tuple[int, int] = (20, 25)) -> np.ndarray:
    """Attention on a blob at (0.42, 0.55) of the picture, as seen through a view."""
    y, x = ((np.arange(n) + 0.5) / n for n in grid_hw)
    x, y = box[0] + box[2] * x, box[1] + box[3] * y
    return as_shares(np.exp(-((x[None] - 0.42) ** 2 + (y[:, None] - 0.55) ** 2) / (2 * 0.1**2)))[None]


def test_maps_that_follow_the_picture_agree_once_undone() -> None:
    shift = (0.2, 0.0, 0.8, 0.8)
    undone, in_place = stability.agreement(smooth_map(FIRST_VIEW), smooth_map(shift), (FIRST_VIEW, shift))
    assert undone > 0.98
    assert in_place < 0.6


def test_maps_that_stay_in_the_frame_agree_in_place() -> None:
    shift = (0.2, 0.0, 0.8, 0.8)
    still = smooth_map(FIRST_VIEW)
    undone, in_place = stability.agreement(still, still, (FIRST_VIEW, shift))
    assert in_place == pytest.approx(1)
    assert undone < 0.6


def test_stability_of_following_maps_is_high_for_shift_and_zoom() -> None:
    rng = np.random.default_rng(1)
    shifts = [stability.shifted_view(rng) for _ in range(6)]
    found = stability.stability(
        [smooth_map(FIRST_VIEW)] * 6,
        [smooth_map(box) for box in shifts],
        [smooth_map(stability.zoomed_view())] * 6,
        shifts,
    )
    assert found.shift > 0.98
    assert found.zoom > 0.98
    assert found.shift > found.shift_in_place
    assert found.zoom > found.zoom_in_place
    assert set(found.to_dict()) == {"shift", "shift_in_place", "zoom", "zoom_in_place"}


def test_smooth_map_helper_is_consistent_with_regridding() -> None:
    whole = smooth_map((0.0, 0.0, 1.0, 1.0), (100, 100))
    inside = as_shares(regrid_part(whole, FIRST_VIEW, (20, 25)))
    np.testing.assert_allclose(inside, smooth_map(FIRST_VIEW), atol=4e-4)
