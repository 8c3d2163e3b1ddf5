"""The player inside Streamlit: reruns, what Python is told, themes."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.playing import (
    TOKENS,
    OpenPlayer,
    current_time,
    expected_weights,
    lit_tokens,
    pixels,
    point,
    press,
    seek,
    shown_map,
    weights,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_slider_of_the_page_changes_the_maps_and_nothing_else(open_script: OpenPlayer):
    page = open_script("autoplay")
    page.wait_for_function("() => player_video.currentTime > 0.2")
    source = page.locator("video").get_attribute("src")
    press(page, "s", "2")
    slider = page.get_by_role("slider", name="tokens").first
    slider.focus()
    slider.press("ArrowRight")
    expect(page.locator(".chip")).to_have_count(TOKENS + 1)
    assert page.locator("video").get_attribute("src") == source
    assert not page.locator("video").evaluate("video => video.paused")
    assert lit_tokens(page) == ["1", "3", "4", "5", "6"]
    press(page, " ")
    seek(page, 1.27)
    assert shown_map(page) == 12
    assert weights(page) == expected_weights(12, None, TOKENS + 1)


def test_running_the_script_again_changes_nothing(open_script: OpenPlayer):
    page = open_script()
    seek(page, 0.9)
    press(page, "w")
    before = pixels(page)
    page.get_by_role("button", name="Run again").click()
    page.wait_for_timeout(1000)
    assert current_time(page) == pytest.approx(0.9, abs=1e-6)
    assert pixels(page) == before


def test_display_controls_never_reach_the_server(open_script: OpenPlayer):
    page = open_script()
    sent: list[object] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    page.reload()
    page.locator(".player[data-drawn]").wait_for(timeout=60_000)
    page.wait_for_timeout(1000)
    assert sent, "the page itself was asked for"
    del sent[:]
    press(page, "g", "s", "w", "2", "n", "m", " ", " ", "ArrowRight", "o", "h")
    page.mouse.click(*point(page, 1, 2))
    page.wait_for_timeout(500)
    assert sent == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colors_follow_the_theme(open_script: OpenPlayer, scheme: str):
    page = open_script(color_scheme=scheme)
    ink, ground = page.locator(".player").evaluate(
        "node => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]"
    )
    of_page = page.get_by_test_id("stApp").evaluate(
        "node => [getComputedStyle(node).color, getComputedStyle(node).backgroundColor]"
    )
    assert [ink, ground] == of_page
    brightness = [sum(map(float, re.findall(r"[\d.]+", color)[:3])) for color in (ink, ground)]
    assert (brightness[0] < brightness[1]) == (scheme == "light")


def test_the_page_below_does_not_move(open_script: OpenPlayer):
    page = open_script()
    below = page.get_by_role("button", name="Run again")
    at = below.bounding_box()
    for key in ["s", "w", "g", "b", "m", "m", "h", "p", "Enter", "?", "?", "Escape", "ArrowRight", "o"]:
        press(page, key)
        assert below.bounding_box() == at, key
