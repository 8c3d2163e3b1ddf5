"""The Trade-offs page in Chromium: one walk through its parts, as a visitor would take it."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from app.text import millions
from app.tradeoffs.design import Design
from app.tradeoffs.marks import counted
from tests.browser.limits import LIMIT_MS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TI = Design(size="Ti", loc=5)


@pytest.fixture(scope="module")
def page(open_app: Callable[..., Page]) -> Page:
    """One page for the tests of this module, which run in order."""
    return ready(open_app("tradeoffs"))


def ready(page: Page) -> Page:
    """Wait until the paper's figures are drawn."""
    expect(plots(page)).to_have_count(7, timeout=LIMIT_MS)
    return page


def plots(page: Page) -> Locator:
    return page.locator(".js-plotly-plot:has(.main-svg)")


def figure(page: Page, label: str) -> Locator:
    """The value of a metric."""
    return page.locator(".stMetric", has_text=label).locator('[data-testid="stMetricValue"]')


def giga(design: Design) -> str:
    return counted(design.compute.total_macs, "MACs").split()[0]


def move(page: Page, label: str, key: str) -> None:
    """Move a slider by the keyboard."""
    slider = page.locator(".stSlider, .stSelectSlider", has_text=label).get_by_role("slider")
    slider.focus()
    page.keyboard.press(key)


def part(page: Page, name: str) -> None:
    page.get_by_role("radio", name=name, exact=True).click()


def test_the_papers_figures_are_drawn_and_named(page):
    for title in ("Where to put the module", "Accuracy against compute", "Large models", "Video"):
        expect(page.get_by_role("heading", name=title)).to_be_visible()
    legend = page.locator(".js-plotly-plot").first.locator(".legendtext").all_text_contents()
    assert "published" in legend
    assert any(text.startswith("measured") for text in legend)


def test_the_sources_are_one_click_away(page):
    page.get_by_role("button", name="Sources").first.click()
    expect(page.get_by_role("link", name=re.compile("What Can 8 Learned Tokens Do"))).to_be_visible()
    page.keyboard.press("Escape")


def test_the_bench_follows_its_sliders(page):
    part(page, "Design bench")
    expect(figure(page, "GMACs per image")).to_have_text(giga(Design()))
    move(page, "Location: blocks before the module", "ArrowLeft")
    expect(figure(page, "GMACs per image")).to_have_text(giga(Design(loc=5)))
    page.get_by_role("button", name="Pin as A").click()
    expect(page.get_by_role("button", name="Back to A")).to_be_visible()
    page.get_by_role("radio", name="Ti", exact=True).click()
    expect(figure(page, "Parameters")).to_have_text(millions(TI.compute.params))
    page.get_by_role("radio", name="FLOPs", exact=True).click()
    expect(figure(page, "GFLOPs per image")).to_be_visible()
    page.get_by_role("radio", name="MACs", exact=True).click()


def test_the_numbers_stay_in_view_while_one_scrolls(page):
    page.locator(".stMain").evaluate("main => main.scrollTo(0, 900)")
    expect(figure(page, "GMACs per image")).to_be_in_viewport()


def test_the_design_is_timed_on_this_device(page):
    page.get_by_role("button", name="Time it on this device").click()
    expect(page.get_by_text(re.compile(r"^Measured: .* as fast"))).to_be_visible(timeout=LIMIT_MS)
    expect(page.get_by_role("button", name="Time it on this device")).to_be_visible()


def test_the_design_is_still_there_after_a_look_at_the_counters(page):
    part(page, "Counting")
    expect(page.get_by_text("the same number")).to_be_visible(timeout=LIMIT_MS)
    part(page, "Design bench")
    expect(figure(page, "Parameters")).to_have_text(millions(TI.compute.params))


def test_explore_is_one_click_away_and_back(page):
    page.get_by_role("link", name="Explore").click()
    page.locator(".st-key-source").wait_for(timeout=LIMIT_MS)
    page.get_by_role("link", name="Trade-offs").click()
    expect(page.get_by_role("radio", name="Design bench", exact=True)).to_be_visible()


def test_nothing_failed(page):
    assert page.problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_a_phone(open_app, theme):
    page = ready(open_app("tradeoffs", 390, 844, theme))
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    part(page, "Design bench")
    expect(figure(page, "GMACs per image")).to_be_visible()
    widths = plots(page).evaluate_all("plots => plots.map(plot => plot.getBoundingClientRect().right)")
    assert max(widths) <= 390
    page.close()
