"""Pages opened by a link: what it asks for is there, or is said to be missing and comes with its file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.explore.wish import Framing
from tests.app_cases import save_tiny_model
from tests.app_pages import app_page, captions, visit_of
from tests.engine_cases import pictures, write_clip, write_photo
from tests.test_app_explore import settled, slider, upload
from tokenlearner.media import Sampling, probe


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder)
    return folder


@pytest.fixture
def page(models: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    with app_page(repository / "streamlit_app.py", models, monkeypatch) as at:
        yield at


def opened(at: AppTest, **query: str) -> AppTest:
    for name, value in query.items():
        at.query_params[name] = value
    return settled(at)


def noted(at: AppTest) -> list[str]:
    return [note.value.replace("\\", "") for note in at.info]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_clip(tmp_path / "disc.mp4", pictures(9, (46, 86)))


def test_a_link_to_a_file_sets_everything_up_when_that_file_arrives(page, clip):
    key = f"file:{probe(clip).sha256[:16]}"
    at = opened(
        page,
        item=key,
        name="disc.mp4",
        model="tiny",
        k="5",
        loc="3",
        mute="2",
        **{"from": "0.1", "frames": "4", "fit": "crop"},
    )
    (note,) = noted(at)
    assert note.startswith(
        "This address shows “disc.mp4”, an uploaded file, and the server does not have it any more or"
    )
    at = upload(at, ("other name.mp4", clip.read_bytes()))
    assert noted(at) == []
    request = visit_of(at).shown.request
    wanted = Framing(sampling=Sampling(start_s=0.1, max_frames=4), resize="crop")
    assert (request.sampling, request.resize) == (wanted.sampling, wanted.resize)
    assert (slider(at, "Tokens").value, slider(at, "Place of TokenLearner").value) == (5, 3)
    assert "Without token 2: " in captions(at)


def test_another_file_than_the_link_is_about_is_said_to_be_another(page, clip, tmp_path):
    key = f"file:{probe(clip).sha256[:16]}"
    at = opened(page, item=key, name="disc.mp4", frames="4")
    at = upload(at, ("photo.png", write_photo(tmp_path / "made.png", (31, 62)).read_bytes()))
    assert noted(at) == [
        "“photo.png” is another file than the one that the link shows, so nothing else of it is restored."
    ]
    at.selectbox[0].set_value("sample:cat")
    at = settled(at)
    assert noted(at) == []


def test_what_the_link_misses_is_no_longer_said_when_a_sample_is_chosen(page, clip):
    at = opened(page, item=f"file:{'0' * 64}", name="gone.mp4")
    assert len(noted(at)) == 1
    at.selectbox[0].set_value("sample:cat")
    at = settled(at)
    assert noted(at) == []


def test_what_the_model_cannot_do_is_said(page):
    at = opened(page, item="sample:cat", model="tiny", k="20", loc="2")
    assert noted(at) == [
        "This link asks for a place (“2”) where tiny has no TokenLearner.",
        "This link asks for 20 tokens; tiny has 6 tokens at most.",
    ]
    assert (slider(at, "Tokens").value, slider(at, "Place of TokenLearner").value) == (6, 1)


def test_a_link_without_tokens_and_place_says_nothing_about_them(page):
    assert noted(opened(page, item="sample:cat", model="tiny")) == []


@pytest.mark.parametrize("query", [{"present": "1"}, {"item": "sample:cat", "present": "true"}])
def test_a_link_can_open_in_presenter_mode_and_one_can_leave_it(page, query):
    at = opened(page, **query)
    leave = next(button for button in at.button if button.label == "Leave")
    assert at.session_state["presents"]
    leave.click()
    at = settled(at)
    assert not at.session_state["presents"]
    assert "Leave" not in [button.label for button in at.button]
