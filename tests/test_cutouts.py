from pathlib import Path

import numpy as np
import pytest

from tokenlearner.data.cutouts import white_ground_mask
from tokenlearner.data.dataset import read_image_set

Mask = np.ndarray
HEIGHT, WIDTH = 90, 120


def disc(radius: float, centre: tuple[float, float] = (45, 60)) -> Mask:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray(np.hypot(y - centre[0], x - centre[1]) <= radius)


def paint(*masks: Mask, ground: int = 255) -> np.ndarray:
    rgb = np.full((HEIGHT, WIDTH, 3), ground, dtype=np.uint8)
    for mask in masks:
        rgb[mask] = (180, 60, 30)
    return rgb


def test_object_on_white_is_cut_out_exactly() -> None:
    np.testing.assert_array_equal(white_ground_mask(paint(disc(20))), disc(20))


def test_off_white_of_jpeg_is_ground() -> None:
    noisy = paint(disc(20))
    noisy[~disc(20)] = np.random.default_rng(0).integers(244, 256, size=((~disc(20)).sum(), 3))
    np.testing.assert_array_equal(white_ground_mask(noisy), disc(20))


def test_white_inside_belongs_to_the_object() -> None:
    rgb = paint(disc(25))
    rgb[disc(8)] = 255
    np.testing.assert_array_equal(white_ground_mask(rgb), disc(25))


def test_bright_colours_are_no_ground() -> None:
    rgb = paint()
    rgb[disc(20)] = (255, 255, 120)  # yellow: two channels are as bright as white
    np.testing.assert_array_equal(white_ground_mask(rgb), disc(20))


def test_specks_are_dropped_and_large_parts_kept() -> None:
    found = white_ground_mask(paint(disc(20), disc(10, (45, 100)), disc(3, (10, 10))))
    np.testing.assert_array_equal(found, disc(20) | disc(10, (45, 100)))


def test_object_may_touch_the_border_a_little() -> None:
    touching = disc(30, (45, 30))
    touching[:, 0] = False
    touching[40:50, 0] = True
    np.testing.assert_array_equal(white_ground_mask(paint(touching)), touching)


@pytest.mark.parametrize(
    "rgb",
    [
        pytest.param(paint(disc(20), ground=200), id="grey ground"),
        pytest.param(paint(disc(60)), id="object over the border"),
        pytest.param(paint(), id="nothing there"),
        pytest.param(paint(disc(9)), id="too small"),
        pytest.param(
            paint(*(disc(8, (20 + 45 * i, 15 + 30 * j)) for i in range(2) for j in range(4))), id="many parts"
        ),
        pytest.param(paint()[:6, :7], id="too few pixels"),
    ],
)
def test_what_cannot_be_cut_out_is_refused(rgb: np.ndarray) -> None:
    assert white_ground_mask(rgb) is None


def test_picture_full_of_object_is_refused() -> None:
    full = np.zeros((HEIGHT, WIDTH), dtype=bool)
    full[3:-3, 3:-3] = True
    full[3:20, 3:20] = full[-20:-3, -20:-3] = False  # not a rectangle: refused for its size alone
    assert full.mean() > 0.8
    assert white_ground_mask(paint(full)) is None


def test_photograph_in_a_white_frame_is_refused() -> None:
    framed = np.zeros((HEIGHT, WIDTH), dtype=bool)
    framed[20:70, 20:100] = True
    assert white_ground_mask(paint(framed)) is None


def test_photograph_that_fades_at_its_top_is_refused() -> None:
    framed = np.zeros((HEIGHT, WIDTH), dtype=bool)
    framed[20:70, 20:100] = True
    framed[20:30, 30:90] = False  # a ragged upper edge; three sides are straight
    assert white_ground_mask(paint(framed)) is None


def test_line_drawing_is_refused() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    lines = disc(40) & ((y % 8 == 0) | (x % 8 == 0))
    rgb = paint(lines)
    for row in range(4, HEIGHT, 8):  # open every cell to the ground, or filling would make a disc of it
        rgb[row - 4 : row + 1, 4::8] = 255
    cut = white_ground_mask(rgb)
    assert cut is None


def test_photographs_qualify_at_a_plausible_rate(shared_dir: Path) -> None:
    images = read_image_set(shared_dir / "data" / "caltech101-192.tar")
    masks = [white_ground_mask(images.read(i)) for i in range(0, len(images), 20)]
    areas = [float(mask.mean()) for mask in masks if mask is not None]
    assert 0.05 < len(areas) / len(masks) < 0.2
    assert 0.25 < np.median(areas) < 0.55
