"""What the player draws: the same pixels as tokenlearner/render.py, legends, layout in all views and widths."""

import base64
import io
import re
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.clips import COLS, HEIGHT, ROWS, WIDTH, picture
from tests.browser.playing import (
    MAPS,
    SCALE,
    TIMES,
    TOKENS,
    OpenPlayer,
    lit_tokens,
    pixels,
    player_payload,
    point,
    press,
    received,
    seek,
)
from tokenlearner import render
from tokenlearner.analysis.tracks import track_maps
from tokenlearner.palette import UNIT_SHARE, UNIT_SIGMOID, format_weight, token_color

pytestmark = pytest.mark.browser

VIEW_KEYS = "oswgb"
STEP = 14
WEIGHTS = received(MAPS)[STEP]


def drawn(page: Page) -> np.ndarray:
    """The canvas laid over black, as RGB of the size of the picture on the stage."""
    rgba = np.asarray(Image.open(io.BytesIO(base64.b64decode(pixels(page).partition(",")[2]))).convert("RGBA"))
    picture_width = round(rgba.shape[0] * WIDTH / HEIGHT)
    left = (rgba.shape[1] - picture_width) // 2
    inside = rgba[:, max(left, 0) : max(left, 0) + picture_width].astype(np.float32)
    return inside[..., :3] * inside[..., 3:] / 255


def centres(image: np.ndarray) -> np.ndarray:
    """Colours at the centres of the cells, [rows, cols, 3]."""
    y = ((np.arange(ROWS) + 0.5) * image.shape[0] / ROWS).astype(int)
    x = ((np.arange(COLS) + 0.5) * image.shape[1] / COLS).astype(int)
    return image[y[:, None], x]


def without_tags(values: np.ndarray) -> np.ndarray:
    """Cells that carry no number: those where no token has its largest weight, of all or of those that it owns."""
    owned = np.where(render.owner_map(WEIGHTS) == np.arange(TOKENS)[:, None, None], WEIGHTS, -1)
    tagged = [held == held.max(axis=(1, 2), keepdims=True) for held in (WEIGHTS, owned)]
    return values[~np.concatenate(tagged).any(axis=0)]


@pytest.fixture
def page_at_step(open_player: OpenPlayer) -> Page:
    """The test clip, paused at one analysed frame, with patches as they are."""
    page = open_player(player_payload())
    seek(page, float(TIMES[STEP]) + 0.002)
    press(page, "n", "o")
    return page


def test_heat_is_what_python_renders(page_at_step: Page):
    press(page_at_step, "3")
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_heat(black, WEIGHTS[2], SCALE, opacity=0.7, method="nearest")
    np.testing.assert_allclose(centres(drawn(page_at_step)), centres(expected), atol=2.5)


def test_smooth_heat_is_what_python_renders(page_at_step: Page):
    press(page_at_step, "n", "3")
    image = drawn(page_at_step)
    black = np.zeros((*image.shape[:2], 3), np.uint8)
    expected = render.overlay_heat(black, WEIGHTS[2], SCALE, opacity=0.7).astype(np.float32)
    difference = np.abs(image - expected)
    assert difference.mean() < 0.7
    assert np.quantile(difference, 0.999) < 8
    assert np.abs(image - render.overlay_heat(black, WEIGHTS[3], SCALE, opacity=0.7)).mean() > 7, "it can tell tokens"


def test_chosen_tokens_blend_as_python_renders(page_at_step: Page):
    press(page_at_step, "s", "2", "5")
    chosen = [0, 2, 3, 5]
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_tokens(black, WEIGHTS[chosen], SCALE, token_ids=chosen, opacity=0.7, method="nearest")
    np.testing.assert_allclose(without_tags(centres(drawn(page_at_step))), without_tags(centres(expected)), atol=3)


def test_owners_are_what_python_finds(page_at_step: Page):
    press(page_at_step, "w")
    owner = render.owner_map(WEIGHTS)
    colors = np.array([token_color(token) for token in range(TOKENS)])
    expected = colors[owner] * 0.7 * render.OWNER_FILL
    np.testing.assert_allclose(without_tags(centres(drawn(page_at_step))), without_tags(expected), atol=3)


def test_borders_run_between_owners(page_at_step: Page):
    press(page_at_step, "w")
    image = drawn(page_at_step)
    owner = render.owner_map(WEIGHTS)
    height, width = image.shape[:2]
    for col in range(COLS - 1):
        y, x = round(0.5 * height / ROWS + 4 * height / ROWS), round((col + 1) * width / COLS)
        bright = image[y, x - 2 : x + 3].min(axis=-1).max() > 150
        assert bright == (owner[4, col] != owner[4, col + 1]), col


def test_smooth_borders_lie_where_two_weights_are_equal(page_at_step: Page):
    press(page_at_step, "n", "w")
    image = drawn(page_at_step)
    owner = render.owner_map(render.upsample_token_maps(WEIGHTS, image.shape[:2]))
    borders = np.zeros(owner.shape, np.uint8)
    borders[:, 1:] |= owner[:, 1:] != owner[:, :-1]
    borders[1:] |= owner[1:] != owner[:-1]
    white = (image.min(axis=-1) > 170).astype(np.uint8)
    near_white = cv2.dilate(white, np.ones((9, 9), np.uint8))
    assert near_white[borders > 0].mean() > 0.97


def test_owner_regions_of_tokens_not_chosen_stay_clear(page_at_step: Page):
    press(page_at_step, "w", "a", "4")
    owner = render.owner_map(WEIGHTS)
    inside = centres(drawn(page_at_step)).max(axis=-1) > 20
    np.testing.assert_array_equal(without_tags(inside), without_tags(owner == 3))


def test_the_grid_shows_every_token_and_the_frame(page_at_step: Page):
    press(page_at_step, "g")
    image = drawn(page_at_step)
    tiles = image[: image.shape[0] // 3 * 3].reshape(3, image.shape[0] // 3, image.shape[1], 3)
    assert (tiles.std(axis=(1, 2)) > 5).all()
    frame_grey = 40 + 2 * 2 * STEP
    press(page_at_step, "h")
    hidden = drawn(page_at_step)
    assert abs(float(np.median(hidden[hidden.max(axis=-1) > 0])) - frame_grey) < 6, "the picture without maps"


def test_a_trail_runs_through_the_centres_of_mass_and_ends_at_the_one_of_now(page_at_step: Page):
    press(page_at_step, "3")
    before = drawn(page_at_step)
    press(page_at_step, "t")
    expect(page_at_step.get_by_role("button", name="Trails")).to_have_attribute("aria-pressed", "true")
    expect(page_at_step.locator(".unit")).to_contain_text("lines: the last 2 s")
    after = drawn(page_at_step)
    size = np.array(after.shape[1::-1])
    tracks = track_maps(received(MAPS), TIMES)
    path = tracks.centroid_xy[:, 2] * size
    (turn,) = [switch.step for switch in tracks.switches if switch.token == 2 and switch.step < STEP]
    assert turn == 10
    changed = np.abs(after - before).max(axis=-1) > 12
    x, y = path[STEP].round().astype(int)
    np.testing.assert_allclose(after[y, x], token_color(2), atol=8)
    for x, y in path[turn : STEP - 1].round().astype(int):
        assert changed[y - 3 : y + 4, x - 3 : x + 4].any()
    for x, y in path[[*range(3, turn), *range(STEP + 3, STEP + 7)]].round().astype(int):
        assert not changed[y - 3 : y + 4, x - 3 : x + 4].any(), (
            "nothing from before it turned, and nothing of what comes"
        )
    assert changed.mean() < 0.03
    press(page_at_step, "g")
    tiles = pixels(page_at_step)
    press(page_at_step, "t")
    assert pixels(page_at_step) != tiles, "every tile has the trail of its token"


def test_trails_of_all_chosen_tokens(page_at_step: Page):
    press(page_at_step, "s", "2", "t")
    after = drawn(page_at_step)
    centres_now = track_maps(received(MAPS), TIMES).centroid_xy[STEP]
    for token in (0, 2, 3, 4, 5):
        x, y = (centres_now[token] * after.shape[1::-1]).round().astype(int)
        colours = after[y - 2 : y + 3, x - 2 : x + 3].reshape(-1, 3)
        assert (np.abs(colours - token_color(token)).max(axis=-1) < 10).any(), token


def muted_at_step(open_player: OpenPlayer, *muted: int) -> Page:
    page = open_player(player_payload(muted=muted))
    seek(page, float(TIMES[STEP]) + 0.002)
    press(page, "n", "s")
    return page


def test_a_muted_token_is_in_no_view_of_several(open_player: OpenPlayer):
    page = muted_at_step(open_player, 2)
    others = [0, 1, 3, 4, 5]
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_tokens(black, WEIGHTS[others], SCALE, token_ids=others, opacity=0.7, method="nearest")
    np.testing.assert_allclose(without_tags(centres(drawn(page))), without_tags(centres(expected)), atol=3)
    press(page, "w")
    colors = np.array([token_color(token) for token in others])
    owners = colors[render.owner_map(WEIGHTS[others])] * 0.7 * render.OWNER_FILL
    plain = without_tags(np.abs(centres(drawn(page)) - owners).max(axis=-1))
    assert np.quantile(plain, 0.95) < 3, "but for the numbers of the others, which now own more"
    assert lit_tokens(page) == ["1", "2", "4", "5", "6"]


def test_a_muted_token_says_so_and_can_be_seen_alone(open_player: OpenPlayer):
    page = muted_at_step(open_player, 2)
    chip = page.get_by_role("button", name="Token 3, muted")
    expect(chip).to_have_attribute("aria-pressed", "false")
    assert "line-through" in chip.locator("b").evaluate("b => getComputedStyle(b).textDecorationLine")
    chip.click()
    expect(page.locator(".player")).to_have_attribute("data-view", "one")
    expect(page.locator(".unit")).to_contain_text("token 3 is muted: the network goes on without it")
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_heat(black, WEIGHTS[2], SCALE, opacity=0.7, method="nearest")
    np.testing.assert_allclose(centres(drawn(page)), centres(expected), atol=2.5)
    press(page, "1")
    expect(page.locator(".unit")).not_to_contain_text("muted")


def test_with_all_tokens_muted_nothing_is_drawn(open_player: OpenPlayer):
    page = muted_at_step(open_player, *range(TOKENS))
    for key in "sw":
        press(page, key)
        assert drawn(page).max() == 0


def test_another_pixel_ratio_alone_draws_anew(open_player: OpenPlayer):
    page = open_player(player_payload(), height=1400)
    before, stage = page.locator(".overlay").evaluate("canvas => canvas.width"), page.locator(".stage").bounding_box()
    session = page.context.new_cdp_session(page)
    # Chromium tells of the ratio with the next change of the window's size: one that the stage does not follow.
    session.send(
        "Emulation.setDeviceMetricsOverride", {"width": 1200, "height": 1401, "deviceScaleFactor": 2, "mobile": False}
    )
    page.wait_for_function("before => player.shadow.querySelector('.overlay').width === 2 * before", arg=before)
    assert page.locator(".stage").bounding_box() == stage


def test_no_view_looks_like_another(page_at_step: Page):
    seen = set()
    for key in VIEW_KEYS:
        press(page_at_step, key)
        seen.add(pixels(page_at_step))
    assert len(seen) == len(VIEW_KEYS)


def test_left_of_the_divider_is_the_original(page_at_step: Page):
    page = page_at_step
    press(page, "b")
    divider = page.get_by_role("slider", name="Divider")
    assert_divided_at(page, 0.5)
    handle = divider.bounding_box()
    assert handle
    page.mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + 30)
    page.mouse.down()
    page.mouse.move(*point(page, 1, 3.5), steps=3)
    page.mouse.up()
    assert_divided_at(page, 0.25)
    expect(divider).to_have_attribute("aria-valuenow", "25")
    divider.press("ArrowRight")
    expect(divider).to_have_attribute("aria-valuenow", "27")
    press(page, "d")
    assert_divided_at(page, 0.32)


def assert_divided_at(page: Page, share: float) -> None:
    image = drawn(page)
    edge = round(share * image.shape[1])
    assert image[:, : edge - 3].max() == 0
    assert image[:, edge + 3 : edge + 8].max() > 0


def test_beside_keeps_the_kind_of_overlay(page_at_step: Page):
    press(page_at_step, "w", "b")
    assert page_at_step.locator(".player").get_attribute("data-drawn") == "owner"
    press(page_at_step, "o", "b")
    assert page_at_step.locator(".player").get_attribute("data-drawn") == "one"


def test_opacity_and_hiding(page_at_step: Page):
    press(page_at_step, "o", "+", "+", "+", "+", "+", "+", "+")
    full = drawn(page_at_step).max()
    press(page_at_step, *["-"] * 10)
    assert drawn(page_at_step).max() == pytest.approx(full / 2, abs=3)
    press(page_at_step, "h")
    assert drawn(page_at_step).max() == 0
    expect(page_at_step.get_by_role("button", name="Hide the maps")).to_have_attribute("aria-pressed", "true")


@pytest.mark.parametrize(
    ("mode", "top", "words"),
    [
        ("fixed", SCALE, "one scale for the whole clip, its top 1 % drawn alike"),
        ("largest", float(MAPS.max()), "up to the largest weight of the whole clip"),
        ("token", float(MAPS[:, 4].max()), "each token drawn to its own largest weight"),
    ],
)
def test_each_scale_is_drawn_and_printed(page_at_step: Page, mode: str, top: float, words: str):
    page_at_step.get_by_role("combobox", name="Scale").select_option(mode)
    press(page_at_step, "o", "5")
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_heat(black, WEIGHTS[4], top, opacity=0.7, method="nearest")
    np.testing.assert_allclose(centres(drawn(page_at_step)), centres(expected), atol=2.5)
    printed = format_weight(top, UNIT_SHARE)
    expect(page_at_step.locator(".ramp .high")).to_have_text(f"≥ {printed}" if mode == "fixed" else printed)
    expect(page_at_step.locator(".unit")).to_have_text(f"{UNIT_SHARE} · {words}")


def test_a_change_of_frame_never_changes_the_scale(page_at_step: Page):
    press(page_at_step, "3")
    legend = page_at_step.locator(".legend").inner_text()
    seek(page_at_step, float(TIMES[3]) + 0.002)
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_heat(black, received(MAPS)[3, 2], SCALE, opacity=0.7, method="nearest")
    np.testing.assert_allclose(centres(drawn(page_at_step)), centres(expected), atol=2.5)
    assert page_at_step.locator(".legend").inner_text() == legend


def test_the_legend_names_the_unit(open_player: OpenPlayer):
    page = open_player(player_payload(unit=UNIT_SIGMOID, scale_max=1.0))
    press(page, "o")
    expect(page.locator(".unit")).to_have_text(f"{UNIT_SIGMOID} · one scale for the whole clip")
    expect(page.locator(".ramp .high")).to_have_text("1.0")
    expect(page.locator("canvas.overlay")).to_have_attribute(
        "aria-label", f"One token: token 1. Scale 0 to 1.0, {UNIT_SIGMOID}."
    )
    expect(page.locator(".chip span").first).to_have_text(
        format_weight(float(received(MAPS)[0, 0].max()), UNIT_SIGMOID)
    )


def test_what_the_model_did_not_see_is_marked(open_player: OpenPlayer):
    page = open_player(player_payload(box=(0.25, 0.0, 0.5, 1.0)))
    press(page, "n", "o")
    image = drawn(page)
    width = image.shape[1]
    outside = np.concatenate([image[:, : width // 4 - 2], image[:, 3 * width // 4 + 2 :]], axis=1)
    assert (outside.max(axis=-1) > 25).mean() > 0.05, "hatched"
    inside = image[:, width // 4 + 1 : 3 * width // 4 - 1]
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_heat(black, received(MAPS)[0, 0], SCALE, opacity=0.7, method="nearest")
    np.testing.assert_allclose(centres(inside), centres(expected), atol=2.5)
    expect(page.locator(".unit")).to_contain_text("hatched: not seen by the model")
    expect(page.locator("canvas.overlay")).to_have_attribute("aria-label", re.compile("not seen by the model"))
    box = page.locator("canvas.overlay").bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.5 * box["height"])
    expect(page.locator(".where")).to_have_text("Largest weight in this frame")


def test_nothing_moves_when_the_view_changes(open_player: OpenPlayer):
    page = open_player(player_payload())
    rows = page.locator(".player > :not(.help)")
    places = "nodes => nodes.map((node) => JSON.stringify(node.getBoundingClientRect()))"
    before = rows.evaluate_all(places)
    keys = ["s", "w", "t", "g", "b", "m", "m", "m", "n", "h", "h", "p", "Enter", "?", "?", "Escape", "ArrowRight", "o"]
    for key in keys:
        press(page, key)
        assert rows.evaluate_all(places) == before, key


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1024, 768), (1440, 900)])
def test_every_control_is_reachable_at_every_width(open_player: OpenPlayer, width: int, height: int):
    page = open_player(player_payload(), width=width, height=height)
    for key in VIEW_KEYS:
        press(page, key)
        assert page.evaluate("() => document.scrollingElement.scrollWidth <= innerWidth")
        controls = page.locator("button:visible, select:visible, input:visible").evaluate_all(
            "nodes => nodes.map((node) => [node.outerHTML, node.getBoundingClientRect().toJSON(),"
            " node.ariaLabel || node.textContent.trim() || node.labels?.[0]?.textContent])"
        )
        assert len(controls) > 20
        for markup, box, name in controls:
            assert 0 <= box["left"] <= box["right"] <= width, markup
            assert name, markup


def test_touch_pins_a_place(open_player: OpenPlayer):
    page = open_player(player_payload(), width=390, height=844, has_touch=True)
    page.touchscreen.tap(*point(page, 4, 6))
    expect(page.locator(".where")).to_have_text("Weight at row 5, column 7 (pinned)")


@pytest.mark.parametrize("options", [{"width": 390}, {"width": 1024, "has_touch": True, "is_mobile": True}])
def test_controls_are_large_enough_for_a_finger(open_player: OpenPlayer, options: dict[str, Any]):
    page = open_player(player_payload(), height=844, **options)
    press(page, "b")
    page.mouse.click(*point(page, 4, 12))
    controls = page.locator("button:visible, select:visible, input:visible, .divider:visible").evaluate_all(
        "nodes => nodes.map((node) => [node.outerHTML.slice(0, 80), node.offsetWidth, node.offsetHeight])"
    )
    assert len(controls) > 20
    small = [(markup, width, height) for markup, width, height in controls if min(width, height) < 40]
    assert small == []
    press(page, "?")
    close = page.get_by_role("button", name="Close the help").bounding_box()
    assert close
    assert min(close["width"], close["height"]) >= 40


def test_weights_are_not_cut_in_a_narrow_window(open_player: OpenPlayer):
    page = open_player(player_payload(np.full_like(MAPS, 1e-6), scale_max=SCALE), width=390, height=844)
    values = page.locator(".chip span")
    assert set(values.all_text_contents()) == {"<0.01 %"}
    assert values.evaluate_all("all => all.every((one) => one.scrollWidth <= one.clientWidth)")


def test_every_control_has_a_name_of_its_own(open_player: OpenPlayer):
    page = open_player(player_payload())
    for name in ("Play", "Previous analysed frame", "Next analysed frame", "Loop", "Grid", "Full screen", "Token 3"):
        expect(page.get_by_role("button", name=re.compile(f"^{name}"))).to_have_count(1)
    for name in ("Time", "Opacity of the maps"):
        expect(page.get_by_role("slider", name=name, exact=True)).to_have_count(1)
    for name in ("Speed", "Scale"):
        expect(page.get_by_role("combobox", name=name)).to_have_count(1)


def test_keys_that_a_button_names_are_its_keys(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "r")
    expect(page.get_by_title("Loop (R)")).to_have_attribute("aria-pressed", "false")
    press(page, "n")
    expect(page.get_by_title(re.compile(r"\(N\)$"))).to_have_attribute("aria-pressed", "true")
    press(page, "t", "h")
    expect(page.get_by_title(re.compile(r"\(T\)$"))).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_title(re.compile(r"\(H\)$"))).to_have_attribute("aria-pressed", "true")


def test_a_clip_does_not_start_by_itself_where_motion_is_unwanted(open_player: OpenPlayer):
    page = open_player(player_payload(autoplay=True), reduced_motion="reduce")
    page.wait_for_timeout(700)
    assert page.locator("video").evaluate("video => video.paused && video.currentTime === 0")
    press(page, " ")
    page.wait_for_function("() => player_video.currentTime > 0.1")


def test_where_the_browser_refuses_full_screen_the_player_fills_the_window(open_player: OpenPlayer):
    page = open_player(player_payload(), width=390, height=844)
    page.evaluate("() => { Element.prototype.requestFullscreen = () => Promise.reject(new Error('refused')); }")
    page.get_by_role("button", name="Full screen").click()
    box = page.locator(".player").bounding_box()
    assert box == {"x": 0, "y": 0, "width": 390, "height": 844}
    stage = page.locator(".stage").bounding_box()
    assert stage
    assert stage["height"] > 160
    page.get_by_role("button", name="Full screen").click()
    assert page.locator(".player").bounding_box() != box


def test_the_help_lists_the_keys_and_gives_the_focus_back(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "?")
    help_panel = page.get_by_role("dialog", name="Keyboard")
    expect(help_panel).to_be_visible()
    assert help_panel.locator("dt").count() == help_panel.locator("dd").count() >= 18
    expect(help_panel).to_contain_text("play or pause")
    page.keyboard.press("Escape")
    expect(help_panel).to_be_hidden()
    page.keyboard.press("2")
    assert lit_tokens(page) == ["1", "3", "4", "5", "6"]


def test_full_screen_by_key(open_player: OpenPlayer):
    page = open_player(player_payload())
    before = page.locator(".stage").bounding_box()
    press(page, "f")
    expect(page.get_by_role("button", name="Full screen")).to_have_attribute("aria-pressed", "true")
    inside = page.locator(".stage").bounding_box()
    assert before
    assert inside
    assert inside["width"] > before["width"]
    press(page, "f")
    expect(page.get_by_role("button", name="Full screen")).to_have_attribute("aria-pressed", "false")


def test_a_still_is_drawn_at_its_only_step(open_player: OpenPlayer):
    still = MAPS[STEP : STEP + 1]
    page = open_player(player_payload(still, clip=picture(), scale_max=SCALE))
    press(page, "n", "o", "3")
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    expected = render.overlay_heat(black, received(still)[0, 2], SCALE, opacity=0.7, method="nearest")
    np.testing.assert_allclose(centres(drawn(page)), centres(expected), atol=2.5)
