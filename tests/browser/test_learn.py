"""The lesson in Chromium: one walk through all steps by the arrow keys, and a map painted by hand."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from app.learn.lesson import STEPS
from tests.browser.limits import EXPECT_MS, LIMIT_MS, SETTLE_MS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(open_app: Callable[..., Page]) -> Page:
    """One page for the tests of this module, which run in order."""
    made = open_app("learn")
    canvas(made).wait_for(timeout=LIMIT_MS)
    return made


@pytest.fixture(scope="module", autouse=True)
def patience() -> Iterator[None]:
    expect.set_options(timeout=SETTLE_MS)
    yield
    expect.set_options(timeout=EXPECT_MS)


def canvas(page: Page) -> Locator:
    return page.locator("canvas.picture[data-drawn]")


def title(page: Page) -> Locator:
    return page.get_by_role("heading", level=2)


def settled(page: Page) -> None:
    """Wait until the app has answered the last wish."""
    expect(page.locator('[data-testid="stApp"]')).to_have_attribute("data-test-script-state", "notRunning")


def answer(page: Page) -> Locator:
    return page.locator(".st-key-lesson-answer .lesson-bars")


def point(page: Page, row: int, column: int) -> tuple[float, float]:
    """Where the middle of a patch lies."""
    box = canvas(page).bounding_box()
    assert box is not None
    return box["x"] + (column + 0.5) / 14 * box["width"], box["y"] + (row + 0.5) / 14 * box["height"]


def test_the_arrow_keys_walk_through_all_steps_and_back(page: Page):
    for number, step in enumerate(STEPS, start=1):
        expect(title(page)).to_contain_text(step.title, timeout=LIMIT_MS)
        expect(page.locator(".st-key-lesson-formula .katex-display")).to_be_visible()
        if number > 1:
            expect(page).to_have_url(re.compile(rf"step={number}\b"))
        settled(page)
        page.keyboard.press("ArrowRight")
    expect(page.locator(".lesson-tiles img")).to_have_count(8, timeout=LIMIT_MS)
    for step in reversed(STEPS[:-1]):
        page.keyboard.press("ArrowLeft")
        expect(title(page)).to_contain_text(step.title)
        settled(page)


def test_keys_that_scroll_a_page_are_the_lessons_only_where_it_is_presented(page: Page):
    settled(page)
    for key in ("End", "PageDown", "p"):
        page.keyboard.press(key)
    page.wait_for_timeout(500)
    expect(title(page)).to_contain_text(STEPS[0].title)
    page.get_by_text("Present", exact=True).click()
    expect(page.locator('[data-testid="stHeader"]')).to_be_hidden()
    settled(page)
    page.keyboard.press("PageDown")
    expect(title(page)).to_contain_text(STEPS[1].title)
    settled(page)
    page.keyboard.press("Home")
    expect(title(page)).to_contain_text(STEPS[0].title)
    settled(page)
    page.keyboard.press("p")
    expect(page.locator('[data-testid="stHeader"]')).to_be_visible()


def test_pointing_at_a_patch_names_it(page: Page):
    settled(page)
    page.mouse.move(*point(page, 1, 2))
    expect(page.locator(".readout")).to_have_text("Patch 17 of 196: row 2, column 3.")


def test_a_click_on_a_slider_leaves_the_arrows_to_the_lesson(page: Page):
    page.keyboard.press("ArrowRight")
    expect(title(page)).to_contain_text(STEPS[1].title)
    settled(page)
    slider = page.get_by_role("slider").first
    box = page.locator(".stSlider").first.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.6, box["y"] + box["height"] - 10)
    settled(page)
    page.keyboard.press("ArrowRight")
    expect(title(page)).to_contain_text(STEPS[2].title)
    settled(page)
    page.keyboard.press("ArrowLeft")
    expect(title(page)).to_contain_text(STEPS[1].title)
    settled(page)
    slider.focus()
    before = slider.input_value()
    page.keyboard.press("ArrowRight")
    expect(slider).not_to_have_value(before)
    expect(title(page)).to_contain_text(STEPS[1].title)


def test_a_painted_map_changes_the_token_and_the_answer(page: Page, app: str):
    page.goto(f"{app}/learn?step=4")
    expect(title(page)).to_contain_text(STEPS[3].title, timeout=LIMIT_MS)
    page.get_by_role("radio", name="0", exact=True).click()
    expect(page.locator(".st-key-lesson-answer")).to_contain_text("By the learned map of token 1")
    canvas(page).wait_for()
    settled(page)
    learned = answer(page).inner_text()
    token = strip(page)
    page.mouse.move(*point(page, 0, 0))
    page.mouse.down()
    page.mouse.move(*point(page, 2, 5), steps=8)
    page.mouse.up()
    assert strip(page) != token
    expect(answer(page)).not_to_have_text(learned, use_inner_text=True)
    expect(page.locator(".readout")).to_contain_text("This patch: ")
    painted = answer(page).inner_text()
    page.get_by_role("button", name="Even").click()
    expect(answer(page)).not_to_have_text(painted, use_inner_text=True)
    page.get_by_role("button", name="Clear").click()
    expect(page.locator(".st-key-lesson-answer")).to_contain_text("An empty map pools nothing")


def test_steps_have_names_and_answers_are_announced(page: Page):
    expect(page.get_by_role("radio", name="4 Pooling", exact=True)).to_have_attribute("aria-checked", "true")
    status = page.locator("[class*=st-key-question]").get_by_role("status")
    expect(status).to_have_text("Choose one: the answer follows here.")
    node = status.element_handle()
    page.get_by_role("radio", name="another class").click()
    expect(status).to_contain_text(re.compile("^(Right|It is)"))
    assert node.evaluate("node => node.isConnected")  # what changes in a status is said, a new one need not be


def test_a_map_can_be_painted_by_keys(page: Page):
    canvas(page).focus()
    for key in ("ArrowLeft", "ArrowUp", "Space"):
        page.keyboard.press(key)
    expect(answer(page)).to_be_visible()
    expect(page.locator(".readout")).to_contain_text("This patch: ")
    expect(title(page)).to_contain_text(STEPS[3].title)
    canvas(page).evaluate("canvas => canvas.blur()")


def test_presenting_takes_the_chrome_away_and_escape_brings_it_back(page: Page):
    settled(page)
    page.get_by_text("Present", exact=True).click()
    header = page.locator('[data-testid="stHeader"]')
    expect(header).to_be_hidden()
    expect(page).to_have_url(re.compile("present=true"))
    assert page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") >= 20
    settled(page)
    page.keyboard.press("Escape")
    expect(header).to_be_visible()


def test_a_presented_lesson_has_a_way_on_and_out_without_keys(open_app: Callable[..., Page]):
    page = open_app("learn?step=6&present=true", 390, 844, has_touch=True, is_mobile=True)
    expect(title(page)).to_contain_text(STEPS[5].title, timeout=LIMIT_MS)
    settled(page)
    bar = page.locator(".lesson-bars > li > div").first.bounding_box()
    assert bar is not None
    assert bar["width"] > 200
    page.get_by_role("button", name="Next").tap()
    expect(title(page)).to_contain_text(STEPS[6].title, timeout=LIMIT_MS)
    settled(page)
    page.get_by_role("button", name="Leave").tap()
    expect(page.locator('[data-testid="stHeader"]')).to_be_visible()
    page.close()


def test_nothing_is_wider_than_a_telephone(page: Page, app: str):
    page.set_viewport_size({"width": 390, "height": 844})
    for number in range(1, len(STEPS) + 1):
        page.goto(f"{app}/learn?step={number}")
        expect(title(page)).to_contain_text(STEPS[number - 1].title, timeout=LIMIT_MS)
        expect(page.locator(".stCode").last).to_be_visible()
        assert page.locator(".stMain").evaluate("main => main.scrollWidth - main.clientWidth") <= 0


def test_the_lesson_is_as_readable_on_a_dark_page(open_app: Callable[..., Page]):
    page = open_app("learn?step=2", theme="dark")
    expect(title(page)).to_contain_text(STEPS[1].title, timeout=LIMIT_MS)
    canvas(page).wait_for(timeout=LIMIT_MS)
    page.get_by_role("radio", name="4 times", exact=True).click()
    words = page.locator("[class*=st-key-question]").get_by_role("status").locator("p")
    expect(words).to_contain_text("It is: 16 times.")
    for element in (title(page), words, page.locator(".lesson-legend").first, page.locator(".lesson-bars span").first):
        red, green, blue = (
            int(part) for part in re.findall(r"\d+", element.evaluate("e => getComputedStyle(e).color"))[:3]
        )
        assert min(red, green, blue) > 150
    assert page.problems == []  # type: ignore[attr-defined]
    page.close()


def test_the_lesson_needs_no_network_and_made_no_errors(page: Page):
    assert page.problems == []  # type: ignore[attr-defined]
    assert page.hosts <= {"127.0.0.1", None}  # type: ignore[attr-defined]


def strip(page: Page) -> str:
    """The token's picture."""
    found: str = page.locator("canvas.strip").evaluate("canvas => canvas.toDataURL()")
    return found
