"""The controls of several players in Chromium, without Streamlit: one speed, one playhead, one set of looks."""

import base64
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from app import player
from app.compare import deck
from tests.browser.bare import open_bare, put
from tests.browser.clips import FRAMES, RATE
from tests.browser.playing import TIMES, player_payload

pytestmark = pytest.mark.browser

PLAYER = Path(player.__file__).with_name("player")
DECK = Path(deck.__file__).with_name("deck")
NEEDED: dict[str, Any] = {
    "players": ["a", "b"],
    "clip": "disc",
    "still": False,
    "scale": 1000,
    "times": TIMES.tolist(),
    "end": FRAMES / RATE,
    "lines": [{"letter": "B", "values": [100] * len(TIMES)}],
    "strips": [{"letter": letter, "parts": []} for letter in "AB"],
    "peaks": [],
    "link": {},
    "start": None,
}
SHOW = """([key, base64]) => {
    const lane = window[`lane_${key}`];
    lane.show(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
    lane.video = lane.shadow.querySelector("video");
}"""
READY = "() => [lane_a, lane_b].every(({ video }) => video.readyState >= 2 && !video.seeking)"
TIMES_NOW = "() => [lane_a.video.currentTime, lane_b.video.currentTime]"
RATES = "() => [lane_a, lane_b].map(({ video }) => [video.defaultPlaybackRate, video.playbackRate])"


def lay(page: Page, key: str, **changes: Any) -> None:
    page.evaluate(SHOW, [key, base64.b64encode(player_payload(key=key, **changes)).decode()])


@pytest.fixture
def lanes(new_page) -> Page:
    """Two players in step and their controls."""
    page = new_page(height=1900)
    open_bare(page)
    for key in "ab":
        put(page, PLAYER)
        # As Streamlit does, the element around a player is named by its key.
        page.evaluate("key => { window[`lane_${key}`] = player; player.shadow.host.className = `st-key-${key}`; }", key)
    for key in "ab":
        lay(page, key)
    put(page, DECK)
    page.evaluate("data => deck.show(data)", NEEDED)
    page.wait_for_function(READY)
    return page


def test_the_slowest_speed_is_played_as_it_is_named(lanes: Page):
    lanes.get_by_label("Speed of all lanes").select_option("0.25")
    assert lanes.evaluate(RATES) == [[0.25, 0.25]] * 2


def test_a_speed_chosen_while_a_lane_is_being_caught_up_is_that_of_all(lanes: Page):
    lanes.evaluate("() => { lane_b.video.playbackRate = 0.98; }")
    lanes.locator(".player").nth(1).press(">")
    expect(lanes.get_by_label("Speed of all lanes")).to_have_value("1.5")
    assert lanes.evaluate(RATES) == [[1.5, 1.5]] * 2


def test_the_first_lane_brings_its_speed_and_the_others_take_it(lanes: Page):
    lanes.evaluate("() => deck.leave()")
    lanes.locator(".player").first.press(">")
    assert lanes.evaluate(RATES) == [[1.5, 1.5], [1, 1]]
    lanes.evaluate("() => deck.shadow.host.remove()")
    put(lanes, DECK)
    lanes.evaluate("data => deck.show(data)", NEEDED)
    lanes.wait_for_function("() => lane_b.video.playbackRate === 1.5")
    assert lanes.evaluate(RATES) == [[1.5, 1.5]] * 2, "the default as well, which a browser takes that loads anew"
    expect(lanes.get_by_label("Speed of all lanes")).to_have_value("1.5")


def test_controls_that_come_back_take_over_what_the_lanes_show(lanes: Page):
    lanes.get_by_label("Speed of all lanes").select_option("1.5")
    lanes.locator(".deck [data-set=opacity]").fill("0.4")
    lanes.get_by_role("group", name="View of all lanes").get_by_text("Owner").click()
    lanes.evaluate("() => deck.leave()")
    lanes.evaluate("() => deck.shadow.host.remove()")
    put(lanes, DECK)
    lanes.evaluate("data => deck.show(data)", NEEDED)
    expect(lanes.get_by_label("Speed of all lanes")).to_have_value("1.5")
    expect(lanes.locator(".deck [data-set=opacity]")).to_have_value("0.4")
    owner = lanes.get_by_role("group", name="View of all lanes").get_by_text("Owner")
    expect(owner).to_have_attribute("aria-pressed", "true")
    assert lanes.evaluate(RATES) == [[1.5, 1.5]] * 2


def test_the_timeline_of_all_lanes_answers_every_key_of_a_slider(lanes: Page):
    slider = lanes.get_by_role("slider", name="Time of all lanes")
    last = len(TIMES) - 1
    for key, at in [("ArrowUp", 1), ("PageUp", 4), ("ArrowDown", 3), ("PageDown", 0), ("End", last), ("Home", 0)]:
        slider.press(key)
        expect(lanes.locator(".deck")).to_have_attribute("data-moment", str(at))
        lanes.wait_for_function(READY)
        assert lanes.evaluate(TIMES_NOW) == pytest.approx([TIMES[at] + 0.002] * 2, abs=0.001)


def test_a_hand_at_the_end_sees_the_last_frame_of_all_lanes_and_lets_them_go_on(lanes: Page):
    lanes.get_by_role("button", name="Play all lanes").click()
    lanes.wait_for_function("() => lane_a.video.currentTime > 0.2 && !lane_b.video.paused")
    box = lanes.locator(".deck .area").bounding_box()
    assert box
    lanes.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] - 5)
    lanes.mouse.down()
    lanes.mouse.move(box["x"] + box["width"] + 10, box["y"] + box["height"] - 5, steps=4)
    lanes.wait_for_timeout(400)
    assert min(lanes.evaluate(TIMES_NOW)) > FRAMES / RATE - 1 / RATE
    lanes.mouse.up()
    lanes.wait_for_function("() => [lane_a, lane_b].every(({ video }) => !video.paused && video.currentTime < 2)")


def test_each_lane_hides_the_controls_that_all_share_and_shows_them_again_without(lanes: Page):
    expect(lanes.locator(".player .transport:visible")).to_have_count(0)
    lanes.evaluate("() => deck.leave()")
    expect(lanes.locator(".player .transport:visible")).to_have_count(2)


def test_times_from_a_minute_on_are_written_as_in_the_player(lanes: Page):
    later = NEEDED | {"times": (TIMES + 82).tolist(), "end": 85.0}
    lanes.evaluate("data => deck.show(data)", later)
    expect(lanes.locator(".deck .time")).to_contain_text("/ 1:25.00 s")
