"""Clips of moving objects: masks agree with pixels, labels with a second route, and single frames tell nothing."""

import dataclasses

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp

from tokenlearner.data.moving import MOTIONS, Clips, ClipSettings, freeze, make_clips
from tokenlearner.data.moving_layers import draw_evenly
from tokenlearner.data.photos import Cutouts, Photos
from tokenlearner.errors import ConfigError

CLEAN = ClipSettings(
    object_side=(0.2, 0.26),
    camera_share=0.0,
    distractors=0,
    occluder_share=0.0,
    patch_share=0.0,
    blur_share=0.0,
    flicker=0.0,
    noise=0.0,
    jitter=0.0,
)
"""One object on a plain ground, the camera standing: whatever is measured comes from the object's own way."""


def plain_photos(count: int = 5, side: int = 40) -> Photos:
    """Green pictures of different shapes."""
    pixels = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    pixels[:, 1] = 255
    return Photos(pixels, torch.linspace(0.6, 1.8, count), torch.arange(count))


def ramp_photos(count: int = 3, side: int = 96) -> Photos:
    """Pictures whose red rises to the right and whose green rises downwards."""
    ramp = torch.linspace(10, 245, side).round().to(torch.uint8)
    pixels = torch.zeros(count, 3, side, side, dtype=torch.uint8)
    pixels[:, 0], pixels[:, 1] = ramp, ramp[:, None]
    return Photos(pixels, torch.tensor([0.7, 1.0, 1.5]), torch.arange(count))


def noisy_photos(count: int = 7, side: int = 36) -> Photos:
    pixels = torch.randint(0, 256, (count, 3, side, side), generator=torch.Generator().manual_seed(1))
    return Photos(pixels.to(torch.uint8), torch.linspace(0.6, 1.8, count), torch.arange(count))


def bar_cutouts(channel: int = 0, aspect: float = 3.0) -> Cutouts:
    """One opaque object of one colour, wider than high, of class 3."""
    rgba = torch.zeros(1, 4, 64, 64, dtype=torch.uint8)
    rgba[:, channel], rgba[:, 3] = 255, 255
    return Cutouts(rgba, torch.tensor([aspect]), torch.tensor([3]))


def no_cutouts() -> Cutouts:
    return Cutouts(torch.zeros(0, 4, 64, 64, dtype=torch.uint8), torch.zeros(0), torch.zeros(0, dtype=torch.int64))


def clips_of(
    motion: str | None,
    count: int,
    settings: ClipSettings = CLEAN,
    *,
    photos: Photos | None = None,
    cutouts: Cutouts | None = None,
    hw: tuple[int, int] = (60, 84),
    frames: int = 16,
    seed: int = 0,
) -> Clips:
    photos = photos or plain_photos()
    wanted = None if motion is None else torch.full((count,), MOTIONS.index(motion))
    chosen = torch.arange(count) % len(photos)
    generator = torch.Generator().manual_seed(seed)
    return make_clips(
        photos, chosen, bar_cutouts() if cutouts is None else cutouts, hw, frames, settings, generator, motion=wanted
    )


def moments(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Area, centre x, centre y and direction of the long axis (radians, clockwise on the screen) of each picture."""
    weight = weight.double()
    area = weight.sum((-2, -1))
    y, x = torch.meshgrid(*(torch.arange(size).double() for size in weight.shape[-2:]), indexing="ij")
    cx, cy = (weight * x).sum((-2, -1)) / area, (weight * y).sum((-2, -1)) / area
    dx, dy = x - cx[..., None, None], y - cy[..., None, None]
    xx, yy, xy = ((weight * product).sum((-2, -1)) for product in (dx * dx, dy * dy, dx * dy))
    return area, cx, cy, torch.atan2(2 * xy, xx - yy) / 2


def unwrapped(angle: torch.Tensor) -> np.ndarray:
    """Directions of an axis (period 180 degrees) as a continuous turn over the frames, in degrees."""
    return np.degrees(np.unwrap(angle.numpy(), axis=1, period=np.pi))


def in_sight(clips: Clips) -> torch.Tensor:
    """Clips whose object never touches the edge of the picture, so that moments measure all of it."""
    edge = torch.ones(clips.mask.shape[-2:], dtype=torch.bool)
    edge[1:-1, 1:-1] = False
    return (clips.mask * edge).sum((1, 2, 3)) == 0


def test_the_mask_is_where_the_object_s_colour_is() -> None:
    for motion in MOTIONS:
        clips = clips_of(motion, 4)
        red, green = clips.rgb[:, :, 0], clips.rgb[:, :, 1]
        assert torch.allclose(red, clips.mask, atol=1e-4)
        assert torch.allclose(green, 1 - clips.mask, atol=1e-4)
        assert float(clips.mask.max()) > 0.99
        assert set(clips.label.tolist()) == {3}
        assert set(clips.motion.tolist()) == {MOTIONS.index(motion)}


def test_what_an_occluder_hides_is_not_in_the_mask() -> None:
    settings = dataclasses.replace(CLEAN, occluder_share=1.0, camera_share=1.0, object_side=(0.4, 0.5))
    free = dataclasses.replace(settings, occluder_share=1e-9)
    clips, bare = (clips_of("left", 40, s) for s in (settings, free))
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 1, 3, 1, 1)
    is_red = ((clips.rgb - red).abs().amax(2)) < 0.02
    # not nearer to 1: where the edge of a reddish bar half covers the object, the mixture is red as well
    assert bool((clips.mask[is_red] > 0.7).all())
    assert bool(is_red[clips.mask > 0.99].all())
    lost = 1 - clips.mask.sum((1, 2, 3)) / bare.mask.sum((1, 2, 3))
    assert float(lost.min()) >= 0
    assert 0.08 < float(lost.mean()) < 0.5
    assert float((lost > 0.02).float().mean()) > 0.8
    per_frame = clips.mask.sum((2, 3)) / bare.mask.sum((2, 3)).clamp(min=1)
    assert float((per_frame.amax(1) - per_frame.amin(1) > 0.15).float().mean()) > 0.3  # hidden in some frames only


@pytest.mark.parametrize(("motion", "axis", "sign"), [("left", 1, -1), ("right", 1, 1), ("up", 2, -1), ("down", 2, 1)])
def test_an_object_goes_where_its_label_says(motion: str, axis: int, sign: int) -> None:
    clips = clips_of(motion, 60, dataclasses.replace(CLEAN, object_side=(0.12, 0.14)))
    keep = in_sight(clips)
    assert int(keep.sum()) > 15
    measured = moments(clips.rgb[keep][:, :, 0])
    along = measured[axis] * sign / (84 if axis == 1 else 60)
    aside = measured[3 - axis] / (60 if axis == 1 else 84)
    way = along[:, -1] - along[:, 0]
    assert float(way.min()) > 0.24
    assert float(way.max()) < 0.81
    assert float((along[:, 1:] - along[:, :-1]).min()) > -0.004  # never back
    assert float((aside.amax(1) - aside.amin(1)).max()) < 0.08  # a wobble at most


@pytest.mark.parametrize(("motion", "sign"), [("towards", 1), ("away", -1)])
def test_an_object_grows_or_shrinks_as_its_label_says(motion: str, sign: int) -> None:
    clips = clips_of(motion, 60)
    area, x, y, _ = moments(clips.rgb[in_sight(clips)][:, :, 0])
    factor = (area[:, -1] / area[:, 0]).sqrt() ** sign
    assert len(factor) > 15
    assert 1.45 < float(factor.min()) < 1.8
    assert 2.1 < float(factor.max()) < 2.6
    assert float(((area[:, 1:] / area[:, :-1]).log() * sign).min()) > -0.03
    assert float(torch.hypot(x[:, -1] - x[:, 0], y[:, -1] - y[:, 0]).max()) < 0.07 * 71


@pytest.mark.parametrize(("motion", "sign"), [("turning clockwise", 1), ("turning counter-clockwise", -1)])
def test_an_object_turns_as_its_label_says(motion: str, sign: int) -> None:
    clips = clips_of(motion, 60)
    angle = unwrapped(moments(clips.rgb[in_sight(clips)][:, :, 0])[3]) * sign
    turn = angle[:, -1] - angle[:, 0]
    assert len(turn) > 15
    assert 58 < turn.min() < 95
    assert 145 < turn.max() < 182
    assert np.diff(angle, axis=1).min() > -2


def test_a_shaking_object_turns_back_often_and_ends_near_its_start() -> None:
    clips = clips_of("shaking", 60)
    _, x, y, _ = moments(clips.rgb[in_sight(clips)][:, :, 0])
    places = torch.stack([x, y], dim=-1)
    assert len(places) > 15
    for place in places:
        spread = place - place.mean(0)
        along = spread @ torch.linalg.svd(spread)[2][0]
        turns = int((along.diff()[1:] * along.diff()[:-1] < 0).sum())
        assert turns >= 4
        assert 0.06 * 71 < float(along.max() - along.min()) < 0.27 * 71


@pytest.mark.parametrize(("motion", "order"), [("appearing", 1), ("vanishing", -1)])
def test_an_object_comes_from_nothing_or_goes_to_nothing(motion: str, order: int) -> None:
    clips = clips_of(motion, 40)
    peak = clips.rgb[:, :, 0].amax((2, 3))
    peak = peak if order == 1 else peak.flip(1)
    assert float(peak[:, :1].max()) == 0
    assert float(peak[:, -1].min()) > 0.99
    assert bool((peak.diff(dim=1) >= -1e-3).all())
    first = (peak > 0.5).float().argmax(1)
    assert int(first.min()) >= 2
    assert int(first.max()) <= 13
    assert len(first.unique()) >= 5


def test_a_still_object_does_not_change_at_all() -> None:
    clips = clips_of("still", 10)
    assert torch.equal(clips.rgb, clips.rgb[:, :1].expand_as(clips.rgb))


def scene_way(clips: Clips) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Way of the object over ramp photographs and within the frame: scene x, scene y, frame distance, in pixels.

    A plane is fitted to the red and the green of what is seen of the photograph; its value at the object's centre
    says over which spot of the photograph the object is.
    """
    height, width = clips.mask.shape[-2:]
    yy, xx = torch.meshgrid(torch.arange(height).float(), torch.arange(width).float(), indexing="ij")
    plane = torch.stack([xx, yy, torch.ones_like(xx)], dim=-1).view(-1, 3)
    found = []
    for rgb, mask in zip(clips.rgb, clips.mask, strict=True):
        spots, centres, slopes = [], [], []
        for frame, weight in zip(rgb, mask, strict=True):
            ground = (weight == 0).flatten()
            fit = torch.linalg.lstsq(plane[ground], frame[:2].flatten(1).T[ground]).solution  # (x, y, 1) -> red, green
            _, cx, cy, _ = moments(weight)
            spots.append(torch.stack([cx, cy, torch.ones_like(cx)]).float() @ fit)
            centres.append(torch.stack([cx, cy]))
            slopes.append(fit)
        middle = (slopes[len(slopes) // 2] + slopes[len(slopes) // 2 - 1]) / 2
        moved = (spots[-1] - spots[0]) / torch.stack([middle[0, 0], middle[1, 1]])  # a mirrored photograph falls in x
        found.append(torch.cat([moved, (centres[-1] - centres[0]).norm().view(1).float()]))
    return torch.stack(found).unbind(1)


CAMERA = dataclasses.replace(CLEAN, camera_share=1.0, camera_shake=0.0, object_side=(0.14, 0.16))


def test_with_a_moving_camera_a_still_object_moves_with_the_photograph() -> None:
    clips = clips_of("still", 30, CAMERA, photos=ramp_photos(), cutouts=bar_cutouts(2))
    keep = in_sight(clips)
    x, y, in_frame = scene_way(Clips(clips.rgb[keep], clips.label[keep], clips.motion[keep], clips.mask[keep]))
    assert int(keep.sum()) > 12
    assert float(torch.hypot(x, y).max()) < 1.0
    assert float((in_frame > 5).float().mean()) > 0.5
    _, *centre, _ = moments(clips.mask[keep])
    for along in centre:  # the camera pans both ways
        assert float(((along[:, -1] - along[:, 0]).abs() > 3).float().mean()) > 0.3


@pytest.mark.parametrize(("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)])
def test_with_a_moving_camera_the_label_is_the_way_over_the_photograph(motion: str, axis: int, sign: int) -> None:
    clips = clips_of(motion, 40, CAMERA, photos=ramp_photos(), cutouts=bar_cutouts(2))
    keep = in_sight(clips)
    ways = scene_way(Clips(clips.rgb[keep], clips.label[keep], clips.motion[keep], clips.mask[keep]))
    assert int(keep.sum()) > 8
    size = (84, 60)[axis]
    assert float((ways[axis] * sign).min()) > 0.22 * size
    assert float((ways[axis] * sign).max()) < 0.86 * size


@pytest.mark.parametrize(
    ("one", "other"),
    [("left", "right"), ("up", "down"), ("towards", "away"), ("turning clockwise", "turning counter-clockwise")],
)
def test_the_middle_frame_of_opposite_motions_looks_the_same(one: str, other: str) -> None:
    settings = dataclasses.replace(CLEAN, object_side=(0.3, 0.5))
    measured = [
        moments(clips_of(motion, 400, settings, hw=(30, 44), frames=5, seed=seed).mask[:, 2])
        for seed, motion in enumerate((one, other))
    ]
    for first, second in zip(*measured, strict=True):
        assert ks_2samp(first.numpy(), second.numpy()).pvalue > 0.01


def test_places_at_start_and_end_overlap_for_opposite_motions() -> None:
    left, right = (moments(clips_of(motion, 200, hw=(30, 44), frames=3).mask)[1] for motion in ("left", "right"))
    for frame in (0, -1):
        starts = [value[:, frame][~value[:, frame].isnan()] for value in (left, right)]
        low, high = sorted(starts, key=lambda value: float(value.mean()))
        assert float(low.quantile(0.85)) > float(high.quantile(0.15))


def test_beside_a_still_object_all_others_are_smaller() -> None:
    settings = dataclasses.replace(CLEAN, distractors=2, object_side=(0.3, 0.52))
    rgba = torch.zeros(2, 4, 64, 64, dtype=torch.uint8)
    rgba[0, 0], rgba[1, 2], rgba[:, 3] = 255, 255, 255
    squares = Cutouts(rgba, torch.ones(2), torch.tensor([1, 4]))
    clips = clips_of("still", 80, settings, cutouts=squares)
    area = clips.rgb[:, 0].sum((2, 3))
    red, blue = area[:, 0], area[:, 2]
    both = (red > 0) & (blue > 0)
    assert int(both.sum()) > 20
    two_small = 2 * 0.65**2
    assert bool((torch.where(clips.label == 1, blue / red, red / blue)[both] < two_small + 0.25).all())
    others = clips_of("left", 80, settings, cutouts=squares).rgb[:, 8].sum((2, 3))
    shown = (others[:, 0] > 0) & (others[:, 2] > 0)
    assert int(shown.sum()) > 20  # distractors lie beside moving objects as well


def test_distractors_stay_where_they_are_while_the_object_moves() -> None:
    settings = dataclasses.replace(CLEAN, distractors=2)
    clips = clips_of("right", 30, settings)
    seen = clips.rgb[:, :, 0] - clips.mask  # red that is not the labelled object
    shown = (seen.clamp(min=0).amax((1, 2, 3)) > 0.9).float().mean()
    assert 0.45 < float(shown) < 0.9
    free = (clips.mask == 0) & (clips.mask[:, :1] == 0)
    change = (clips.rgb[:, :, 0] - clips.rgb[:, :1, 0]).abs() * free
    assert float(change.max()) < 1e-4


def test_equal_seeds_give_equal_clips() -> None:
    def make(seed: int) -> Clips:
        return clips_of(None, 9, ClipSettings(), photos=noisy_photos(), hw=(24, 36), frames=6, seed=seed)

    first, again, other = make(4), make(4), make(5)
    for field in dataclasses.fields(Clips):
        assert torch.equal(getattr(first, field.name), getattr(again, field.name))
    assert not torch.equal(first.rgb, other.rgb)


@pytest.mark.parametrize(("batch", "frames", "hw"), [(5, 7, (24, 40)), (1, 1, (32, 24)), (0, 3, (24, 32))])
def test_any_batch_any_number_of_frames_and_any_canvas(batch: int, frames: int, hw: tuple[int, int]) -> None:
    clips = clips_of(None, batch, ClipSettings(), photos=noisy_photos(), hw=hw, frames=frames)
    assert clips.rgb.shape == (batch, frames, 3, *hw)
    assert clips.mask.shape == (batch, frames, *hw)
    assert len(clips) == batch
    if batch:
        assert 0 <= float(clips.rgb.min()) < float(clips.rgb.max()) <= 1
        assert 0 <= float(clips.mask.min()) < float(clips.mask.max()) <= 1.0001


def test_without_cutouts_all_objects_are_soft_patches_of_photographs() -> None:
    clips = clips_of("right", 40, CLEAN, photos=plain_photos(), cutouts=no_cutouts())
    assert set(clips.label.tolist()) == set(range(5))
    inside = clips.mask[clips.mask > 0.01]
    assert 0.3 < float((inside < 0.99).float().mean()) < 0.9
    assert float(inside.max()) > 0.99


def test_motion_blur_spreads_the_mask_of_the_first_clips_only() -> None:
    fast = dataclasses.replace(CLEAN, travel=(0.75, 0.8))
    sharp, blurred = (clips_of("right", 8, s) for s in (fast, dataclasses.replace(fast, blur_share=0.5)))
    soft = ((blurred.mask > 0.02) & (blurred.mask < 0.98)).float().mean((1, 2, 3))
    base = ((sharp.mask > 0.02) & (sharp.mask < 0.98)).float().mean((1, 2, 3))
    assert float((soft[:4] / base[:4]).mean()) > 1.1
    assert float(soft[:4].mean()) > float(soft[4:].mean())
    assert torch.equal(sharp.mask[4:], blurred.mask[4:])
    for sharp_place, blurred_place in zip(moments(sharp.mask[:4])[1:3], moments(blurred.mask[:4])[1:3], strict=True):
        assert float((sharp_place - blurred_place).abs().max()) < 0.5  # pixels: around the same place
    assert torch.allclose(blurred.rgb[:, :, 0], blurred.mask, atol=1e-4)


def test_flicker_and_noise_change_pixels_but_no_mask() -> None:
    settings = dataclasses.replace(CLEAN, flicker=0.1, noise=0.05)
    clean, spoilt = (clips_of("down", 6, s) for s in (CLEAN, settings))
    assert torch.equal(clean.mask, spoilt.mask)
    assert float((clean.rgb - spoilt.rgb).abs().mean()) > 0.01


def test_the_object_is_mostly_in_sight() -> None:
    settings = ClipSettings(occluder_share=0.0, blur_share=0.0)
    clips = clips_of("still", 80, settings, hw=(30, 44), frames=5)
    assert float(clips.mask.amax((1, 2, 3)).min()) > 0.9
    for motion in ("left", "down", "towards", "shaking"):
        clips = clips_of(motion, 80, settings, hw=(30, 44), frames=5)
        seen = clips.mask.sum((2, 3))
        assert float((seen > 0.5 * seen[:, 2:3]).float().mean()) > 0.7


def test_classes_are_drawn_evenly_however_many_items_they_have() -> None:
    labels = torch.tensor([5] * 90 + [2] * 3 + [9])[torch.randperm(94, generator=torch.Generator().manual_seed(0))]
    drawn = draw_evenly(labels, 3000, torch.Generator().manual_seed(2))
    counts = torch.bincount(labels[drawn], minlength=10)
    assert counts[[5, 2, 9]].sum() == 3000
    assert bool(((counts[[5, 2, 9]] - 1000).abs() < 100).all())
    assert len(drawn.unique()) > 85


def test_frozen_clips_show_one_frame_throughout_and_keep_their_labels() -> None:
    clips = clips_of("left", 3, hw=(24, 36), frames=5)
    for frame in (1, -1):
        frozen = freeze(clips, frame)
        assert frozen.rgb.shape == clips.rgb.shape
        for k in range(5):
            assert torch.equal(frozen.rgb[:, k], clips.rgb[:, frame])
            assert torch.equal(frozen.mask[:, k], clips.mask[:, frame])
        assert torch.equal(frozen.label, clips.label)
        assert torch.equal(frozen.motion, clips.motion)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"travel": (0.5, 0.2)}, r"travel .* \(0.5, 0.2\)"),
        ({"growth": (0.8, 2.0)}, "growth"),
        ({"camera_share": 1.5}, r"camera_share .* 1.5"),
        ({"noise": -0.1}, r"noise .* -0.1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ClipSettings(**wrong)  # type: ignore[arg-type]


@pytest.mark.gpu
def test_nothing_waits_for_the_gpu() -> None:
    device = torch.device("cuda")
    source, cut = noisy_photos(), bar_cutouts()
    photos = Photos(source.pixels.to(device), source.aspect.to(device), source.labels.to(device))
    cutouts = Cutouts(cut.rgba.to(device), cut.aspect.to(device), cut.labels.to(device))
    generator, chosen = torch.Generator(device).manual_seed(0), torch.arange(6, device=device)
    make_clips(photos, chosen, cutouts, (24, 36), 5, ClipSettings(), generator)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        clips = make_clips(photos, chosen, cutouts, (24, 36), 5, ClipSettings(), generator)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert clips.rgb.shape == (6, 5, 3, 24, 36)
