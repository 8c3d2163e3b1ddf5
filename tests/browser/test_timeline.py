"""The timeline and the predictions beside a player in Chromium: what follows the playhead, and every way to move it."""

import functools
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from app import predictions, timeline
from app.predictions import panel_data
from app.timeline import timeline_data
from tests.browser.bare import put
from tests.browser.playing import press, seek
from tests.browser.test_pinned_place import FRAMES, packed, seen
from tokenlearner.analysis.tracks import track

pytestmark = pytest.mark.browser

FILES = [
    Path(module.__file__).with_name(name) for module, name in ((timeline, "timeline"), (predictions, "predictions"))
]
SWITCHES = [
    {"token": n % 6, "time": round(n / 10, 3), "words": f"Token {n % 6 + 1} turns at {n / 10:.2f} s"} for n in range(12)
]
MOMENTS = [
    {"time": 0.2, "kind": "maps", "words": "0.20 s: the maps change by 31 %"},
    {"time": 0.2, "kind": "prediction", "words": "0.20 s: the prediction moves by 64 %"},
    {"time": 0.4, "kind": "prediction", "words": "0.40 s: the prediction moves by 9 %"},
]
COUNT_CHANGES = """([root, selector]) => {
    window.changes = 0;
    const all = { childList: true, characterData: true, attributes: true, subtree: true };
    const seen = new MutationObserver((found) => { window.changes += found.length; });
    seen.observe(window[root].shadow.querySelector(selector), all);
}"""


@functools.cache
def data() -> dict[str, Any]:
    found, _ = seen()
    return timeline_data(found, track(found), player="player") | {"switches": SWITCHES, "moments": MOMENTS}


@pytest.fixture
def open_all(open_player):
    """Call to have a player with its timeline and its predictions."""

    def start(**options: Any) -> Page:
        found, clip = seen()
        page = open_player(packed(found, clip), **options)
        for files in FILES:
            put(page, files)
        page.evaluate("data => timeline.show(data)", data())
        page.evaluate("data => predictions.show(data)", panel_data(found, player="player"))
        return page

    return start


def place_of(field: Locator, share: float) -> tuple[float, float]:
    field.scroll_into_view_if_needed()
    box = field.bounding_box()
    assert box
    return box["x"] + share * box["width"], box["y"] + box["height"] / 2


def step(page: Page) -> int:
    return int((page.locator(".step").text_content() or "").split()[1]) - 1


def swipe(page: Page, start: tuple[float, float], by: tuple[float, float]) -> None:
    """A finger's way over the page."""
    touch = page.context.new_cdp_session(page)
    point = {"x": start[0], "y": start[1]}
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
    for part in range(1, 9):
        point = {"x": start[0] + by[0] * part / 8, "y": start[1] + by[1] * part / 8}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    page.wait_for_timeout(300)


@pytest.mark.parametrize("field", [".area", ".time >> nth=0"])
def test_a_finger_that_scrolls_moves_no_playhead_and_one_that_draws_or_taps_does(open_all, field):
    page = open_all(width=500, height=500, has_touch=True)
    area = page.locator(f".timeline {field}" if field == ".area" else f".panel {field}")
    swipe(page, place_of(area, 0.8), (3, -160))
    assert step(page) == 0
    swipe(page, place_of(area, 0.3), (60, 2))
    assert 3 < step(page) < 9
    x, y = place_of(area, 0.97)
    page.touchscreen.tap(x, y)
    expect(page.locator(".step")).to_have_text(f"map {FRAMES} of {FRAMES}")


@pytest.mark.parametrize("field", [".timeline .area", ".panel .time"])
def test_keys_go_from_step_to_step(open_all, field):
    page = open_all()
    slider = page.locator(field)
    assert slider.get_attribute("role") == "slider"
    for key, at in [
        ("ArrowRight", 1),
        ("ArrowUp", 2),
        ("PageUp", 3),
        ("ArrowDown", 2),
        ("End", FRAMES - 1),
        ("Home", 0),
    ]:
        slider.press(key)
        expect(page.locator(".step")).to_have_text(f"map {at + 1} of {FRAMES}")
        expect(page.locator(".timeline")).to_have_attribute("data-step", str(at))
    expect(slider).to_have_attribute("aria-valuetext", "0.00 seconds")


def test_predictions_that_come_later_ask_where_the_player_is(open_all):
    page = open_all()
    seek(page, 0.36)
    found, _ = seen()
    page.evaluate("() => predictions.leave()")
    page.evaluate("data => predictions.show(data)", panel_data(found, player="player"))
    expect(page.locator(".panel .time")).to_have_attribute("aria-valuenow", "0.36")


@pytest.mark.parametrize(("root", "selector"), [("timeline", ".lanes .lane >> nth=0"), ("predictions", ".bars")])
def test_numbers_change_with_the_maps_and_not_with_every_frame(open_all, root, selector):
    page = open_all()
    page.evaluate(COUNT_CHANGES, [root, selector.split(" >>")[0]])
    page.evaluate(
        """() => { for (let n = 0; n < 30; n++) window.dispatchEvent(new CustomEvent("token-player-time",
            { detail: { key: "player", time_s: 0.001 + n / 1000, step: 0, playing: true } })); }"""
    )
    page.wait_for_timeout(50)
    assert page.evaluate("changes") == 0
    seek(page, 0.3)
    assert page.evaluate("changes") > 0


def test_more_than_eight_switches_are_listed_at_a_button_and_the_focus_goes_on(open_all):
    page = open_all()
    row = page.locator(".events > div").first
    expect(row.get_by_role("button")).to_have_count(9)
    row.get_by_role("button", name="4 more").press("Enter")
    expect(row.get_by_role("button")).to_have_count(12)
    ninth = row.get_by_role("button", name=SWITCHES[8]["words"])
    expect(ninth).to_be_focused()
    ninth.press("Enter")
    expect(page.locator(".timeline")).to_have_attribute("data-step", "8")


def test_an_answer_that_brings_the_same_events_leaves_the_focus(open_all):
    page = open_all()
    button = page.get_by_role("button", name=SWITCHES[3]["words"]).last
    button.focus()
    page.evaluate("data => timeline.show(data)", data() | {"peak_top": 0.5})
    expect(button).to_be_focused()


def test_frames_that_matter_are_marked_above_the_lanes_with_their_reasons(open_all):
    page = open_all()
    marks = page.locator(".moment")
    expect(marks).to_have_count(2)
    assert marks.first.get_attribute("title") == f"{MOMENTS[0]['words']}\n{MOMENTS[1]['words']}"
    mark, lane = marks.last.bounding_box(), page.locator(".lane svg").first.bounding_box()
    assert mark
    assert lane
    assert mark["y"] + mark["height"] <= lane["y"] + 1
    end = FRAMES / 10
    assert mark["x"] + mark["width"] / 2 == pytest.approx(lane["x"] + lane["width"] * 0.4 / end, abs=1)
    marks.last.click()
    expect(page.locator(".timeline")).to_have_attribute("data-step", "4")


def test_a_muted_token_has_a_hollow_number_and_no_pale_text(open_all):
    page = open_all()
    tokens = [token | {"muted": n == 2} for n, token in enumerate(data()["tokens"])]
    page.evaluate("data => timeline.show(data)", data() | {"tokens": tokens})
    number = page.locator(".lane[data-out] .number")
    expect(number).to_have_text("3")
    assert number.evaluate("b => [getComputedStyle(b).opacity, getComputedStyle(b).backgroundColor]") == [
        "1",
        "rgba(0, 0, 0, 0)",
    ]


def test_a_moving_playhead_is_not_read_aloud_however_slow_its_maps_are(open_all):
    page = open_all()
    press(page, "p", "Enter", "Escape")
    live = page.locator(".place .live")
    expect(live).to_contain_text("At 0.00 s")
    said = live.text_content()
    for at in (3, 4):
        page.evaluate(
            """step => window.dispatchEvent(new CustomEvent("token-player-time",
                { detail: { key: "player", time_s: step / 10, step, playing: true } }))""",
            at,
        )
        page.wait_for_timeout(900)
        assert live.text_content() == said
