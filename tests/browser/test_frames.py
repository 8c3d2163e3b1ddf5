"""The filmstrip in Chromium: handles by mouse, touch and keyboard, and exactly the frames that they mean.

What the strip does by itself is tried on a bare page, mounted as Streamlit does; the way through the app follows.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from app import filmstrip
from tests.browser.bare import open_bare, put
from tests.browser.playing import press
from tests.browser.test_app import LIMIT_MS, SETTLE_MS, open_page, upload
from tests.engine_cases import pictures
from tokenlearner.media import VideoWriter

pytestmark = [pytest.mark.browser, pytest.mark.slow]

FPS, COUNT = 25, 100
NARROW = 390
FILES = Path(filmstrip.__file__).with_name("filmstrip")
PICTURE = "data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='9'/>"
CLIP: dict[str, Any] = {
    "player": "player",
    "duration": 4.0,
    "ticks_per_s": 10_000,
    "steps": [400] * (COUNT - 1),
    "start": 0.0,
    "end": 4.0,
    "version": 0,
    "aspect": 1.6,
    "pictures": [PICTURE.format(number + 1) for number in range(20)],
    "done": True,
}


@pytest.fixture
def strip(new_page: Callable[..., Page]) -> Page:
    """The strip of a clip of 4 s, 25 frames per second, on a page of its own."""
    page = new_page(width=900, height=300, has_touch=True)
    open_bare(page)
    put(page, FILES)
    show(page)
    return page


def show(page: Page, **changes: Any) -> None:
    """What a rerun of the page's script does."""
    page.evaluate("data => filmstrip.show(data)", CLIP | changes)


def told(page: Page) -> list[tuple[float, float, int]]:
    return [(part["start"], part["end"], part["version"]) for _, part in page.evaluate("filmstrip.told")]


def handle(page: Page, which: str) -> Locator:
    return page.get_by_role("slider", name=f"{which} of the part")


def spoken(page: Page) -> tuple[str | None, str | None]:
    return (
        handle(page, "Start").get_attribute("aria-valuetext"),
        handle(page, "End").get_attribute("aria-valuetext"),
    )


def drag(page: Page, grip: Locator, share: float, *, let_go: bool = True) -> None:
    """Pull a handle by a share of the strip's width."""
    box, film = grip.bounding_box(), page.locator(".film").bounding_box()
    assert box is not None
    assert film is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + share * film["width"] / 2, y, steps=3)
    page.mouse.move(x + share * film["width"], y, steps=3)
    if let_go:
        page.mouse.up()


def keys(page: Page, *names: str) -> None:
    for name in names:
        page.keyboard.press(name)


def test_a_handle_shows_where_it_is_while_it_is_dragged_and_tells_when_it_is_let_go(strip):
    drag(strip, handle(strip, "End"), -0.5, let_go=False)
    assert spoken(strip) == ("0.00 seconds", "2.00 seconds")
    expect(strip.locator(".to")).to_have_text("2.00 s")
    assert told(strip) == []
    strip.mouse.up()
    assert told(strip) == [(0, 2, 1)]


def test_a_rerun_takes_nothing_back_that_is_newer(strip):
    drag(strip, handle(strip, "End"), -0.5, let_go=False)
    show(strip)
    assert spoken(strip)[1] == "2.00 seconds"
    strip.mouse.up()
    show(strip)  # an answer from before
    assert spoken(strip)[1] == "2.00 seconds"
    handle(strip, "Start").focus()
    keys(strip, "ArrowRight", "ArrowRight")
    show(strip, version=1, end=2.0)  # while keys are being pressed
    assert spoken(strip) == ("0.08 seconds", "2.00 seconds")
    strip.wait_for_function("filmstrip.told.length === 2")
    assert told(strip)[-1] == (0.08, 2, 2)
    show(strip, version=3, start=1.0)  # the server's own wish, such as another part from a button
    assert spoken(strip) == ("1.00 seconds", "4.00 seconds")


def test_keys_move_a_handle_by_a_frame_by_a_second_and_to_the_ends(strip):
    handle(strip, "Start").focus()
    keys(strip, *["ArrowRight"] * 10)
    assert spoken(strip)[0] == "0.40 seconds"
    for key, expected in [
        ("PageUp", "1.40"),
        ("Shift+ArrowLeft", "0.40"),
        ("ArrowLeft", "0.36"),
        ("End", "3.96"),  # one frame is left
        ("Home", "0.00"),
        ("ArrowLeft", "0.00"),
    ]:
        keys(strip, key)
        assert spoken(strip)[0] == f"{expected} seconds", key
    handle(strip, "End").focus()
    keys(strip, "Home")
    assert spoken(strip) == ("0.00 seconds", "0.04 seconds")
    keys(strip, "PageUp", "ArrowUp", "Tab")
    assert told(strip)[-1][:2] == (0, 1.08)  # leaving tells at once


def test_the_middle_moves_the_part_and_keeps_its_length(strip):
    show(strip, version=1, start=0.4, end=2.0)
    drag(strip, strip.locator(".part"), 0.25)
    assert spoken(strip) == ("1.40 seconds", "3.00 seconds")
    drag(strip, strip.locator(".part"), 2.0)
    assert spoken(strip) == ("2.40 seconds", "4.00 seconds")
    strip.get_by_role("slider", name="The part as a whole").focus()
    keys(strip, "PageDown", "ArrowLeft")
    assert spoken(strip) == ("1.36 seconds", "2.96 seconds")
    keys(strip, "Home")
    assert spoken(strip) == ("0.00 seconds", "1.60 seconds")


def test_a_press_outside_brings_the_nearer_end_there(strip):
    show(strip, version=1, start=1.0, end=2.0)
    box = strip.locator(".film").bounding_box()
    for share in (0.1, 0.9):
        strip.locator(".film").click(position={"x": box["width"] * share, "y": box["height"] / 2})
    assert spoken(strip) == ("0.40 seconds", "3.60 seconds")
    assert told(strip) == [(0.4, 2, 2), (0.4, 3.6, 3)]


def test_fingers_drag_too(strip):
    grip, film = handle(strip, "Start").bounding_box(), strip.locator(".film").bounding_box()
    x, y = grip["x"] + 4, grip["y"] + 20
    touch = strip.context.new_cdp_session(strip)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
    for step in (1, 2, 3, 4):
        point = {"x": x + step * film["width"] / 8, "y": y}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    strip.wait_for_function("filmstrip.told.length === 1")
    assert told(strip) == [(2, 4, 1)]


def test_a_finger_that_scrolls_the_page_changes_no_part(strip):
    show(strip, version=1, start=1.0, end=2.0)
    strip.evaluate("() => { document.body.style.paddingBottom = '900px'; }")
    film = strip.locator(".film").bounding_box()
    touch = strip.context.new_cdp_session(strip)
    for share in (0.3, 0.9):  # on the part, and outside it
        point = {"x": film["x"] + share * film["width"], "y": film["y"] + film["height"] / 2}
        touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [point]})
        for step in range(1, 9):
            moved = {"x": point["x"] + 1, "y": point["y"] - 6 * step}
            touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [moved]})
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        strip.wait_for_timeout(200)
        assert strip.evaluate("scrollY") > 0
        strip.evaluate("() => scrollTo(0, 0)")
    assert spoken(strip) == ("1.00 seconds", "2.00 seconds")
    assert told(strip) == []


def test_a_variable_frame_rate_is_gone_through_frame_by_frame(strip):
    show(strip, version=1, steps=[400, 30_000, 400], duration=3.2)
    handle(strip, "Start").focus()
    keys(strip, "ArrowRight", "ArrowRight")
    assert spoken(strip)[0] == "3.04 seconds"


def test_as_many_pictures_stand_side_by_side_as_have_room(strip):
    cells = strip.locator(".cells > *")
    width, height = (strip.locator(".cells").bounding_box()[side] for side in ("width", "height"))
    expect(cells).to_have_count(round(width / (height * 1.6)))
    looks = cells.evaluate_all("cells => cells.map(cell => cell.style.backgroundImage)")
    assert len(set(looks)) == len(looks)
    strip.set_viewport_size({"width": NARROW, "height": 300})
    expect(cells).to_have_count(6)


def test_places_wait_empty_for_their_pictures_and_borrow_the_nearest_in_the_end(strip):
    half = [None] * 10 + CLIP["pictures"][10:]
    looks = "cells => cells.map(cell => Boolean(cell.style.backgroundImage))"
    show(strip, pictures=half, done=False)
    waiting = strip.locator(".cells > *").evaluate_all(looks)
    assert waiting[0] is False
    assert waiting[-1] is True
    show(strip, pictures=half)
    assert all(strip.locator(".cells > *").evaluate_all(looks))


def test_the_playhead_of_this_clips_player_is_marked(strip):
    mark, say = (
        strip.locator(".playhead"),
        'window.dispatchEvent(new CustomEvent("token-player-time", {{ detail: {} }}))',
    )
    expect(mark).to_be_hidden()
    strip.evaluate(say.format('{ key: "another", time_s: 1 }'))
    expect(mark).to_be_hidden()
    strip.evaluate(say.format('{ key: "player", time_s: 1 }'))
    expect(mark).to_have_attribute("style", "left: 25%;")


# Through the app ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def page(serve: Callable[..., str], browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page with a clip of 4 s and the form open; the tests run in order, as one visitor would."""
    app = serve("streamlit_app.py", TOKENLEARNER_CACHE=str(tmp_path_factory.mktemp("cache")))
    clip = tmp_path_factory.mktemp("media") / "moving.mp4"
    with VideoWriter(clip, (90, 160), last_frame_s=1 / FPS) as writer:
        for number, picture in enumerate(pictures(COUNT, (90, 160))):
            writer.write(picture, number / FPS)
    made = open_page(browser, app)
    upload(made, clip)
    expect(made.locator(".st-key-source").get_by_role("combobox").first).to_have_value(
        re.compile("moving"), timeout=LIMIT_MS
    )
    if not made.locator(".filmstrip").count():  # a slow machine asks by itself
        open_form(made)
    yield made
    made.close()


def title(page: Page) -> Locator:
    return page.get_by_text(re.compile(r"^moving\.mp4 · 160 × 90"))


def open_form(page: Page) -> None:
    page.get_by_role("button", name=re.compile("Frames$")).first.click()
    expect(page.locator(".filmstrip").first).to_be_visible(timeout=SETTLE_MS)


def cost(page: Page, frames: str) -> Locator:
    return page.get_by_text(re.compile(rf"^{frames}: .*about .* of memory\."))


def test_the_price_follows_mouse_keys_and_frame_rate(page):
    expect(cost(page, "100 frames")).to_be_visible(timeout=SETTLE_MS)
    drag(page, handle(page, "End"), -0.5)
    expect(cost(page, "50 frames")).to_be_visible(timeout=SETTLE_MS)
    handle(page, "Start").focus()
    keys(page, *["ArrowRight"] * 10)
    expect(cost(page, "40 frames")).to_be_visible(timeout=SETTLE_MS)
    page.get_by_role("radio", name="5", exact=True).click()
    expect(cost(page, "8 of 40 frames")).to_be_visible(timeout=SETTLE_MS)
    assert spoken(page) == ("0.40 seconds", "2.00 seconds")


def test_exactly_the_frames_of_the_part_are_analysed(page):
    page.get_by_role("button", name="Analyse", exact=True).click()
    words = "0.4 to 2.0 s · 8 of 100 frames · Resampled to 5 frames per second"
    expect(title(page)).to_contain_text(words, timeout=LIMIT_MS)
    expect(page.locator(".filmstrip")).to_have_count(0)
    press(page, "Home")
    expect(page.locator(".step")).to_have_text("map 1 of 8")
    press(page, "End")
    expect(page.locator(".step")).to_have_text("map 8 of 8")


def test_the_form_opens_with_what_is_in_force_and_the_whole_clip_is_one_button_away(page):
    open_form(page)
    expect(cost(page, "8 of 40 frames")).to_be_visible(timeout=SETTLE_MS)
    assert spoken(page) == ("0.40 seconds", "2.00 seconds")
    expect(page.locator(".cells > *").last).to_have_attribute("style", re.compile("data:image/jpeg"), timeout=SETTLE_MS)
    page.get_by_role("button", name="Whole clip").click()
    expect(cost(page, "20 of 100 frames")).to_be_visible(timeout=SETTLE_MS)
    expect(page.locator(".filmstrip .length")).to_have_text("the whole clip")
    assert spoken(page) == ("0.00 seconds", "4.00 seconds")


def test_the_form_fits_a_narrow_window(page):
    page.set_viewport_size({"width": NARROW, "height": 844})
    box = page.locator(".filmstrip").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= NARROW
    assert page.evaluate("document.scrollingElement.scrollWidth") <= NARROW
