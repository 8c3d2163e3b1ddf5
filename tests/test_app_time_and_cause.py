"""What the timeline, the desk and the figures of cause send to the browser are the library's numbers."""

import base64
import dataclasses
import re

import cv2
import numpy as np
import pytest

from app import desk
from app.desk import Pressed, desk_data, points, silent
from app.explore.cause import how, price
from app.explore.cause_figures import deletion_plot, doubt_cards, sum_words, worth_bars
from app.explore.doubting import moment_words
from app.explore.overlap import sentence
from app.explore.overlap_figures import matrix, needed_bars
from app.questions import Moment
from app.text import percent
from app.timeline import SCALE, timeline_data
from tests.engine_cases import V10, pictures, tiny_model, write_clip
from tokenlearner import render
from tokenlearner.analysis.deletion import delete_most_attended
from tokenlearner.analysis.doubt import doubt_maps
from tokenlearner.analysis.needed import tokens_needed
from tokenlearner.analysis.shapley import token_values
from tokenlearner.analysis.tracks import Moment as TrackMoment
from tokenlearner.analysis.tracks import frame_xy, prediction_moments, track
from tokenlearner.engine import AnalysisSettings, Engine

TIMES = [0.0, 0.1, 0.3, 0.4, 0.6, 0.7, 0.8]


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(7, (46, 80)), TIMES)


@pytest.fixture(scope="module")
def engine():
    return Engine(tiny_model(), device="cpu")


@pytest.fixture(scope="module")
def found(engine, media):
    return engine.analyze(media, AnalysisSettings(resize="crop"))


def test_the_timeline_gets_every_track_of_every_token_in_the_whole_frame(found):
    tracks = track(found)
    data = timeline_data(found, tracks, player="player")
    assert data["times"] == TIMES
    assert data["end"] == pytest.approx(0.9)
    places = frame_xy(tracks.centroid_xy, found.geometry)
    np.testing.assert_allclose(np.array(data["x"]) / SCALE, places[..., 0].T, atol=0.6 / SCALE)
    np.testing.assert_allclose(np.array(data["y"]) / SCALE, places[..., 1].T, atol=0.6 / SCALE)
    np.testing.assert_allclose(np.array(data["spread"]) / SCALE, tracks.spread.T, atol=0.6 / SCALE)
    top = tracks.peak.max()
    np.testing.assert_allclose(np.array(data["peak"]) / SCALE, tracks.peak.T / top, atol=0.6 / SCALE)
    assert data["peak_top"] == pytest.approx(top)
    assert [lane[0] for lane in data["stability"]] == [None] * 6
    known = np.array([lane[1:] for lane in data["stability"]], dtype=float)
    np.testing.assert_allclose(known / SCALE, tracks.stability.T, atol=0.6 / SCALE)
    assert [token["number"] for token in data["tokens"]] == [1, 2, 3, 4, 5, 6]
    assert 0.2 < places[..., 0].min() <= places[..., 0].max() < 0.8  # the crop's middle of a wide frame


def test_sigmoid_weights_keep_their_unit(media):
    found = Engine(tiny_model(V10), device="cpu").analyze(media)
    data = timeline_data(found, track(found), player="player")
    assert not data["percent"]
    assert data["peak_top"] == pytest.approx(float(found.token_maps.max()))


def test_frames_that_matter_are_told_in_the_order_of_time(found):
    turns = (TrackMoment(step=5, time_s=0.7, change=0.31), TrackMoment(step=1, time_s=0.1, change=0.08))
    told = timeline_data(found, dataclasses.replace(track(found), moments=turns), player="player")["moments"]
    assert [one["words"] for one in told if one["kind"] == "maps"] == [
        "0.10 s: the maps change by 8.0 %",
        "0.70 s: the maps change by 31 %",
    ]
    assert [one["time"] for one in told] == sorted(one["time"] for one in told)
    answers = [one["time"] for one in told if one["kind"] == "prediction"]
    assert answers == sorted(moment.time_s for moment in prediction_moments(found, count=3))


@pytest.mark.parametrize(
    ("muted", "solo", "expected"),
    [((), (), ()), ((1, 3), (), (1, 3)), ((), (2,), (0, 1, 3)), ((2,), (1, 2), (0, 2, 3)), ((0,), (0,), (0, 1, 2, 3))],
)
def test_mute_and_solo_work_as_on_a_mixing_desk(muted, solo, expected):
    assert silent(4, muted, solo) == expected


def test_the_last_token_cannot_be_left_out(monkeypatch):
    state: dict[str, object] = {}
    monkeypatch.setattr(desk.st, "session_state", state)

    def told(version: int, **buttons: list[int]) -> None:
        state["desk"] = {"desk": {"of": 3, "muted": [], "solo": [], "version": version, **buttons}}
        desk._take(3, "cat by tiny")

    told(1, muted=[0, 2])
    assert (desk.left_out(3, "cat by tiny"), state["desk version"], state["desk refused"]) == ((0, 2), 1, False)
    told(2, muted=[0, 1, 2])
    assert desk.left_out(3, "cat by tiny") == (0, 2)
    assert (state["desk version"], state["desk refused"]) == (3, True), "newer than the press, which is taken back"
    told(4, muted=[0, 2], solo=[2])
    assert desk.left_out(3, "cat by tiny") == (0, 2)
    told(5)
    assert (desk.left_out(3, "cat by tiny"), state["desk refused"]) == ((), False)
    assert desk.left_out(3, "dog by tiny") == ()


def test_a_desk_is_set_without_the_tokens_that_it_does_not_have(monkeypatch):
    monkeypatch.setattr(desk.st, "session_state", {})
    desk.press(3, "cat", Pressed(muted=(1, 7), solo=(0,)))
    assert desk.pressed(3, "cat") == Pressed(muted=(1,), solo=(0,))


def test_the_desk_gets_colours_courses_and_worth(found):
    held = Pressed(muted=(1,))
    data = desk_data(6, found.token_maps, [0.21, -0.034, 0.0, 1e-5, 0.5, -1.0], "for fox", held)
    assert [token["worth_text"] for token in data["tokens"]] == ["+21", "−3.4", "0", "0", "+50", "−100"]
    peaks = found.token_maps.max(axis=(2, 3))
    expected = 100 * peaks / peaks.max()
    np.testing.assert_allclose(np.array([token["course"] for token in data["tokens"]]), expected.T, atol=0.51)
    assert (data["muted"], data["solo"], data["worth_words"]) == ([1], [], "for fox")
    assert desk_data(3, None, None, "", held)["tokens"][0]["course"] == []


def test_differences_are_in_percentage_points():
    assert [points(value) for value in (0.123, -0.004, 0.0004, 0.0)] == ["+12", "−0.40", "0", "0"]


def test_bars_of_worth_sum_to_the_difference(engine, found):
    values = token_values(engine, found, 2)
    html = worth_bars(values)
    told = [float(value) for value in re.findall(r'data-worth="([^"]+)"', html)]
    none, whole = (float(re.search(rf'data-{name}="([^"]+)"', html)[1]) for name in ("none", "all"))
    assert sum(told) == pytest.approx(whole - none, abs=1e-6)
    assert told == pytest.approx(values.mean_probability.tolist(), abs=1e-8)
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    assert max(widths) == pytest.approx(50)
    assert "the sum is exact to 0.0001" in sum_words(values)
    assert how(values, 7, 1) == "Exact: all 64 sets of tokens, on every frame."
    assert how(values, 7, 16) == "Exact: all 64 sets of tokens, on every clip of 16 frames."
    assert how(values, 9, 16) == "Exact: all 64 sets of tokens, on 7 of 9 clips of 16 frames, evenly spread."
    assert price(found) == "Runs all 64 sets of tokens on 7 frames."
    of_clips = dataclasses.replace(found, clip_frames=16)
    assert price(of_clips) == "Runs all 64 sets of tokens on 7 clips of 16 frames."


def test_sampled_worth_states_its_error(engine, found):
    values = token_values(engine, found, 2, exact=False, orders=8, rows=[0, 3])
    assert worth_bars(values).count("±") == 12
    assert how(values, 7, 1).startswith("Sampled: 8 orders in which tokens join, on 2 of 7 frames, evenly spread;")


def test_overlap_and_need_show_the_librarys_numbers(engine, found):
    tracks = track(found)
    html = matrix(tracks.redundancy)
    assert f'title="Token 2 and Token 5: {tracks.redundancy[1, 4]:.2f}"' in html
    assert html.count('class="cell') == html.count('role="cell"') == 36
    assert (html.count('role="row"'), html.count('role="columnheader"'), html.count('role="rowheader"')) == (7, 6, 6)
    assert f"worth {tracks.effective_tokens:.2g} tokens" in sentence(tracks)
    needed = tokens_needed(engine, found)
    rows = needed_bars(needed, "FLOPs")
    assert rows.count("<i>") == 6
    assert rows.count('class="chosen"') == 1
    assert f'class="chosen" title="{needed.needed} tokens' in rows
    assert "MFLOPs" in rows


def test_doubt_shows_each_prediction_and_its_maps_over_the_same_frame_at_the_same_scale(engine, found):
    compared = doubt_maps(engine, found, 3)
    frame = np.full((46, 80, 3), 128, np.uint8)
    own = found.token_maps[2]
    moment = Moment(0.3, frame, own, float(own.mean(axis=0).max()))
    html = doubt_cards(found, moment, [(one.title, "<b>", one.logits, one.token_maps[2]) for one in compared], 3)
    assert html.count("<figure>") == 4
    assert "&lt;b&gt;" in html
    watched = [float(share) for share in re.findall(r'<ol><li data-share="([^"]+)"', html)]
    assert watched == pytest.approx([compared[0].probability_before, *(one.probability for one in compared)], abs=1e-4)
    seen = [jpeg(one) for one in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)]
    for picture, maps in zip(seen, [own, *(one.token_maps[2] for one in compared)], strict=True):
        left, top, width, height = found.geometry.box_normalized
        box = (left * 80, top * 46, width * 80, height * 46)
        expected = render.overlay_heat(frame, maps.mean(axis=0), moment.top, opacity=0.55, box_xywh=box)
        assert np.abs(picture.astype(int) - expected).mean() < 8
    assert np.abs(seen[0].astype(int) - seen[1]).mean() > 4, "even maps look different"


def jpeg(encoded: str) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def test_a_doubt_says_which_moment_it_shows_and_at_what_scale(found):
    moment = Moment(0.4, np.zeros((4, 4, 3), np.uint8), found.token_maps[3], 0.062)
    words = "At 0.40 s, the middle of the clip. Mean map of all tokens; full colour is 6.2 %"
    assert moment_words(found, moment).startswith(words)
    photo = dataclasses.replace(found, media=dataclasses.replace(found.media, kind="image"))
    assert moment_words(photo, moment).startswith("Mean map of all tokens")


def test_deletion_curves_are_drawn_to_scale(engine, found, media):
    curve = delete_most_attended(engine, media, found, 2, draws=3)
    html = deletion_plot(curve, "<cat>")
    assert "&lt;cat&gt;" in html
    assert "<cat>" not in html
    drawn = base64.b64decode(re.search(r"data:image/svg\+xml;base64,([^\"]+)", html)[1]).decode()
    line = re.search(r'class="attended"[^>]* points="([^"]+)"', drawn)[1].split()
    heights = np.array([float(point.split(",")[1]) for point in line])
    values = curve.curves["attended"]
    assert len(line) == len(curve.fractions)
    told = re.search(r'alt="([^"]+)"', html)[1]
    assert told.startswith(f"Probability of &lt;cat&gt;: {percent(float(values[0]))} with all patches; with ")
    assert f"{percent(float(values[-1]))} most attended first" in told
    assert f"{percent(float(curve.random[:, -1].mean()))} in random order." in told
    np.testing.assert_allclose(np.diff(heights), -np.diff(values) * (190 - heights[0]) / values[0], atol=0.3)
