"""The Compare page, driven without a browser: lanes show the library's numbers, and share what was computed."""

import dataclasses
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app import cache
from app.compare.lanes import Lane
from app.explore import asking
from app.results import Shown
from app.server import Server
from app.text import operations, percent
from tests.app_cases import LIMIT_S, save_tiny_model
from tests.app_pages import app_page, button, captions, visit_of
from tests.engine_cases import TINY, VIDEO, pictures, write_clip
from tokenlearner import cards, flops
from tokenlearner.engine import plan_geometry
from tokenlearner.errors import Cancelled, DeviceError
from tokenlearner.samples import list_samples

CAT = plan_geometry(TINY, (300, 451))  # the sample has 300 x 451 pixels


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder)
    save_tiny_model(folder, "video", config=VIDEO)
    return folder


@pytest.fixture
def page(models: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with a photograph, not run yet."""
    script = repository / "app" / "views" / "compare.py"
    with app_page(script, models, monkeypatch, compared_instead_of=("sample:cat", None)) as at:
        yield at


def settled(at: AppTest) -> AppTest:
    """Run the page until nothing is under way any more."""
    at.run()
    for _ in range(200):
        assert not at.exception, at.exception[0].value
        if "Cancel" not in [button.label for button in at.button]:
            return at
        visit = visit_of(at)
        assert visit.job is None or visit.job[1].wait(LIMIT_S)
        at.run()
    pytest.fail("the page did not settle")


def choose(at: AppTest, preset: str) -> AppTest:
    at.pills(key="compare preset").set_value(preset)
    return settled(at)


def of_the_cat() -> Shown:
    """What the trained image model made of the photograph."""
    return next(
        shown
        for shown, _ in cache.server().results._kept.values()
        if shown.request.item == "sample:cat" and shown.model.card.name == "tiny" and not shown.model.random
    )


def table(at: AppTest) -> list[list[str]]:
    """Cells of the table, a list for each row."""
    html = next(element.proto.body for element in at.get("html") if "compare-table" in element.proto.body)
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[hd][^>]*>(?:<b[^>]*>)?(.*?)(?:</b>)?</t[hd]>", row) for row in rows]


def column(at: AppTest, name: str) -> list[str]:
    head, *rows = table(at)
    return [row[head.index(name)] for row in rows]


def bars(html: str) -> tuple[float, float]:
    """Length of the plain network's bar in percent of the row, and the million multiply-adds that stand behind it."""
    plain = html.split("plain ViT</span>")[1]
    lengths = re.findall(r"width:([\d.]+)%", plain)
    (words,) = re.findall(r">([\d.]+) MMACs</b>", plain)
    return sum(map(float, lengths)), float(words)


def mega(loc: int | None, num_tokens: int | None) -> str:
    return operations(flops.compute(TINY, image_hw=CAT.input_hw, loc=loc, num_tokens=num_tokens).total_macs, "MACs")[0]


def test_a_comparison_is_of_the_first_lanes_model(page):
    page.session_state["compare lanes"] = (Lane(model="video", loc=1, num_tokens=4, random=False),) * 2
    at = choose(settled(page), "6 tokens | 2 tokens")
    assert [lane.model for lane in at.session_state["compare lanes"]] == ["video", "video"]
    assert [lane.num_tokens for lane in at.session_state["compare lanes"]] == [6, 2]


def test_the_page_opens_with_many_tokens_beside_few(page):
    at = settled(page)
    assert not at.error
    assert column(at, "Lane") == ["A", "B"]
    assert column(at, "Network") == ["6 tokens after 1 of 5 blocks, tiny", "2 tokens after 1 of 5 blocks, tiny"]
    assert column(at, "MMACs a frame") == [mega(1, 6), mega(1, 2)]
    plain = flops.baseline(TINY, image_hw=CAT.input_hw).total_macs
    few = flops.compute(TINY, image_hw=CAT.input_hw, loc=1, num_tokens=2).total_macs
    assert column(at, "of plain ViT")[1] == percent(few / plain)
    assert column(at, "Same as A")[0] == ""
    assert column(at, "Same as A")[1] in ("100 %", "0 %")
    (explained,) = [note.value for note in at.markdown if note.value.startswith("- **Lane**: ")]
    assert explained.count("\n- **") == len(table(at)[0]) - 1


def test_lanes_of_one_model_share_one_analysis(page, monkeypatch):
    analysed = []
    analyse = Server._analyse
    monkeypatch.setattr(Server, "_analyse", lambda self, *rest: (analysed.append(rest[3]), analyse(self, *rest))[1])
    st.cache_resource.clear()
    at = settled(page)
    at = choose(at, "tokens | plain ViT")
    assert column(at, "MMACs a frame") == [mega(1, 6), mega(None, None)]
    assert column(at, "of plain ViT")[1] == "100 %"
    assert len(analysed) == 1
    choose(at, "trained | random weights")
    assert len({request.model for request in analysed}) == len(analysed) == 2


def test_the_table_holds_what_the_engine_answers(page):
    at = choose(page.run(), "¼ | ¾ of the depth")
    shown = of_the_cat()
    for top1, loc in zip(column(at, "Top-1"), (1, 3), strict=True):
        found = cache.server().known_view(shown, (loc, 6, ()))
        best = found.top(1)[0]
        assert top1 == f"{best.name} {percent(best.probability)}"


def test_random_weights_say_so(page):
    at = choose(page.run(), "trained | random weights")
    assert column(at, "Network")[1].endswith(", random weights")
    assert column(at, "Accuracy")[1] == "–"
    assert "Lane B has random weights: its maps and answers mean nothing." in captions(at)


def test_a_video_model_beside_an_image_model(page):
    at = choose(page.run(), "image | video model")
    assert column(at, "Network")[1] == "6 tokens after 1 of 5 blocks, video"
    drawn = [bars(element.proto.body) for element in at.get("html") if "compute-bars" in element.proto.body]
    shares = [longest / macs for longest, macs in drawn]
    assert shares[0] == pytest.approx(shares[1], rel=0.02)  # equal lengths mean equal costs
    assert max(longest for longest, _ in drawn) == pytest.approx(100, abs=0.01)
    assert "Lane B is a video model: it saw the picture 4 times over" in captions(at)
    assert column(at, "Moved from A")[1].endswith(" %")


def test_a_lane_is_changed_by_its_own_controls(page):
    at = settled(page)
    at.slider(key="compare tokens B").set_value(4)
    at = settled(at)
    assert column(at, "Network")[1] == "4 tokens after 1 of 5 blocks, tiny"
    at.select_slider(key="compare place B").set_value(TINY.depth)
    at = settled(at)
    assert column(at, "Network")[1] == "Plain ViT, every patch, tiny"
    assert at.slider(key="compare tokens B").disabled
    at.selectbox(key="compare model A").set_value("video")
    at = settled(at)
    assert column(at, "Network")[0] == "6 tokens after 1 of 5 blocks, video"


def test_there_are_two_to_four_lanes(page):
    at = settled(page)
    for expected in (3, 4):
        button(at, "Lane").click()
        at = settled(at)
        assert len(column(at, "Lane")) == expected
    assert button(at, "Lane").disabled
    assert [name.split()[0] for name in column(at, "Network")] == ["6", "2", "1", "1"]
    at.button(key="compare remove A").click()
    at = settled(at)
    at.button(key="compare remove A").click()
    at = settled(at)
    assert [name.split()[0] for name in column(at, "Network")] == ["1", "1"]
    assert "Remove this lane" not in [one.label for one in at.button]


def test_times_are_measured_on_request(page):
    at = settled(page)
    if "–" in column(at, "Time"):
        button(at, "Measure the time").click()
        at = settled(at)
    assert all(time.endswith(" ms a frame") for time in column(at, "Time"))
    assert "Measure the time" not in [one.label for one in at.button]


def test_the_page_stays_free_while_times_are_measured_and_measuring_can_be_stopped(page, monkeypatch):
    at = settled(page)
    cache.server()._latencies.drop(lambda key: True)
    begun, stopped = threading.Event(), threading.Event()

    def endless(self, ticket, *rest):
        begun.set()
        while not ticket.cancel.wait(0.01):
            rest[-1]()
        stopped.set()
        raise Cancelled("stopped")

    monkeypatch.setattr(Server, "_measure", endless)
    at = at.run()
    button(at, "Measure the time").click()
    at.run()
    assert begun.wait(LIMIT_S)
    at.slider(key="compare tokens B").set_value(4)  # another lane can be asked for meanwhile
    at.run()
    assert column(at, "Network")[1].startswith("4 tokens")
    button(at, "Cancel").click()
    at.run()
    assert stopped.wait(LIMIT_S)
    assert "Measure the time" in [one.label for one in at.button]
    assert not at.error


def test_a_measurement_that_fails_says_so(page, monkeypatch):
    at = settled(page)
    cache.server()._latencies.drop(lambda key: True)

    def failing(self, *_):
        raise DeviceError("The device went away.")

    monkeypatch.setattr(Server, "_measure", failing)
    at = at.run()
    button(at, "Measure the time").click()
    at = settled(at)
    assert [error.value for error in at.error] == [r"The device went away\."]


def test_a_link_restores_lanes_photo_and_frames(page):
    del page.session_state["compared instead of"]
    for name, value in {
        "item": "sample:coffee",
        "a": "3.1.trained.tiny",
        "b": "2.none.random.tiny",
        "fit": "crop",
    }.items():
        page.query_params[name] = value
    at = settled(page)
    assert at.selectbox(key="compare item").value == "sample:coffee"
    assert column(at, "Network") == [
        "3 tokens after 1 of 5 blocks, tiny",
        "Plain ViT, every patch, tiny, random weights",
    ]
    assert at.session_state["framing"]["sample:coffee"].resize == "crop"
    assert not at.info
    at.selectbox(key="compare item").set_value("sample:cat")  # the link acts once
    at = settled(at)
    assert at.selectbox(key="compare item").value == "sample:cat"


def test_a_link_says_what_it_misses_until_something_else_is_chosen(page):
    del page.session_state["compared instead of"]
    for name, value in {"item": "file:0123456789abcdef", "name": "dog.mp4", "a": "3.1.trained.tiny"}.items():
        page.query_params[name] = value
    page.query_params["b"] = "2.1.trained.gone"
    at = settled(page)
    assert ["dog" in at.info[0].value, "gone" in at.info[1].value, len(at.info)] == [True, True, 2]
    at = choose(at, "tokens | plain ViT")
    assert not at.info


def test_the_photo_of_explore_is_taken_over_until_another_is_chosen_here(page):
    at = settled(page)
    visit, shown = visit_of(at), of_the_cat()

    def explore(item: str) -> None:
        visit.shown = dataclasses.replace(shown, request=dataclasses.replace(shown.request, item=item))

    explore("sample:astronaut")
    at = settled(at)
    assert at.selectbox(key="compare item").value == "sample:astronaut"
    at.selectbox(key="compare item").set_value("sample:coffee")
    at = settled(at)
    at = settled(at)
    assert at.selectbox(key="compare item").value == "sample:coffee"
    explore("sample:rocket")
    at = settled(at)
    assert at.selectbox(key="compare item").value == "sample:rocket"


def test_an_upload_is_compared_and_a_broken_one_named(page, tmp_path):
    at = settled(page)
    clip = write_clip(tmp_path / "disc.mp4", pictures(8, (46, 80))).read_bytes()
    at.file_uploader[0].set_value([("disc.mp4", clip, "video/mp4")])
    at = settled(at)
    assert at.selectbox(key="compare item").value.startswith("file:")
    assert column(at, "Lane") == ["A", "B"]
    at.file_uploader[0].set_value([("broken.mp4", b"nothing", "video/mp4")])
    at = settled(at)
    assert [error.value.split(" ")[0] for error in at.error] == [r"broken\.mp4"]
    assert column(at, "Lane") == ["A", "B"]
    assert len(at.selectbox(key="compare item").options) == 1 + len(list_samples())


def test_cancel_frees_the_device_and_the_lane_can_be_tried_again(page, monkeypatch):
    at = settled(page)
    begun, stopped = threading.Event(), threading.Event()

    def endless(self, ticket, *_):
        begun.set()
        assert ticket.cancel.wait(LIMIT_S)
        stopped.set()
        raise Cancelled("stopped")

    at.selectbox(key="compare item").set_value("sample:photographer")
    with monkeypatch.context() as patched:
        patched.setattr(Server, "_analyse", endless)
        at.run()
        assert begun.wait(LIMIT_S)
        button(at, "Cancel").click()
        at.run()
        assert stopped.wait(LIMIT_S)
    at = settled(at)
    assert {note.value for note in at.info} == {"Stopped. The other lanes are still here."}
    at.button(key="compare retry A").click()
    at = settled(at)
    assert not at.info
    assert column(at, "Lane") == ["A", "B"]


def test_without_lane_a_the_page_says_what_is_missing(page, monkeypatch):
    analyse = Server._analyse

    def fail_for_video(self, ticket, item, model, *rest):
        if model.card.name == "video":
            raise DeviceError("The device went away.")
        return analyse(self, ticket, item, model, *rest)

    monkeypatch.setattr(Server, "_analyse", fail_for_video)
    page.session_state["compared instead of"] = ("sample:coffee", None)
    page.session_state["compare lanes"] = tuple(
        Lane(model=name, loc=1, num_tokens=4, random=True) for name in ("video", "tiny")
    )
    at = settled(page)
    assert [error.value for error in at.error] == [r"The device went away\."]
    assert [note.value for note in at.info] == [
        "The other lanes are read against lane A. The comparison appears here as soon as lane A has a result."
    ]
    assert not [part for part in at.get("html") if 'class="compare-table"' in part.proto.body]


def test_a_long_analysis_waits_for_a_yes(page, tmp_path, monkeypatch):
    at = settled(page)
    monkeypatch.setattr(asking, "LONG_S", 0.0)
    clip = write_clip(tmp_path / "disc.mp4", pictures(9, (46, 82))).read_bytes()
    at.file_uploader[0].set_value([("long.mp4", clip, "video/mp4")])
    at = settled(at)
    assert [note.value.split(":")[0] for note in at.info] == [r"long\.mp4", r"long\.mp4"]
    button(at, "Analyse").click()
    at = settled(at)
    assert not at.info
    assert column(at, "Lane") == ["A", "B"]


def test_features_that_had_to_make_room_are_asked_for_again(page):
    at = settled(page)
    cache.server().engine(of_the_cat().model, "cpu").features.clear()
    at.slider(key="compare tokens B").set_value(5)
    at = settled(at)
    assert any("had to make room" in note.value for note in at.info)
    button(at, "Analyse again").click()
    at = settled(at)
    assert not at.info
    assert column(at, "Network")[1].startswith("5 tokens")


def test_without_a_model_the_page_says_what_to_do(page, tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "BUNDLED_DIR", tmp_path / "nothing")
    st.cache_data.clear()
    at = page.run()
    assert not at.exception
    assert at.error[0].value.startswith(r"No model is installed\.")
