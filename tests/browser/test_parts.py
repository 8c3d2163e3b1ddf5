"""A long clip in Chromium: its beginning plays while the rest is being analysed, and nothing jumps when more comes."""

import itertools
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.playing import press
from tests.browser.test_app import LIMIT_MS, SETTLE_MS, figure, open_page, upload
from tests.engine_cases import pictures, write_clip

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SECONDS = 60
"""Of the clip, five frames each."""
BATCHES = 3
"""That run before the test lets the others run: two are needed for a first part."""
PROGRESS = ".st-key-progress"
GROWING = re.compile(r"The first [\d.]+ s of 60 s; the rest is being analysed")

WATCH = """() => {
    window.played = [];
    window.addEventListener("token-player-time", ({ detail }) => window.played.push(detail.step / 5));
}"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """While this file is there, a run stops after so many batches as it says."""
    return Path(tmp_path_factory.mktemp("gate") / "batches")


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory, gate: Path) -> str:
    cache = str(tmp_path_factory.mktemp("cache"))
    return serve("tests/browser/slow_app.py", TOKENLEARNER_CACHE=cache, SLOW_GATE=str(gate))


@pytest.fixture(scope="module")
def page(address: str, browser: Browser) -> Iterator[Page]:
    """One page for the tests of this module, which run in order, as one visitor would."""
    made = open_page(browser, address)
    yield made
    assert made.problems == []  # type: ignore[attr-defined]
    made.close()


def long_clip(folder: Path, seed: int) -> Path:
    """A disc that crosses the picture in a minute; another seed is another clip, so that nothing is known of it."""
    frames = pictures(5 * SECONDS, (72, 128), seed)
    return write_clip(folder / "long.mp4", frames, [index / 5 for index in range(len(frames))])


def begin(page: Page, path: Path, gate: Path) -> None:
    """Upload a clip, agree to what it costs if the page asks, and wait for its first part; the run goes no further."""
    gate.write_text(str(BATCHES))
    upload(page, path)
    page.locator(f"{PROGRESS}, .st-key-question").first.wait_for(timeout=LIMIT_MS)
    if page.locator(".st-key-question").count():
        page.locator(".st-key-question").get_by_role("button", name="Analyse").click()
    expect(page.locator(PROGRESS).get_by_text(GROWING)).to_be_visible(timeout=LIMIT_MS)


def maps_there(page: Page) -> int:
    """How many maps the player has."""
    found = re.search(r"of (\d+)", page.locator(".step").text_content() or "")
    return int(found[1]) if found else 0


def now(page: Page) -> float:
    return float(page.locator("video").evaluate("video => video.currentTime"))


def test_the_beginning_plays_while_the_rest_is_analysed_and_goes_on_playing(page, tmp_path, gate):
    begin(page, long_clip(tmp_path, 1), gate)
    assert 0 < maps_there(page) < 300
    title = re.compile(r"long\.mp4 · 128 × 72 · the first [\d.]+ s of 60 s · \d+ of 300 frames")
    expect(page.get_by_text(title)).to_be_visible()
    expect(page.get_by_role("slider", name="Tokens")).to_be_disabled()
    expect(page.get_by_role("button", name="Mute token 1")).to_be_disabled()
    expect(page.locator(".player")).to_have_attribute("data-playing", "")
    page.locator("select[data-set=speed]").select_option("0.25")
    ends = [maps_there(page) / 5]
    page.evaluate(WATCH)
    page.wait_for_function("() => window.played.length > 3")
    expect(page.locator(PROGRESS)).to_be_visible()
    ends.append(maps_there(page) / 5)
    gate.unlink()
    expect(page.locator(PROGRESS)).to_have_count(0, timeout=LIMIT_MS)
    expect(page.locator(".step")).to_have_text(re.compile("of 300"))
    page.wait_for_function("count => window.played.length > count", arg=page.evaluate("window.played.length") + 3)
    for before, after in itertools.pairwise(page.evaluate("window.played")):
        begins_again = after < 1 and any(before > end - 1 for end in ends)  # a part, over and over
        assert begins_again or 0 <= after - before < 1, (before, after)
    expect(page.locator(".player")).to_have_attribute("data-playing", "")
    expect(page.get_by_role("slider", name="Tokens")).to_be_enabled()
    expect(page.get_by_text("the rest")).to_have_count(0)


def test_a_paused_clip_keeps_playhead_and_view_when_the_whole_comes(page, tmp_path, gate):
    begin(page, long_clip(tmp_path, 2), gate)
    press(page, "g", "Home", "ArrowRight", "ArrowRight", "ArrowRight")
    expect(page.locator(".step")).to_have_text(re.compile(r"map 4 of \d+$"))
    at, view = now(page), page.locator(".player").get_attribute("data-view")
    assert maps_there(page) < 300
    gate.unlink()
    expect(page.locator(PROGRESS)).to_have_count(0, timeout=LIMIT_MS)
    expect(page.locator(".step")).to_have_text("map 4 of 300")
    assert now(page) == pytest.approx(at, abs=1e-3)
    assert page.locator(".player").get_attribute("data-view") == view == "grid"
    press(page, "End")
    expect(page.locator(".step")).to_have_text("map 300 of 300")


def test_cancel_leaves_the_beginning_and_going_on_brings_the_rest(page, tmp_path, gate):
    begin(page, long_clip(tmp_path, 3), gate)
    page.locator(PROGRESS).get_by_role("button", name="Cancel").click()
    stays = re.compile(r"long\.mp4: Stopped\. The first .+ of 60 s stay here\.")
    expect(page.get_by_text(stays)).to_be_visible(timeout=SETTLE_MS)
    some = maps_there(page)
    assert 0 < some < 300
    expect(page.get_by_text(re.compile("the rest was not analysed"))).to_be_visible()
    page.get_by_text("Take it away").click()
    expect(page.get_by_text(re.compile("Files and a link come when the whole clip is analysed"))).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(PROGRESS)).to_be_visible(timeout=SETTLE_MS)
    assert maps_there(page) >= some
    gate.unlink()
    expect(page.locator(".step")).to_have_text(re.compile("of 300"), timeout=LIMIT_MS)
    expect(figure(page, "GMACs per frame")).to_be_visible()
