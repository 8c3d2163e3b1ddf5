"""Explore in both themes, on a phone and in a hall: everything that opens below the picture, and presenter mode."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.limits import LIMIT_MS, SETTLE_MS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHOTO = "?item=sample:coffee&model=photos110-elastic"
OpenApp = Callable[..., Page]


def ready(page: Page) -> Page:
    page.locator(".player canvas").wait_for(timeout=LIMIT_MS)
    expect(page.locator(".st-key-progress, .st-key-first-progress")).to_have_count(0, timeout=LIMIT_MS)
    page.locator(".takeaway").wait_for(state="attached", timeout=LIMIT_MS)
    return page


def open_view(page: Page, name: str) -> None:
    page.locator('[class*="st-key-below-a-"]').get_by_role("radio", name=re.compile(name)).click()


def ask(page: Page, button: str, answer: str) -> None:
    """Ask, unless somebody has asked before, and wait for the answer."""
    asks = page.get_by_role("button", name=button)
    asks.or_(page.locator(answer)).first.wait_for(timeout=SETTLE_MS)
    if asks.count():
        asks.click()
    page.locator(answer).wait_for(timeout=LIMIT_MS)


def luminance(page: Page, selector: str) -> list[float]:
    """Of an element's text, and of the page behind it: 0 black, 1 white."""
    told = page.locator(selector).first.evaluate(
        """element => {
            const light = (color) => {
                const canvas = new OffscreenCanvas(1, 1).getContext("2d");
                canvas.fillStyle = color;
                canvas.fillRect(0, 0, 1, 1);
                const [r, g, b] = canvas.getImageData(0, 0, 1, 1).data;
                return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
            };
            const page = getComputedStyle(document.querySelector(".stApp")).backgroundColor;
            return [light(getComputedStyle(element).color), light(page)];
        }"""
    )
    return [float(value) for value in told]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everything_below_the_picture_fits_a_phone_in_both_themes(open_app: OpenApp, theme):
    page = ready(open_app(PHOTO, 390, 844, theme))
    open_view(page, "Overlap")
    expect(page.locator(".overlap [role=cell]")).to_have_count(64, timeout=SETTLE_MS)
    ask(page, "Find out", ".needed .chosen")
    check(page, theme, ".needed span")
    open_view(page, "Cause")
    ask(page, "What is each token worth?", "div.worth")
    expect(page.get_by_role("listitem").and_(page.locator("[data-worth]"))).to_have_count(8, timeout=LIMIT_MS)
    check(page, theme, ".worth span")
    open_view(page, "Doubt")
    page.get_by_text("Doubt these maps").click()
    expect(page.locator(".doubt figure")).to_have_count(4, timeout=LIMIT_MS)  # a photo has no other moment
    check(page, theme, ".doubt figcaption b")
    check(page, theme, ".deletion .zero")
    sizes = page.locator(".doubt img").evaluate_all("all => all.map((one) => one.getBoundingClientRect().width)")
    assert min(sizes) > 230, "large enough to be looked at"
    page.get_by_text("Take it away").click()
    page.locator(".takeaway .kinds button").first.wait_for()
    check(page, theme, ".takeaway")
    page.get_by_text("Details", exact=True).click()
    page.get_by_text("Displayed size").wait_for()
    check(page, theme, ".stExpander td")
    assert page.problems == []


def check(page: Page, theme: str, selector: str) -> None:
    """Nothing scrolls sideways, and what is written stands out from the page."""
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    assert page.locator('[data-testid="stMain"]').evaluate("main => main.scrollWidth <= main.clientWidth")
    text, ground = luminance(page, selector)
    assert (text > 0.6 and ground < 0.2) if theme == "dark" else (text < 0.5 and ground > 0.8)


def test_presenter_mode_shows_the_clip_large_with_one_slider_and_the_answer_and_esc_leaves_it(open_app: OpenApp):
    page = ready(open_app(PHOTO))
    canvas = page.locator(".player canvas")
    canvas.evaluate("canvas => { canvas.stays = true; }")
    before = canvas.bounding_box()
    page.locator("label", has_text="Present").click()
    expect(page.get_by_role("button", name="Leave", exact=True)).to_be_visible(timeout=SETTLE_MS)
    page.wait_for_function("() => location.search.includes('present=1')")
    expect(page.get_by_role("slider", name="Tokens")).to_be_visible()
    expect(page.locator(".bars li").first).to_be_visible()
    expect(page.locator(".ramp").first).to_be_visible()
    for hidden in ("stHeader", "stMetricValue", "stExpander"):
        expect(page.get_by_test_id(hidden).first).to_be_hidden()
    for hidden in (".st-key-source", ".st-key-more", ".desk", ".takeaway"):
        expect(page.locator(hidden).first).to_be_hidden()
    after = canvas.bounding_box()
    assert before is not None
    assert after is not None
    assert after["width"] > before["width"]
    assert canvas.evaluate("canvas => canvas.stays"), "the clip is not loaded anew"
    slider = page.get_by_role("slider", name="Tokens")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".player .chip")).to_have_count(7, timeout=SETTLE_MS)
    page.keyboard.press("Escape")
    expect(page.locator(".st-key-source")).to_be_visible(timeout=SETTLE_MS)
    page.wait_for_function("() => !location.search.includes('present')")
    expect(page.locator(".player .chip")).to_have_count(7)
    assert page.problems == []
