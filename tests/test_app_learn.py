"""The Learn page, driven without a browser: each step is there, and its numbers are the library's."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.learn.costs import vit_b16
from app.learn.lesson import STEPS
from app.learn.study import Study
from app.text import operations, percent
from app.tradeoffs import published
from tests.app_cases import save_tiny_model
from tests.app_pages import app_page, control, metrics
from tests.engine_cases import TINY, VIDEO, pictures, write_clip, write_photo
from tokenlearner import cards, flops
from tokenlearner.errors import DeviceError

SHARE = flops.compute(TINY, loc=1, num_tokens=6).total_macs / flops.compute(TINY, loc=None).total_macs


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder)
    save_tiny_model(folder, "clips", config=VIDEO)
    return folder


@pytest.fixture
def page(models: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with tiny models, not run yet."""
    with app_page(repository / "app" / "views" / "learn.py", models, monkeypatch) as at:
        yield at


def run(at: AppTest, step: int | None = None) -> AppTest:
    if step is not None:
        at.session_state["step"] = step
    at.run()
    assert not at.exception, at.exception[0].value
    assert not at.error, at.error[0].value
    return at


def choose(at: AppTest, label: str, value: object) -> AppTest:
    control(at, label).set_value(value)
    return run(at)


def words(at: AppTest) -> str:
    return "\n".join(element.value for element in (*at.markdown, *at.caption, *at.header, *at.info))


@pytest.mark.parametrize("number", range(1, len(STEPS) + 1))
def test_each_step_has_its_title_a_question_the_formula_and_the_code(page: AppTest, number: int) -> None:
    at = run(page, number)
    step = STEPS[number - 1]
    assert at.header[0].value == f"{number}\u2002{step.title}"
    assert [shown.value for shown in at.latex] == [f"$$\n{step.formula}\n$$"]
    assert [block.value for block in at.code] == [excerpt.read().text for excerpt in step.code]
    assert "**Predict.**" in words(at)
    question = control(at, "Your prediction")
    assert [note.value for note in at.info] == ["Choose one: the answer follows here."]
    assert "https://arxiv.org/abs/2106.11297" in words(at)
    said = words(at)
    at = choose(at, "Your prediction", question.options[-1])
    told = set(words(at).split("\n")) - set(said.split("\n"))
    assert any(line.startswith(("**Right.**", "**It is: ")) for line in told)


def test_the_buttons_walk_through_the_lesson(page: AppTest) -> None:
    at = run(page)
    assert at.header[0].value.startswith("1")
    assert next(button for button in at.button if button.label == "Previous").disabled
    for number in range(2, len(STEPS) + 1):
        next(button for button in at.button if button.label == "Next").click()
        at = run(at)
        assert at.header[0].value.startswith(str(number))
    assert next(button for button in at.button if button.label == "Next").disabled


def test_a_step_can_be_linked_to(page: AppTest) -> None:
    page.query_params["step"] = "3"
    assert run(page).header[0].value.startswith("3")


def test_patches_are_counted(page: AppTest) -> None:
    at = run(page, 1)
    assert "32 × 32 pixels in patches of 8 × 8: 4 × 4 = **16 patches**" in words(at)
    assert metrics(at) == {"Patches": "16", "Pixel values in a patch": "192"}
    at = choose(at, "Patch side, pixels", 4)
    assert metrics(at) == {"Patches": "64", "Pixel values in a patch": "48"}
    assert "Drawn only" in words(at)


def test_pairs_are_those_of_the_library(page: AppTest) -> None:
    at = choose(run(page, 2), "Side of the image, pixels", 448)
    found = vit_b16(448)
    amount, unit = operations(found.total, "MACs")
    assert metrics(at) == {"Patches": "784", "Pairs": "614,656", unit: amount}
    at = choose(at, "Your prediction", "16 times")
    assert f"from {percent(found.attention / found.total)} to" in words(at)


def test_the_answer_by_a_hand_made_map_is_the_networks(page: AppTest) -> None:
    at = run(page, 4)
    assert "By the learned map of token 1: **" in words(at)
    before = words(at)
    at = choose(at, "Blocks before the module, of 5", 3)
    assert words(at) != before


def test_where_painting_fails_the_formula_and_the_code_stand(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: Study, loc: int, token_map: object) -> None:
        raise DeviceError("The device is out of memory.")

    at = run(page, 4)
    monkeypatch.setattr(Study, "with_map", fail)
    at.run()
    assert not at.exception
    assert [error.value for error in at.error] == [r"The device is out of memory\."]
    assert [shown.value for shown in at.latex] == [f"$$\n{STEPS[3].formula}\n$$"]
    assert [block.value for block in at.code] == [excerpt.read().text for excerpt in STEPS[3].code]


def test_tokens_and_places_cost_what_the_library_counts(page: AppTest) -> None:
    at = choose(run(page, 5), "Tokens", 6)
    assert metrics(at)["Tokens behind it"] == "6"
    assert metrics(at)["Of the plain ViT"] == percent(SHARE)
    at = choose(at, "Your prediction", "2 to 10 points")
    assert "**Right.** With 6 tokens **58.7 %**" in words(at)
    at = run(at, 6)
    assert "On our photographs learned pooling is not more accurate than averaging." in words(at)


def test_a_clip_has_tokens_for_each_time_step(page: AppTest) -> None:
    at = choose(run(page, 7), "Tokens per time step", 2)
    assert "4 frames, 2 at a time: 2 time steps of 16 patches" in words(at)
    assert metrics(at)["Tokens behind it"] == "4"
    assert control(at, "Your prediction").options == ["8 times", "64 times", "512 times"]
    at = choose(at, "Your prediction", "64 times")
    assert "32² pairs become 4²: 1,024 and 16. Of the work that the blocks save, " in words(at)


def test_a_photo_of_ones_own_is_shown_and_a_broken_file_is_refused_in_a_sentence(page: AppTest, tmp_path: Path) -> None:
    at = run(page, 3)
    photo = write_photo(tmp_path / "mine.png").read_bytes()
    at.file_uploader[0].set_value([("mine.png", photo, "image/png")])
    at = run(at)
    at = run(at)
    assert control(at, "Picture").format_func(control(at, "Picture").value) == "mine.png (yours)"
    at.file_uploader[0].set_value([("broken.mp4", b"nothing", "video/mp4")])
    at = run(at)
    assert "broken" in at.warning[0].value
    assert at.header[0].value.startswith("3")


def test_a_file_opens_the_first_step_that_shows_its_kind(page: AppTest, tmp_path: Path) -> None:
    at = run(page, 7)
    photo = write_photo(tmp_path / "mine.png").read_bytes()
    at.file_uploader[0].set_value([("mine.png", photo, "image/png")])
    at = run(run(at))
    assert at.header[0].value.startswith("1")
    assert control(at, "Picture").format_func(control(at, "Picture").value) == "mine.png (yours)"
    clip = write_clip(tmp_path / "clip.mp4", pictures(12, (64, 96))).read_bytes()
    at.file_uploader[0].set_value([("clip.mp4", clip, "video/mp4")])
    at = run(run(at))
    assert at.header[0].value.startswith("7")


def test_without_the_published_figures_the_lesson_goes_on(
    page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(published, "PATH", tmp_path / "gone.json")
    published.published.cache_clear()
    page.run()
    assert not page.exception
    assert [error.value.split(" ")[1] for error in page.error] == ["published", "published"]
    assert metrics(page)["Patches"] == "16"
    published.published.cache_clear()


def test_without_a_model_the_lesson_says_so(page: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "BUNDLED_DIR", tmp_path)
    st.cache_data.clear()
    page.run()
    assert not page.exception
    assert "needs a trained image model" in page.error[0].value.replace("\\", "")


def test_presenting_leaves_the_lesson_alone(page: AppTest) -> None:
    page.session_state["present"] = True
    at = run(page, 2)
    assert at.header[0].value.startswith("2")
    assert control(at, "Present").value is True
