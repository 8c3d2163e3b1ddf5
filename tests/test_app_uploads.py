"""Uploads: on disk at once, known by content, bounded, refused with one sentence, and gone when the page is."""

import dataclasses
import io
import re
import threading
import time
from pathlib import Path

import pytest

from app.items import from_upload, labels, samples
from app.uploads import APP_LIMITS, UploadFolder, describe_limits
from app.visits import Visits
from tests.engine_cases import pictures, write_clip, write_photo
from tokenlearner.errors import MediaError, MediaLimitError


@pytest.fixture
def folder():
    made = UploadFolder(max_kept=3)
    yield made
    made.close()


@pytest.fixture
def photo(tmp_path):
    return write_photo(tmp_path / "disc.png", (30, 50)).read_bytes()


@pytest.fixture
def clip(tmp_path):
    return write_clip(tmp_path / "disc.mp4", pictures(5, (46, 80))).read_bytes()


def stored_in(folder: UploadFolder) -> list[Path]:
    return sorted(folder._folder.iterdir())


def test_a_photo_is_written_to_disk_and_described(folder, photo):
    upload = folder.add(io.BytesIO(photo), "disc.png")
    assert upload.path.read_bytes() == photo
    assert (upload.info.kind, upload.info.width, upload.info.height) == ("image", 50, 30)
    item = from_upload(upload)
    assert (item.name, item.kind, item.key) == ("disc.png", "image", f"file:{upload.info.sha256}")
    assert item.locate() == upload.path


def test_a_clip_keeps_its_length(folder, clip):
    upload = folder.add(io.BytesIO(clip), "disc.mp4")
    assert (upload.info.kind, upload.info.num_frames) == ("video", 5)
    assert upload.info.duration_s == pytest.approx(0.5, abs=0.1)


def test_the_same_content_again_is_the_same_file_under_its_new_name(folder, photo, clip):
    folder.add(io.BytesIO(photo), "first.png")
    folder.add(io.BytesIO(clip), "disc.mp4")
    again = folder.add(io.BytesIO(photo), "second.png")
    assert [upload.name for upload in folder.kept] == ["second.png", "disc.mp4"]
    assert len(stored_in(folder)) == 2
    assert again.path.read_bytes() == photo


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\photos\\disc.png", "disc.png"),
        ("a\x00b\u202egnp.exe\n.png", "abgnp.exe.png"),
        ("", "unnamed file"),
        ("<img src=x onerror=alert(1)>.png", "<img src=x onerror=alert(1)>.png"),
        ("n" * 300 + ".jpeg", "n" * 47 + "…" + "n" * 7 + ".jpeg"),
    ],
)
def test_a_name_never_becomes_part_of_the_path(folder, photo, given, shown):
    upload = folder.add(io.BytesIO(photo), given)
    assert (upload.name, upload.info.name) == (shown, shown)
    assert upload.path.parent == folder._folder
    assert re.fullmatch(r"[0-9a-f]{64}", upload.path.name)


@pytest.mark.parametrize("content", [b"", b"this is no picture", b"\x89PNG\r\n\x1a\n" + bytes(50)])
def test_what_cannot_be_read_is_refused_with_its_name_and_leaves_nothing(folder, content):
    with pytest.raises(MediaError, match=r"^notes\.png "):
        folder.add(io.BytesIO(content), "notes.png")
    assert folder.kept == ()
    assert stored_in(folder) == []


def test_a_file_beyond_the_limit_is_refused_before_all_of_it_is_written(photo):
    folder = UploadFolder(dataclasses.replace(APP_LIMITS, max_file_bytes=1000))
    file = io.BytesIO(photo + bytes(3 * 1024**2))
    with pytest.raises(MediaLimitError, match=r"^disc\.png is larger than 1\.0 kB, the limit here\."):
        folder.add(file, "disc.png")
    assert file.tell() <= 1024**2
    assert stored_in(folder) == []
    folder.close()


def test_the_oldest_file_makes_room(folder, tmp_path):
    names = [f"{height}.png" for height in (20, 21, 22, 23)]
    for name in names:
        photo = write_photo(tmp_path / name, (int(name[:2]), 33))
        folder.add(io.BytesIO(photo.read_bytes()), name)
    assert [upload.name for upload in folder.kept] == names[:0:-1]
    assert len(stored_in(folder)) == 3


def test_closing_removes_the_folder(folder, photo):
    upload = folder.add(io.BytesIO(photo), "disc.png")
    folder.close()
    assert not upload.path.parent.exists()
    assert folder.kept == ()


def test_the_limits_are_stated_in_words():
    assert describe_limits() == "Up to 200 MB a file, 50 megapixels a picture, and 30 min of a video at a time."


def test_a_page_that_is_gone_gives_its_files_back_after_a_while(photo):
    ended = threading.Event()
    told: list[tuple[str, str]] = []

    def end(visit_id: str) -> None:
        told.append(("end", visit_id))
        ended.set()

    visits = Visits(0.05, on_leave=lambda visit_id: told.append(("leave", visit_id)), on_end=end)
    visit = visits.arrive("anna")
    stays = visits.arrive("ben").uploads.add(io.BytesIO(photo), "disc.png")
    upload = visit.uploads.add(io.BytesIO(photo), "disc.png")
    visits.leave("anna")
    assert ended.wait(20)
    assert told == [("leave", "anna"), ("end", "anna")]
    assert not upload.path.exists()
    assert stays.path.exists()
    assert len(visits) == 1
    visits.arrive("ben").uploads.close()


def test_a_page_that_comes_back_in_time_keeps_its_files(photo):
    visits = Visits(0.3)
    visit = visits.arrive("anna")
    upload = visit.uploads.add(io.BytesIO(photo), "disc.png")
    visits.leave("anna")
    assert visits.arrive("anna") is visit
    time.sleep(0.6)
    assert upload.path.exists()
    visit.uploads.close()


def test_no_two_files_of_a_list_are_called_the_same_and_what_is_there_keeps_its_label(folder, photo):
    first = from_upload(folder.add(io.BytesIO(photo), "camera.jpg"))
    second = dataclasses.replace(first, key="file:2")
    cat = next(item for item in samples() if item.name == "Cat")
    named_like_it = dataclasses.replace(first, key="file:3", name="Cat (photo)", path=None)
    assert labels([first, cat]) == {first.key: "camera.jpg (yours)", cat.key: "Cat (photo)"}
    assert labels([second, first, cat])[first.key] == "camera.jpg (yours)"
    assert labels([second, first, cat])["file:2"] == "camera.jpg (yours) · 2"
    assert len(set(labels([named_like_it, second, first, *samples()]).values())) == 3 + len(samples())
