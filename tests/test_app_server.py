"""The app's side of the library: analyses in turn, quick changes from kept features, and memory that comes back."""

import dataclasses
import threading

import numpy as np
import pytest

from app import server as server_module
from app.bounded import Bounded
from app.clips import BrowserClip
from app.items import Item, from_upload
from app.jobs import JobState
from app.results import EVERYBODY, Results, Shown
from app.server import PLAIN, Server
from app.visits import LOST, Visit
from tests.app_cases import LIMIT_S, leave, request_for, tiny_choice, until
from tests.engine_cases import can_rerun, pictures, write_clip
from tokenlearner import flops
from tokenlearner.engine import AnalysisSettings, Progress
from tokenlearner.errors import Cancelled, CheckpointError, FeaturesGone, MediaError
from tokenlearner.media import Sampling
from tokenlearner.media.video import VideoSource


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_choice(tmp_path_factory.mktemp("models"))


@pytest.fixture
def server():
    made = Server(grace_s=0.05)
    yield made
    made.worker("cpu").close()


@pytest.fixture
def anna(server):
    visit = server.visits.arrive("anna")
    yield visit
    visit.uploads.close()


@pytest.fixture(scope="module")
def clip_path(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(7, (46, 80)))


@pytest.fixture
def item(anna, clip_path):
    with clip_path.open("rb") as file:
        return from_upload(anna.uploads.add(file, "disc.mp4"))


def analysed(server, visit, item, model, settings=None, **changes):
    request = request_for(item.key, model, **changes)
    return server.analyse(visit, item, model, request, settings or AnalysisSettings()).result()


def test_an_analysis_comes_with_the_clip_of_the_frames_it_saw(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    assert shown.analysis.token_maps.shape == (7, 6, 3, 5)
    assert shown.analysis.media.name == "disc.mp4"
    assert (shown.clip.mime, shown.clip.frame_hw, shown.clip.start_s) == ("video/mp4", (46, 80), 0.0)
    assert server.results.get(shown.request, "anna") is shown
    assert server.pace(model, "cpu").network_s_per_gmac > 0


def test_the_same_request_again_is_answered_without_running_the_network(server, anna, item, model, monkeypatch):
    first = analysed(server, anna, item, model)
    monkeypatch.setattr(server, "_analyse", lambda *_: pytest.fail("the network ran again"))
    ben = server.visits.arrive("ben")
    assert analysed(server, ben, item, model) is first
    ben.uploads.close()


def test_a_slider_costs_the_suffix_only_and_its_answer_is_kept(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    found = server.rerun(anna, shown, (3, 2, ())).result()
    assert (found.loc, found.num_tokens, found.token_maps.shape) == (3, 2, (7, 2, 3, 5))
    assert (found.timings.decode_s, found.provenance.from_features) == (0.0, True)
    assert found.compute == flops.compute(model.card.config, image_hw=(24, 40), loc=3, num_tokens=2)
    assert server.known_view(shown, (3, 2, ())) is found
    assert server.known_view(shown, (1, 6, ())) is shown.analysis
    assert server.known_view(shown, (3, 2, (1,))) is None


def test_nobody_sees_the_name_that_another_visitor_gave_the_file(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    server.rerun(anna, shown, (3, 2, ())).result()
    hers = server.results.get(shown.request, "ben").named(dataclasses.replace(item, name="holiday.mp4"), model)
    assert (hers.item.name, hers.analysis.media.name) == ("holiday.mp4", "holiday.mp4")
    assert server.known_view(hers, (3, 2, ())).media.name == "holiday.mp4"
    assert server.known_view(shown, (3, 2, ())).media.name == "disc.mp4"


def test_models_of_one_name_have_their_own_times(server, anna, item, model):
    other = dataclasses.replace(model, card=dataclasses.replace(model.card, sha256="0" * 64))
    analysed(server, anna, item, model)
    server.measure_latency(anna, model, "cpu", (24, 40), PLAIN).result()
    assert server.known_latency(dataclasses.replace(model, random=True), "cpu", (24, 40), PLAIN) is not None
    assert server.known_latency(other, "cpu", (24, 40), PLAIN) is None
    own = server._paces.get((model.weights, "cpu"))
    assert own is not None
    assert server._paces.get((other.weights, "cpu")) is None
    assert server.pace(other, "cpu") == own, "what another model took is better than nothing"


def test_timing_several_settings_counts_what_is_left_and_not_what_is_known(server, anna, model, monkeypatch):
    server.measure_latency(anna, model, "cpu", (24, 40), (1, 3, ())).result()
    told: list[Progress] = []

    def measure(self, ticket, model, device, image_hw, view, report):
        for _ in range(3):
            clock[0] += 1.0
            report()
            told.append(ticket._job.progress)

    clock = [0.0]
    monkeypatch.setattr(Server, "_measure", measure)
    monkeypatch.setattr(server_module.time, "monotonic", lambda: clock[0])
    settings = {f"lane {name}": (model, (24, 40), (1, 3 + i, ())) for i, name in enumerate("ABCD")}
    server.measure_latencies(anna, "cpu", settings).result()
    assert [(one.done, one.total, one.remaining_s) for one in told] == [
        *[(0, 3, None)] * 3,
        *[(1, 3, 6.0 - passed) for passed in (1, 2, 3)],
        *[(2, 3, 3.0 - passed) for passed in (1, 2, 3)],
    ]


def test_the_plain_network_has_no_maps(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    found = server.rerun(anna, shown, (None, 0, ())).result()
    assert (found.loc, found.num_tokens, found.token_maps) == (None, 0, None)


def test_leaving_tokens_out_changes_the_predictions_and_keeps_the_maps(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    found = server.rerun(anna, shown, (1, 6, (0, 4))).result()
    assert np.array_equal(found.token_maps.shape, shown.analysis.token_maps.shape)
    assert not np.allclose(found.probs, shown.analysis.probs, atol=1e-3)


def test_features_that_had_to_make_room_are_reported(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    server.engine(model, "cpu").features.clear()
    with pytest.raises(FeaturesGone, match=r"^What was kept of disc\.mp4"):
        server.rerun(anna, shown, (3, 2, ())).result()


def test_the_random_twin_is_marked_as_untrained(server, anna, item, model):
    twin = dataclasses.replace(model, random=True)
    shown = analysed(server, anna, item, twin)
    assert not shown.analysis.provenance.trained
    assert twin.key != model.key


def test_a_broken_clip_fails_with_its_sentence(server, anna, item, model):
    item.path.write_bytes(b"no longer a clip")
    with pytest.raises(MediaError, match=r"^disc\.mp4 "):
        analysed(server, anna, item, model)


def test_a_model_that_is_gone_fails_with_its_sentence(server, anna, item, model, tmp_path):
    with pytest.raises(CheckpointError, match="There is no checkpoint"):
        analysed(server, anna, item, dataclasses.replace(model, path=tmp_path / "gone.safetensors"))


def test_a_running_analysis_stops_within_one_batch(server, anna, item, model, monkeypatch):
    reached, go = threading.Event(), threading.Event()
    engine = server.engine(model, "cpu")
    plain_full = engine._network.full

    def slow_full(*args, **kwargs):
        reached.set()
        assert go.wait(LIMIT_S)
        return plain_full(*args, **kwargs)

    monkeypatch.setattr(engine._network, "full", slow_full)
    request = request_for(item.key, model)
    job = server.analyse(anna, item, model, request, AnalysisSettings(batch_size=2))
    assert reached.wait(LIMIT_S)
    job.cancel()
    go.set()
    with pytest.raises(Cancelled):
        job.result()
    assert job.progress.done == 0
    assert server.results.get(request, "anna") is None


@pytest.mark.parametrize("at_frame", [0, 3])
def test_nobody_waits_for_a_file_that_is_slow_to_read(server, anna, item, model, monkeypatch, at_frame):
    reached, go = threading.Event(), threading.Event()
    whole = analysed(server, anna, item, model)
    original = VideoSource.frames

    def slow(self, wanted):
        for number, frame in enumerate(original(self, wanted)):
            if number == at_frame:
                reached.set()
                assert go.wait(LIMIT_S)
            yield frame

    monkeypatch.setattr(VideoSource, "frames", slow)
    ben = server.visits.arrive("ben")
    long = server.analyse(anna, item, model, request_for(item.key, model, resize="crop"), AnalysisSettings())
    assert reached.wait(LIMIT_S)
    assert server.rerun(ben, whole, (3, 2, ())).result().num_tokens == 2
    assert long.state is JobState.RUNNING
    go.set()
    assert long.result().analysis.timings.frames == 7
    ben.uploads.close()


def test_closing_the_page_stops_its_jobs_and_gives_its_memory_back(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    engine = server.engine(model, "cpu")
    server.rerun(anna, shown, (3, 2, ())).result()
    assert can_rerun(engine, shown.analysis)
    gate = threading.Event()
    server.worker("cpu").submit(lambda ticket: gate.wait(LIMIT_S), owner="ben", slot="analysis")
    waits = server.analyse(anna, item, model, request_for(item.key, model, resize="crop"), AnalysisSettings())
    leave(server.visits, "anna")
    assert waits.wait(LIMIT_S)
    assert (waits.state, waits.why) == (JobState.CANCELLED, LOST)
    gate.set()
    until(lambda: not can_rerun(engine, shown.analysis))
    assert server.results.get(shown.request, "ben") is None
    assert server.known_view(shown, (3, 2, ())) is None
    assert not item.path.exists()


def test_what_another_visitor_looks_at_stays(server, anna, item, model):
    shown = analysed(server, anna, item, model)
    assert server.results.get(shown.request, "ben") is shown
    server.results.release("anna")
    assert server.results.get(shown.request, "ben") is shown
    assert can_rerun(server.engine(model, "cpu"), shown.analysis)


def test_leaving_takes_nothing_from_who_looks_at_another_part_of_the_same_file(server, anna, item, model):
    whole = analysed(server, anna, item, model)
    ben = server.visits.arrive("ben")
    part = analysed(
        server, ben, item, model, AnalysisSettings(sampling=Sampling(max_frames=3)), sampling=Sampling(max_frames=3)
    )
    server.results.release("anna")
    assert not can_rerun(server.engine(model, "cpu"), whole.analysis)
    assert server.rerun(ben, part, (3, 2, ())).result().num_tokens == 2
    ben.uploads.close()


def test_latency_is_measured_once_for_all(server, anna, model):
    view = (1, 3, ())
    assert server.known_latency(model, "cpu", (24, 40), view) is None
    found = server.measure_latency(anna, model, "cpu", (24, 40), view).result()
    assert (found.loc, found.num_tokens, found.image_hw, found.batch_size) == (1, 3, (24, 40), 1)
    assert 0 < found.q1_ms <= found.median_ms <= found.q3_ms
    assert server.known_latency(model, "cpu", (24, 40), view) is found
    plain = server.known_latency(model, "cpu", (24, 40), PLAIN)  # measured in turns with it
    assert (plain.loc, plain.num_tokens) == (None, 0)


def test_a_slider_does_not_wait_for_a_measurement(server, anna, item, model, monkeypatch):
    shown = analysed(server, anna, item, model)
    network = server.engine(model, "cpu")._network
    full, suffix = network.full, network.suffix
    done: list[str] = []
    asked = []

    def whole_pass(*args, **kwargs):
        done.append("pass")
        if len(done) == 2:
            asked.append(server.rerun(anna, shown, (3, 2, ())))
        return full(*args, **kwargs)

    monkeypatch.setattr(network, "full", whole_pass)
    monkeypatch.setattr(network, "suffix", lambda *args, **kwargs: (done.append("slider"), suffix(*args, **kwargs))[1])
    server.measure_latency(anna, model, "cpu", (24, 40), (1, 3, ())).result()
    assert asked[0].result().num_tokens == 2
    assert done[:4] == ["pass", "pass", "slider", "pass"]


def test_measuring_gives_way_within_one_pass(server, anna, model, monkeypatch):
    network = server.engine(model, "cpu")._network
    passes: list[int] = []
    quick = network.full

    def counted(*args, **kwargs):
        passes.append(1)
        job.cancel()
        return quick(*args, **kwargs)

    monkeypatch.setattr(network, "full", counted)
    gate = threading.Event()
    server.worker("cpu").submit(lambda ticket: gate.wait(LIMIT_S), owner="ben", slot="view", quick=True)
    job = server.measure_latency(anna, model, "cpu", (24, 40), (1, 3, ()))
    gate.set()
    with pytest.raises(Cancelled):
        job.result()
    assert len(passes) == 1


def answer(key: str, size: int, model) -> Shown:
    """A result of which only key and size matter."""
    clip = BrowserClip(bytes(size), "video/mp4", (2, 2), 0.0)
    analysis = type("Analysis", (), {"token_maps": None, "logits": np.zeros(0)})()
    item = Item(key=key, name=key, kind="video")
    return Shown(request_for(key, model), item, model, analysis, clip)


def test_results_stay_within_their_budget_and_the_least_used_goes_first(model, unchecked_signatures):
    dropped: list[Shown] = []
    results = Results(100, on_drop=dropped.append)
    first, second, third = (answer(key, 40, model) for key in "abc")
    results.put(first, "anna")
    results.put(second, EVERYBODY)
    assert results.get(first.request, "ben") is first
    results.put(third, "anna")
    assert dropped == [second]
    assert results.used_bytes == 80
    results.drop(third.request)
    results.drop(third.request)
    assert dropped == [second, third]


def test_a_result_larger_than_the_budget_is_still_shown(model, unchecked_signatures):
    results = Results(100)
    large = answer("a", 500, model)
    results.put(large, "anna")
    assert results.get(large.request, "anna") is large


def test_a_bounded_dictionary_forgets_what_was_not_used():
    held: Bounded[str, int] = Bounded(2)
    held.put("a", 1)
    held.put("b", 2)
    assert held.get("a") == 1
    held.put("c", 3)
    assert [held.get(key) for key in "abc"] == [1, None, 3]
    held.drop(lambda key: key < "b")
    assert (len(held), held.get("a")) == (1, None)
    with pytest.raises(ValueError, match="at least 1, not 0"):
        Bounded(0)


def test_a_bounded_dictionary_counts_bytes_and_tells_what_it_drops():
    gone: list[bytes] = []
    held: Bounded[str, bytes] = Bounded(9, max_bytes=10, size_of=len, on_drop=gone.append)
    held.put("a", b"1234")
    held.put("b", b"12345")
    assert (held.used_bytes, gone) == (9, [])
    held.put("c", b"12")
    assert (held.used_bytes, gone) == (7, [b"1234"])
    held.put("large", b"x" * 11)
    assert (len(held), held.used_bytes) == (1, 11), "what is too large alone is still kept"
    held.drop(lambda key: key == "large")
    assert gone == [b"1234", b"12345", b"12", b"x" * 11]


def test_another_part_of_the_clip_is_another_request(model):
    whole = request_for("file:1", model)
    assert whole != request_for("file:1", model, sampling=Sampling(start_s=1.0))
    assert Visit("x").shown is None
