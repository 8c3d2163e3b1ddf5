"""Thirty people on one server: everybody gets their own maps, in turn, and what they brought goes when they go."""

import io
import os
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

from app.items import from_upload
from app.jobs import JobState, QueueFull
from app.server import Server
from tests.app_cases import LIMIT_S, leave, request_for, tiny_choice, until
from tests.engine_cases import pictures, write_clip
from tokenlearner.engine import AnalysisSettings, Engine, Progress

PEOPLE = 30


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_choice(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """A clip for each person, of another content and another length."""
    folder = tmp_path_factory.mktemp("media")
    return [write_clip(folder / f"{i}.mp4", pictures(2 + i % 5, (46, 80), seed=i)) for i in range(PEOPLE)]


@pytest.fixture
def temporary(tmp_path, monkeypatch):
    """Where temporary files go in this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def server(temporary):
    made = Server(grace_s=0.05)
    yield made
    made.worker("cpu").close()


@pytest.fixture
def gate(server):
    """Keeps the device busy until it is set, so that a line forms."""
    opened = threading.Event()
    server.worker("cpu").submit(lambda ticket: opened.wait(LIMIT_S), owner="before", slot="analysis")
    yield opened
    opened.set()


def bring(server, name: str, clip: Path):
    """A person's page, with the clip that they uploaded."""
    visit = server.visits.arrive(name)
    return visit, from_upload(visit.uploads.add(io.BytesIO(clip.read_bytes()), clip.name))


def ask(server, visit, item, model):
    return server.analyse(visit, item, model, request_for(item.key, model), AnalysisSettings())


def test_thirty_people_stand_in_line_and_each_gets_their_own_maps(server, gate, clips, model):
    asked = []
    for i, clip in enumerate(clips):
        visit, item = bring(server, f"person {i}", clip)
        asked.append(ask(server, visit, item, model))
    assert [job.place for job in asked] == list(range(1, PEOPLE + 1))
    finished = []
    for i, job in enumerate(asked):
        threading.Thread(target=lambda i=i, job=job: (job.wait(LIMIT_S), finished.append(i)), daemon=True).start()
    gate.set()
    shown = [job.result() for job in asked]
    engine = Engine(model.load(), device="cpu")
    for i, (clip, mine) in enumerate(zip(clips, shown, strict=True)):
        alone = engine.analyze(clip, AnalysisSettings())
        np.testing.assert_array_equal(mine.analysis.token_maps, alone.token_maps, err_msg=f"person {i}")
        np.testing.assert_array_equal(mine.analysis.logits, alone.logits)
        assert mine.item.name == clip.name
    assert len({mine.analysis.token_maps.tobytes() for mine in shown}) == PEOPLE
    until(lambda: len(finished) == PEOPLE)


def test_one_person_cannot_fill_the_line(server, gate, clips, model):
    visit, item = bring(server, "impatient", clips[0])
    asked = [ask(server, visit, item, model) for _ in range(PEOPLE)]
    assert [job.state for job in asked[:-1]] == [JobState.CANCELLED] * (PEOPLE - 1)
    other, another = bring(server, "next", clips[1])
    assert ask(server, other, another, model).place == 2


def test_when_the_line_is_full_one_is_told_and_others_keep_their_place(server, gate, clips, model):
    worker = server.worker("cpu")
    waiting = [worker.submit(lambda ticket: None, owner=f"person {i}", slot="analysis") for i in range(63)]
    visit, item = bring(server, "anna", clips[0])
    last = ask(server, visit, item, model)
    late, another = bring(server, "late", clips[1])
    with pytest.raises(QueueFull, match="Try again in a minute"):
        ask(server, late, another, model)
    assert (waiting[0].place, last.place) == (1, 64)


def test_a_slider_does_not_wait_for_the_people_in_line(server, clips, model):
    anna, item = bring(server, "anna", clips[0])
    shown = ask(server, anna, item, model).result()
    opened, running = threading.Event(), threading.Event()

    def batch_after_batch(ticket):
        while not opened.wait(0.005):
            running.set()
            ticket.report(Progress(1, 9, 0.1, None, "analysing"))

    server.worker("cpu").submit(batch_after_batch, owner="ben", slot="analysis")
    for i, clip in enumerate(clips[1:6]):
        visit, other = bring(server, f"person {i}", clip)
        ask(server, visit, other, model)
    assert running.wait(LIMIT_S)
    found = server.rerun(anna, shown, (3, 2, ())).result()
    assert (found.loc, found.num_tokens) == (3, 2)
    assert server.worker("cpu").is_busy
    opened.set()


def test_when_everybody_has_left_nothing_of_theirs_is_left(server, temporary, clips, model):
    engine = server.engine(model, "cpu")
    shown = []
    for i, clip in enumerate(clips[:6]):
        visit, item = bring(server, f"person {i}", clip)
        shown.append(ask(server, visit, item, model).result())
    assert server.results.used_bytes >= sum(mine.analysis.token_maps.nbytes for mine in shown)
    assert engine.features.used_bytes > 0
    assert len(list(temporary.iterdir())) == 6
    for i in range(6):
        leave(server.visits, f"person {i}")
    until(lambda: not os.listdir(temporary))
    until(lambda: (server.results.used_bytes, engine.features.used_bytes) == (0, 0))


def test_two_people_with_the_same_file_share_one_analysis_until_both_have_left(server, clips, model):
    anna, item = bring(server, "anna", clips[3])
    ben, same = bring(server, "ben", clips[3])
    shown = ask(server, anna, item, model).result()
    assert ask(server, ben, same, model).result() is shown
    leave(server.visits, "anna")
    until(lambda: len(server.visits) == 1)
    assert server.rerun(ben, shown, (3, 2, ())).result().num_tokens == 2
    leave(server.visits, "ben")
    until(lambda: server.results.used_bytes == 0)
