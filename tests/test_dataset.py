import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tokenlearner.data.dataset import (
    ImageSet,
    Split,
    load_split,
    photo_cache_dir,
    read_image_set,
    save_split,
    split_by_file,
)
from tokenlearner.errors import DataError


def picture(colour: tuple[int, int, int] = (200, 30, 40), size: tuple[int, int] = (12, 8), **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, colour).save(buffer, **{"format": "PNG", **options})
    return buffer.getvalue()


def make_folder(root: Path, files: Mapping[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def make_tar(path: Path, files: Mapping[str, bytes], mode: str = "w") -> Path:
    with tarfile.open(path, mode) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def numbered(**counts: int) -> dict[str, bytes]:
    """So many small pictures of each class."""
    return {f"{name}/{i:03}.png": picture((i, 0, 0), (3, 2)) for name, count in counts.items() for i in range(count)}


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return read_image_set(make_folder(tmp_path / "set", numbered(ant=3, bee=11, cat=40)))


def test_labels_follow_sorted_folder_names(tmp_path: Path) -> None:
    files = {"zebra/b.jpg": picture(), "ant/z.png": picture(), "zebra/a.jpg": picture(), "ant/notes.txt": b"no"}
    images = read_image_set(make_folder(tmp_path, files))
    assert images.names == ("ant/z.png", "zebra/a.jpg", "zebra/b.jpg")
    assert images.class_names == ("ant", "zebra")
    assert images.labels.tolist() == [0, 1, 1]
    assert images.labels.dtype == np.int64


def test_tar_and_folder_give_the_same_names_and_pixels(tmp_path: Path) -> None:
    files = {"a/1.png": picture((1, 2, 3)), "b/2.png": picture((4, 5, 6)), "b/3.png": picture((7, 8, 9))}
    from_folder = read_image_set(make_folder(tmp_path / "plain", files))
    from_tar = read_image_set(make_tar(tmp_path / "x.tar", {f"./deep/root/{k}": v for k, v in files.items()}))
    assert from_tar.names == from_folder.names == ("a/1.png", "b/2.png", "b/3.png")
    np.testing.assert_array_equal(from_tar.load_pixels(4).pixels, from_folder.load_pixels(4).pixels)
    assert from_tar.read(1)[0, 0].tolist() == [4, 5, 6]


def test_folders_that_differ_above_the_class_stay_in_the_name(tmp_path: Path) -> None:
    files = {"train/dog/1.png": picture(), "test/dog/1.png": picture(), "test/cat/1.png": picture()}
    images = read_image_set(make_folder(tmp_path, files))
    assert images.names == ("test/cat/1.png", "test/dog/1.png", "train/dog/1.png")
    assert images.class_names == ("cat", "dog")


def test_single_class_keeps_its_folder(tmp_path: Path) -> None:
    assert read_image_set(make_folder(tmp_path, {"up/cat/1.png": picture()})).names == ("cat/1.png",)


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    files = {"cat/1.png": picture(), "cat/._1.png": b"junk", "__MACOSX/cat/1.png": b"junk", ".git/x.png": b"junk"}
    assert read_image_set(make_folder(tmp_path, files)).names == ("cat/1.png",)


def test_two_sources_merge_classes_of_one_name(tmp_path: Path) -> None:
    one = make_folder(tmp_path / "one", {"cat/1.png": picture(), "dog/1.png": picture()})
    two = make_tar(tmp_path / "two.tar", {"r/cat/2.png": picture(), "r/eel/1.png": picture()})
    images = read_image_set(one, two)
    assert images.names == ("cat/1.png", "cat/2.png", "dog/1.png", "eel/1.png")
    assert images.labels.tolist() == [0, 0, 1, 2]


def test_squashed_square_keeps_the_whole_photograph_and_its_aspect(tmp_path: Path) -> None:
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, :10] = (255, 0, 0)
    wide[:, 20:] = (0, 0, 255)
    buffer = io.BytesIO()
    Image.fromarray(wide).save(buffer, "PNG")
    store = read_image_set(make_folder(tmp_path, {"c/1.png": buffer.getvalue()})).load_pixels(9)
    assert store.aspect.tolist() == [3.0]
    assert (len(store), store.side) == (1, 9)
    thirds = store.pixels[0, 4, [0, 4, 8]]  # every third of the width is still there
    np.testing.assert_allclose(thirds, [[255, 0, 0], [0, 0, 0], [0, 0, 255]], atol=12)


def test_aspect_counts_the_exif_turn(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise
    data = picture(size=(40, 10), format="JPEG", exif=exif)
    images = read_image_set(make_folder(tmp_path, {"c/1.jpg": data}))
    assert images.load_pixels(8).aspect.tolist() == [0.25]
    assert images.read(0).shape == (40, 10, 3)


def test_large_jpegs_are_decoded_small_enough_but_not_smaller(tmp_path: Path) -> None:
    ramp = np.linspace(0, 255, 320).round().astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.broadcast_to(ramp[None, :, None], (240, 320, 3)).copy()).save(buffer, "JPEG", quality=95)
    store = read_image_set(make_folder(tmp_path, {"c/1.jpg": buffer.getvalue()})).load_pixels(64)
    assert store.aspect[0] == pytest.approx(320 / 240)
    expected = (np.arange(64) + 0.5) / 64 * 255  # the ramp at each column's centre
    np.testing.assert_allclose(store.pixels[0, 32, :, 1], expected, atol=4)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("L", (4, 3), 77), (77, 77, 77)),
        (Image.new("RGBA", (4, 3), (9, 9, 9, 0)), (255, 255, 255)),
        (Image.fromarray(np.full((3, 4), 128 * 257, dtype=np.uint16)), (128, 128, 128)),
        (Image.new("P", (4, 3), 0), (0, 0, 0)),
    ],
    ids=["grey", "transparent", "16 bit", "palette"],
)
def test_every_mode_becomes_rgb(tmp_path: Path, image: Image.Image, expected: tuple[int, int, int]) -> None:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    images = read_image_set(make_folder(tmp_path, {"c/1.png": buffer.getvalue()}))
    assert images.read(0)[1, 2].tolist() == list(expected)
    assert images.load_pixels(2).pixels[0, 1, 0].tolist() == list(expected)


def test_second_load_comes_from_the_cache(tmp_path: Path) -> None:
    images = read_image_set(make_folder(tmp_path / "set", {"c/1.png": picture((5, 6, 7)), "d/2.png": picture()}))
    first = images.load_pixels(5, cache_dir=tmp_path / "cache")
    (tmp_path / "set/c/1.png").unlink()
    again = images.load_pixels(5, cache_dir=tmp_path / "cache")
    np.testing.assert_array_equal(again.pixels, first.pixels)
    np.testing.assert_array_equal(again.aspect, first.aspect)
    with pytest.raises(DataError, match=r"c/1\.png cannot be read"):
        images.load_pixels(6, cache_dir=tmp_path / "cache")  # another side is another array


def test_changed_file_is_decoded_anew(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "set", {"c/1.png": picture((5, 6, 7))})
    read_image_set(folder).load_pixels(3, cache_dir=tmp_path / "cache")
    (folder / "c/1.png").write_bytes(picture((8, 9, 10)))
    os.utime(folder / "c/1.png", (1, 1))
    store = read_image_set(folder).load_pixels(3, cache_dir=tmp_path / "cache")
    assert store.pixels[0, 0, 0].tolist() == [8, 9, 10]


def test_damaged_cache_is_written_anew(tmp_path: Path) -> None:
    images = read_image_set(make_folder(tmp_path / "set", {"c/1.png": picture((5, 6, 7))}))
    images.load_pixels(3, cache_dir=tmp_path / "cache")
    (cached,) = (tmp_path / "cache").iterdir()
    whole = cached.read_bytes()
    cached.write_bytes(whole[:50])
    assert images.load_pixels(3, cache_dir=tmp_path / "cache").pixels[0, 0, 0].tolist() == [5, 6, 7]
    assert len(cached.read_bytes()) == len(whole)


def test_progress_ends_at_the_total(images: ImageSet) -> None:
    told: list[tuple[int, int]] = []
    images.load_pixels(2, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (54, 54)


def test_subset_of_a_store_follows_the_order_asked_for(images: ImageSet) -> None:
    store = images.load_pixels(2)
    chosen = images.indices(["cat/007.png", "bee/002.png"])
    assert store.subset(chosen).pixels[:, 0, 0, 0].tolist() == [7, 2]


def test_split_takes_the_fraction_of_each_class_but_at_least_two(images: ImageSet) -> None:
    split = split_by_file(images, 0.2, seed=4)
    in_val = [name.split("/")[0] for name, part in split.items() if part == "val"]
    assert {name: in_val.count(name) for name in ("ant", "bee", "cat")} == {"ant": 2, "bee": 2, "cat": 8}
    assert set(split) == set(images.names)


def test_large_fraction_leaves_one_for_training(images: ImageSet) -> None:
    split = split_by_file(images, 0.99)
    assert sum(part == "train" for part in split.values()) == 3  # one of each class


def test_split_of_a_class_depends_on_seed_and_its_own_files_alone(images: ImageSet, tmp_path: Path) -> None:
    split = split_by_file(images, 0.25, seed=1)
    assert split == split_by_file(images, 0.25, seed=1)
    assert split != split_by_file(images, 0.25, seed=2)
    alone = read_image_set(make_folder(tmp_path / "alone", numbered(cat=40)))
    assert split_by_file(alone, 0.25, seed=1) == {k: v for k, v in split.items() if k.startswith("cat/")}


def test_split_file_is_read_back_and_lists_every_name_on_a_line(images: ImageSet, tmp_path: Path) -> None:
    split = split_by_file(images)
    save_split(tmp_path / "deep" / "split.json", split)
    assert load_split(tmp_path / "deep" / "split.json") == split
    lines = (tmp_path / "deep" / "split.json").read_text().splitlines()
    assert sum('.png"' in line for line in lines) == len(images)


def test_part_keeps_labels_and_classes(images: ImageSet) -> None:
    split = split_by_file(images)
    val, train = images.part(split, "val"), images.part(split, "train")
    assert len(val) + len(train) == len(images)
    assert val.class_names == images.class_names
    assert {val.class_names[label] for label in val.labels} == {"ant", "bee", "cat"}
    for name, label in zip(val.names, val.labels, strict=True):
        assert name.startswith(val.class_names[label])
    assert val.read(0).shape == (2, 3, 3)


def test_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKENLEARNER_CACHE", "/somewhere")
    assert photo_cache_dir() == Path("/somewhere/photos")
    monkeypatch.delenv("TOKENLEARNER_CACHE")
    assert photo_cache_dir() == Path.home() / ".cache/tokenlearner/photos"


def test_no_source_is_refused() -> None:
    with pytest.raises(DataError, match="No data set was given"):
        read_image_set()


def test_missing_source_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data set at .*nowhere\.tar"):
        read_image_set(tmp_path / "nowhere.tar")


def test_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no photographs"):
        read_image_set(tmp_path)


def test_compressed_tar_is_refused(tmp_path: Path) -> None:
    path = make_tar(tmp_path / "x.tar.gz", {"a/1.png": picture()}, "w:gz")
    with pytest.raises(DataError, match="neither a folder nor a plain tar"):
        read_image_set(path)


def test_loose_photograph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"loose\.png .* lies in no class folder"):
        read_image_set(make_folder(tmp_path, {"loose.png": picture(), "a/1.png": picture()}))


def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    one, two = (make_folder(tmp_path / name, {"a/1.png": picture()}) for name in ("one", "two"))
    with pytest.raises(DataError, match=r"Two photographs are named a/1\.png"):
        read_image_set(one, two)


def test_unreadable_photograph_is_named(tmp_path: Path) -> None:
    images = read_image_set(make_folder(tmp_path, {"a/1.png": picture(), "a/2.png": picture()[:40]}))
    with pytest.raises(DataError, match=r"photograph a/2\.png cannot be read .* Repair or remove it"):
        images.load_pixels(4)


def test_class_of_two_cannot_be_split(tmp_path: Path) -> None:
    images = read_image_set(make_folder(tmp_path, numbered(ant=2, bee=5)))
    with pytest.raises(DataError, match=r'"ant" has 2 photographs; at least 3'):
        split_by_file(images)


def test_fraction_out_of_range_is_refused(images: ImageSet) -> None:
    with pytest.raises(DataError, match=r"between 0 and 1, not 1\.5"):
        split_by_file(images, 1.5)


def test_split_of_other_data_is_refused(images: ImageSet) -> None:
    with pytest.raises(DataError, match=r"where 53 of 54 photographs belong \(first: ant/001\.png\)"):
        images.part({"ant/000.png": "val"}, "val")


def test_empty_part_is_refused(images: ImageSet) -> None:
    split: Split = dict.fromkeys(images.names, "train")
    with pytest.raises(DataError, match='no photograph of this data set into "val"'):
        images.part(split, "val")


def test_unknown_name_is_refused(images: ImageSet) -> None:
    with pytest.raises(DataError, match=r"no photograph named dog/1\.png"):
        images.indices(["dog/1.png"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "it is no JSON"),
        ("[]", "does not say"),
        ('{"format": "other"}', "does not say"),
        ('{"format": "tokenlearner-split-1", "train": ["a"], "val": ["a"]}', "names a twice"),
    ],
)
def test_bad_split_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "split.json").write_text(text)
    with pytest.raises(DataError, match=message):
        load_split(tmp_path / "split.json")


def test_missing_split_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.json cannot be read \(No such file"):
        load_split(tmp_path / "none.json")


def test_caltech_has_the_stated_size(shared_dir: Path) -> None:
    images = read_image_set(shared_dir / "data" / "caltech101-192.tar")
    counts = np.bincount(images.labels)
    assert (len(images), len(images.class_names)) == (7242, 100)
    assert counts[images.class_names.index("airplanes")] == 790
    assert images.names[0].count("/") == 1
