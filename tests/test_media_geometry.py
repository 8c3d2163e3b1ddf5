import numpy as np
import pytest

from tokenlearner.media.geometry import Orientation

PICTURE = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
ONE = 1 << 16

# Display matrices as (a, b, c, d): a stored point (x, y) is shown at (a x + c y, b x + d y).
MATRICES = {
    "upright": ((1, 0, 0, 1), lambda rgb: rgb, 0),
    "quarter turn clockwise": ((0, 1, -1, 0), lambda rgb: np.rot90(rgb, -1), 90),
    "half turn": ((-1, 0, 0, -1), lambda rgb: np.rot90(rgb, 2), 180),
    "quarter turn counter-clockwise": ((0, -1, 1, 0), lambda rgb: np.rot90(rgb, 1), 270),
    "mirrored left-right": ((-1, 0, 0, 1), lambda rgb: rgb[:, ::-1], 0),
    "mirrored top-bottom": ((1, 0, 0, -1), lambda rgb: rgb[::-1], 180),
    "transposed": ((0, 1, 1, 0), lambda rgb: rgb.transpose(1, 0, 2), 270),
    "transversed": ((0, -1, -1, 0), lambda rgb: np.rot90(rgb, 2).transpose(1, 0, 2), 90),
}


def matrix_of(a: int, b: int, c: int, d: int) -> list[int]:
    return [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]


@pytest.mark.parametrize("name", MATRICES)
def test_display_matrices_turn_and_mirror(name):
    numbers, expected, degrees = MATRICES[name]
    orientation = Orientation.from_display_matrix(matrix_of(*numbers))
    np.testing.assert_array_equal(orientation.apply(PICTURE), expected(PICTURE))
    assert orientation.clockwise_deg == degrees
    assert orientation.displayed_size(5, 3) == expected(PICTURE).shape[1::-1]


@pytest.mark.parametrize("value", range(1, 9))
def test_exif_orientation_equals_the_matrix_that_means_the_same(value):
    # Exif numbers the corners that row 0 and column 0 of the stored picture have on display.
    names = ["upright", "mirrored left-right", "half turn", "mirrored top-bottom"]
    names += ["transposed", "quarter turn clockwise", "transversed", "quarter turn counter-clockwise"]
    numbers, _, _ = MATRICES[names[value - 1]]
    assert Orientation.from_exif(value) == Orientation.from_display_matrix(matrix_of(*numbers))


@pytest.mark.parametrize("value", [0, 9, None, "6", 2.0])
def test_an_orientation_that_does_not_exist_means_upright(value):
    assert Orientation.from_exif(value) == Orientation()


@pytest.mark.parametrize(("degrees", "turns"), [(0, 0), (90, 1), (-90, 3), (180, 2), (-180, 2), (271, 3), (-44, 0)])
def test_an_angle_alone_gives_the_nearest_quarter_turn(degrees, turns):
    shown = Orientation.from_counter_clockwise(degrees).apply(PICTURE)
    np.testing.assert_array_equal(shown, np.rot90(PICTURE, turns))


def test_a_matrix_of_zeros_means_upright():
    assert Orientation.from_display_matrix([0] * 9) == Orientation()


def test_a_slanted_matrix_is_taken_as_the_nearest_quarter_turn():
    cos, sin = round(0.94 * ONE), round(0.34 * ONE)  # 20 degrees
    assert Orientation.from_display_matrix([cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30]) == Orientation()
    assert Orientation.from_display_matrix([sin, cos, 0, -cos, sin, 0, 0, 0, 1 << 30]).clockwise_deg == 90


def test_the_result_is_contiguous_and_leaves_the_input_alone():
    before = PICTURE.copy()
    turned = Orientation(True, True, False).apply(PICTURE)
    assert turned.flags.c_contiguous
    np.testing.assert_array_equal(PICTURE, before)
