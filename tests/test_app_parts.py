"""Long clips can be watched while the rest is being analysed: server and page, without a browser."""

import io
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from app import cache
from app.desk import Pressed
from app.explore import parts as page_parts
from app.explore.tokens import whose
from app.items import from_upload
from app.jobs import JobState
from app.server import Server
from app.visits import DEFAULT_PATIENCE_S, LOST
from tests.app_cases import LIMIT_S, request_for, save_tiny_model, tiny_choice, until
from tests.app_pages import app_page, captions, visit_of
from tests.engine_cases import pictures, write_clip
from tokenlearner.engine import AnalysisSettings, parts
from tokenlearner.engine.network import Network
from tokenlearner.errors import Cancelled

FRAMES = 23
BATCH = 3


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(FRAMES, (46, 80)))


class Gate:
    """Lets a network run so many batches, and no more until it is opened further."""

    def __init__(self) -> None:
        self._batches = threading.Semaphore(0)
        self._open = threading.Event()

    def let(self, batches: int) -> None:
        for _ in range(batches):
            self._batches.release()

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        while not (self._open.is_set() or self._batches.acquire(timeout=0.02)):
            pass


@pytest.fixture
def gate(monkeypatch) -> Iterator[Gate]:
    """Parts as soon as the frames have doubled; batches of three of a clip run when they are let."""
    monkeypatch.setattr(parts, "FIRST_S", 0.0)
    monkeypatch.setattr(parts, "REST_S", -1.0)
    monkeypatch.setattr("tokenlearner.engine.progress._MIN_SECONDS", 0.0)
    monkeypatch.setattr("tokenlearner.engine.batching._MAX_BATCH", {"cpu": BATCH})
    made = Gate()
    plain_full = Network.full

    def gated(self, rgb, *args, **kwargs):
        if len(rgb) == BATCH:
            made.wait()
        return plain_full(self, rgb, *args, **kwargs)

    monkeypatch.setattr(Network, "full", gated)
    yield made
    made.open()


# The server


@pytest.fixture
def server():
    made = Server(grace_s=0.05)
    yield made
    made.worker("cpu").close()


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_choice(tmp_path_factory.mktemp("models"))


def bring(server: Server, name: str, clip: Path):
    visit = server.visits.arrive(name)
    return visit, from_upload(visit.uploads.add(io.BytesIO(clip.read_bytes()), f"{name}.mp4"))


def frames_in(media: bytes) -> int:
    with av.open(io.BytesIO(media)) as container:
        return sum(1 for _ in container.decode(video=0))


def test_a_running_analysis_has_a_part_whose_clip_fits_its_maps(server, model, clip, gate):
    anna, item = bring(server, "anna", clip)
    request = request_for(item.key, model)
    job = server.analyse(anna, item, model, request, AnalysisSettings(), with_parts=True)
    assert server.part(request) is None
    frames = []
    for batches in (1, 1, 2):
        gate.let(batches)
        done = 3 * sum((1, 1, 2)[: len(frames) + 1])
        until(lambda done=done: (part := server.part(request)) is not None and part.analysis.timings.frames == done)
        part = server.part(request)
        assert part.is_part
        assert len(part.analysis.token_maps) == frames_in(part.clip.media) == done
        frames.append(part)
    gate.open()
    whole = job.result()
    assert not whole.is_part
    assert frames_in(whole.clip.media) == FRAMES
    for part in frames:
        done = len(part.analysis.token_maps)
        assert np.array_equal(part.analysis.token_maps, whole.analysis.token_maps[:done])
    assert server.part(request) is None
    assert server.results.get(request, "anna") is whole


def test_whoever_waits_for_the_same_sees_the_part_as_well_and_nobody_else(server, model, clip, gate):
    (anna, item), (ben, same) = bring(server, "anna", clip), bring(server, "ben", clip)
    request = request_for(item.key, model)
    server.analyse(anna, item, model, request, AnalysisSettings(), with_parts=True)
    waits = server.analyse(ben, same, model, request_for(same.key, model), AnalysisSettings(), with_parts=True)
    gate.let(1)
    until(lambda: server.part(request_for(same.key, model)) is not None)
    assert server.part(request_for("file:another", model)) is None
    assert server.part(request_for(item.key, model, resize="crop")) is None
    gate.open()
    assert not waits.result().is_part


def test_a_part_is_never_a_result(server, model, clip, gate):
    anna, item = bring(server, "anna", clip)
    request = request_for(item.key, model)
    job = server.analyse(anna, item, model, request, AnalysisSettings(), with_parts=True)
    gate.let(2)
    until(lambda: server.part(request) is not None)
    assert request not in server.results
    job.cancel()
    gate.open()
    with pytest.raises(Cancelled):
        job.result()
    assert server.part(request) is None
    assert request not in server.results


def test_without_asking_there_is_no_part(server, model, clip, gate, monkeypatch):
    monkeypatch.setattr("app.clips.ClipRecorder.part", lambda *_: pytest.fail("a part was made"))
    anna, item = bring(server, "anna", clip)
    gate.open()
    job = server.analyse(anna, item, model, request_for(item.key, model), AnalysisSettings())
    assert frames_in(job.result().clip.media) == FRAMES


# The page


@pytest.fixture
def page(tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with a photograph and the tiny model, settled."""
    models = tmp_path / "models"
    models.mkdir()
    save_tiny_model(models)
    with app_page(repository / "streamlit_app.py", models, monkeypatch, item="sample:cat") as at:
        at.run()
        finished(at)
        yield at


def finished(at: AppTest) -> None:
    """Wait for the job that the page is waiting for, and show what it found."""
    for _ in range(10):
        visit = visit_of(at)
        if visit.job is not None:
            assert visit.job[1].wait(LIMIT_S)
        at.run()
        assert not at.exception, at.exception[0].value
        if visit.job is None and "Cancel" not in [button.label for button in at.button]:
            return
    pytest.fail("the page did not settle")


def sliders(at: AppTest) -> dict[str, object]:
    return {one.label: one for one in (*at.slider, *at.select_slider)}


def labels(at: AppTest) -> list[str]:
    return [button.label for button in at.button]


def begun(at: AppTest, clip: Path, gate: Gate, batches: int = 2) -> None:
    """Upload a clip, run its first batches, and show what is known."""
    at.file_uploader[0].set_value([("long.mp4", clip.read_bytes(), "video/mp4")])
    at.run()
    grown(at, gate, batches)


def grown(at: AppTest, gate: Gate, batches: int) -> None:
    server, (request, _) = cache.server(), visit_of(at).job
    shown = visit_of(at).shown
    before = shown.analysis.timings.frames if shown.request == request else 0
    gate.let(batches)
    wanted = before + BATCH * batches
    until(lambda: (part := server.part(request)) is not None and part.analysis.timings.frames == wanted)
    at.run()
    assert not at.exception, at.exception[0].value


def test_the_earlier_result_stays_until_there_is_a_part(page, clip, gate):
    page.file_uploader[0].set_value([("long.mp4", clip.read_bytes(), "video/mp4")])
    page.run()
    assert "**Cat** ·" in captions(page)
    assert not sliders(page)["Tokens"].disabled
    grown(page, gate, 1)
    assert r"**long\.mp4** ·" in captions(page)
    assert "**Cat** ·" not in captions(page)


def test_a_part_says_how_much_it_is_and_that_the_rest_is_on_its_way(page, clip, gate):
    begun(page, clip, gate)
    assert "· **the first 0.60 s of 2.3 s** ·" in captions(page)
    assert "6 of 23 frames" in captions(page)
    assert "Cancel" in labels(page)
    grown(page, gate, 2)
    assert "· **the first 1.2 s of 2.3 s** ·" in captions(page)
    gate.open()
    finished(page)
    assert "the first" not in captions(page)
    assert "23 frames" in captions(page)
    assert not page.error


def test_what_needs_the_whole_clip_waits_for_it_and_sliders_keep_their_values(page, clip, gate):
    sliders(page)["Tokens"].set_value(4)
    sliders(page)["Place of TokenLearner"].set_value(3)
    page.run()
    begun(page, clip, gate)
    assert visit_of(page).shown.analysis.num_tokens == 4
    assert {
        label: one.disabled for label, one in sliders(page).items() if label in ("Tokens", "Place of TokenLearner")
    } == {
        "Tokens": True,
        "Place of TokenLearner": True,
    }
    assert page_parts.SLIDERS_WAIT in captions(page)
    assert "Files and a link come when the whole clip is analysed" in captions(page)
    for view in ("Cause", "Doubt", "Overlap"):
        page.segmented_control(key="below a clip").set_value(view)
        page.run()
        assert not page.exception
        assert page_parts.WAITS in captions(page)
        assert not {"Find out", "What is each token worth?"} & set(labels(page))
    gate.open()
    finished(page)
    assert (sliders(page)["Tokens"].value, sliders(page)["Place of TokenLearner"].value) == (4, 3)
    assert not sliders(page)["Tokens"].disabled
    assert visit_of(page).shown.analysis.num_tokens == 4
    assert page_parts.WAITS not in captions(page)


def test_muted_tokens_count_from_the_whole_clip_on(page, clip, gate):
    begun(page, clip, gate)
    shown = visit_of(page).shown
    page.session_state[f"desk of 6 for {whose(shown.request.item, shown.model)}"] = Pressed(muted=(1, 4))
    page.run()
    assert "Without tokens" not in captions(page)
    gate.open()
    finished(page)
    assert "Without tokens 2, 5: " in captions(page)


def test_cancel_leaves_what_was_analysed_and_says_so(page, clip, gate):
    begun(page, clip, gate)
    next(one for one in page.button if one.label == "Cancel").click()
    page.run()
    gate.open()
    until(lambda: not cache.server().worker("cpu").is_busy)
    page.run()
    assert [note.value for note in page.info] == [r"long\.mp4: Stopped. The first 0.60 s of 2.3 s stay here."]
    assert "**the first 0.60 s of 2.3 s, the rest was not analysed**" in captions(page)
    assert "Cancel" not in labels(page)
    next(one for one in page.button if one.label.startswith("Go on (about ")).click()
    page.run()
    finished(page)
    assert "23 frames" in captions(page)
    assert not page.info


def test_what_a_broken_connection_stopped_says_so_when_the_page_is_back(page, clip, gate):
    begun(page, clip, gate)
    visits, visit = cache.server().visits, visit_of(page)
    job = visit.job[1]
    visits.arrive(visit.id, lambda: False)
    visits._pages[visit.id].seen_s -= DEFAULT_PATIENCE_S
    visits._look()
    gate.open()
    assert job.wait(LIMIT_S)
    page.run()
    (note,) = page.info
    assert note.value == rf"long\.mp4: {LOST} The first 0.60 s of 2.3 s stay here."
    next(one for one in page.button if one.label.startswith("Go on")).click()
    page.run()
    finished(page)
    assert "23 frames" in captions(page)


def test_an_earlier_wish_that_still_runs_keeps_its_progress_and_its_cancel(page, clip, gate):
    sample = page.selectbox[0].value
    begun(page, clip, gate)
    page.selectbox[0].set_value(sample)
    page.run()
    visit = visit_of(page)
    assert visit.shown.request.item == sample
    assert next(iter(page.get("progress"))).proto.text.startswith(r"long\.mp4: ")
    next(one for one in page.button if one.label == "Cancel").click()
    page.run()
    assert visit.job is None
    assert "Cancel" not in labels(page)
    assert visit_of(page).shown.request.item == sample
    gate.open()


def test_going_on_does_not_take_back_what_is_there(page, clip, gate):
    begun(page, clip, gate, 4)
    first = visit_of(page).shown
    next(one for one in page.button if one.label == "Cancel").click()
    page.run()
    gate.let(1)
    until(lambda: not cache.server().worker("cpu").is_busy)
    next(one for one in page.button if one.label.startswith("Go on (about ")).click()
    page.run()
    request, job = visit_of(page).job
    gate.let(2)
    until(lambda: cache.server().part(request) is not None)
    page.run()
    assert visit_of(page).shown is first
    assert "the first 1.2 s of 2.3 s" in captions(page)
    gate.open()
    finished(page)
    assert job.state is JobState.DONE
    assert not visit_of(page).shown.is_part


def test_an_analysis_that_fails_half_way_leaves_its_part_and_the_reason(page, clip, gate, monkeypatch):
    begun(page, clip, gate)
    monkeypatch.setattr(Network, "full", refuse)
    gate.open()
    finished(page)
    (error,) = page.error
    assert re.search(
        r"does not hold one frame.* The first 0\.60 s of 2\.3 s stay here\.$", error.value.replace("\\", "")
    )
    assert "the rest was not analysed" in captions(page)


def refuse(self: Network, *args: object, **kwargs: object) -> Callable[..., object]:
    raise MemoryError


def test_another_wish_leaves_a_part_alone_until_it_has_something_to_show(page, clip, gate):
    begun(page, clip, gate)
    page.selectbox[0].set_value("sample:coffee")
    page.run()
    gate.open()
    finished(page)
    assert "**Coffee**" in captions(page)
    assert "the first" not in captions(page)
