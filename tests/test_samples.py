import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tokenlearner.errors import MediaError
from tokenlearner.media import Sampling, open_media, probe
from tokenlearner.samples import clips, default_cache_dir, list_samples, sample_path
from tokenlearner.samples.cutouts import Cutout, coffee_cup, coin, fill_unknown, motorcycle
from tokenlearner.samples.photographs import load_photograph, photograph_path
from tokenlearner.samples.stereo import StereoPair

NAMES = [sample.name for sample in list_samples()]
CLIPS = [sample.name for sample in list_samples() if sample.kind == "video"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_can_be_read(cache, name):
    sample = next(sample for sample in list_samples() if sample.name == name)
    info = probe(sample_path(name, cache))
    assert info.kind == sample.kind
    assert info.notes == ()
    assert 300 <= info.width <= 800


def test_names_are_unique_and_texts_are_there():
    assert len(set(NAMES)) == len(NAMES) >= 8
    for sample in list_samples():
        assert sample.title
        assert sample.licence
        assert sample.attribution.endswith(".")
        assert sample.description.endswith(".")
        assert sample.description.count(".") == 1 or "Falcon 9" in sample.description


def test_a_clip_that_anybody_may_use_comes_first():
    first = list_samples()[0]
    assert first.kind == "video"
    assert first.licence == "Cup and grass: CC0; coins: no known copyright restrictions"


@pytest.mark.parametrize("name", CLIPS)
def test_clips_are_short_smooth_and_moving(cache, name):
    with open_media(sample_path(name, cache), Sampling(max_frames=6)) as reader:
        frames = list(reader)
    info = reader.info
    assert info.codec == "h264"
    assert 4 <= info.duration_s <= 6
    assert info.fps == pytest.approx(25)
    assert 320 <= info.width <= 640
    assert info.size_bytes < 2_000_000
    for before, after in itertools.pairwise(frames):
        assert np.abs(before.rgb.astype(int) - after.rgb).mean() > 1


@pytest.mark.parametrize("name", CLIPS)
def test_scenes_are_the_same_on_every_run(name):
    first, second = (list(itertools.islice(clips.SCENES[name](), 4)) for _ in range(2))
    assert all(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    assert not np.array_equal(first[0], first[3])


def test_a_clip_is_rendered_once(cache):
    path = sample_path("shapes", cache)
    before = path.stat().st_mtime_ns
    assert sample_path("shapes", cache) == path
    assert path.stat().st_mtime_ns == before
    assert list(path.parent.glob(".*")) == []


def test_the_cache_follows_the_environment(monkeypatch, tmp_path, cache):
    monkeypatch.setenv("TOKENLEARNER_CACHE", str(cache))
    assert default_cache_dir() == cache
    assert cache in sample_path("shapes").parents
    monkeypatch.delenv("TOKENLEARNER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(sys, "platform", "linux")
    assert default_cache_dir() == tmp_path / "tokenlearner"
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(Path, "home", lambda: Path("/Users/ada"))
    assert default_cache_dir() == Path("/Users/ada/Library/Caches/tokenlearner")
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "Local"))
    assert default_cache_dir() == tmp_path / "Local" / "tokenlearner" / "cache"


def test_an_unknown_sample_names_the_known_ones():
    with pytest.raises(MediaError, match=r'There is no sample "dog"\. There are: lawn, portrait, ride, garage, '):
        sample_path("dog")


def test_a_cache_that_cannot_be_made_says_what_to_set(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(MediaError, match=r"cannot be made\. Set TOKENLEARNER_CACHE to a folder that can be written"):
        sample_path("shapes", tmp_path / "file")


def test_a_photograph_that_is_not_installed_is_named():
    with pytest.raises(MediaError, match=r"photograph gone\.png was not found\. Install the release of scikit-image"):
        photograph_path("gone.png")


def test_listing_imports_neither_scikit_image_nor_the_renderer():
    code = (
        "import sys; from tokenlearner.samples import list_samples, sample_path; list_samples(); sample_path('cat');"
        "print([m for m in ('skimage', 'torch', 'tokenlearner.samples.clips') if m in sys.modules])"
    )
    root = Path(__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "[]"


def test_the_photographs_are_the_ones_the_names_promise():
    # Colours of known places: the cat's fur, the astronaut's suit, the motorcycle's tank.
    assert load_photograph("chelsea.png").shape == (300, 451, 3)
    assert load_photograph("astronaut.png")[400, 60].argmax() == 0
    red, green, blue = load_photograph("motorcycle_left.png")[225, 390].astype(int)
    assert red > 2 * max(green, blue)


def test_the_motorcycle_is_cut_out_of_the_garage():
    bike = motorcycle()
    alpha = bike.alpha
    assert alpha.shape == bike.rgb.shape[:2] == (500, 741)
    for y, x in ((225, 390), (320, 137), (400, 660), (330, 370)):  # tank, rear tyre, front tyre, engine
        assert alpha[y, x] > 0.9
    for y, x in ((60, 560), (470, 200), (480, 700), (200, 60), (405, 335)):  # shelf, floor twice, bench, kickstand
        assert alpha[y, x] < 0.1
    assert 0.2 < alpha.mean() < 0.35


def test_cup_and_coin_are_cut_out():
    cup = coffee_cup()
    assert cup.alpha[200, 280] == pytest.approx(1)
    assert cup.alpha[10, 10] == cup.alpha[390, 590] == 0
    penny = coin((302, 13, 65, 61), (1.0, 0.5, 0.25))
    assert penny.alpha[30, 32] > 0.9
    assert penny.alpha[0, 0] < 0.2
    red, green, blue = penny.rgb[30, 32].astype(float)
    assert (green / red, blue / red) == (pytest.approx(0.5, abs=0.02), pytest.approx(0.25, abs=0.02))


def test_pasting_covers_by_alpha_and_stays_inside():
    square = Cutout(np.full((4, 6, 3), 200, np.uint8), np.full((4, 6), 0.5, np.float32))
    canvas = np.full((20, 30, 3), 100, np.float32)
    square.paste_on(canvas, (15.0, 10.0))
    expected = np.full((20, 30, 3), 100, np.float32)
    expected[8:12, 12:18] = 150
    np.testing.assert_allclose(canvas, expected, atol=1e-4)
    for outside in ((-50.0, 10.0), (15.0, 90.0)):
        square.paste_on(canvas, outside, shadow_px=2.0)
    np.testing.assert_allclose(canvas, expected, atol=1e-4)
    square.paste_on(canvas, (0.0, 0.0))
    assert canvas[0, 0, 0] == pytest.approx(150)


def test_a_shadow_darkens_below_and_to_the_right():
    dot = Cutout(np.full((6, 6, 3), 255, np.uint8), np.ones((6, 6), np.float32))
    canvas = np.full((40, 40, 3), 100, np.float32)
    dot.paste_on(canvas, (20.0, 20.0), shadow_px=5.0)
    assert canvas[20, 20, 0] == 255
    assert canvas[27, 24, 0] < 99
    assert canvas[27, 24, 0] < canvas[12, 15, 0]


def test_unknown_depth_is_filled_from_the_farther_neighbour():
    nan, inf = np.nan, np.inf
    filled = fill_unknown(np.array([[5, inf, 3, nan], [inf, 2, inf, 9], [inf, nan, inf, nan]], np.float32))
    assert filled.tolist() == [[5, 3, 3, 3], [2, 2, 2, 9], [0, 0, 0, 0]]


def stereo_scene():
    """A textured wall with a nearer textured square before it, drawn from both sides by its definition."""
    random = np.random.default_rng(4)
    wall = np.repeat(random.integers(0, 256, (24, 80, 3)), 2, axis=1).astype(np.uint8)[:, :120]
    square = random.integers(0, 256, (10, 16, 3)).astype(np.uint8)
    near, far = 12, 4
    left, right = wall.copy(), np.roll(wall, -far, axis=1)
    disparity = np.full((24, 120), far, np.float32)
    left[7:17, 50:66], right[7:17, 50 - near : 66 - near] = square, square
    disparity[7:17, 50:66] = near
    return left, right, disparity, wall, square


def test_a_stereo_pair_seen_from_its_own_cameras_is_itself():
    left, right, disparity, *_ = stereo_scene()
    pair = StereoPair(left, right, disparity)
    np.testing.assert_array_equal(pair.view(0.0), left)
    seen = pair.view(1.0)[:, 8:-8].astype(int)
    assert np.mean(np.abs(seen - right[:, 8:-8]).max(axis=-1) <= 2) > 0.95


def test_halfway_between_the_cameras_everything_moved_by_half_its_disparity():
    left, right, disparity, wall, square = stereo_scene()
    seen = StereoPair(left, right, disparity).view(0.5)
    np.testing.assert_array_equal(seen[9:15, 47:57], square[2:8, 3:13])
    np.testing.assert_array_equal(seen[:6, 10:100], wall[:6, 12:102])
    # The wall that the left camera cannot see behind the square comes from the right one.
    uncovered = seen[9:15, 61:63].astype(int)
    assert np.abs(uncovered - wall[9:15, 63:65]).mean() < 40
