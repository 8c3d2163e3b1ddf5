"""Batches: crops keep proportions, collages say what they show."""

import numpy as np
import pytest
import torch

from tokenlearner.data.dataset import PhotoStore
from tokenlearner.data.photos import Cutouts, Photos, cut_out
from tokenlearner.training.augment import add_objects, centre_crops, make_batch, random_crops
from tokenlearner.training.recipe import AugmentSettings

CPU = torch.device("cpu")


def photos(side: int = 60, aspects: tuple[float, ...] = (2.0, 0.5, 1.0)) -> Photos:
    """Squashed pictures whose red rises to the right and whose green rises downwards, in squashed coordinates."""
    ramp = np.linspace(0, 255, side).astype(np.uint8)
    one = np.zeros((side, side, 3), np.uint8)
    one[..., 0], one[..., 1] = ramp[None, :], ramp[:, None]
    store = PhotoStore(np.stack([one] * len(aspects)), np.array(aspects, np.float32))
    return Photos.from_store(store, np.arange(len(aspects)), CPU)


def test_the_centre_crop_of_a_wide_photograph_keeps_the_middle_of_its_width_and_all_of_its_height() -> None:
    crop = centre_crops(photos(), torch.tensor([0]), (40, 40))[0]
    red, green = crop[0, 20], crop[1, :, 20]
    assert float(red[0]) == pytest.approx(0.25, abs=0.02)  # half of the width is kept, its middle
    assert float(red[-1]) == pytest.approx(0.75, abs=0.02)
    assert float(green[0]) == pytest.approx(0.0, abs=0.02)
    assert float(green[-1]) == pytest.approx(1.0, abs=0.02)


def test_the_centre_crop_of_a_tall_photograph_keeps_all_of_its_width() -> None:
    crop = centre_crops(photos(), torch.tensor([1]), (40, 40))[0]
    assert float(crop[0, 20, -1] - crop[0, 20, 0]) == pytest.approx(1.0, abs=0.04)
    assert float(crop[1, -1, 20] - crop[1, 0, 20]) == pytest.approx(0.5, abs=0.04)


def test_a_random_crop_holds_the_share_of_the_area_that_was_asked_for() -> None:
    generator = torch.Generator().manual_seed(3)
    chosen = torch.full((32,), 2)
    crops = random_crops(photos(), chosen, (24, 36), torch.full((32,), 0.3), generator)
    width = (crops[:, 0, 12, -1] - crops[:, 0, 12, 0]).abs() * 36 / 35
    height = (crops[:, 1, -1, 18] - crops[:, 1, 0, 18]) * 24 / 23
    assert torch.allclose(width * height, torch.full((32,), 0.3), atol=0.02)
    assert bool((crops[:, 0, 12, -1] < crops[:, 0, 12, 0]).any())  # some are flipped
    assert bool((crops[:, 0, 12, -1] > crops[:, 0, 12, 0]).any())


def cutouts() -> Cutouts:
    """Two opaque objects: a red one of class 1, twice as wide as high, and a blue square of class 4."""
    rgba = torch.zeros(2, 4, 64, 64, dtype=torch.uint8)
    rgba[0, 0], rgba[1, 2], rgba[:, 3] = 255, 255, 255
    return Cutouts(rgba, torch.tensor([2.0, 1.0]), torch.tensor([1, 4]))


def test_a_collage_names_the_objects_that_it_shows_and_a_photograph_its_class() -> None:
    black = Photos(torch.zeros(6, 3, 30, 30, dtype=torch.uint8), torch.ones(6), torch.arange(6))
    settings = AugmentSettings(collage_share=0.5, grey=0.0, jitter=0.0)
    generator = torch.Generator().manual_seed(7)
    batch = make_batch(black, torch.arange(6), cutouts(), (48, 64), 6, settings, generator)
    assert torch.allclose(batch.target.sum(1), torch.ones(6))
    for rgb, target in zip(batch.rgb[:3], batch.target[:3], strict=True):
        shown = set(torch.nonzero(target).flatten().tolist())
        assert shown
        assert shown <= {1, 4}
        if 4 in shown and 1 not in shown:
            assert float(rgb[0].max()) == 0
        if 1 in shown and 4 not in shown:
            assert float(rgb[2].max()) == 0
    assert torch.equal(batch.target[3:].argmax(1), torch.tensor([3, 4, 5]))
    assert float(batch.rgb[3:].max()) == 0


def test_an_object_keeps_its_proportions_on_a_canvas_that_is_not_square() -> None:
    black = Photos(torch.zeros(1, 3, 30, 30, dtype=torch.uint8), torch.ones(1), torch.zeros(1, dtype=torch.int64))
    settings = AugmentSettings(collage_share=1.0, grey=0.0, jitter=0.0)
    wide = Cutouts(cutouts().rgba[:1], torch.tensor([2.0]), torch.tensor([1]))
    ratios = []
    for seed in range(40):
        generator = torch.Generator().manual_seed(seed)
        rgb = make_batch(black, torch.tensor([0]), wide, (60, 120), 2, settings, generator).rgb[0, 0] > 0.5
        rows, columns = rgb.any(1).nonzero().flatten(), rgb.any(0).nonzero().flatten()
        area_of_box = (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        if float(rgb.sum() / area_of_box) > 0.93:  # one object, hardly turned
            ratios.append(float(columns[-1] - columns[0] + 1) / float(rows[-1] - rows[0] + 1))
    assert ratios
    assert all(ratio == pytest.approx(2.0, abs=0.35) for ratio in ratios)


def test_equal_seeds_give_equal_batches() -> None:
    def batch(seed: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(seed)
        return make_batch(photos(), torch.arange(3), cutouts(), (16, 24), 5, AugmentSettings(), generator).rgb

    assert torch.equal(batch(1), batch(1))
    assert not torch.equal(batch(1), batch(2))


def test_objects_are_cut_out_of_white_ground_with_their_own_proportions() -> None:
    rgb = np.full((2, 80, 80, 3), 255, np.uint8)
    rgb[0, 30:50, 20:70] = (200, 10, 10)  # 20 high, 50 wide, in a photograph twice as wide as high
    yy, xx = np.mgrid[:80, :80]
    ellipse = ((xx - 45) / 25) ** 2 + ((yy - 40) / 10) ** 2 <= 1
    rgb[0] = np.where(ellipse[..., None], (200, 10, 10), 255).astype(np.uint8)
    rgb[1] = 90  # no white ground
    found = cut_out(PhotoStore(rgb, np.array([2.0, 1.0], np.float32)), np.array([7, 8]), CPU)
    assert found.labels.tolist() == [7]
    assert float(found.aspect[0]) == pytest.approx(2.0 * 51 / 21, rel=0.03)
    assert int(found.rgba[0, 3, 32, 32]) == 255
    assert int(found.rgba[0, 3, 0, 0]) == 0


def test_patches_bring_objects_of_any_class_with_soft_edges() -> None:
    white = Photos(torch.full((5, 3, 30, 30), 255, dtype=torch.uint8), torch.ones(5), torch.arange(5))
    none = Cutouts(torch.zeros(0, 4, 64, 64, dtype=torch.uint8), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    collage = add_objects(torch.zeros(40, 3, 48, 40), white, none, 5, torch.Generator().manual_seed(1), patch_share=1.0)
    assert torch.allclose(collage.rgb[:, 0], collage.cover, atol=1e-5)  # white on black: the colour is the cover
    assert set(collage.target.argmax(1).tolist()) == set(range(5))
    soft = (collage.cover > 0.02) & (collage.cover < 0.98)
    assert 0.02 < float(soft.float().mean()) < 0.5
    assert float(collage.cover.amax()) > 0.99


def test_patches_and_cutouts_come_in_the_share_that_was_asked_for() -> None:
    blue = torch.zeros(1, 3, 20, 20, dtype=torch.uint8)
    blue[:, 2] = 255
    patches = Photos(blue, torch.ones(1), torch.tensor([0]))
    red = torch.zeros(1, 4, 64, 64, dtype=torch.uint8)
    red[:, 0], red[:, 3] = 255, 255
    objects = Cutouts(red, torch.ones(1), torch.tensor([1]))
    ground = torch.zeros(300, 3, 16, 16)
    collage = add_objects(ground, patches, objects, 2, torch.Generator().manual_seed(2), patch_share=0.25)
    alone = collage.target.max(dim=1).values == 1
    assert float((collage.target[alone].argmax(1) == 1).float().mean()) == pytest.approx(0.83, abs=0.1)


def test_cutmix_shares_the_target_by_area() -> None:
    pixels = torch.zeros(2, 3, 30, 30, dtype=torch.uint8)
    pixels[1] = 255
    pair = Photos(pixels, torch.ones(2), torch.tensor([0, 1]))
    none = Cutouts(torch.zeros(0, 4, 64, 64, dtype=torch.uint8), torch.zeros(0), torch.zeros(0, dtype=torch.int64))
    settings = AugmentSettings(collage_share=0.0, grey=0.0, jitter=0.0, cutmix_share=0.5)
    chosen = torch.tensor([0, 1] * 40)
    batch = make_batch(pair, chosen, none, (36, 24), 2, settings, torch.Generator().manual_seed(3))
    white = batch.rgb.mean(dim=(1, 2, 3))
    assert torch.allclose(batch.target[:, 1], white, atol=1e-4)
    mixed = (batch.target > 0).all(dim=1)
    assert 0.3 < float(mixed.float().mean()) < 0.7
    assert torch.allclose(batch.target.sum(1), torch.ones(80))
