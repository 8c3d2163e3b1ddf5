"""The Explore page, driven without a browser: every control leads to the library's numbers, no file breaks it."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.proto.Common_pb2 import FileURLs
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.runtime.uploaded_file_manager import DeletedFile, UploadedFile, UploadedFileRec
from streamlit.testing.v1 import AppTest

from app import cache
from app.desk import Pressed
from app.explore import asking
from app.explore.tokens import whose
from app.explore.wish import Framing
from app.received import new_files
from app.server import Server
from app.text import millions, operations, percent
from tests.app_cases import LIMIT_S, leave, save_tiny_model, until
from tests.app_pages import app_page, button, captions, metrics, visit_of
from tests.engine_cases import TINY, VIDEO, pictures, write_clip, write_photo
from tokenlearner import cards, flops
from tokenlearner.engine import Engine, plan_geometry
from tokenlearner.errors import Cancelled, ConfigError, FeaturesNotKept
from tokenlearner.samples import list_samples

CAT = plan_geometry(TINY, (300, 451))  # the sample has 300 x 451 pixels


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder)
    return folder


@pytest.fixture
def page(models: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with a photograph and the tiny model, not run yet."""
    cache.server()._views.drop(lambda key: True)  # all tests share the server
    with app_page(repository / "streamlit_app.py", models, monkeypatch, item="sample:cat") as at:
        yield at


def settled(at: AppTest) -> AppTest:
    """Run the page until nothing is under way any more."""
    at.run()
    for _ in range(200):
        assert not at.exception, at.exception[0].value
        buttons = [button.label for button in at.button]
        visit = visit_of(at)
        if "Cancel" not in buttons:
            if visit.timing is None or metrics(at).get("Time") != "…":
                return at
            assert visit.timing[1].wait(LIMIT_S)
            at.run()
            continue
        assert visit.job is None or visit.job[1].wait(LIMIT_S)
        at.run()
    pytest.fail("the page did not settle")


def slider(at: AppTest, label: str):
    return next(widget for widget in (*at.slider, *at.select_slider) if widget.label.startswith(label))


def beside(at: AppTest) -> dict[str, str]:
    """What stands below each figure, to read it against."""
    return {metric.label: metric.delta for metric in at.metric}


def mute(at: AppTest, *tokens: int) -> None:
    """Press buttons on the desk of what is on the screen."""
    shown = visit_of(at).shown
    at.session_state[f"desk of 6 for {whose(shown.request.item, shown.model)}"] = Pressed(muted=tokens)


def lead(at: AppTest) -> str:
    """The sentence above the picture."""
    return "\n".join(text.value for text in at.markdown)


def mega(count: int) -> str:
    return operations(count, "MACs")[0]


def upload(at: AppTest, *files: tuple[str, bytes]) -> AppTest:
    at.file_uploader[0].set_value([(name, content, "application/octet-stream") for name, content in files])
    return settled(at)


def photo(tmp_path: Path, frame_hw: tuple[int, int] = (33, 60)) -> bytes:
    return write_photo(tmp_path / "made.png", frame_hw).read_bytes()


def test_the_first_screen_shows_a_sample_with_the_numbers_of_the_library(page):
    at = settled(page)
    here = flops.compute(TINY, image_hw=CAT.input_hw, loc=1, num_tokens=6)
    plain = flops.baseline(TINY, image_hw=CAT.input_hw)
    shown, compared = metrics(at), beside(at)
    assert list(shown) == ["MMACs per frame", "Time", "Top-1 accuracy"]
    assert shown["MMACs per frame"] == mega(here.total_macs)
    assert compared["MMACs per frame"] == f"{percent(here.total_macs / plain.total_macs)} of plain ViT"
    assert shown["Time"].endswith(" ms")
    assert compared["Time"].startswith("plain ViT ")
    assert (shown["Top-1 accuracy"], compared["Top-1 accuracy"]) == ("59 %", "plain ViT 62 %")
    assert "**Cat** · 451 × 300" in captions(at)
    assert f"{millions(here.params)} parameters; about " in captions(at)
    patches = CAT.grid_hw[0] * CAT.grid_hw[1]
    assert f"**6 tokens** stand for the {patches} patches of the picture; each colour" in lead(at)
    assert not at.error


def test_the_sliders_run_the_network_and_change_every_number(page):
    at = settled(page)
    before = captions(at)
    slider(at, "Tokens").set_value(2)
    slider(at, "Place of TokenLearner").set_value(3)
    at = settled(at)
    here = flops.compute(TINY, image_hw=CAT.input_hw, loc=3, num_tokens=2)
    assert metrics(at)["MMACs per frame"] == mega(here.total_macs)
    assert metrics(at)["Top-1 accuracy"] == "60 %"
    assert beside(at)["Top-1 accuracy"] == "measured with 6 tokens"
    assert "**2 tokens** stand for" in lead(at)
    assert captions(at) != before
    visit = visit_of(at)
    assert cache.server().known_view(visit.shown, (3, 2, ())).token_maps.shape == (1, 2, *CAT.grid_hw)


def test_at_the_right_end_the_plain_network_runs(page):
    at = settled(page)
    slider(at, "Place of TokenLearner").set_value(TINY.depth)
    at = settled(at)
    assert beside(at) == {
        "MMACs per frame": "100 % of plain ViT",
        "Time": "the plain ViT",
        "Top-1 accuracy": "the plain ViT",
    }
    assert slider(at, "Tokens").disabled
    assert "**Plain ViT**: all " in lead(at)


def test_flops_are_twice_the_macs(page):
    at = settled(page)
    at.segmented_control(key="counted in").set_value("FLOPs")
    at = settled(at)
    here = flops.compute(TINY, image_hw=CAT.input_hw, loc=1, num_tokens=6)
    assert metrics(at)["MFLOPs per frame"] == mega(2 * here.total_macs)


def test_a_budget_goes_to_the_best_measured_setting_within_it(page):
    at = settled(page)
    full = flops.baseline(TINY, image_hw=CAT.input_hw).total_macs
    share = -int(-100 * flops.compute(TINY, image_hw=CAT.input_hw, loc=1, num_tokens=6).total_macs // full)
    budget = slider(at, "Budget")
    assert (budget.value, budget.max) == (100, 100)
    assert budget.label.replace("\\", "") == f"Budget, in % of the plain ViT's {mega(full)} MMACs"
    assert budget.min == -int(-100 * flops.compute(TINY, image_hw=CAT.input_hw, loc=1, num_tokens=2).total_macs // full)
    slider(at, "Tokens").set_value(3)
    at = settled(at)
    slider(at, "Budget").set_value(share)
    at = settled(at)
    assert (slider(at, "Tokens").value, slider(at, "Place of TokenLearner").value) == (6, 1)
    assert "6 tokens after 1 of 5 blocks, 59 % top" in captions(at).replace("\\", "")
    assert metrics(at)["Top-1 accuracy"] == "59 %"
    assert "The sliders stand above it" not in captions(at)
    slider(at, "Place of TokenLearner").set_value(3)
    at = settled(at)
    above = flops.compute(TINY, image_hw=CAT.input_hw, loc=3, num_tokens=6).total_macs
    assert f"The sliders stand above it: {mega(above)} MMACs" in unescaped(at)
    slider(at, "Budget").set_value(100)
    at = settled(at)
    assert slider(at, "Place of TokenLearner").value == TINY.depth
    assert not at.warning


def test_values_that_another_input_or_model_left_are_brought_into_range(page):
    page.session_state["budget of tiny"] = 1
    page.session_state["tokens of tiny"] = 40
    page.session_state["place in tiny"] = 2
    at = settled(page)
    assert (slider(at, "Tokens").value, slider(at, "Place of TokenLearner").value) == (6, 1)
    budget = slider(at, "Budget")
    assert budget.value == budget.min > 1


def view_below(at: AppTest, name: str) -> AppTest:
    """Open one of the views below the player."""
    at.segmented_control(key="below a still").set_value(name)
    return settled(at)


def answered(at: AppTest) -> AppTest:
    """Run the page until no question is under way any more."""
    for _ in range(50):
        jobs = [job for _, _, job in visit_of(at).questions.values()]
        if not jobs:
            return at
        for job in jobs:
            assert job.wait(LIMIT_S)
        at = settled(at)
    pytest.fail("the question did not settle")


def test_what_each_token_is_worth_is_found_on_demand_and_shown_on_the_desk(page):
    at = view_below(settled(page), "Cause")
    assert "Runs all 64 sets of tokens on 1 frame" in captions(at).replace("\\", "")
    button(at, "What is each token worth?").click()
    at = answered(settled(at))
    assert "the sum is exact to 0.0001" in lead(at).replace("\\", "")
    ((_, question),) = [key for key in cache.server()._answers._entries if key[1].kind == "worth"]
    assert (question.loc, question.num_tokens, question.baseline) == (1, 6, "dropped")
    at = view_below(at, "Overlap")
    button(at, "Find out").click()
    at = answered(settled(at))
    assert "tokens" in lead(at).split("How many tokens does this photo need?")[1]


def test_one_switch_doubts_the_maps_of_one_setting_and_names_its_price(page):
    at = view_below(settled(page), "Doubt")
    assert re.search(
        r"Runs 1 frame with random weights and \d+ frames with patches deleted: about .* s on ", unescaped(at)
    )
    doubts(at).set_value(True)
    at = answered(settled(at))
    assert "with even maps" in lead(at).lower()
    assert "**Deleting patches**" in lead(at)
    assert "Mean map of all tokens; full colour is" in captions(at)
    slider(at, "Tokens").set_value(5)
    at = settled(at)
    assert not visit_of(at).questions, "a slider starts no long run by itself"
    assert "**Deleting patches**" not in lead(at)
    button(at, "Doubt the maps of this setting").click()
    at = answered(settled(at))
    assert "**Deleting patches**" in lead(at)


def test_switching_doubt_off_stops_its_run(page, monkeypatch):
    begun, stopped = threading.Event(), threading.Event()

    def endless(question, shown, engine, *, cancel, **_):
        begun.set()
        assert cancel.wait(LIMIT_S)
        stopped.set()
        raise Cancelled("stopped")

    monkeypatch.setattr("app.server.answer", endless)
    at = view_below(settled(page), "Doubt")
    slider(at, "Tokens").set_value(4)
    at = settled(at)
    doubts(at).set_value(True)
    at.run()
    assert begun.wait(LIMIT_S)
    assert "Stop" in [button.label for button in at.button]
    doubts(at).set_value(False)
    at.run()
    assert stopped.wait(LIMIT_S)
    assert not visit_of(at).questions


def doubts(at: AppTest):
    return next(toggle for toggle in at.toggle if toggle.label == "Doubt these maps")


def unescaped(at: AppTest) -> str:
    """The captions without what keeps Markdown from reading them."""
    return captions(at).replace("\\", "")


def test_the_plain_network_has_nothing_to_doubt(page):
    at = settled(page)
    slider(at, "Place of TokenLearner").set_value(TINY.depth)
    at = settled(at)
    assert "The plain ViT makes no tokens" in captions(at)


def test_leaving_a_token_out_says_what_is_lost(page):
    at = settled(page)
    mute(at, 1, 4)
    at = settled(at)
    assert "Without tokens 2, 5: " in captions(at)


def test_tokens_left_out_of_one_picture_are_not_left_out_of_another(page):
    at = settled(page)
    mute(at, 1, 4)
    at.selectbox[0].set_value("sample:coffee")
    at = settled(at)
    assert "Without tokens" not in captions(at)
    at.selectbox[0].set_value("sample:cat")
    at = settled(at)
    assert "Without tokens 2, 5: " in captions(at)
    next(toggle for toggle in at.toggle if toggle.label == "Random weights").set_value(True)
    at = settled(at)
    assert "Without tokens" not in captions(at), "the tokens of another network are others"


def test_what_was_seen_last_stays_when_a_setting_cannot_be_had(page, monkeypatch):
    at = settled(page)
    slider(at, "Tokens").set_value(2)
    at = settled(at)
    cost = metrics(at)["MMACs per frame"]

    def fail(*_, **__):
        raise ConfigError("This cannot be run.")

    monkeypatch.setattr(Engine, "rerun", fail)
    slider(at, "Tokens").set_value(3)
    at = settled(at)
    assert [error.value for error in at.error] == [r"This cannot be run\."]
    assert metrics(at)["MMACs per frame"] == cost
    assert "**2 tokens** stand for" in lead(at)


def test_features_that_never_were_kept_are_not_asked_for_again(page, monkeypatch):
    at = settled(page)

    def fail(*_, **__):
        raise FeaturesNotKept("Take fewer frames.")

    monkeypatch.setattr(Engine, "rerun", fail)
    slider(at, "Tokens").set_value(5)
    at = settled(at)
    assert [note.value for note in at.info] == [r"Take fewer frames\."]
    assert "Analyse again" not in [button.label for button in at.button]


def test_photos_begin_with_the_image_model_and_clips_with_the_video_model(page, models, tmp_path):
    video = models / "video.safetensors"
    save_tiny_model(models, "video", config=VIDEO)
    try:
        at = settled(page)
        assert visit_of(at).shown.model.card.name == "tiny"
        choice = next(radio for radio in at.radio if radio.label == "Model")
        assert (choice.options, choice.value) == (["tiny", "video"], "tiny")
        choice.set_value("video")
        at = settled(at)
        shown = visit_of(at).shown
        assert (shown.model.card.name, shown.analysis.token_maps.shape[:2]) == ("video", (1, 6))
        assert "it saw this picture 4 times over, where nothing moves" in captions(at)
        assert "MMACs per clip of 4 frames" in metrics(at)
        at = upload(at, ("disc.mp4", write_clip(tmp_path / "disc.mp4", pictures(6, (46, 80))).read_bytes()))
        choice = next(radio for radio in at.radio if radio.label == "Model")
        assert (choice.value, visit_of(at).shown.model.card.name) == ("video", "video")
        choice.set_value("tiny")
        at = settled(at)
        assert visit_of(at).shown.model.card.name == "tiny"
        at = upload(at, ("_c_.png", photo(tmp_path)))
        assert visit_of(at).shown.model.card.name == "video", "each kind of media keeps the model picked for it"
    finally:
        for path in models.glob("video*"):
            path.unlink()
        assert not video.exists()


def test_random_weights_are_marked(page):
    at = settled(page)
    next(toggle for toggle in at.toggle if toggle.label == "Random weights").set_value(True)
    at = settled(at)
    assert (metrics(at)["Top-1 accuracy"], beside(at)["Top-1 accuracy"]) == ("–", "untrained: like guessing")
    assert "These weights are untrained" in captions(at)
    assert not visit_of(at).shown.analysis.provenance.trained


def test_an_uploaded_photo_is_chosen_and_shown(page, tmp_path):
    at = upload(settled(page), ("disc.png", photo(tmp_path)))
    assert r"**disc\.png** · 60 × 33" in captions(at)
    assert at.session_state["item"].startswith("file:")
    assert not at.error


def test_streamlit_keeps_no_copy_of_an_upload_in_memory(page, tmp_path, monkeypatch):
    kept: dict[str, int] = {}
    for name in ("add_file", "remove_file"):
        method = getattr(MemoryUploadedFileManager, name)

        def noted(self, *args, _method=method):
            _method(self, *args)
            kept["bytes"] = self._total_bytes
            kept["calls"] = kept.get("calls", 0) + 1

        monkeypatch.setattr(MemoryUploadedFileManager, name, noted)
    upload(settled(page), ("disc.png", photo(tmp_path)))
    assert kept == {"bytes": 0, "calls": 2}


def test_files_that_were_taken_are_not_taken_again():
    record = UploadedFileRec(file_id="1", name="disc.png", type="image/png", data=b"x")
    new = UploadedFile(record, FileURLs(file_id="1"))
    assert new_files([new, DeletedFile("2")]) == [new]
    assert new_files(new) == [new]
    assert new_files(DeletedFile("2")) == []
    assert new_files(None) == []


def test_of_several_files_the_good_ones_are_listed_and_the_bad_ones_named(page, tmp_path):
    at = upload(settled(page), ("broken.mp4", b"nothing"), ("disc.png", photo(tmp_path)), ("empty.png", b""))
    assert [error.value.split(" ")[0] for error in at.error] == [r"broken\.mp4", r"empty\.png"]
    assert r"**disc\.png**" in captions(at)
    assert len(at.selectbox[0].options) == 1 + len(list_samples())


def test_a_file_that_cannot_be_read_gives_one_sentence_and_nothing_is_lost(page):
    at = upload(settled(page), ("notes.mp4", b"this is no video"))
    (error,) = at.error
    assert error.value.startswith(r"notes\.mp4 ")
    assert "**Cat** · 451 × 300" in captions(at)
    at.selectbox[0].set_value("sample:coffee")
    at = settled(at)
    assert not at.error
    assert "**Coffee**" in captions(at)


def test_a_name_is_shown_as_it_is_and_never_as_markup(page, tmp_path):
    at = upload(settled(page), ("![x](http://h)<b>_a_.png", photo(tmp_path)))
    assert r"**h\)\<b\>\_a\_\.png** ·" in captions(at)  # what stands before a slash is a folder


def test_the_same_file_is_known_by_its_content_and_shown_under_its_new_name(page, tmp_path):
    at = upload(settled(page), ("first.png", photo(tmp_path)))
    key = at.session_state["item"]
    at = upload(at, ("second.png", photo(tmp_path)))
    assert at.session_state["item"] == key
    assert r"**second\.png**" in captions(at)


def test_a_long_analysis_waits_for_a_yes_that_knows_its_price(page, tmp_path, monkeypatch):
    at = settled(page)
    monkeypatch.setattr(asking, "LONG_S", 0.0)
    clip = write_clip(tmp_path / "disc.mp4", pictures(9, (46, 82))).read_bytes()
    at = upload(at, ("long.mp4", clip))
    (question,) = at.info
    assert question.value.startswith(r"long\.mp4 would take about ")
    assert "9 frames: about " in lead(at)
    assert "**Cat**" in captions(at)
    button(at, "Analyse").click()
    at = settled(at)
    assert r"**long\.mp4**" in captions(at)
    assert not at.info


def test_what_is_on_the_screen_is_not_asked_about_when_the_machine_turns_out_slower(page, tmp_path, monkeypatch):
    at = settled(page)
    at = upload(at, ("quick.mp4", write_clip(tmp_path / "disc.mp4", pictures(8, (46, 84))).read_bytes()))
    assert r"**quick\.mp4**" in captions(at)
    monkeypatch.setattr(asking, "LONG_S", 0.0)
    at.run()
    assert not at.info


def test_cancel_frees_the_device_and_keeps_the_earlier_result(page, tmp_path, monkeypatch):
    at = settled(page)
    begun, stopped = threading.Event(), threading.Event()

    def endless(self, ticket, *_):
        begun.set()
        assert ticket.cancel.wait(LIMIT_S)
        stopped.set()
        raise Cancelled("stopped")

    with monkeypatch.context() as patched:
        patched.setattr(Server, "_analyse", endless)
        at.file_uploader[0].set_value([("slow.png", photo(tmp_path, (21, 44)), "image/png")])
        at.run()
        assert begun.wait(LIMIT_S)
        assert "**Cat**" in captions(at)
        button(at, "Cancel").click()
        at.run()
        assert stopped.wait(LIMIT_S)
    at = settled(at)
    assert [note.value for note in at.info] == [r"slow\.png: Stopped. The earlier result is still here."]
    button(at, "Try again").click()
    at = settled(at)
    assert r"**slow\.png**" in captions(at)


def test_cancelling_the_very_first_run_leaves_a_page_that_says_what_to_do(page, monkeypatch):
    begun = threading.Event()

    def endless(self, ticket, *_):
        begun.set()
        assert ticket.cancel.wait(LIMIT_S)
        raise Cancelled("stopped")

    monkeypatch.setattr(Server, "_analyse", endless)
    page.session_state["framing"] = {"sample:cat": Framing(resize="crop")}  # which no other test has asked for
    at = page.run()
    assert begun.wait(LIMIT_S)
    assert at.get("skeleton")
    button(at, "Cancel").click()
    at.run()
    assert not at.get("skeleton")
    assert "Nothing is analysed yet. Choose a photo or clip above" in lead(at)


def test_an_analysis_that_fails_says_why_once_and_can_be_tried_again(page, tmp_path):
    at = upload(settled(page), ("disc.png", photo(tmp_path, (22, 44))))
    visit = visit_of(at)
    visit.uploads.kept[0].path.write_bytes(b"gone bad")
    at.session_state["frames open"] = True
    at.run()
    at.segmented_control(key=f"resize of {at.session_state['item']} in the popover").set_value("crop")
    at.run()
    button(at, "Analyse").click()
    at = settled(at)
    (error,) = at.error
    assert error.value.startswith(r"disc\.png ")
    assert error.value.endswith("The earlier result is still here.")
    assert r"**disc\.png** · 44 × 22" in captions(at)


def test_features_that_had_to_make_room_are_asked_for_again(page):
    at = settled(page)
    shown = visit_of(at).shown
    cache.server().engine(shown.model, "cpu").features.clear()
    slider(at, "Tokens").set_value(4)
    at = settled(at)
    assert any("had to make room" in note.value for note in at.info)
    button(at, "Analyse again").click()
    at = settled(at)
    assert not at.info
    assert visit_of(at).shown.analysis.num_tokens == 4


def test_without_a_model_the_page_says_what_to_do(page, tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "BUNDLED_DIR", tmp_path / "nothing")
    st.cache_data.clear()
    at = page.run()
    assert not at.exception
    assert at.error[0].value.startswith(r"No model is installed\.")


def test_leaving_the_page_gives_everything_back(page, tmp_path, monkeypatch):
    at = upload(settled(page), ("disc.png", photo(tmp_path, (23, 44))))
    server, visit = cache.server(), visit_of(at)
    path, request = visit.uploads.kept[0].path, visit.shown.request
    monkeypatch.setattr(server.visits, "_grace_s", 0.01)
    monkeypatch.setattr(server.visits, "_patience_s", 0.01)
    leave(server.visits, visit.id)
    until(lambda: request not in server.results)
    assert not path.exists()
