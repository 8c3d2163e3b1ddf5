"""What was taken away, opened by somebody else: the HTML file from disk, without any network."""

import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.player.payload import PlayerState
from app.takeaway.document import write_html
from tests.browser.playing import pixels, press
from tests.takeaway_cases import FRAMES, NASTY, analysed

pytestmark = pytest.mark.browser


@pytest.fixture
def open_file(new_page: Callable[..., Page], tmp_path: Path) -> Callable[..., Page]:
    """Call with the bytes of an HTML file to have it opened from disk; it may ask for nothing but its own clip."""

    def start(document: bytes, **options: object) -> Page:
        path = tmp_path / "taken away.html"
        path.write_bytes(document)
        page = new_page(offline=True, **options)
        page.asked = []  # type: ignore[attr-defined]
        page.on("request", lambda request: page.asked.append(request.url))  # type: ignore[attr-defined]
        page.goto(path.as_uri())
        page.locator(".player[data-drawn]").wait_for()
        return page

    return start


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_file_plays_from_disk(open_file: Callable[..., Page], scheme: str):
    found, clip = analysed()
    page = open_file(write_html(found, clip), color_scheme=scheme)
    expect(page.locator(".step")).to_have_text(f"map 1 of {FRAMES}")
    first = pixels(page)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("video => video.currentTime > 0.6", arg=page.locator("video").element_handle())
    assert pixels(page) != first, "maps move"
    assert page.locator("video").evaluate("video => !video.paused && video.videoWidth") == 160
    assert page.asked[0].startswith("file:")  # type: ignore[attr-defined]
    assert all(url.startswith("blob:") for url in page.asked[1:])  # type: ignore[attr-defined]
    ink, ground = page.locator("body").evaluate("e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]")
    brightness = [sum(map(int, re.findall(r"\d+", color)[:3])) for color in (ink, ground)]
    assert (brightness[0] < brightness[1]) == (scheme == "light")


def test_the_predictions_follow_the_playhead_and_move_it(open_file: Callable[..., Page]):
    found, clip = analysed()
    page = open_file(write_html(found, clip))
    press(page, "End")
    expect(page.locator(".step")).to_have_text(f"map {FRAMES} of {FRAMES}")
    best = int(found.probs[-1].argmax())
    expect(page.locator(".bars li").first).to_contain_text(found.class_names[best])
    page.locator(".group .time").click(position={"x": 3, "y": 10})
    expect(page.locator(".step")).to_have_text("map 1 of 24")


def test_the_file_begins_with_the_view_that_was_on_the_screen(open_file: Callable[..., Page]):
    found, clip = analysed()
    start = PlayerState(time_s=1.32, view="beside", base="owner", tokens=(1, 3), pin=(0.5, 0.5), scale="token")
    page = open_file(write_html(found, clip, start=start))
    expect(page.locator(".step")).to_have_text("map 14 of 24")
    expect(page.locator(".player")).to_have_attribute("data-drawn", "owner")
    expect(page.get_by_role("button", name="Beside")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".where")).to_contain_text("(pinned)")
    expect(page.locator('[data-set="scale"]')).to_have_value("token")


def test_a_hostile_name_stays_text(open_file: Callable[..., Page]):
    found, clip = analysed("image")
    media = dataclasses.replace(found.media, name=NASTY)
    names = tuple(f"{NASTY} {index}" for index in range(len(found.class_names)))
    page = open_file(write_html(dataclasses.replace(found, media=media, class_names=names, notes=(NASTY,)), clip))
    expect(page.locator("h1")).to_have_text(NASTY.replace("\u2028", " "))
    assert page.locator("h1 *, .notes p *, .bars img, .bars script").count() == 0
    expect(page.locator(".transport")).to_be_hidden()


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1024, 768), (1440, 900)])
def test_the_file_fits_the_window(open_file: Callable[..., Page], width: int, height: int):
    found, clip = analysed()
    page = open_file(write_html(found, clip), width=width, height=height)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    expect(page.locator(".compute-bars")).to_be_visible()
