"""The form that trims a clip before a long run: what it says it will cost is what is analysed."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import cache, filmstrip, strips
from app.explore import asking
from app.filmstrip import Part, on_frames, strip_data
from app.items import Item, samples
from app.results import EVERYBODY
from app.strips import PARTS, Strips, StripView
from tests.app_cases import LIMIT_S, save_tiny_model, until
from tests.app_pages import button, captions, visit_of
from tests.engine_cases import VIDEO, pictures, write_photo
from tests.media_cases import write_video
from tests.test_app_explore import settled, upload
from tokenlearner import cards
from tokenlearner.media import MediaInfo, VideoWriter, probe

STEADY = np.arange(50) / 25


def media(times_s: np.ndarray = STEADY, duration_s: float = 2.0) -> MediaInfo:
    count = len(times_s)
    return MediaInfo(
        name="clip.mp4",
        kind="video",
        width=96,
        height=64,
        duration_s=duration_s,
        num_frames=count,
        fps=count / duration_s,
        codec="h264",
        container="mp4",
        rotation_deg=0,
        size_bytes=1,
        sha256="0" * 64,
    )


def made_clip(path: Path, count: int, fps: int) -> bytes:
    with VideoWriter(path, (46, 80), last_frame_s=1 / fps) as writer:
        for number, picture in enumerate(pictures(count, (46, 80))):
            writer.write(picture, number / fps)
    return path.read_bytes()


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "models"
    folder.mkdir()
    save_tiny_model(folder)
    monkeypatch.setattr(cards, "BUNDLED_DIR", folder)
    monkeypatch.setenv("TOKENLEARNER_CACHE", str(tmp_path / "cache"))
    st.cache_data.clear()
    yield folder
    st.cache_data.clear()


@pytest.fixture
def clip(models: Path, tmp_path: Path, repository: Path) -> AppTest:
    """The page with a clip of 2 s at 25 frames per second on it, all of it analysed."""
    at = AppTest.from_file(repository / "streamlit_app.py", default_timeout=LIMIT_S)
    at.session_state["item"] = "sample:cat"
    at = upload(settled(at), ("disc.mp4", made_clip(tmp_path / "disc.mp4", 50, 25)))
    assert r"**disc\.mp4** · 80 × 46 · 2.0 s · 50 frames" in captions(at)
    return at


def opened(at: AppTest) -> AppTest:
    """The page with the form open and its strip complete."""
    at.session_state["frames open"] = True
    at.run()
    for strip in cache.server().strips._strips._entries.values():
        strip.wait(LIMIT_S)
    return settled(at)


def control(at: AppTest, name: str) -> str:
    return f"{name} of {at.session_state['item']} in the popover"


def drag_to(at: AppTest, start_s: float, end_s: float | None) -> AppTest:
    """What a let-go handle brings about."""
    filmstrip_state = f"part of {control(at, 'strip')}"
    at.session_state[filmstrip_state] = Part(start_s=start_s, end_s=end_s, version=1)
    return at.run()


def cost(at: AppTest) -> str:
    (sentence,) = [text.value for text in at.markdown if "of memory." in text.value]
    return sentence


def frames_of(at: AppTest) -> list[float]:
    return visit_of(at).shown.analysis.timestamps_s.tolist()


def test_a_part_of_a_clip_is_analysed_on_request(clip):
    at = opened(clip)
    assert cost(at).startswith("**50 frames: about ")
    assert button(at, "Analyse").disabled
    at = drag_to(at, 0.4, 1.2)
    assert cost(at).startswith("**20 frames: about ")
    button(at, "Analyse").click()
    at = settled(at)
    np.testing.assert_allclose(frames_of(at), STEADY[10:30], atol=1e-6)
    assert "0.4 to 1.2 s · 20 of 50 frames" in captions(at)
    assert not at.session_state["frames open"]


def test_a_lower_frame_rate_is_analysed_at_its_price_and_says_so(clip):
    at = opened(clip)
    at.segmented_control(key=control(at, "rate")).set_value(5.0)
    at = drag_to(at, 0.4, None)
    assert cost(at).startswith("**8 of 40 frames: about ")
    button(at, "Analyse").click()
    at = settled(at)
    np.testing.assert_allclose(frames_of(at), STEADY[10::5], atol=1e-6)
    assert "8 of 50 frames · Resampled to 5 frames per second" in captions(at)


def test_the_most_frames_are_a_price_too(clip):
    at = opened(clip)
    at.number_input(key=control(at, "most")).set_value(10)
    at.run()
    assert cost(at).startswith("**10 of 50 frames: about ")
    at.segmented_control(key=control(at, "rate")).set_value(2.0)
    at.run()
    assert cost(at).startswith("**4 of 50 frames: about ")


def test_the_price_has_seconds_once_something_ran_here_and_says_so_before(clip):
    at = opened(clip)
    assert " s on " in cost(at)
    assert "first analysis" not in cost(at)
    cache.server()._paces.drop(lambda key: True)
    at.run()
    assert " s on " not in cost(at)
    assert "How long that takes is known after the first analysis." in cost(at)


def test_only_frame_rates_below_the_clips_own_are_offered(clip, tmp_path):
    at = opened(clip)
    assert at.segmented_control(key=control(at, "rate")).options == ["every frame", "15", "10", "5", "2", "1"]
    at.session_state["frames open"] = False
    at = opened(upload(at, ("slow.mp4", made_clip(tmp_path / "slow.mp4", 8, 4))))
    assert at.segmented_control(key=control(at, "rate")).options == ["every frame", "2", "1"]


def test_the_whole_clip_comes_back_with_one_button(clip):
    at = drag_to(opened(clip), 0.4, 1.2)
    button(at, "Whole clip").click()
    at.run()
    assert cost(at).startswith("**50 frames: about ")
    assert button(at, "Whole clip").disabled
    kept = at.session_state[f"part of {control(at, 'strip')}"]
    assert kept == Part(version=2)  # newer than what the browser has, so that the handles follow


def test_a_choice_that_was_not_analysed_is_gone_when_the_form_opens_again(clip):
    at = drag_to(opened(clip), 0.4, 1.2)
    at.session_state["frames open"] = False
    at.run()
    at = opened(at)
    assert cost(at).startswith("**50 frames: about ")


def test_a_long_run_asks_with_the_form_and_its_part_is_analysed_without_asking_again(clip, tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "LONG_S", 0.0)
    at = upload(clip, ("long.mp4", made_clip(tmp_path / "long.mp4", 30, 25)))
    (question,) = at.info
    assert question.value.startswith(r"long\.mp4 would take about ")
    key = f"rate of {at.session_state['item']} in the question"
    at.segmented_control(key=key).set_value(5.0)
    at.run()
    assert cost(at).startswith("**6 of 30 frames: about ")
    button(at, "Analyse").click()
    at = settled(at)
    assert not at.info
    assert len(frames_of(at)) == 6


def test_a_video_model_says_what_a_lower_frame_rate_does_to_it(clip, models):
    save_tiny_model(models, "video", config=VIDEO)
    st.cache_data.clear()
    at = clip.run()
    next(radio for radio in at.radio if radio.label == "Model").set_value("video")
    at = opened(settled(at))
    assert "times as fast" not in cost(at)
    at.segmented_control(key=control(at, "rate")).set_value(5.0)
    at.run()
    assert "At 5 of 25 frames per second, everything moves 5 times as fast for this model." in cost(at)


def test_a_photo_has_no_strip(clip, tmp_path):
    at = upload(clip, ("made.png", write_photo(tmp_path / "made.png", (33, 60)).read_bytes()))
    at = opened(at)
    labels = [widget.label for widget in at.segmented_control]
    assert "Frames per second" not in labels
    assert "What the model sees" in labels
    assert not at.number_input
    assert cost(at).startswith("**1 frame: about ")


# The strip ------------------------------------------------------------------------------------------------------------


def item_of(path: Path, sha256: str = "a") -> Item:
    return Item(key=f"file:{sha256}", name=path.name, kind="video", info=probe(path), path=path)


def test_a_strip_is_read_once_beside_the_page(tmp_path):
    path = write_video(tmp_path / "a.mp4", 120)
    held = Strips()
    strip = held.of("anna", item_of(path))
    assert held.of("anna", item_of(path)) is strip
    view = strip.wait(LIMIT_S)
    assert view.done
    assert (len(view.pictures), view.held) == (PARTS, PARTS)
    assert all(picture.startswith(b"\xff\xd8") for picture in view.pictures)
    assert (view.info.num_frames, len(view.times_s)) == (120, 120)


def test_a_strip_that_nobody_waits_for_any_more_is_not_read_to_its_end(tmp_path, monkeypatch):
    begun, go = threading.Event(), threading.Event()
    read: list[str] = []
    encode, open_strip = strips.encode_jpeg, strips.open_thumbnails

    def halting(*given: object) -> bytes:
        begun.set()
        assert go.wait(LIMIT_S)
        return encode(*given)

    def noting(path: Path, *given: object, **named: object) -> object:
        read.append(path.name)
        return open_strip(path, *given, **named)

    monkeypatch.setattr(strips, "encode_jpeg", halting)
    monkeypatch.setattr(strips, "open_thumbnails", noting)
    held = Strips()
    running = held.of("anna", item_of(write_video(tmp_path / "a.mp4", 60)))
    assert begun.wait(LIMIT_S)
    waiting = held.of("anna", item_of(write_video(tmp_path / "b.mp4", 61), "b"))
    his = held.of("ben", item_of(write_video(tmp_path / "c.mp4", 62)))
    held.release("anna")
    go.set()
    assert his.wait(LIMIT_S).held == PARTS
    assert (running.view.held, waiting.view.held) == (1, 0)
    assert running.view.done
    assert waiting.view.done
    assert read == ["a.mp4", "c.mp4"]


def test_a_strip_can_be_seen_while_it_is_read(tmp_path, monkeypatch):
    first, go_on = threading.Event(), threading.Event()
    encode = strips.encode_jpeg

    def halting(rgb, quality):
        if first.is_set():
            assert go_on.wait(LIMIT_S)
        first.set()
        return encode(rgb, quality)

    monkeypatch.setattr(strips, "encode_jpeg", halting)
    strip = Strips().of("anna", item_of(write_video(tmp_path / "a.mp4", 60)))
    until(lambda: strip.view.held == 1)
    assert not strip.view.done
    assert strip.view.info is not None
    go_on.set()
    assert strip.wait(LIMIT_S).held == PARTS


def test_a_visitors_strips_go_with_the_visitor_and_those_of_samples_stay(tmp_path):
    held = Strips()
    photo = next(item for item in samples() if item.kind == "image")
    mine, shared = held.of("anna", item_of(write_video(tmp_path / "a.mp4"))), held.of("anna", photo)
    assert held.of("ben", photo) is shared
    held.release("anna")
    assert held.of("ben", photo) is shared
    assert held.of("anna", item_of(tmp_path / "a.mp4")) is not mine
    assert {owner for owner, _ in held._strips._entries} == {"anna", EVERYBODY}


def test_strips_are_bounded(tmp_path):
    held = Strips(max_strips=2)
    path = write_video(tmp_path / "a.mp4")
    for number in range(3):
        held.of("anna", item_of(path, str(number)))
    assert len(held._strips) == 2


def test_a_file_that_is_gone_has_no_pictures_and_breaks_nothing(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    item = item_of(path)
    path.unlink()
    view = Strips().of("anna", item).wait(LIMIT_S)
    assert (view.done, view.held, view.info) == (True, 0, None)


def test_the_strip_travels_with_times_that_the_browser_can_count(monkeypatch):
    times = np.array([0.0, 0.04, 0.1, 0.5])
    view = StripView(pictures=(b"\xff\xd8", None), times_s=times, done=True)
    data = strip_data(media(times, 0.6), view, Part(start_s=0.1, version=3), player="player")
    assert data["steps"] == [400, 600, 4000]
    assert (data["start"], data["end"], data["version"], data["player"]) == (0.1, 0.6, 3, "player")
    assert data["pictures"] == ["data:image/jpeg;base64,/9g=", None]
    assert data["aspect"] == 1.5
    monkeypatch.setattr(filmstrip, "_MOST_TIMES", 2)
    assert strip_data(media(times, 0.6), view, Part(), player=None)["steps"] == [1000]


@pytest.mark.parametrize(
    ("told", "part"),
    [
        ((0.0, 2.0), (0.0, None)),
        ((0.41, 1.19), (0.4, 1.2)),
        ((0.4, 0.4), (0.4, 0.44)),
        ((1.0, 0.2), (1.0, 1.04)),
        ((-3.0, 99.0), (0.0, None)),
        ((5.0, 6.0), (1.96, None)),
    ],
)
def test_a_part_lies_between_frames_and_holds_at_least_one(told, part):
    found = on_frames(media(), StripView(times_s=STEADY), *told)
    assert found == part
    assert found == on_frames(media(), StripView(), *told)  # an even frame rate needs no times


def test_a_part_of_a_variable_frame_rate_lies_between_its_frames():
    times = np.array([0.0, 0.1, 0.2, 5.2, 5.3])
    view = StripView(times_s=times)
    assert on_frames(media(times, 5.4), view, 0.14, 2.0) == (0.1, 0.2)
    assert on_frames(media(times, 5.4), view, 3.0, 5.2) == (5.2, 5.3)


def test_what_the_browser_sends_is_made_sound(monkeypatch):
    state: dict[str, object] = {"strip": {"part": {"start": 0.41, "end": 1.2, "version": 4}}}
    monkeypatch.setattr(filmstrip.st, "session_state", state)
    filmstrip._take(media(), StripView(times_s=STEADY), "strip")
    assert filmstrip.held("strip", Part()) == Part(start_s=0.4, end_s=1.2, version=4)
    for nonsense in (None, {"part": 7}, {"part": {"start": "0", "end": 1, "version": 5}}, {"part": {"start": 0.1}}):
        state["strip"] = nonsense
        filmstrip._take(media(), StripView(times_s=STEADY), "strip")
        assert filmstrip.held("strip", Part()).version == 4
