"""What the model sees of a frame, and the way back from grid cells to frame pixels."""

import dataclasses
import math

import numpy as np
import pytest

from tests.engine_cases import TINY, cell_xywh
from tokenlearner.engine.geometry import MAX_STRETCH, Geometry, plan_geometry
from tokenlearner.errors import ConfigError

LARGE = dataclasses.replace(TINY, img_size=(96, 96))  # 12 x 12 patches of 8 pixels


@pytest.mark.parametrize(
    ("frame_hw", "grid_hw"),
    [
        ((720, 1280), (9, 16)),  # 16:9 has exactly the standard 144 patches
        ((1280, 720), (16, 9)),
        ((500, 500), (12, 12)),
        ((400, 600), (10, 15)),
        ((37, 37), (12, 12)),
    ],
)
def test_a_whole_frame_of_a_common_shape_is_seen_whole_and_undistorted(frame_hw, grid_hw):
    geometry = plan_geometry(LARGE, frame_hw)
    assert geometry.grid_hw == grid_hw
    assert geometry.input_hw == (grid_hw[0] * 8, grid_hw[1] * 8)
    assert geometry.box_xywh == (0, 0, frame_hw[1], frame_hw[0])
    assert geometry.stretch == pytest.approx(0, abs=1e-12)
    assert geometry.notes == ()


def test_a_frame_never_changes_shape_by_more_than_promised():
    rng = np.random.default_rng(1)
    for aspect in np.exp(rng.uniform(-2, 2, 400)):
        height = int(rng.integers(60, 1500))
        width = max(1, round(height * aspect))
        geometry = plan_geometry(LARGE, (height, width))
        left, top, box_width, box_height = geometry.box_xywh
        assert 0 <= left <= left + box_width <= width
        assert 0 <= top <= top + box_height <= height
        pixel = 1 / min(box_width, box_height)  # a cut-out box has the grid's shape up to rounding to whole pixels
        allowed = MAX_STRETCH + 1e-9 if (box_width, box_height) == (width, height) else pixel
        assert abs(math.log1p(geometry.stretch)) <= math.log1p(allowed)
        assert 144 / 1.3 < geometry.grid_hw[0] * geometry.grid_hw[1] < 144 * 1.3


def test_a_slight_stretch_is_reported_with_its_direction():
    geometry = plan_geometry(LARGE, (480, 640))
    assert geometry.grid_hw == (10, 13)
    assert geometry.stretch == pytest.approx((13 / 10) / (640 / 480) - 1)
    assert geometry.notes == ("To fit the patch grid, the model saw the height stretched by 2.6 %.",)
    assert plan_geometry(LARGE, (640, 480)).notes == (
        "To fit the patch grid, the model saw the width stretched by 2.6 %.",
    )


def test_a_frame_longer_than_any_grid_is_cut_in_the_middle_and_says_so():
    geometry = plan_geometry(LARGE, (5, 3000))
    left, top, width, height = geometry.box_xywh
    assert (top, height) == (0, 5)
    assert width == 5 * geometry.grid_hw[1] // geometry.grid_hw[0] < 3000
    assert left == (3000 - width) // 2
    assert geometry.notes == (
        f"The model saw the middle {width} × 5 pixels of each 3000 × 5 frame; nothing is shown outside of them.",
    )


def test_crop_takes_the_centre_in_the_standard_shape():
    geometry = plan_geometry(LARGE, (90, 161), resize="crop")
    assert geometry == Geometry((90, 161), (35, 0, 90, 90), (96, 96), (12, 12))
    wide = dataclasses.replace(LARGE, img_size=(48, 96))
    assert plan_geometry(wide, (100, 60), resize="crop").box_xywh == (0, 35, 60, 30)


@pytest.mark.parametrize(("resize", "grid_hw"), [("whole", (18, 32)), ("crop", (24, 24))])
def test_twice_the_side_gives_four_times_the_patches(resize, grid_hw):
    assert plan_geometry(LARGE, (360, 640), resize=resize, input_side=192).grid_hw == grid_hw


def test_patches_that_are_not_square_keep_the_frame_in_shape():
    tall = dataclasses.replace(LARGE, patch_size=(16, 8))
    geometry = plan_geometry(tall, (300, 400))
    rows, columns = geometry.grid_hw
    assert geometry.input_hw == (rows * 16, columns * 8)
    assert abs(geometry.stretch) < MAX_STRETCH
    assert 72 / 1.3 < rows * columns < 72 * 1.3


@pytest.mark.parametrize("resize", ["whole", "crop"])
@pytest.mark.parametrize("cell", [(0, 0), (3, 7), (8, 2)])
def test_frame_pixels_under_a_cell_end_up_in_the_patch_of_that_cell(resize, cell):
    geometry = plan_geometry(LARGE, (720, 1280), resize=resize)
    x, y, width, height = (round(value) for value in cell_xywh(geometry, *cell))
    frame = np.zeros((720, 1280, 3), np.uint8)
    frame[y : y + height, x : x + width] = (10, 200, 90)
    rows, columns = geometry.grid_hw
    patches = geometry.to_input(frame).reshape(rows, 8, columns, 8, 3).mean(axis=(1, 3))
    assert patches[cell] == pytest.approx((10, 200, 90), abs=3)
    patches[cell] = 0
    assert patches.max() < 3


def test_shrinking_averages_what_it_hides():
    frame = np.zeros((720, 1280, 3), np.uint8)
    frame[::2, ::2] = frame[1::2, 1::2] = 200  # a fine checkerboard would alias if pixels were picked
    inputs = plan_geometry(LARGE, (720, 1280)).to_input(frame)
    assert inputs.shape == (72, 128, 3)
    assert inputs.min() >= 95
    assert inputs.max() <= 105


def test_one_axis_may_shrink_while_the_other_grows():
    geometry = Geometry((20, 400), (0, 0, 400, 20), (40, 80), (5, 10))
    frame = np.zeros((20, 400, 3), np.uint8)
    frame[:, 200:] = 240
    inputs = geometry.to_input(frame)
    assert inputs.shape == (40, 80, 3)
    assert inputs[:, :38].max() <= 1
    assert inputs[:, 42:].min() >= 239


def test_an_input_of_the_right_size_is_passed_on_unchanged():
    frame = np.random.default_rng(0).integers(0, 255, (72, 128, 3), dtype=np.uint8)
    assert np.array_equal(plan_geometry(LARGE, (72, 128)).to_input(frame), frame)


def test_a_frame_of_another_size_is_cut_at_the_same_fractions():
    geometry = plan_geometry(LARGE, (100, 200), resize="crop")
    frame = np.zeros((50, 100, 3), np.uint8)
    frame[:, 25:75] = 180
    assert geometry.to_input(frame).min() == 180


def test_the_box_is_known_as_fractions_of_the_frame():
    geometry = plan_geometry(LARGE, (100, 400), resize="crop")
    assert geometry.box_normalized == (0.375, 0.0, 0.25, 1.0)


@pytest.mark.parametrize(
    ("frame_hw", "side", "message"),
    [
        ((0, 10), None, "10 x 0 pixels"),
        ((10, 10), 7, "side of 7 pixels is smaller than one patch of 8 x 8"),
        ((10, 10), 1025, "Choose at most 1024"),
        ((10, 10), -8, "side of -8"),
    ],
)
def test_what_cannot_be_laid_out_is_refused(frame_hw, side, message):
    with pytest.raises(ConfigError, match=message):
        plan_geometry(LARGE, frame_hw, input_side=side)
