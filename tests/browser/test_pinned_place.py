"""A pinned place and its lane on the timeline: the numbers that pointing reads, over time. Without Streamlit."""

import functools
import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from app import timeline
from app.clips import BrowserClip, ClipRecorder
from app.player.payload import PlayerOptions, PlayerState, pack
from app.timeline import timeline_data
from tests.browser.bare import put
from tests.browser.playing import press, seek, update, weights
from tests.engine_cases import V10, pictures, tiny_model, write_clip
from tokenlearner import render
from tokenlearner.analysis.tracks import track
from tokenlearner.engine import Analysis, AnalysisSettings, Engine
from tokenlearner.palette import format_weight

pytestmark = pytest.mark.browser

FRAMES, FRAME_HW = 14, (90, 160)
FILES = Path(timeline.__file__).with_name("timeline")
VERSIONS = {"v1.1": tiny_model, "v1.0": functools.partial(tiny_model, V10)}
HINT = "Click a place on the picture to see its curve here."
WATCH = "() => window.addEventListener('token-player-pin', (event) => (window.heard ??= []).push(event.detail))"
ASK = """() => {
    const detail = { key: "player" };
    window.dispatchEvent(new CustomEvent("token-player-ask", { detail }));
    const tokens = detail.place?.tokens.map((token) => ({ ...token, weights: [...token.weights] }));
    return detail.place && { ...detail.place, tokens };
}"""


@functools.cache
def seen(version: str = "v1.1", resize: str = "whole", tokens: int | None = None) -> tuple[Analysis, BrowserClip]:
    """A moving disc as a tiny network sees it, and the clip of it."""
    engine = Engine(VERSIONS[version](), device="cpu")
    settings = AnalysisSettings(resize=resize, num_tokens=tokens)
    with tempfile.TemporaryDirectory() as folder, ClipRecorder() as recorder:
        path = write_clip(Path(folder) / "clip.mp4", pictures(FRAMES, FRAME_HW))
        return engine.analyze(path, settings, on_frame=recorder.add), recorder.finish()


def packed(found: Analysis, clip: BrowserClip, start: PlayerState | None = None) -> bytes:
    assert found.token_maps is not None
    return pack(
        clip.media,
        clip.mime,
        found.token_maps,
        found.timestamps_s,
        scale_max=render.clip_scale(found.token_maps),
        unit=found.map_unit,
        options=PlayerOptions(key="player", start=start),
        box=found.geometry.box_normalized,
        frame_hw=clip.frame_hw,
    )


@pytest.fixture
def open_both(open_player: Callable[..., Page]) -> Callable[..., Page]:
    """Call to have a player and its timeline on one page; `lay` draws the timeline, or draws it anew."""

    def start(version: str = "v1.1", *, laid: bool = True, state: PlayerState | None = None, **options: Any) -> Page:
        resize = options.pop("resize", "whole")
        found, clip = seen(version, resize)
        page = open_player(packed(found, clip, state), **options)
        put(page, FILES)
        if laid:
            lay(page, found)
        return page

    return start


def lay(page: Page, found: Analysis) -> None:
    page.evaluate("data => timeline.show(data)", timeline_data(found, track(found), player="player"))


def click(page: Page, x: float, y: float) -> None:
    """Click at a share of the canvas, and take the mouse away."""
    box = page.locator("canvas.overlay").bounding_box()
    assert box
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
    page.mouse.move(3, 3)


def curves(page: Page) -> list[list[float]]:
    """Heights of the drawn curves, 0 at the bottom, 1 at the top of the scale."""
    drawn = page.locator(".plot polyline:not(.halo)").evaluate_all(
        "all => all.map((one) => one.getAttribute('points'))"
    )
    return [[(96 - float(point.split(",")[1])) / 92 for point in points.split()] for points in drawn]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_curve_is_made_of_the_numbers_that_pointing_reads(open_both, version):
    page = open_both(version)
    found, _ = seen(version)
    click(page, 0.45, 0.6)
    place = page.evaluate(ASK)
    told = np.array([token["weights"] for token in place["tokens"]])
    assert told.shape == (found.num_tokens, FRAMES)
    for step, time_s in enumerate(found.timestamps_s):
        seek(page, float(time_s))
        expect(page.locator(".place")).to_have_attribute("data-step", str(step))
        assert weights(page) == [format_weight(weight, found.map_unit) for weight in told[:, step].tolist()]
        strongest = int(told[:, step].argmax())
        value = format_weight(float(told[strongest, step]), found.map_unit)
        expect(page.locator(".strongest")).to_contain_text(f"strongest here is token {strongest + 1} with {value}")
    np.testing.assert_allclose(curves(page), told / told.max(), atol=0.002)
    expect(page.locator(".reading")).to_contain_text(found.map_unit)
    expect(page.locator(".ends .top")).to_have_text(format_weight(float(told.max()), found.map_unit))


def test_without_a_pin_there_is_one_hint(open_both):
    page = open_both()
    expect(page.locator(".hint")).to_have_text(HINT)
    expect(page.locator(".pinned")).to_be_hidden()
    click(page, 0.5, 0.5)
    expect(page.locator(".hint")).to_be_hidden()
    expect(page.locator(".pinned")).to_be_visible()


def test_the_place_is_told_in_the_whole_frame(open_both):
    page = open_both(resize="crop")
    box = seen(resize="crop")[0].geometry.box_normalized
    assert box[2] < 0.9, "only the middle was seen"
    click(page, 0.5, 0.5)
    place = page.evaluate(ASK)
    assert abs(place["x"] - 0.5) < box[2] / 4
    assert re.fullmatch(r"x (4\d|5\d) %, y \d\d %", page.locator(".spot b").text_content() or "")


def test_another_place_moves_the_curve_and_the_button_removes_it(open_both):
    page = open_both()
    click(page, 0.2, 0.3)
    first, spot = curves(page), page.locator(".spot b").text_content()
    click(page, 0.8, 0.7)
    assert curves(page) != first
    assert page.locator(".spot b").text_content() != spot
    page.get_by_role("button", name="Remove the pin", exact=True).click()
    expect(page.locator(".hint")).to_be_visible()
    expect(page.locator(".where")).to_have_text("Largest weight in this frame")
    expect(page.locator(".pinned")).to_be_hidden()


def test_a_timeline_that_comes_after_the_pin_shows_it(open_both):
    page = open_both(laid=False)
    click(page, 0.45, 0.6)
    seek(page, float(seen()[0].timestamps_s[9]))
    lay(page, seen()[0])
    expect(page.locator(".pinned")).to_be_visible()
    expect(page.locator(".place")).to_have_attribute("data-step", "9")
    expect(page.locator(".timeline")).to_have_attribute("data-step", "9")


def test_a_link_brings_the_curve_back(open_both):
    page = open_both(state=PlayerState(time_s=0.0, pin=(0.3, 0.7)))
    expect(page.locator(".pinned")).to_be_visible()


def test_other_maps_draw_other_curves_at_the_same_place(open_both):
    page = open_both()
    click(page, 0.45, 0.6)
    spot = page.locator(".spot b").text_content()
    fewer, clip = seen(tokens=3)
    update(page, packed(fewer, clip))
    lay(page, fewer)
    assert len(curves(page)) == 3
    expect(page.locator(".spot b")).to_have_text(spot or "?")
    assert len(page.evaluate(ASK)["tokens"]) == 3


def test_the_page_is_told_of_pins_and_of_nothing_else(open_both):
    page = open_both()
    page.evaluate(WATCH)
    press(page, "n", "-", "m", "t", "h", "h", "ArrowRight", "p", "ArrowUp")
    assert page.evaluate("window.heard") is None
    press(page, "Enter", "n", "-")
    assert page.evaluate("heard.length") == 1
    press(page, "2")
    assert page.evaluate("heard.at(-1).place.tokens.map((token) => token.shown)") == [True, False, *[True] * 4]
    press(page, "Escape", "Escape")
    assert page.evaluate("[heard.length, heard.at(-1).place]") == [3, None]


def test_tokens_that_are_not_on_show_are_pale(open_both):
    page = open_both()
    click(page, 0.45, 0.6)
    expect(page.locator(".plot g[data-faint]")).to_have_count(0)
    press(page, "o", "3")
    expect(page.locator(".plot g[data-faint]")).to_have_count(5)
    expect(page.locator(".reading")).to_contain_text("Pale: tokens that are not on show.")


def test_the_lane_moves_the_playhead_and_its_needle_follows(open_both):
    page = open_both()
    click(page, 0.45, 0.6)
    plot = page.locator(".plot")
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box
    page.mouse.click(box["x"] + box["width"] * 10.5 / FRAMES, box["y"] + 20)
    expect(page.locator(".place")).to_have_attribute("data-step", "10")
    needle, cursor = (
        page.locator(name).evaluate("one => one.getBoundingClientRect().x") for name in (".needle", ".cursor")
    )
    assert needle == pytest.approx(cursor, abs=0.6)


def test_a_pin_by_keyboard_is_read_aloud_with_its_curve(open_both):
    page = open_both()
    press(page, "p", "ArrowRight", "Enter", "Escape")
    spot = page.locator(".spot b").text_content()
    expect(page.locator(".place .live")).to_have_text(re.compile(f"^{spot}. At 0.00 s strongest here is token"))
    label = page.locator(".plot svg").get_attribute("aria-label") or ""
    assert label.startswith(f"Weights at {spot} over the clip: token 1 up to ")
    assert label.count("token ") == 6
    press(page, "?")
    expect(page.locator(".help dl")).to_contain_text("pin the pointed place, or unpin it")


@pytest.mark.parametrize("width", [390, 1024])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_lane_fits_narrow_windows_and_numbers_keep_apart(open_both, width, scheme):
    page = open_both(width=width, height=844, color_scheme=scheme)
    click(page, 0.45, 0.6)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    tags = page.locator(".tags b").evaluate_all(
        "all => all.map((one) => { const { x, y } = one.getBoundingClientRect(); return [x, y]; })"
    )
    assert len(tags) == 6, json.dumps(tags)
    for i, (x, y) in enumerate(tags):
        assert all(abs(x - u) >= 18 or abs(y - v) >= 15 for u, v in tags[:i])
