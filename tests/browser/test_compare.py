"""The Compare page in Chromium: what moves one lane moves all of them, and peaks of disagreement are one click away."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.limits import LIMIT_MS, SETTLE_MS

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FRAME_S = 0.04
FRAME_BY_FRAME = "compare?item=sample:portrait&a=8.4.trained.photos110-elastic&b=2.4.trained.photos110-elastic"
"""A link to two settings of the image model, which has a map for each frame."""


@pytest.fixture(scope="module")
def page(open_app: Callable[..., Page]) -> Page:
    """One page for the tests of this module, which run in order."""
    return ready(open_app(FRAME_BY_FRAME))


def ready(page: Page) -> Page:
    """Wait until two lanes are there."""
    expect(page.locator(".strip")).to_have_count(2, timeout=LIMIT_MS)
    page.wait_for_function(f"() => ({TIMES}).length === 2", timeout=SETTLE_MS)
    return page


# Times of all players on the page whose clip is there. They live in trees of their own.
TIMES = """Array.from(document.querySelectorAll("[class*='st-key-compare-player'] *"))
    .map((element) => element.shadowRoot?.querySelector(".player video"))
    .filter((video) => video && video.readyState >= 2 && !video.seeking)
    .map((video) => video.currentTime)"""


def times(page: Page) -> list[float]:
    found: list[float] = page.evaluate(TIMES)
    return found


def wait_for_step(page: Page, time_s: float, lanes: int = 2) -> None:
    """Wait until all lanes show one time."""
    page.wait_for_function(
        f"([time, lanes]) => {{ const times = {TIMES}; return times.length === lanes "
        "&& times.every((one) => Math.abs(one - time) < 0.005); }",
        arg=[time_s, lanes],
    )


def pause(page: Page) -> None:
    button = page.get_by_role("button", name="Play all lanes")
    if page.locator(".deck[data-playing]").count():
        button.click()
    expect(page.locator(".deck[data-playing]")).to_have_count(0)
    expect(page.locator(".player[data-playing]")).to_have_count(0)


def player(page: Page, lane: int) -> Locator:
    return page.locator(".player").nth(lane)


def compare(page: Page, preset: str) -> None:
    page.locator(".st-key-compare-source").get_by_text(preset, exact=True).click()


def seconds(text: str | None) -> float:
    return float((text or "").split()[0])


def test_without_a_link_two_settings_of_the_video_model_play(open_app):
    page = ready(open_app("compare"))
    expect(page.locator(".player[data-playing]")).to_have_count(2, timeout=SETTLE_MS)
    expect(page.get_by_text("moving-objects-elastic", exact=True)).to_have_count(2)
    page.close()


def test_one_button_plays_and_stops_both_lanes(page):
    pause(page)
    page.wait_for_function(f"() => {{ const [a, b] = {TIMES}; return Math.abs(a - b) < 0.005; }}")
    page.get_by_role("button", name="Play all lanes").click()
    expect(page.locator(".player[data-playing]")).to_have_count(2)
    pause(page)


def test_the_lanes_own_transport_gives_way_to_the_common_one(page):
    expect(page.locator(".player .transport:visible")).to_have_count(0)
    expect(page.locator(".deck .play .icon:visible")).to_have_count(3)


@pytest.mark.parametrize("lane", [0, 1])
def test_the_other_lane_follows_the_one_that_is_scrubbed(page, lane):
    pause(page)
    for share in (0.2, 0.8, 0.55):
        page.locator(".player .scrub").nth(lane).evaluate(
            """(scrub, share) => {
                scrub.value = String(share * Number(scrub.max));
                scrub.dispatchEvent(new Event("input", { bubbles: true }));
            }""",
            share,
        )
        length = float(page.locator("video").first.evaluate("video => video.duration"))
        wait_for_step(page, share * length)
        expect(page.locator(".deck .time")).to_have_text(f"{share * length:.2f} / {length:.2f} s")


def test_a_key_in_one_lane_steps_both(page):
    player(page, 1).focus()
    page.keyboard.press("Home")
    wait_for_step(page, 0.0)
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"() => {{ const [a, b] = {TIMES}; return a > 0 && Math.abs(a - b) < 0.005; }}")
    assert times(page)[0] == pytest.approx(FRAME_S, abs=FRAME_S / 2)


def test_a_peak_on_the_timeline_jumps_both_lanes_there(page):
    peaks = page.locator(".peaks button")
    assert peaks.count() >= 2
    for at in (1, 0):
        time_s = seconds(peaks.nth(at).text_content())
        peaks.nth(at).click()
        wait_for_step(page, time_s + 0.002)
    marks = page.locator(".deck .mark")
    assert marks.count() == peaks.count()
    marks.last.click()
    wait_for_step(page, seconds(peaks.last.text_content()) + 0.002)


def test_the_timeline_is_a_slider_of_both_lanes(page):
    page.get_by_role("slider", name="Time of all lanes").focus()
    page.keyboard.press("Home")
    wait_for_step(page, 0.002)
    page.keyboard.press("ArrowRight")
    wait_for_step(page, FRAME_S + 0.002)


def test_one_view_for_all_lanes(page):
    page.get_by_role("group", name="View of all lanes").get_by_text("Owner").click()
    for lane in (0, 1):
        expect(player(page, lane)).to_have_attribute("data-view", "owner")


def test_a_preset_changes_the_lanes_and_the_playhead_stays(page):
    page.locator(".peaks button").first.click()
    time_s = seconds(page.locator(".peaks button").first.text_content())
    compare(page, "8 | 4 | 2 | 1 tokens")
    expect(page.locator(".strip")).to_have_count(4, timeout=SETTLE_MS)
    expect(player(page, 3).locator(".chip")).to_have_count(1, timeout=SETTLE_MS)
    wait_for_step(page, time_s + 0.002, lanes=4)
    compare(page, "tokens | plain ViT")
    expect(page.locator(".strip")).to_have_count(2, timeout=SETTLE_MS)
    expect(page.locator(".compare-table tbody tr")).to_have_count(2, timeout=SETTLE_MS)
    expect(page.locator(".compare-table")).to_contain_text("Plain ViT, every patch", timeout=SETTLE_MS)


def test_other_tokens_are_all_on_show(page):
    compare(page, "8 tokens | 2 tokens")
    expect(page.get_by_text("photos110-elastic", exact=True)).to_have_count(2, timeout=SETTLE_MS)  # as the link said
    expect(player(page, 1).locator(".chip")).to_have_count(2, timeout=SETTLE_MS)
    compare(page, "¼ | ¾ of the depth")
    expect(player(page, 1).locator(".chip")).to_have_count(8, timeout=SETTLE_MS)
    expect(player(page, 1).locator(".chip[aria-pressed=true]")).to_have_count(8, timeout=SETTLE_MS)


def test_the_address_is_a_link_to_the_comparison(page, open_app):
    page.locator(".peaks button").last.click()
    time_s = seconds(page.locator(".peaks button").last.text_content())
    expect(page).to_have_url(re.compile(r"a=8\.2\.trained\..*&b=8\.6\.trained\..*&t="))
    page.get_by_role("button", name="Copy a link").click()
    expect(page.locator(".deck .said")).not_to_be_empty()
    other = ready(open_app(page.url.split("/")[-1]))
    wait_for_step(other, time_s + 0.002)
    heads = other.locator("[class*='st-key-compare-head-'] button")
    expect(heads).to_have_text([re.compile("8 tokens after 2 of"), re.compile("8 tokens after 6 of")])
    expect(other.locator(".player[data-playing]")).to_have_count(0)
    other.close()


def test_times_are_measured_while_the_page_stays_free(page):
    page.get_by_role("button", name="Measure the time").click()
    expect(page.locator(".st-key-compare-progress-time")).to_be_visible()
    page.get_by_role("group", name="View of all lanes").get_by_text("Several").click()
    expect(player(page, 0)).to_have_attribute("data-view", "some")
    times = page.locator(".compare-table td", has_text=re.compile(" ms a (frame|clip of 16)"))
    expect(times).to_have_count(2, timeout=LIMIT_MS)


def test_nothing_failed(page):
    assert page.problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_lanes_stand_below_one_another_on_a_phone(open_app, theme):
    page = ready(open_app("compare", 390, 844, theme))
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    first, second = (player(page, lane).bounding_box() for lane in (0, 1))
    assert first
    assert second
    assert second["y"] > first["y"] + first["height"]
    expect(page.get_by_role("button", name="Play all lanes")).to_be_in_viewport()
    page.close()
