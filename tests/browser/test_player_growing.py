"""A clip that grows under the viewer's eyes: a longer part takes the place of a shorter one, and nothing jumps."""

import base64
import itertools

import pytest
from playwright.sync_api import Page, expect

from tests.browser.clips import FRAMES, RATE, clip_maps, synthetic_clip
from tests.browser.playing import (
    TOKENS,
    OpenPlayer,
    current_time,
    lit_tokens,
    player_payload,
    point,
    press,
    seek,
    shown_frame,
    update,
)

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SHORT = 20
"""Frames of the first part: one second."""

WATCH = """() => {
    window.times = [];
    window.paused = [];
    window.addEventListener("token-player-time", ({ detail }) => window.times.push(detail.step * STEP_S));
    const button = player.shadow.querySelector(".player");
    new MutationObserver(() => window.paused.push(!button.hasAttribute("data-playing"))).observe(
        button, { attributes: true, attributeFilter: ["data-playing"] });
}""".replace("STEP_S", str(2 / RATE))


def part(frames: int, clip_id: str = "one clip", *, autoplay: bool = False) -> bytes:
    media = synthetic_clip(frames)
    maps = clip_maps(media.timestamps_s, TOKENS)
    return player_payload(maps, clip=media, clip_id=clip_id, autoplay=autoplay)


def grown(page: Page, frames: int = FRAMES) -> None:
    update(page, part(frames))
    page.wait_for_function(
        "length => player_video.readyState >= 2 && player_video.duration > length", arg=(frames - 1) / RATE
    )


def test_a_paused_clip_that_grows_stays_where_it_is(open_player: OpenPlayer):
    page = open_player(part(SHORT))
    seek(page, 12 / RATE)
    expect(page.locator(".step")).to_have_text("map 7 of 10")
    grown(page)
    page.wait_for_function("() => !player_video.seeking")
    assert current_time(page) == pytest.approx(12 / RATE, abs=1e-3)
    assert shown_frame(page) == 12
    expect(page.locator(".step")).to_have_text("map 7 of 30")
    assert page.locator("video").evaluate("video => video.paused")
    press(page, "End")
    expect(page.locator(".step")).to_have_text("map 30 of 30")


def test_a_playing_clip_that_grows_plays_on_without_a_jump(open_player: OpenPlayer):
    page = open_player(part(SHORT, autoplay=True))
    page.wait_for_function("() => !player_video.paused && player_video.currentTime > 0.4")
    page.evaluate(WATCH)
    page.wait_for_function("() => window.times.length > 1")
    grown(page)
    page.wait_for_function("() => player_video.currentTime > 1.3")
    times = page.evaluate("window.times")
    steps = [after - before for before, after in itertools.pairwise(times)]
    assert min(steps) >= 0, times  # not even one frame of an earlier time
    assert max(steps) < 0.5, times
    assert True not in page.evaluate("window.paused")


def test_the_last_frame_stays_on_the_screen_until_the_longer_clip_has_one(open_player: OpenPlayer):
    page = open_player(part(SHORT))
    seek(page, 12 / RATE)
    level = page.evaluate(
        """base64 => {
            player.show(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
            const held = player.shadow.querySelector(".stage video + canvas.held");
            return player_video.readyState < 2 && held.getContext("2d").getImageData(20, 10, 1, 1).data[1];
        }""",
        base64.b64encode(part(FRAMES)).decode(),
    )
    assert level == pytest.approx(40 + 2 * 12, abs=2), "over the video, the frame of before"
    expect(page.locator(".held")).to_have_count(0)
    assert shown_frame(page) == 12


def test_pin_view_and_choice_stay_when_the_clip_grows(open_player: OpenPlayer):
    page = open_player(part(SHORT))
    press(page, "s", "2", ">")
    page.mouse.click(*point(page, 1, 2))
    grown(page)
    assert lit_tokens(page) == ["1", "3", "4", "5", "6"]
    expect(page.locator(".where")).to_contain_text("row 2, column 3")
    assert page.locator("video").evaluate("video => video.playbackRate") == 1.5


def test_it_can_grow_again_before_the_last_growth_was_drawn(open_player: OpenPlayer):
    page = open_player(part(SHORT))
    seek(page, 12 / RATE)
    update(page, part(SHORT + 10))
    grown(page)
    page.wait_for_function("() => !player_video.seeking")
    assert shown_frame(page) == 12
    assert current_time(page) == pytest.approx(12 / RATE, abs=1e-3)


def test_a_player_that_was_taken_away_comes_back_to_the_longer_clip_where_it_was(open_player: OpenPlayer):
    page = open_player(part(SHORT))
    seek(page, 12 / RATE)
    page.evaluate("() => player.leave()")
    grown(page)
    page.wait_for_function("() => !player_video.seeking")
    assert current_time(page) == pytest.approx(12 / RATE, abs=1e-3)


def test_the_message_about_a_broken_part_goes_when_a_longer_one_plays(open_player: OpenPlayer):
    broken = synthetic_clip(SHORT)._replace(media=b"this is no clip")
    page = open_player(player_payload(clip_maps(broken.timestamps_s, TOKENS), clip=broken, clip_id="one clip"))
    expect(page.get_by_role("alert")).to_be_visible()
    grown(page)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_another_clip_does_not_count_as_grown(open_player: OpenPlayer):
    page = open_player(part(SHORT))
    seek(page, 12 / RATE)
    update(page, part(FRAMES, "another"))
    page.wait_for_function("() => player_video.readyState >= 2 && player_video.duration > 2")
    assert current_time(page) == 0
