"""The real app in Chromium: real files go in, maps move, sliders change the network, nothing is lost on an error."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.playing import pixels, press
from tests.engine_cases import pictures, write_clip, write_photo
from tokenlearner.media import VideoWriter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

LIMIT_MS = 180_000  # a first page loads torch and analyses a clip, on whatever machine this is
SETTLE_MS = 60_000
FRAME_BY_FRAME = "?item=sample:portrait&model=photos110-elastic"
"""A link to a clip of 125 frames by the image model, which answers for each frame."""


@pytest.fixture(scope="module")
def app(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve("streamlit_app.py", TOKENLEARNER_CACHE=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def page(app: str, browser: Browser) -> Iterator[Page]:
    """One page for the tests of this module, which run in order, as one visitor would."""
    made = open_page(browser, app)
    yield made
    made.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("media") / "my clip.mp4", pictures(20, (90, 160)))


def open_page(browser: Browser, address: str, width: int = 1440, height: int = 900, link: str = FRAME_BY_FRAME) -> Page:
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(SETTLE_MS)
    page.problems = []  # type: ignore[attr-defined]
    page.on("pageerror", lambda error: page.problems.append(str(error)))  # type: ignore[attr-defined]
    page.on("requestfailed", lambda request: page.problems.append(request.url))  # type: ignore[attr-defined]
    page.goto(f"{address}/{link}")
    page.locator(".player canvas").wait_for(timeout=LIMIT_MS)
    expect(page.locator(".st-key-progress, .st-key-first-progress")).to_have_count(0, timeout=LIMIT_MS)
    expect(figure(page, re.compile("GMACs per (frame|clip)"))).to_be_visible(timeout=LIMIT_MS)
    return page


def figure(page: Page, label: str | re.Pattern[str]) -> Locator:
    """The value of a metric."""
    return page.locator(".stMetric", has_text=label).locator('[data-testid="stMetricValue"]')


def beside(page: Page, label: str) -> Locator:
    """What stands below the value of a metric."""
    return page.locator(".stMetric", has_text=label).locator('[data-testid="stMetricDelta"]')


def numbers(page: Page) -> list[str]:
    return page.locator('[data-testid="stMetricValue"]').all_text_contents()


def upload(page: Page, path: Path) -> None:
    page.get_by_role("button", name="Upload", exact=True).first.click()
    page.locator('input[type="file"]').first.set_input_files(path)


def move(page: Page, label: str, key: str, times: int = 1) -> None:
    """Move a slider by the keyboard."""
    slider = page.locator(".stSlider, .stSelectSlider", has_text=label).get_by_role("slider")
    slider.focus()
    for _ in range(times):
        page.keyboard.press(key)


def tokens_shown(page: Page) -> int:
    return page.locator(".chip").count()


def shown_weights(page: Page) -> list[float]:
    """Percentages on the tokens' buttons."""
    return [float(text.removesuffix(" %")) for text in page.locator(".chip span").all_text_contents()]


def test_the_first_screen_plays_a_clip_whose_moving_things_a_video_model_follows(app, browser):
    page = open_page(browser, app, link="")
    expect(page.locator(".player")).to_have_attribute("data-playing", "", timeout=SETTLE_MS)
    assert tokens_shown(page) == 8
    first = pixels(page)
    expect(page.locator(".step")).not_to_have_text("map 1 of 75")
    assert pixels(page) != first
    expect(page.get_by_role("button", name=re.compile("moving-objects-elastic"))).to_be_visible()
    expect(figure(page, "GMACs per clip of 16 frames")).to_be_visible()
    expect(page.locator(".bars")).to_have_count(2)
    assert page.problems == []
    page.close()


def test_a_link_shows_its_clip_standing_still(page):
    expect(page.locator(".step")).to_have_text("map 1 of 125")
    expect(page.locator(".player")).not_to_have_attribute("data-playing", "")
    expect(page.locator(".bars li")).to_have_count(5)


def test_nothing_is_fetched_from_elsewhere(page):
    assert page.problems == []


def test_the_page_fits_the_window(page):
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 1440


def test_an_uploaded_clip_is_analysed_and_its_maps_move(page, clip):
    upload(page, clip)
    title = page.get_by_text(re.compile(r"my clip\.mp4 · 160 × 90 · .* 20 frames"))
    expect(title).to_be_visible(timeout=LIMIT_MS)
    press(page, "Home")
    expect(page.locator(".step")).to_have_text("map 1 of 20")
    first = pixels(page)
    press(page, "End")
    expect(page.locator(".step")).to_have_text("map 20 of 20")
    assert pixels(page) != first


def test_going_to_the_end_twice_stays_there(page):
    press(page, "End")
    expect(page.locator(".step")).to_have_text("map 20 of 20")
    press(page, "End", "ArrowRight")
    page.wait_for_timeout(500)
    expect(page.locator(".step")).to_have_text("map 20 of 20")


def test_the_token_slider_runs_the_network_and_the_playhead_stays(page):
    before, time = numbers(page), page.locator(".transport .time").text_content()
    weights = shown_weights(page)
    move(page, "Tokens", "ArrowLeft", 5)
    expect(page.locator(".chip")).to_have_count(3)
    expect(figure(page, "GMACs per frame")).not_to_have_text(before[0])
    assert numbers(page)[:2] != before[:2]
    assert shown_weights(page) == pytest.approx(weights[:3], rel=0.1)  # tokens are nested: the first stay as they are
    assert page.locator(".transport .time").text_content() == time


def test_the_place_slider_runs_the_network_at_another_place(page):
    before, maps = numbers(page), pixels(page)
    move(page, "Place of TokenLearner", "ArrowLeft")
    expect(page.get_by_text("after 2 of 8 blocks").first).to_be_visible()
    expect(figure(page, "GMACs per frame")).not_to_have_text(before[0])
    expect(page.locator(".chip")).to_have_count(3)
    assert pixels(page) != maps
    move(page, "Place of TokenLearner", "End")
    expect(beside(page, "GMACs per frame")).to_have_text("100 % of plain ViT")
    expect(page.locator(".chip")).to_have_count(0)
    move(page, "Place of TokenLearner", "ArrowLeft", 2)
    expect(page.locator(".chip")).to_have_count(3)


def test_a_broken_file_gives_one_sentence_and_the_earlier_result_stays(page, tmp_path):
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"this is no video")
    upload(page, broken)
    alert = page.get_by_role("alert").filter(has_text="broken.mp4")
    expect(alert).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_text(re.compile(r"my clip\.mp4 · 160 × 90"))).to_be_visible()
    expect(page.locator(".step")).to_have_text("map 20 of 20")
    expect(page.locator(".player")).to_have_count(1)


def test_an_uploaded_photo_is_shown_without_a_timeline(page, tmp_path):
    upload(page, write_photo(tmp_path / "my photo.jpg", (120, 90)))
    expect(page.get_by_text(re.compile(r"my photo\.jpg · 90 × 120"))).to_be_visible(timeout=LIMIT_MS)
    expect(page.locator(".transport:visible")).to_have_count(0)
    expect(page.locator(".chip")).to_have_count(3)
    assert page.problems == []


def test_a_narrow_window_has_the_clip_the_answer_the_tokens_compute_and_the_timeline_in_that_order(app, browser):
    page = open_page(browser, app, 390, 844)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    parts = (".player canvas", ".bars", ".desk", ".st-key-figures", ".timeline", ".takeaway")
    tops = [page.locator(selector).first.evaluate("e => e.getBoundingClientRect().y") for selector in parts[:-1]]
    assert tops == sorted(tops)
    rows = page.locator('[class*="st-key-below-a-"] button').evaluate_all(
        "all => all.map((one) => one.getBoundingClientRect().y)"
    )
    assert len(rows) == 4
    assert max(rows) - min(rows) < 2, "the views stand in one row"
    page.close()


def test_the_keyboard_goes_the_way_of_the_eye(app, browser):
    page = open_page(browser, app, 390, 844)
    page.locator(".timeline").wait_for(timeout=LIMIT_MS)
    page.locator(".player .chip").last.focus()
    tops = []
    for _ in range(70):
        page.keyboard.press("Tab")
        top, is_over = page.evaluate(
            """() => {
                const page = document.querySelector('[data-testid="stMain"]');
                const focused = document.activeElement;
                return [focused.getBoundingClientRect().bottom + page.scrollTop, Boolean(focused.closest("details"))];
            }"""
        )
        if is_over:
            break
        tops.append(top)
    assert 30 < len(tops) < 70, len(tops)
    assert all(after > before - 60 for before, after in itertools.pairwise(tops)), "never back up the page"
    page.close()


def test_panels_stand_beside_the_picture_where_there_is_room(app, browser):
    page = open_page(browser, app, 1024, 768)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 1024
    clip, panels, lanes = (
        page.locator(name).first.bounding_box() for name in (".player", ".st-key-panels", ".timeline")
    )
    assert clip is not None
    assert panels is not None
    assert lanes is not None
    assert panels["x"] > clip["x"] + clip["width"]
    assert panels["y"] < clip["y"] + 100
    assert panels["width"] > 290
    assert lanes["y"] > clip["y"] + clip["height"]
    assert lanes["width"] == pytest.approx(clip["width"], abs=1)
    page.close()


@pytest.fixture(scope="module")
def slow_app(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve("tests/browser/slow_app.py", TOKENLEARNER_CACHE=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def long_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A minute of 64 x 36 pixels, of which 300 frames are analysed: ten batches."""
    path = tmp_path_factory.mktemp("media") / "long.mp4"
    with VideoWriter(path, (36, 64)) as writer:
        for index in range(1500):
            writer.write(np.full((36, 64, 3), index % 250, np.uint8), index / 25)
    return path


def begin_long_run(page: Page, path: Path) -> None:
    """Upload a clip, agree to what it costs if the page asks, and see it run."""
    upload(page, path)
    page.locator(".st-key-progress, .st-key-question").first.wait_for(timeout=LIMIT_MS)
    if page.locator(".st-key-question").count():
        page.locator(".st-key-question").get_by_role("button", name="Analyse").click()
    running = re.compile(r"long\.mp4: \d+ of 300 frames|The first .+ of 60 s; the rest is being analysed")
    expect(page.get_by_text(running)).to_be_visible(timeout=LIMIT_MS)


def test_a_long_run_shows_its_progress_and_stops_when_told(slow_app, browser, long_clip):
    page = open_page(browser, slow_app)
    begin_long_run(page, long_clip)
    page.get_by_role("button", name="Cancel").click()
    stays = re.compile(r"long\.mp4: Stopped\. The (earlier result is still|first .+ stay) here\.")
    expect(page.get_by_text(stays)).to_be_visible(timeout=SETTLE_MS)
    expect(page.locator(".player")).to_have_count(1)
    page.close()


def test_two_visitors_wait_in_line_and_each_get_their_own(slow_app, browser, long_clip, tmp_path):
    anna, ben = open_page(browser, slow_app), open_page(browser, slow_app)
    begin_long_run(anna, long_clip)
    upload(ben, write_clip(tmp_path / "his.mp4", pictures(20, (50, 70))))
    expect(ben.get_by_text("his.mp4: waiting, 1st in line for the device")).to_be_visible(timeout=SETTLE_MS)
    for page, mine, maps in ((anna, r"long\.mp4 · 64 × 36", 300), (ben, r"his\.mp4 · 70 × 50", 20)):
        expect(page.get_by_text(re.compile(mine))).to_be_visible(timeout=LIMIT_MS)
        expect(page.locator(".step")).to_have_text(re.compile(f"of {maps}$"), timeout=LIMIT_MS)
        press(page, "End")
        expect(page.locator(".step")).to_have_text(f"map {maps} of {maps}", timeout=SETTLE_MS)
    assert anna.get_by_text(re.compile(r"his\.mp4")).count() == 0
    assert ben.get_by_text(re.compile(r"long\.mp4")).count() == 0
    assert pixels(anna) != pixels(ben)
    anna.close()
    ben.close()
