import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.analysis_cases import SEEING, seeing, sequences_tar
from tokenlearner.errors import DataError
from tokenlearner.evaluation.collect import Choice
from tokenlearner.evaluation.davis import list_sequences, video_mass
from tokenlearner.evaluation.evaluate import random_rival
from tokenlearner.evaluation.results import VideoMass


def png(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "PNG")
    return buffer.getvalue()


def tar_of(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[VideoMass, ...]:
    folder = tmp_path_factory.mktemp("davis")
    loaded = seeing(folder)
    rival = random_rival(loaded, 0, np.zeros((2, 48, 64, 3), dtype=np.uint8))
    sequences = list_sequences(sequences_tar(folder / "davis.tar"))
    return video_mass(loaded.model, rival, sequences, [Choice(0, 1), Choice(2, 3), Choice(None, 0)])


def test_sequences_pair_frames_with_their_masks(tmp_path: Path) -> None:
    blank = png(np.zeros((4, 4), dtype=np.uint8))
    names = ["d/frames/b/1.jpg", "d/frames/b/0.jpg", "d/masks/b/0.png", "d/masks/b/1.png", "d/frames/a/7.jpg"]
    files = dict.fromkeys([*names, "d/masks/a/7.png", "d/frames/a/8.jpg", "d/other/a/7.png"], blank)
    found = list_sequences(tar_of(tmp_path / "x.tar", files))
    assert [(one.name, one.frames, one.masks) for one in found] == [
        ("a", ("d/frames/a/7.jpg",), ("d/masks/a/7.png",)),
        ("b", ("d/frames/b/0.jpg", "d/frames/b/1.jpg"), ("d/masks/b/0.png", "d/masks/b/1.png")),
    ]


def test_frames_with_empty_masks_are_passed_over(measured: tuple[VideoMass, ...]) -> None:
    assert [(one.sequences, one.frames) for one in measured] == [(2, 10), (2, 10)]


def test_seeing_tokens_stay_on_the_object(measured: tuple[VideoMass, ...]) -> None:
    three = measured[1]
    assert (three.loc, three.num_tokens) == (2, 3)
    assert three.kept > 0.9
    assert (three.kept_peak, three.kept_touch) == (1, 1)
    assert three.uniform == pytest.approx(np.pi * 20**2 / (96 * 128), rel=0.15)
    for rival in (three.centre_prior, three.mean_map, three.random_weights):
        assert rival < 0.5
    assert three.centre_prior_peak <= three.centre_prior_touch < 1
    assert three.random_weights_peak <= three.random_weights_touch


def test_one_token_for_all_sequences_finds_one_colour_only(measured: tuple[VideoMass, ...]) -> None:
    three = measured[1]
    assert three.always < 0.65  # red or blue, and the other sequence by chance


def test_red_token_alone_misses_the_blue_sequence(measured: tuple[VideoMass, ...]) -> None:
    one = measured[0]
    assert (one.loc, one.num_tokens) == (0, 1)
    assert one.kept == pytest.approx(one.always)
    assert 0.4 < one.kept < 0.65


def test_frames_can_be_thinned_out_evenly(tmp_path: Path) -> None:
    loaded = seeing(tmp_path)
    sequences = list_sequences(sequences_tar(tmp_path / "davis.tar", frames=5))
    told: list[tuple[int, int]] = []
    found = video_mass(
        loaded.model,
        loaded.model,
        sequences,
        [Choice(0, 2)],
        max_frames=3,
        progress=lambda done, total: told.append((done, total)),
    )
    assert found[0].frames == 4  # frames 0, 2, 4 of two sequences, of which 4 has an empty mask
    assert told == [(1, 2), (2, 2)]
    assert SEEING.num_tokens == 4


def test_missing_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no archive of sequences at .*none\.tar"):
        list_sequences(tmp_path / "none.tar")


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"no tar at all" * 100)
    with pytest.raises(DataError, match="not a plain tar"):
        list_sequences(tmp_path / "x.tar")


def test_archive_without_masks_is_refused(tmp_path: Path) -> None:
    path = tar_of(tmp_path / "x.tar", {"d/frames/a/0.jpg": b"x"})
    with pytest.raises(DataError, match="no frames with masks"):
        list_sequences(path)


def test_masks_of_another_size_are_refused(tmp_path: Path) -> None:
    files = {
        "frames/a/0.png": png(np.zeros((8, 8, 3), dtype=np.uint8)),
        "masks/a/0.png": png(np.zeros((8, 9), dtype=np.uint8)),
    }
    loaded = seeing(tmp_path)
    with pytest.raises(DataError, match=r"masks/a/0\.png and frames/a/0\.png differ in size"):
        video_mass(loaded.model, loaded.model, list_sequences(tar_of(tmp_path / "x.tar", files)), [Choice(0, 1)])


def test_sequences_without_any_object_are_refused(tmp_path: Path) -> None:
    files = {
        "frames/a/0.png": png(np.zeros((8, 8, 3), dtype=np.uint8)),
        "masks/a/0.png": png(np.zeros((8, 8), dtype=np.uint8)),
    }
    loaded = seeing(tmp_path)
    with pytest.raises(DataError, match="All masks of the sequences are empty"):
        video_mass(loaded.model, loaded.model, list_sequences(tar_of(tmp_path / "x.tar", files)), [Choice(0, 1)])


def test_unreadable_frame_is_named(tmp_path: Path) -> None:
    files = {"frames/a/0.jpg": b"broken", "masks/a/0.png": png(np.zeros((8, 8), dtype=np.uint8))}
    loaded = seeing(tmp_path)
    with pytest.raises(DataError, match=r"frames/a/0\.jpg cannot be read"):
        video_mass(loaded.model, loaded.model, list_sequences(tar_of(tmp_path / "x.tar", files)), [Choice(0, 1)])
