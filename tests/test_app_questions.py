"""The long questions give the library's answers, say how far they are, and stop when told."""

import dataclasses
import threading

import numpy as np
import pytest

from app.clips import BrowserClip
from app.items import Item
from app.questions import FEWEST_ROWS, MOST_ITEMS, Doubt, Question, _Meter, answer, doubt_rows, rows_for
from app.results import EVERYBODY, Shown
from app.server import Server
from tests.app_cases import LIMIT_S, request_for, tiny_choice, visit
from tests.engine_cases import pictures, write_clip
from tokenlearner.analysis.needed import tokens_needed
from tokenlearner.analysis.shapley import token_values
from tokenlearner.engine import AnalysisSettings, Progress
from tokenlearner.errors import Cancelled, FeaturesGone
from tokenlearner.evaluation.cause import FRACTIONS

WORTH = Question(kind="worth", loc=1, num_tokens=4, class_index=2)
NEEDED = Question(kind="needed", loc=3, num_tokens=6, group="class")
DOUBT = Question(kind="doubt", loc=1, num_tokens=6, class_index=5)


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A server, and a clip of seven frames that it has analysed."""
    folder = tmp_path_factory.mktemp("clip")
    path = write_clip(folder / "disc.mp4", pictures(7, (46, 80)))
    server, model = Server(), tiny_choice(folder)
    item = Item(key="file:1", name="disc.mp4", kind="video", path=path)
    request = request_for("file:1", model)
    analysis = server.engine(model, "cpu").analyze(path, AnalysisSettings(loc=1, num_tokens=6))
    shown = Shown(request, item, model, analysis, BrowserClip(path.read_bytes(), "video/mp4", (46, 80), 0.0))
    server.results.put(shown, EVERYBODY)
    return server, shown


def ask(asked, question):
    server, shown = asked
    told = []
    found = answer(
        question,
        shown,
        server.engine(shown.model, "cpu"),
        report=told.append,
        cancel=threading.Event(),
        class_name="fox",
    )
    return found, told


def test_what_tokens_are_worth_is_the_librarys_answer_and_sums_to_the_difference(asked):
    server, shown = asked
    found, told = ask(asked, WORTH)
    engine = server.engine(shown.model, "cpu")
    direct = token_values(engine, engine.rerun(shown.analysis, num_tokens=4), 2)
    np.testing.assert_allclose(found.probability, direct.probability, atol=1e-7)
    assert found.probability.shape == (7, 4)
    total = found.all_probability.mean() - found.none_probability.mean()
    assert found.mean_probability.sum() == pytest.approx(total, abs=1e-6)
    assert (told[-1].done, told[-1].total) == (1000, 1000)
    assert [one.done for one in told] == sorted(one.done for one in told)


def test_how_many_tokens_are_needed_is_tried_at_the_place_asked_for(asked):
    server, shown = asked
    found, _ = ask(asked, NEEDED)
    engine = server.engine(shown.model, "cpu")
    direct = tokens_needed(engine, engine.rerun(shown.analysis, loc=3))
    assert (found.loc, found.available, found.needed) == (3, 6, direct.needed)
    assert [one.agreement for one in found.tried] == [one.agreement for one in direct.tried]


def test_a_doubt_compares_with_every_kind_of_worthless_maps(asked):
    found, told = ask(asked, DOUBT)
    assert isinstance(found, Doubt)
    assert [one.rival for one in found.comparisons] == ["random weights", "uniform", "shuffled", "other moment"]
    assert {one.class_index for one in found.comparisons} == {5}
    assert set(found.deletion.curves) == {"attended", "centre", "random weights"}
    assert "fox" in found.sentence
    assert [one.done for one in told] == sorted(one.done for one in told)
    shown = asked[1].analysis
    assert found.moment.time_s == shown.timestamps_s[3]
    np.testing.assert_array_equal(found.moment.maps, shown.token_maps[3])
    assert found.moment.top == pytest.approx(shown.token_maps[3].mean(axis=0).max())
    assert found.moment.frame.shape == (46, 80, 3)
    assert np.abs(found.moment.frame.astype(int) - pictures(7, (46, 80))[3]).mean() < 8, "the frame of that moment"
    assert {one.token_maps.shape for one in found.comparisons} == {(1, *shown.token_maps.shape[1:])}
    assert {one.stage for one in told} == {"moving maps", "running random weights", "deleting patches"}


def test_a_long_clip_is_asked_on_fewer_frames_evenly_spread():
    assert rows_for(5, 4) == [0, 1, 2, 3, 4]
    many = rows_for(300, 8)
    assert len(many) == MOST_ITEMS // 256
    assert (many[0], many[-1]) == (0, 299)
    assert set(np.diff(many)) <= {6, 7}
    assert len(rows_for(300, 10)) == max(FEWEST_ROWS, MOST_ITEMS // 1024)
    assert len(rows_for(300, 16)) == MOST_ITEMS // (64 * 16)
    assert rows_for(1, 16) == [0]


def test_the_server_remembers_an_answer_and_forgets_it_with_its_result(asked):
    server, shown = asked
    assert server.answer(shown.request, WORTH) is None
    found = server.ask(visit(), shown, WORTH).result()
    assert server.answer(shown.request, WORTH) is found
    assert server.ask(visit(), shown, WORTH).result() is found
    other = dataclasses.replace(shown.request, item="file:2")
    assert server.answer(other, WORTH) is None
    server.results.put(dataclasses.replace(shown, request=other), "anna")
    server._answers.put((other, WORTH), found)
    server.results.drop(other)
    assert server.answer(other, WORTH) is None
    assert server.answer(shown.request, WORTH) is found


def test_a_question_that_is_stopped_gives_no_answer(asked, monkeypatch):
    server, shown = asked
    begun = threading.Event()

    def endless(*_, cancel, **__):
        begun.set()
        assert cancel.wait(LIMIT_S)
        raise Cancelled("stopped")

    monkeypatch.setattr("app.server.answer", endless)
    question = dataclasses.replace(WORTH, class_index=3)
    job = server.ask(visit(), shown, question)
    assert begun.wait(LIMIT_S)
    job.cancel()
    with pytest.raises(Cancelled):
        job.result()
    assert server.answer(shown.request, question) is None


def test_a_newer_question_of_a_kind_takes_the_place_of_the_earlier(asked, monkeypatch):
    server, shown = asked

    def endless(question, *_, cancel, **__):
        assert cancel.wait(LIMIT_S)
        raise Cancelled("stopped")

    with monkeypatch.context() as patched:
        patched.setattr("app.server.answer", endless)
        first = server.ask(visit(), shown, dataclasses.replace(WORTH, class_index=4))
        server.ask(visit(), shown, dataclasses.replace(WORTH, class_index=6)).cancel()
        assert first.wait(LIMIT_S)
    assert isinstance(first.error, Cancelled)


def test_features_that_are_gone_are_said_to_be_gone(asked):
    server, shown = asked
    engine = server.engine(shown.model, "cpu")
    engine.features.clear()
    with pytest.raises(FeaturesGone):
        ask(asked, WORTH)


def test_the_time_left_follows_the_pace_of_the_part_and_not_what_came_before():
    now = [0.0]
    told: list[Progress] = []
    meter = _Meter(told.append, clock=lambda: now[0])
    now[0] = 50.0  # what is run before the first report
    tell = meter.told("running coalitions")
    for done in range(0, 101, 10):
        tell(done, 100)
        now[0] += 2.0
    assert told[0].remaining_s is None, "nobody knows after one report"
    assert [one.remaining_s for one in told[1:]] == pytest.approx([2.0 * (10 - n) for n in range(1, 11)])


def test_the_time_left_follows_a_pace_that_changes():
    now = [0.0]
    told: list[Progress] = []
    tell = _Meter(told.append, clock=lambda: now[0]).told("running coalitions")
    for done in range(100):
        tell(done, 200)
        now[0] += 0.1 if done < 50 else 1.0
    assert told[-1].remaining_s == pytest.approx(101.0)


def test_a_doubt_counts_its_whole_passes(asked):
    _, shown = asked
    assert doubt_rows(shown.analysis) == (7, 6 * (1 + 7 * (len(FRACTIONS) - 1)))
    untrained = dataclasses.replace(shown.analysis.provenance, trained=False)
    untrained_rows = doubt_rows(dataclasses.replace(shown.analysis, provenance=untrained))
    assert untrained_rows == (0, 6 * (1 + 6 * (len(FRACTIONS) - 1)))
