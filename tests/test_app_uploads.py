"""Uploads: on disk at once, known by content, bounded, refused with one sentence, and gone when the page is."""

import dataclasses
import errno
import gc
import io
import re
import threading
from pathlib import Path

import pytest

from app.items import from_upload, labels, samples
from app.uploads import APP_LIMITS, UploadFolder, describe_limits, limits_from
from app.visits import Visits
from tests.app_cases import leave, until
from tests.engine_cases import pictures, write_clip, write_photo
from tokenlearner.errors import ConfigError, MediaError, MediaLimitError


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
    words = "Up to 200 MB a file, 50 megapixels a picture, 30 min of a video at a time, and 5 min to read it."
    assert describe_limits(limits_from({})) == words
    smaller = {"TOKENLEARNER_MAX_FILE_MB": "30", "TOKENLEARNER_MAX_MEGAPIXELS": "12", "TOKENLEARNER_MAX_VIDEO_S": "90"}
    words = "Up to 30 MB a file, 12 megapixels a picture, 90 s of a video at a time, and 40 s to read it."
    assert describe_limits(limits_from({**smaller, "TOKENLEARNER_MAX_DECODE_S": "40"})) == words


@pytest.mark.parametrize("text", ["", "0", "-3", "many", "1.5"])
def test_a_limit_that_is_no_number_is_refused_by_its_name(text):
    with pytest.raises(ConfigError, match="TOKENLEARNER_MAX_VIDEO_S must be a whole number from 1 on"):
        limits_from({"TOKENLEARNER_MAX_VIDEO_S": text})


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
    leave(visits, "anna")
    assert ended.wait(20)
    assert told == [("leave", "anna"), ("end", "anna")]
    assert not upload.path.exists()
    assert stays.path.exists()
    assert len(visits) == 1
    visits.arrive("ben").uploads.close()


class Connection:
    """Breaks and comes back; notes how often it was looked at."""

    def __init__(self) -> None:
        self.is_there = True
        self.looks = 0

    def __call__(self) -> bool:
        self.looks += 1
        return self.is_there

    def looked_at(self, times: int) -> None:
        """Wait until it was looked at so many times more."""
        goal = self.looks + times
        until(lambda: self.looks >= goal)


def test_a_page_whose_connection_comes_back_keeps_its_files_though_it_never_runs_again(photo):
    told: list[str] = []
    visits = Visits(0.4, patience_s=0.04, on_leave=told.append, on_end=told.append)
    line = Connection()
    upload = visits.arrive("anna", line).uploads.add(io.BytesIO(photo), "disc.png")
    line.looked_at(2)
    line.is_there = False
    until(lambda: told == ["anna"])  # away for longer than the patience: its jobs stop
    line.is_there = True
    line.looked_at(60)  # longer than the grace
    assert (told, upload.path.exists(), len(visits)) == (["anna"], True, 1)
    line.is_there = False
    until(lambda: told == ["anna", "anna", "anna"])  # it left again, and ended
    assert not upload.path.exists()
    until(lambda: not visits._is_watched)


def test_a_blip_stops_nothing():
    told: list[str] = []
    visits = Visits(20, patience_s=8, on_leave=told.append)
    line = Connection()
    visits.arrive("anna", line)
    for is_there in (False, True, False):
        line.is_there = is_there
        visits._look()
    assert told == []
    visits._pages["anna"].seen_s -= 9
    visits._look()
    visits._look()
    assert told == ["anna"], "told once"
    visits.arrive("anna").uploads.close()


def test_files_do_not_outlive_the_server(photo):
    folder = UploadFolder()
    path = folder.add(io.BytesIO(photo), "disc.png").path
    del folder
    gc.collect()
    assert not path.parent.exists()


def test_a_full_disk_is_said_in_a_sentence_and_leaves_nothing(folder, photo, monkeypatch):
    def full(self, target):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(MediaError, match=r"disc\.png could not be stored on the server: no space left on device\."):
        folder.add(io.BytesIO(photo), "disc.png")
    assert folder.kept == ()


def test_no_two_files_of_a_list_are_called_the_same_and_what_is_there_keeps_its_label(folder, photo):
    first = from_upload(folder.add(io.BytesIO(photo), "camera.jpg"))
    second = dataclasses.replace(first, key="file:2")
    cat = next(item for item in samples() if item.name == "Cat")
    named_like_it = dataclasses.replace(first, key="file:3", name="Cat (photo)", path=None)
    assert labels([first, cat]) == {first.key: "camera.jpg (yours)", cat.key: "Cat (photo)"}
    assert labels([second, first, cat])[first.key] == "camera.jpg (yours)"
    assert labels([second, first, cat])["file:2"] == "camera.jpg (yours) · 2"
    assert len(set(labels([named_like_it, second, first, *samples()]).values())) == 3 + len(samples())
