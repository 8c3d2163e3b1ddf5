"""Time and cause in Chromium: timeline and player follow each other, the desk moves the bars, answers add up."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.playing import press, weights
from tests.browser.test_app import LIMIT_MS, SETTLE_MS, figure, move, open_page, upload
from tests.engine_cases import pictures, write_clip

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(serve: Callable[..., str], browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One page with a short clip, for the tests of this module, which run in order."""
    made = open_page(browser, serve("streamlit_app.py", TOKENLEARNER_CACHE=str(tmp_path_factory.mktemp("cache"))))
    path: Path = write_clip(tmp_path_factory.mktemp("media") / "disc.mp4", pictures(12, (90, 160)))
    upload(made, path)
    expect(made.get_by_text(re.compile(r"disc\.mp4 · 160 × 90"))).to_be_visible(timeout=LIMIT_MS)
    expect(made.locator(".step")).to_have_text(re.compile("of 12"))
    yield made
    made.close()


def time_of(page: Page) -> float:
    return float((page.locator(".transport .time").text_content() or "").split(" /")[0])


def cursor(page: Page) -> float:
    """Share of the timeline's width at which its cursor stands."""
    return float(page.locator(".timeline .cursor").evaluate("cursor => parseFloat(cursor.style.left)")) / 100


def open_view(page: Page, name: str) -> None:
    page.get_by_role("radio", name=re.compile(name)).or_(
        page.locator('[data-testid="stButtonGroup"] button', has_text=name)
    ).first.click()


def test_a_click_on_the_timeline_moves_the_clip(page):
    press(page, "Home")
    expect(page.locator(".step")).to_have_text("map 1 of 12")
    area = page.locator(".timeline .area")
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    page.mouse.click(box["x"] + 0.55 * box["width"], box["y"] + 10)
    expect(page.locator(".step")).to_have_text("map 7 of 12")
    assert cursor(page) == pytest.approx(0.55, abs=0.06)


def test_the_cursor_follows_the_player_and_its_keys_move_it(page):
    press(page, "End")
    expect(page.locator(".timeline")).to_have_attribute("data-step", "11")
    assert cursor(page) > 0.85
    page.locator(".timeline .area").focus()
    page.keyboard.press("Home")
    expect(page.locator(".step")).to_have_text("map 1 of 12")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".timeline")).to_have_attribute("data-step", "1")


def test_the_lanes_switch_between_measures_without_the_server(page):
    lane = page.locator(".timeline .lane polyline").first
    before = lane.get_attribute("points")
    page.locator(".measures button", has_text="spread").click()
    expect(page.locator(".timeline .legend")).to_contain_text("Spread of each token")
    assert page.locator(".timeline .lane polyline").nth(1).get_attribute("points") != before
    expect(page.locator(".timeline .lane")).to_have_count(8)


def test_a_pinned_place_has_its_curve_on_the_timeline_through_reruns_and_other_views(page):
    expect(page.locator(".place .hint")).to_be_visible()
    press(page, "p", "ArrowDown", "Enter", "Escape")
    spot = page.locator(".place .spot b").text_content() or "?"
    expect(page.locator(".plot polyline:not(.halo)")).to_have_count(8)
    strongest = max(weights(page), key=lambda text: float(text.strip("<").removesuffix(" %")))
    expect(page.locator(".strongest")).to_contain_text(f"with {strongest};")
    move(page, "Tokens", "ArrowLeft", 2)
    expect(page.locator(".plot polyline:not(.halo)")).to_have_count(6, timeout=SETTLE_MS)
    expect(page.locator(".place .spot b")).to_have_text(spot)
    open_view(page, "Overlap")
    expect(page.locator(".timeline")).to_have_count(0)
    move(page, "Tokens", "ArrowRight", 2)
    expect(page.locator(".chip")).to_have_count(8, timeout=SETTLE_MS)
    open_view(page, "Over time")
    expect(page.locator(".place .spot b")).to_have_text(spot)
    expect(page.locator(".plot polyline:not(.halo)")).to_have_count(8)
    page.get_by_role("button", name="Remove the pin", exact=True).click()
    expect(page.locator(".place .hint")).to_be_visible()
    expect(page.locator(".where")).to_have_text("Largest weight in this frame")


def test_muting_moves_the_bars_and_shows_the_change(page):
    mute = page.get_by_role("button", name="Mute Token 2:")
    mute.click()
    expect(mute).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-compared] .bars li")).to_have_count(5, timeout=SETTLE_MS)
    expect(page.get_by_text(re.compile("^Without token 2: "))).to_be_visible()
    page.get_by_role("button", name="Solo Token 5:").click()
    expect(page.get_by_text(re.compile("^Without tokens 1, 2, 3, 4, 6, 7, 8: "))).to_be_visible(timeout=SETTLE_MS)
    page.get_by_role("button", name="All tokens again").click()
    expect(page.locator("[data-compared]")).to_have_count(0, timeout=SETTLE_MS)


def test_what_tokens_are_worth_sums_to_the_difference(page):
    open_view(page, "Cause")
    page.get_by_role("button", name="What is each token worth?").click()
    bars = page.locator("div.worth")
    bars.wait_for(timeout=LIMIT_MS)
    told = [float(value) for value in bars.locator("> div").evaluate_all("all => all.map(one => one.dataset.worth)")]
    none, whole = (float(bars.get_attribute(f"data-{name}") or "nan") for name in ("none", "all"))
    assert len(told) == 8
    assert sum(told) == pytest.approx(whole - none, abs=1e-4)
    expect(page.locator(".desk .worth").first).not_to_be_empty()


def test_the_switch_of_doubt_puts_worthless_maps_beside_the_real_ones(page):
    open_view(page, "Doubt")
    page.get_by_text("Doubt these maps").click()
    curves = page.locator(".deletion img")
    curves.wait_for(timeout=LIMIT_MS)
    assert curves.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    expect(page.locator(".doubt figure")).to_have_count(5)
    expect(page.get_by_text(re.compile("With even maps .* answers? stay"))).to_be_visible()


def test_a_budget_moves_tokens_and_place(page):
    before = figure(page, "GMACs per frame").text_content()
    move(page, "Budget", "Home")
    expect(page.get_by_text(re.compile("^Best measured within .* top-1 for"))).to_be_visible(timeout=SETTLE_MS)
    expect(figure(page, "GMACs per frame")).not_to_have_text(before or "", timeout=SETTLE_MS)
    cheapest = figure(page, "GMACs per frame").text_content()
    move(page, "Budget", "End")
    expect(page.get_by_text(re.compile("^Best measured within"))).to_have_count(0, timeout=SETTLE_MS)
    expect(figure(page, "GMACs per frame")).not_to_have_text(cheapest or "")
