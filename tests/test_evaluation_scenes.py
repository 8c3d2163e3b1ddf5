import numpy as np
import pytest

from tokenlearner.evaluation import scenes
from tokenlearner.evaluation.scenes import Cutout

RED = (220, 20, 10)


def cutout(height: int, width: int, colour: tuple[int, int, int] = RED) -> Cutout:
    return Cutout(np.full((height, width, 3), colour, dtype=np.uint8), np.ones((height, width), dtype=bool))


def test_cut_out_crops_to_the_object() -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (9, 11, 3), dtype=np.uint8)
    mask = np.zeros((9, 11), dtype=bool)
    mask[2:5, 3:10] = True
    mask[2, 3] = False
    found = scenes.cut_out(rgb, mask)
    np.testing.assert_array_equal(found.rgb, rgb[2:5, 3:10])
    assert found.mask.sum() == 20


def test_empty_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        scenes.cut_out(np.zeros((4, 5, 3), dtype=np.uint8), np.zeros((4, 5), dtype=bool))


def test_placed_object_lies_where_its_mask_says_and_all_else_is_white() -> None:
    scene = scenes.place(cutout(40, 20), (100, 130), np.random.default_rng(1))
    inside = scene.masks[0] == 1
    assert scene.masks.shape == (1, 100, 130)
    assert (scene.rgb[inside] == RED).all()
    assert (scene.rgb[~inside] == 255).all()


def test_placed_objects_have_the_stated_sizes_and_roam_the_picture() -> None:
    rng = np.random.default_rng(2)
    sides, centres = [], []
    for _ in range(300):
        mask = scenes.place(cutout(40, 20), (100, 130), rng).masks[0] > 0
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        assert len(rows) == pytest.approx(2 * len(columns), abs=1.1)  # in shape
        sides.append(len(rows))
        centres.append((rows.mean() / 100, columns.mean() / 130))
    assert min(sides) in (40, 41)
    assert max(sides) in (59, 60)
    assert np.mean(sides) == pytest.approx(50, abs=1.5)
    np.testing.assert_allclose(np.mean(centres, axis=0), 0.5, atol=0.03)
    assert np.std(centres, axis=0).min() > 0.12


def test_white_and_clutter_get_the_same_size_and_place() -> None:
    ground = np.random.default_rng(0).integers(0, 255, (64, 80, 3), dtype=np.uint8)
    on_white = scenes.place(cutout(30, 33), (64, 80), np.random.default_rng(5))
    on_clutter = scenes.place(cutout(30, 33), ground, np.random.default_rng(5))
    np.testing.assert_array_equal(on_white.masks, on_clutter.masks)
    outside = on_clutter.masks[0] == 0
    np.testing.assert_array_equal(on_clutter.rgb[outside], ground[outside])


def test_no_colour_of_the_old_ground_comes_along() -> None:
    yellow = np.full((60, 60, 3), (255, 255, 0), dtype=np.uint8)  # the old ground
    mask = np.hypot(*(np.mgrid[:60, :60] - 29.5)) < 25
    yellow[mask] = (0, 0, 255)
    black = np.zeros((50, 50, 3), dtype=np.uint8)
    scene = scenes.place(scenes.cut_out(yellow, mask), black, np.random.default_rng(3))
    assert scene.rgb[..., 2].max() > 250
    assert scene.rgb[..., :2].max() == 0


def test_object_and_ground_blend_at_the_rim_by_the_mask() -> None:
    round_one = np.hypot(*(np.mgrid[:61, :61] - 30)) < 27.3
    same = np.full((61, 61, 3), 200, dtype=np.uint8)
    ground = np.full((64, 70, 3), 200, dtype=np.uint8)
    scene = scenes.place(scenes.cut_out(same, round_one), ground, np.random.default_rng(4))
    assert ((scene.masks > 0.1) & (scene.masks < 0.9)).any()
    assert (scene.rgb == 200).all()


def test_objects_of_a_collage_do_not_overlap() -> None:
    for seed in range(40):
        three = [cutout(30, 20), cutout(20, 44, (1, 2, 3)), cutout(25, 25, (9, 200, 9))]
        ground = np.full((96, 97, 3), 128, dtype=np.uint8)
        scene = scenes.collage(three, ground, np.random.default_rng(seed))
        assert ((scene.masks > 0).sum(axis=0) <= 1).all()
        for mask, one in zip(scene.masks, three, strict=True):
            assert (scene.rgb[mask == 1] == one.rgb[0, 0]).all()


def test_crowded_collage_shrinks_objects_to_fit() -> None:
    ground = np.zeros((20, 20, 3), dtype=np.uint8)
    scene = scenes.collage([cutout(10, 10)] * 6, ground, np.random.default_rng(0), (0.6, 0.6))
    areas = (scene.masks > 0.5).sum(axis=(1, 2))
    assert areas[0] == 12 * 12
    assert areas.min() >= 1
    assert areas.sum() <= 400


def test_full_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="no free pixel"):
        scenes.collage([cutout(4, 4)] * 2, np.zeros((5, 5, 3), dtype=np.uint8), np.random.default_rng(0), (1.0, 1.0))
