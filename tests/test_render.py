import numpy as np
import pytest

from tokenlearner import render
from tokenlearner.palette import HEAT_LUT, UNIT_SHARE, UNIT_SIGMOID, token_color

HEIGHT, WIDTH = 42, 60
ROWS, COLS = 3, 5


@pytest.fixture
def frame() -> np.ndarray:
    return np.random.default_rng(7).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def one_hot(row: int, col: int, value: float = 1.0) -> np.ndarray:
    maps = np.zeros((ROWS, COLS), np.float32)
    maps[row, col] = value
    return maps


def test_clip_scale_is_what_one_weight_in_a_hundred_exceeds():
    maps = np.linspace(0, 2, 2 * 10 * 5 * 10 + 1)[1:].reshape(2, 10, 5, 10)
    assert render.clip_scale(np.random.default_rng(0).permuted(maps)) == pytest.approx(0.99 * 2, abs=0.003)


def test_clip_scale_holds_for_the_whole_clip():
    maps = np.full((4, 2, ROWS, COLS), 0.01, np.float32)
    maps[3, 1, 1:] = 0.25
    assert render.clip_scale(maps) == pytest.approx(0.25)
    assert render.clip_scale(maps[:3]) == pytest.approx(0.01)


def test_clip_scale_of_a_lonely_weight_is_that_weight():
    maps = np.zeros((20, 2, ROWS, COLS), np.float32)
    maps[3, 1, 2, 0] = 0.25
    assert render.clip_scale(maps) == 0.25


@pytest.mark.parametrize("shape", [(2, 3, ROWS, COLS), (0, 3, ROWS, COLS)])
def test_clip_scale_of_nothing_is_one(shape):
    assert render.clip_scale(np.zeros(shape, np.float32)) == 1.0


def test_nearest_upsampling_repeats_each_patch():
    maps = np.arange(2 * ROWS * COLS, dtype=np.float32).reshape(2, ROWS, COLS)
    up = render.upsample_token_maps(maps, (ROWS * 14, COLS * 12), "nearest")
    np.testing.assert_array_equal(up, maps.repeat(14, axis=1).repeat(12, axis=2))


def test_nearest_upsampling_goes_by_pixel_centres():
    maps = np.array([[[1.0], [2.0], [3.0]]], np.float32)
    assert render.upsample_token_maps(maps, (7, 1), "nearest").ravel().tolist() == [1, 1, 2, 2, 2, 3, 3]


def test_smooth_upsampling_interpolates_between_patch_centres():
    """Second route: separable linear interpolation with `np.interp`, clamped beyond the outer centres."""
    maps = np.random.default_rng(1).random((2, ROWS, COLS), dtype=np.float32)
    up = render.upsample_token_maps(maps, (HEIGHT, WIDTH))
    at_y = (np.arange(HEIGHT) + 0.5) * ROWS / HEIGHT - 0.5
    at_x = (np.arange(WIDTH) + 0.5) * COLS / WIDTH - 0.5
    for upsampled, token_map in zip(up, maps, strict=True):
        tall = np.stack([np.interp(at_y, np.arange(ROWS), column) for column in token_map.T], axis=1)
        expected = np.stack([np.interp(at_x, np.arange(COLS), line) for line in tall])
        np.testing.assert_allclose(upsampled, expected, atol=1e-6)


@pytest.mark.parametrize("method", ["smooth", "nearest"])
def test_upsampling_no_tokens_gives_no_tokens(method):
    assert render.upsample_token_maps(np.zeros((0, ROWS, COLS), np.float32), (7, 9), method).shape == (0, 7, 9)


def test_owner_is_the_token_with_the_largest_weight():
    maps = np.stack([one_hot(0, 1, 0.2), one_hot(2, 4, 0.1), np.full((ROWS, COLS), 0.05, np.float32)])
    owner = render.owner_map(maps)
    assert owner[0, 1] == 0
    assert owner[2, 4] == 1
    assert (np.delete(owner.ravel(), [1, 14]) == 2).all()


def test_heat_blends_the_color_of_the_weight(frame):
    token_map = one_hot(1, 2, 0.3)
    picture = render.overlay_heat(frame, token_map, 0.6, opacity=0.25, method="nearest")
    inside, outside = (21, 30), (3, 3)
    for (y, x), level in ((inside, 128), (outside, 0)):
        expected = 0.75 * frame[y, x] + 0.25 * HEAT_LUT[level].astype(float)
        np.testing.assert_allclose(picture[y, x], expected, atol=1.01)


def test_heat_does_not_rescale_a_weak_frame(frame):
    weak = render.overlay_heat(frame, one_hot(1, 2, 0.1), 1.0, opacity=1.0, method="nearest")
    np.testing.assert_array_equal(weak[21, 30], HEAT_LUT[26])


def test_heat_above_the_scale_is_drawn_like_the_scale(frame):
    over = render.overlay_heat(frame, one_hot(1, 2, 5.0), 0.5, opacity=1.0, method="nearest")
    np.testing.assert_array_equal(over[21, 30], HEAT_LUT[255])


def test_opacity_zero_leaves_the_frame(frame):
    maps = np.random.default_rng(0).random((3, ROWS, COLS), dtype=np.float32)
    np.testing.assert_array_equal(render.overlay_heat(frame, maps[0], 1.0, opacity=0.0), frame)
    np.testing.assert_array_equal(render.overlay_tokens(frame, maps, 1.0, token_ids=(0, 4, 9), opacity=0.0), frame)


def test_each_token_keeps_its_own_color(frame):
    maps = np.stack([one_hot(0, 0), one_hot(2, 4)])
    picture = render.overlay_tokens(frame, maps, 1.0, token_ids=(5, 2), opacity=1.0, method="nearest")
    assert tuple(picture[3, 3]) == token_color(5)
    assert tuple(picture[40, 57]) == token_color(2)
    np.testing.assert_allclose(picture[20, 30], (1 - render.BLEND_DIM) * frame[20, 30], atol=0.51)


def test_colors_mix_by_squared_weight_and_cover_by_the_largest(frame):
    maps = np.stack([one_hot(1, 2, 0.6), one_hot(1, 2, 0.2)])
    picture = render.overlay_tokens(frame, maps, 0.8, token_ids=(0, 1), opacity=0.5, method="nearest")
    mixed = (0.9 * np.array(token_color(0)) + 0.1 * np.array(token_color(1))).astype(float)
    largest, dim = 0.6 / 0.8, render.BLEND_DIM
    expected = (1 - 0.5 * (dim + (1 - dim) * largest)) * frame[21, 30] + 0.5 * largest * mixed
    np.testing.assert_allclose(picture[21, 30], expected, atol=1.01)


def test_no_chosen_token_shows_the_frame(frame):
    empty = np.zeros((0, ROWS, COLS), np.float32)
    np.testing.assert_array_equal(render.overlay_tokens(frame, empty, 1.0, token_ids=()), frame)


def test_owner_fills_regions_and_draws_their_border():
    frame = np.full((HEIGHT, WIDTH, 3), 100, np.uint8)
    left = np.zeros((ROWS, COLS), np.float32)
    left[:, :2] = 0.4
    maps = np.stack([left, np.full((ROWS, COLS), 0.1, np.float32)])
    picture = render.overlay_owner(frame, maps, token_ids=(3, 6), opacity=1.0, method="nearest")
    fill = render.OWNER_FILL
    np.testing.assert_allclose(picture[10, 5], (1 - fill) * 100 + fill * np.array(token_color(3)), atol=1.01)
    np.testing.assert_allclose(picture[10, 50], (1 - fill) * 100 + fill * np.array(token_color(6)), atol=1.01)
    assert (picture[:, 24] == 255).all(), "the border lies between columns 2 and 3 of the grid, at pixel 24"
    assert (picture == 255).all(axis=-1).sum() == HEIGHT


def test_maps_cover_the_box_and_the_rest_is_marked(frame):
    box = (10.0, 0.0, 40.0, float(HEIGHT))
    picture = render.overlay_heat(frame, one_hot(1, 0), 1.0, opacity=1.0, box_xywh=box, method="nearest")
    np.testing.assert_array_equal(picture[21, 10], HEAT_LUT[255])
    np.testing.assert_array_equal(picture[21, 17], HEAT_LUT[255])
    np.testing.assert_array_equal(picture[21, 18], HEAT_LUT[0])
    assert (picture[30:, :10] <= 0.35 * 255 + 55).all()
    assert (picture[:, 55:].std(axis=-1) > 0).any(), "the picture still shows through"


def test_a_frame_seen_whole_has_no_mark(frame):
    np.testing.assert_array_equal(render.mark_unseen(frame, (0.0, 0.0, float(WIDTH), float(HEIGHT))), frame)
    np.testing.assert_array_equal(render.mark_unseen(frame, None), frame)


@pytest.mark.parametrize(
    ("box", "changed"),
    [
        ((0.0, 20.0, 300.0, 180.0), (slice(0, 20), slice(None))),
        ((0.0, 0.0, 300.0, 150.0), (slice(150, 200), slice(None))),
        ((0.0, 0.0, 150.0, 200.0), (slice(None), slice(150, 300))),
    ],
)
def test_the_caption_lies_in_the_largest_unseen_strip(box, changed):
    white = np.full((200, 300, 3), 255, np.uint8)
    picture = render.mark_unseen(white, box)
    ink = (picture == 236).all(axis=-1) | ((picture > 200) & (picture < 255)).all(axis=-1)
    assert ink[changed].any()
    ink[changed] = False
    assert not ink.any()


def test_rendering_never_writes_into_the_frame(frame):
    frame.setflags(write=False)
    maps = np.stack([one_hot(0, 1), one_hot(2, 2)])
    for box in (None, (5.0, 5.0, 30.0, 30.0)):
        render.overlay_heat(frame, maps[0], 1.0, box_xywh=box)[0, 0] = 1
        render.overlay_tokens(frame, maps, 1.0, token_ids=(0, 1), box_xywh=box)[0, 0] = 1
        render.overlay_owner(frame, maps, token_ids=(0, 1), box_xywh=box)[0, 0] = 1
    render.mark_unseen(frame, None)[0, 0] = 1
    render.label(frame, "UNTRAINED")[0, 0] = 1


@pytest.mark.parametrize(
    ("corner", "quarter"),
    [
        ("top-left", (slice(0, 100), slice(0, 200))),
        ("top-right", (slice(0, 100), slice(200, 400))),
        ("bottom-left", (slice(100, 200), slice(0, 200))),
        ("bottom-right", (slice(100, 200), slice(200, 400))),
    ],
)
def test_a_label_changes_its_corner_only(corner, quarter):
    grey = np.full((200, 400, 3), 128, np.uint8)
    changed = (render.label(grey, "UNTRAINED WEIGHTS", corner=corner) != grey).any(axis=-1)
    assert changed[quarter].sum() > 1000
    changed[quarter] = False
    assert not changed.any()


def test_a_long_label_shrinks_to_the_picture():
    tiny = np.full((40, 90, 3), 200, np.uint8)
    marked = render.label(tiny, "UNTRAINED WEIGHTS")
    assert (marked[:, -2:] == 200).all()


def test_legend_shows_the_ramp_from_zero_to_the_scale():
    strip = render.legend_strip(520, 0.0612, UNIT_SHARE, height=50)
    line = strip[15, 10:-10]
    np.testing.assert_array_equal(line[0], HEAT_LUT[0])
    np.testing.assert_array_equal(line[-1], HEAT_LUT[255])
    np.testing.assert_allclose(line[len(line) // 2], HEAT_LUT[128], atol=4)


def test_legend_prints_its_own_scale_and_unit():
    first = render.legend_strip(520, 0.06, UNIT_SHARE)
    assert (first != render.legend_strip(520, 0.09, UNIT_SHARE)).any()
    assert (first != render.legend_strip(520, 0.06, UNIT_SIGMOID)).any()


def test_contact_sheet_puts_time_across_and_tokens_down(frame):
    maps = np.zeros((3, 2, ROWS, COLS), np.float32)
    maps[1, 1] = 0.5
    sheet = render.contact_sheet(
        [frame] * 3, maps, np.array([0.0, 0.5, 1.25]), 0.5, UNIT_SHARE, token_ids=(4, 7), tile_width=90, opacity=1.0
    )
    tile_hw = (63, 90)
    x, y = 44, 24
    for column in range(3):
        for row, token in enumerate((0, 1), start=1):
            tile = sheet[y + row * 67 : y + row * 67 + tile_hw[0], x + column * 94 : x + column * 94 + tile_hw[1]]
            level = 255 if (column, token) == (1, 1) else 0
            np.testing.assert_array_equal(tile[30, 45], HEAT_LUT[level])
    assert sheet.shape == (24 + 3 * 67 + 44, 44 + 3 * 94, 3)
    np.testing.assert_array_equal(sheet[y + 67 + 31 - 10, 22], token_color(4))
    np.testing.assert_array_equal(sheet[y + 2 * 67 + 31 - 10, 22], token_color(7))


def test_contact_sheet_can_carry_a_mark(frame):
    arguments = ([frame], np.zeros((1, 1, ROWS, COLS), np.float32), np.zeros(1), 1.0, UNIT_SHARE)
    plain = render.contact_sheet(*arguments, token_ids=(0,), tile_width=300)
    marked = render.contact_sheet(*arguments, token_ids=(0,), tile_width=300, mark="UNTRAINED WEIGHTS")
    assert marked.shape[0] > plain.shape[0]
    assert marked[:30].max() > 200


@pytest.mark.parametrize(("frames", "steps"), [(2, 3), (0, 0)])
def test_contact_sheet_needs_one_frame_a_time_step(frame, frames, steps):
    with pytest.raises(ValueError, match=f"{frames} frames, {steps} time steps"):
        render.contact_sheet(
            [frame] * frames,
            np.zeros((steps, 1, ROWS, COLS), np.float32),
            np.zeros(steps),
            1.0,
            UNIT_SHARE,
            token_ids=(0,),
        )
