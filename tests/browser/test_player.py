"""The player in Chromium: time, places, choices, and what other payloads change. Without Streamlit around it."""

import numpy as np
import pytest
from playwright.sync_api import expect

from app.player.payload import PlayerState
from tests.browser.clips import COLS, ROWS, clip_maps, picture, synthetic_clip
from tests.browser.playing import (
    MAPS,
    TIMES,
    TOKENS,
    OpenPlayer,
    current_time,
    expected_weights,
    lit_tokens,
    pixels,
    player_payload,
    point,
    press,
    received,
    seek,
    shown_frame,
    shown_map,
    update,
    weights,
)
from tokenlearner.palette import UNIT_SHARE, format_weight

pytestmark = pytest.mark.browser


# Time


def test_maps_move_while_the_clip_plays(open_player: OpenPlayer):
    page = open_player(player_payload())
    before, first = pixels(page), weights(page)
    page.get_by_role("button", name="Play", exact=True).click()
    page.wait_for_function("() => player_video.currentTime > 0.4")
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    while_playing = pixels(page)
    assert not page.locator("video").evaluate("video => video.paused")
    page.wait_for_timeout(300)
    assert len({before, while_playing, pixels(page)}) == 3
    assert weights(page) != first


@pytest.mark.parametrize("time_s", [0.0, 0.02, 0.07, 0.51, 1.23, 1.999, 2.93])
def test_the_map_on_show_is_the_latest_not_later_than_the_frame(open_player: OpenPlayer, time_s: float):
    page = open_player(player_payload())
    seek(page, 1.5)
    seek(page, time_s)
    step = int(np.searchsorted(TIMES, time_s, side="right")) - 1
    assert shown_map(page) == step
    assert shown_frame(page) // 2 == step, "the picture and its map agree"
    assert weights(page) == expected_weights(step, None)


def test_arrow_keys_step_over_the_analysed_frames(open_player: OpenPlayer):
    page = open_player(player_payload())
    video = page.locator("video")
    for key, step in [("ArrowRight", 1), ("ArrowRight", 2), ("ArrowRight", 3), ("ArrowLeft", 2), ("End", 29)]:
        press(page, key)
        expect(page.locator(".step")).to_have_text(f"map {step + 1} of {len(TIMES)}")
        page.wait_for_function("() => !player_video.seeking")
        assert current_time(page) == pytest.approx(TIMES[step], abs=0.006)
        assert shown_frame(page) == 2 * step
    press(page, "ArrowRight")
    page.wait_for_timeout(100)
    assert shown_map(page) == 29, "there is nothing after the last"
    press(page, "Home", "ArrowLeft")
    expect(page.locator(".step")).to_have_text(f"map 1 of {len(TIMES)}")
    assert video.evaluate("video => video.paused")


def test_stepping_pauses_a_playing_clip(open_player: OpenPlayer):
    page = open_player(player_payload(autoplay=True))
    page.wait_for_function("() => player_video.currentTime > 0.3")
    page.get_by_role("button", name="Next analysed frame").click()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
    page.wait_for_function("() => !player_video.seeking")
    assert shown_frame(page) == 2 * shown_map(page)


def test_scrubbing_goes_where_the_hand_is(open_player: OpenPlayer):
    page = open_player(player_payload())
    page.get_by_role("slider", name="Time", exact=True).fill("2.07")
    page.wait_for_function("() => Math.abs(player_video.currentTime - 2.07) < 0.001")
    expect(page.locator(".step")).to_have_text(f"map 21 of {len(TIMES)}")
    expect(page.locator(".transport .time")).to_have_text("2.07 / 3.00 s")


def test_speed_loop_and_skipping_by_key(open_player: OpenPlayer):
    page = open_player(player_payload())
    video = page.locator("video")
    press(page, "l", "l")
    page.wait_for_function("() => Math.abs(player_video.currentTime - 2) < 0.02")
    press(page, "j")
    page.wait_for_function("() => Math.abs(player_video.currentTime - 1) < 0.02")
    press(page, ">", ">", ">")
    assert video.evaluate("video => video.playbackRate") == 2
    press(page, "<", "<", "<", "<", "<", "<")
    assert video.evaluate("video => video.playbackRate") == 0.25
    expect(page.get_by_label("Speed")).to_have_value("0.25")
    loop = page.get_by_role("button", name="Loop")
    expect(loop).to_have_attribute("aria-pressed", "true")
    press(page, "r")
    expect(loop).to_have_attribute("aria-pressed", "false")


def test_a_clip_begins_again_at_its_end_only_if_it_loops(open_player: OpenPlayer):
    page = open_player(player_payload())
    for begins_again in (True, False):
        press(page, "End", "ArrowLeft", " ")
        if begins_again:
            page.wait_for_function("() => player_video.currentTime > 0.1 && player_video.currentTime < 2")
            press(page, " ", "r")
        else:
            page.wait_for_function("() => player_video.ended")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()


def test_the_right_end_of_the_scrubber_is_the_last_frame_though_the_clip_loops(open_player: OpenPlayer):
    page = open_player(player_payload())
    page.get_by_role("slider", name="Time", exact=True).fill("3")
    page.wait_for_function("() => !player_video.seeking && player_video.currentTime > 2.9")
    page.locator("video").evaluate("video => { video.currentTime = video.currentTime; }")  # a second wish to go there
    page.wait_for_timeout(300)
    expect(page.locator(".step")).to_have_text(f"map {len(TIMES)} of {len(TIMES)}")
    assert shown_frame(page) == 59


def test_a_hand_at_the_end_of_a_playing_clip_sees_its_last_frame_and_lets_it_go_on(open_player: OpenPlayer):
    page = open_player(player_payload(autoplay=True))
    page.wait_for_function("() => player_video.currentTime > 0.2")
    bar = page.locator(".scrub").bounding_box()
    assert bar
    page.mouse.move(bar["x"] + bar["width"] / 2, bar["y"] + bar["height"] / 2)
    page.mouse.down()
    page.mouse.move(bar["x"] + bar["width"] + 20, bar["y"] + bar["height"] / 2, steps=4)
    page.wait_for_timeout(400)
    expect(page.locator(".step")).to_have_text(f"map {len(TIMES)} of {len(TIMES)}")
    assert shown_frame(page) == 59
    page.mouse.up()
    page.wait_for_function(
        "() => !player_video.paused && player_video.currentTime > 0.1 && player_video.currentTime < 2"
    )


def test_the_chosen_speed_counts_and_not_what_players_in_step_play_at(open_player: OpenPlayer):
    page = open_player(player_payload())
    page.locator("video").evaluate("video => { video.playbackRate = 0.98; }")
    page.wait_for_timeout(100)
    expect(page.get_by_label("Speed")).to_have_value("1")
    press(page, ">")
    assert page.locator("video").evaluate("video => video.playbackRate") == 1.5
    expect(page.get_by_label("Speed")).to_have_value("1.5")


def test_nothing_that_changes_with_every_frame_is_read_aloud(open_player: OpenPlayer):
    page = open_player(player_payload())
    aloud = page.locator("output, [aria-live], [role=status], [role=alert]")
    assert aloud.evaluate_all("all => all.map((one) => one.className)") == ["message", "hidden live"]
    expect(page.get_by_role("slider", name="Time", exact=True)).to_have_attribute(
        "aria-valuetext", "0.00 of 3.00 seconds"
    )


@pytest.mark.parametrize(
    ("key", "shift", "token"),
    [("2", False, "2"), ("2", True, "2"), ("@", True, "12"), ("0", False, "10"), (")", True, "20"), ("é", False, None)],
    ids=["US", "Shift makes the digits", "US with Shift", "US 0", "US 0 with Shift", "no digit without Shift"],
)
def test_digits_choose_tokens_on_every_keyboard(open_player: OpenPlayer, key: str, shift: bool, token: str | None):
    page = open_player(player_payload(clip_maps(TIMES, 20)))
    press(page, "o", "7")
    code = "Digit0" if key in "0)" else "Digit2"
    page.locator(".player").evaluate(
        "(player, pressed) => player.dispatchEvent(new KeyboardEvent('keydown', pressed))",
        {"key": key, "code": code, "shiftKey": shift, "bubbles": True, "composed": True},
    )
    assert lit_tokens(page) == [token or "7"]


def test_another_part_of_the_page_can_follow_and_move_the_playhead(open_player: OpenPlayer):
    page = open_player(player_payload())
    page.evaluate("() => window.addEventListener('token-player-time', (event) => (window.heard = event.detail))")
    page.evaluate(
        "() => window.dispatchEvent(new CustomEvent('token-player-seek', { detail: { key: 'other', time_s: 0.5 } }))"
    )
    page.evaluate(
        "() => window.dispatchEvent(new CustomEvent('token-player-seek', { detail: { key: 'player', time_s: 1.71 } }))"
    )
    page.wait_for_function("() => window.heard && Math.abs(window.heard.time_s - 1.71) < 0.001")
    assert page.evaluate("() => [window.heard.key, window.heard.step, window.heard.playing]") == ["player", 17, False]


def test_another_part_of_the_page_can_ask_for_the_view_and_bring_it_back(open_player: OpenPlayer):
    ask = """() => {
        const detail = { key: 'player' };
        window.dispatchEvent(new CustomEvent('token-player-ask', { detail }));
        return detail.view;
    }"""
    page = open_player(player_payload())
    press(page, "w", "2", "b", "n", "-", "m", "t", "d")
    page.mouse.click(*point(page, 1, 2))
    page.mouse.move(5, 5)
    seek(page, 1.31)
    asked, picture_then = page.evaluate(ask), pixels(page)
    assert PlayerState.from_dict(asked) == PlayerState(
        time_s=pytest.approx(1.31, abs=1e-5),  # type: ignore[arg-type]
        view="beside",
        base="owner",
        tokens=(0, 2, 3, 4, 5),
        pin=pytest.approx((2.5 / COLS, 1.5 / ROWS)),  # type: ignore[arg-type]
        opacity=0.65,
        smooth=False,
        scale="largest",
        trails=True,
        divider=0.55,
    )
    press(page, "Escape", "o", "n", "+", "m", "t", "Home")
    assert pixels(page) != picture_then
    page.evaluate(
        "view => window.dispatchEvent(new CustomEvent('token-player-restore', { detail: { key: 'player', view } }))",
        asked,
    )
    page.wait_for_function("() => Math.abs(player_video.currentTime - 1.31) < 0.001 && !player_video.seeking")
    page.wait_for_timeout(100)
    assert page.evaluate(ask) == asked
    assert pixels(page) == picture_then


# Places


def test_pointing_reads_the_packed_weights(open_player: OpenPlayer):
    page = open_player(player_payload())
    seek(page, 0.75)
    for row, col in [(0, 0), (4, 11), (8, 15)]:
        page.mouse.move(*point(page, row, col))
        assert weights(page) == expected_weights(7, (row, col))
        expect(page.locator(".where")).to_have_text(f"Weight at row {row + 1}, column {col + 1}")
    strongest = int(MAPS[7][:, 8, 15].argmax())
    text = f"Token {strongest + 1} · {expected_weights(7, (8, 15))[strongest]}"
    expect(page.locator(".readout")).to_have_text(text)


def test_a_click_pins_and_another_unpins(open_player: OpenPlayer):
    page = open_player(player_payload())
    page.mouse.click(*point(page, 2, 5))
    page.mouse.move(5, 5)
    expect(page.locator(".where")).to_have_text("Weight at row 3, column 6 (pinned)")
    seek(page, 1.4)
    assert weights(page) == expected_weights(14, (2, 5))
    page.mouse.click(*point(page, 2, 5))
    page.mouse.move(5, 5)
    expect(page.locator(".where")).to_have_text("Largest weight in this frame")
    assert weights(page) == expected_weights(14, None)


def test_pointing_works_in_every_tile_of_the_grid(open_player: OpenPlayer):
    page = open_player(player_payload(clip_maps(TIMES, 4)))
    press(page, "g")
    for corner in [(0, 0), (0.5, 0), (0, 0.5), (0.5, 0.5)]:
        page.mouse.move(*point(page, 3, 9, (*corner, 0.5, 0.5)))
        assert weights(page) == expected_weights(0, (3, 9), 4)


def test_arrows_point_without_a_mouse(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "p", "ArrowRight", "ArrowUp", "ArrowUp")
    row, col = ROWS // 2 - 2, COLS // 2 + 1
    assert weights(page) == expected_weights(0, (row, col))
    expect(page.locator(".live")).to_contain_text(f"Row {row + 1}, column {col + 1}: token ")
    press(page, "Enter", "Escape")
    expect(page.locator(".where")).to_have_text(f"Weight at row {row + 1}, column {col + 1} (pinned)")
    press(page, "Escape")
    expect(page.locator(".where")).to_have_text("Largest weight in this frame")


# Other maps, other clips


def test_new_maps_keep_the_playhead_the_view_and_the_choice(open_player: OpenPlayer):
    page = open_player(player_payload())
    video = page.locator("video")
    press(page, "o", "4", "n", "-", "-")
    seek(page, 1.27)
    video.evaluate("video => video.addEventListener('emptied', () => (window.reloaded = true))")
    source = video.get_attribute("src")
    update(page, player_payload(clip_maps(TIMES, 9)))
    expect(page.locator(".chip")).to_have_count(9)
    assert video.get_attribute("src") == source
    assert not page.evaluate("() => Boolean(window.reloaded)")
    assert current_time(page) == pytest.approx(1.27, abs=1e-6)
    assert shown_map(page) == 12
    assert lit_tokens(page) == ["4"]
    expect(page.get_by_role("slider", name="Opacity of the maps")).to_have_value("0.6")
    expect(page.get_by_role("button", name="Patches as they are")).to_have_attribute("aria-pressed", "true")
    assert weights(page) == expected_weights(12, None, 9)


def test_all_tokens_stay_chosen_when_more_come(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "s")
    update(page, player_payload(clip_maps(TIMES, 8)))
    assert lit_tokens(page) == list("12345678")


def test_a_choice_of_tokens_survives_other_maps(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "s", "1", "3", "6")
    assert lit_tokens(page) == ["2", "4", "5"]
    update(page, player_payload(clip_maps(TIMES, 3), token_ids=(4, 1, 7)))
    assert lit_tokens(page) == ["5", "2"]


def test_a_token_that_is_gone_gives_way_to_the_first(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "o", "6")
    update(page, player_payload(clip_maps(TIMES, 2), token_ids=(3, 2)))
    assert lit_tokens(page) == ["4"]


def test_another_clip_starts_anew_in_the_same_view(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "g")
    seek(page, 2.0)
    update(page, player_payload(MAPS[:1], clip=picture()))
    expect(page.locator("img")).to_be_visible()
    update(page, player_payload())
    page.wait_for_function("() => player_video.readyState >= 2")
    assert current_time(page) == 0
    expect(page.get_by_role("button", name="Grid")).to_have_attribute("aria-pressed", "true")


def test_a_player_that_was_taken_away_comes_back_as_it_was(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "s", "2", "r", ">")
    page.mouse.click(*point(page, 1, 2))
    seek(page, 1.3)
    page.evaluate("() => player.leave()")
    assert not page.locator("video").get_attribute("src")
    update(page, player_payload())
    page.wait_for_function("() => Math.abs(player_video.currentTime - 1.3) < 0.001")
    assert lit_tokens(page) == ["1", "3", "4", "5", "6"]
    expect(page.locator(".where")).to_contain_text("row 2, column 3")
    expect(page.get_by_role("button", name="Loop")).to_have_attribute("aria-pressed", "false")
    assert page.locator("video").evaluate("video => video.playbackRate") == 1.5


def test_a_player_that_comes_back_with_another_clip_has_its_settings_and_plays(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "s", "2", "<", "-")
    page.mouse.click(*point(page, 1, 2))
    seek(page, 1.3)
    page.evaluate("() => player.leave()")
    update(page, player_payload(MAPS[:20], clip=synthetic_clip(40), autoplay=True))
    page.wait_for_function("() => !player_video.paused && player_video.currentTime < 1")
    assert page.locator("video").evaluate("video => video.playbackRate") == 0.5
    assert lit_tokens(page) == ["1", "3", "4", "5", "6"]
    expect(page.get_by_role("slider", name="Opacity of the maps")).to_have_value("0.65")
    expect(page.locator(".where")).to_have_text("Largest weight in this frame")


def test_other_maps_of_the_same_tokens_leave_the_focus_where_it_is(open_player: OpenPlayer):
    page = open_player(player_payload())
    chip = page.locator(".chip").nth(2)
    chip.focus()
    update(page, player_payload(MAPS * 0.5))
    expect(chip).to_be_focused()
    assert weights(page) == [format_weight(w, UNIT_SHARE) for w in received(MAPS * 0.5)[0].max(axis=(1, 2)).tolist()]


def test_only_the_last_cleanup_ends_the_player(open_player: OpenPlayer):
    page = open_player(player_payload())
    page.evaluate("() => { window.first = player.leave; }")
    update(page, player_payload(MAPS * 0.5))
    page.evaluate("() => window.first()")
    press(page, "ArrowRight")
    expect(page.locator(".step")).to_have_text(f"map 2 of {len(TIMES)}")


def test_a_player_starts_where_a_link_says(open_player: OpenPlayer):
    start = PlayerState(time_s=1.0, view="some", tokens=(2, 0, 99), pin=(0.5, 0.99))
    page = open_player(player_payload(start=start))
    page.wait_for_function("() => player_video.currentTime === 1")
    expect(page.get_by_role("button", name="Several")).to_have_attribute("aria-pressed", "true")
    assert lit_tokens(page) == ["1", "3"]
    expect(page.locator(".where")).to_have_text(f"Weight at row {ROWS}, column {COLS // 2 + 1} (pinned)")


def test_a_player_may_start_with_no_token_on_show(open_player: OpenPlayer):
    assert lit_tokens(open_player(player_payload(start=PlayerState(tokens=())))) == []
    assert len(lit_tokens(open_player(player_payload(start=PlayerState())))) == TOKENS


def test_a_part_of_a_source_keeps_the_clock_of_the_source(open_player: OpenPlayer):
    clip = synthetic_clip()
    page = open_player(player_payload(clip=clip._replace(timestamps_s=TIMES + 61.0), start_s=61.0))
    seek(page, 1.27)
    assert shown_map(page) == 12
    expect(page.locator(".transport .time")).to_have_text("1:02.27 / 1:04.00 s")
    press(page, "ArrowRight")
    page.wait_for_function("() => Math.abs(player_video.currentTime - 1.3) < 0.006")


# What cannot be shown


def test_a_still_has_no_transport(open_player: OpenPlayer):
    page = open_player(player_payload(MAPS[7:8], clip=picture()))
    expect(page.locator(".transport")).to_be_hidden()
    expect(page.locator("img")).to_be_visible()
    page.mouse.move(*point(page, 4, 4))
    assert weights(page) == [format_weight(w, UNIT_SHARE) for w in received(MAPS[7:8])[0, :, 4, 4].tolist()]
    press(page, " ", "ArrowRight", "End", "l")
    expect(page.get_by_role("button", name="Full screen")).to_be_visible()


def test_a_clip_the_browser_cannot_play_says_so_and_can_be_stepped(open_player: OpenPlayer):
    page = open_player(player_payload(clip=synthetic_clip()._replace(media=b"this is no clip")))
    expect(page.get_by_role("alert")).to_contain_text("This browser cannot show the clip (video/mp4).")
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_disabled()
    press(page, "ArrowRight", "ArrowRight", "ArrowRight")
    expect(page.locator(".step")).to_have_text(f"map 4 of {len(TIMES)}")
    assert weights(page) == expected_weights(3, None)


def test_the_message_goes_when_a_clip_follows_that_plays(open_player: OpenPlayer):
    page = open_player(player_payload(clip=synthetic_clip()._replace(media=b"this is no clip")))
    expect(page.get_by_role("alert")).to_be_visible()
    update(page, player_payload())
    expect(page.get_by_role("alert")).to_be_hidden()
    expect(page.get_by_role("button", name="Play", exact=True)).to_be_enabled()


def test_without_maps_the_clip_still_plays(open_player: OpenPlayer):
    page = open_player(player_payload(None, autoplay=True))
    expect(page.locator(".unit")).to_contain_text("No token maps")
    page.wait_for_function("() => player_video.currentTime > 0.3")
    press(page, "g", "2", "p", "m", " ")
    page.mouse.click(*point(page, 1, 2))
    assert page.locator("video").evaluate("video => video.paused")


def test_without_maps_the_transport_goes_over_the_analysed_frames(open_player: OpenPlayer):
    page = open_player(player_payload(None))
    for key, step in [("End", 29), ("ArrowLeft", 28), ("Home", 0), ("ArrowRight", 1)]:
        press(page, key)
        expect(page.locator(".step")).to_have_text(f"frame {step + 1} of {len(TIMES)}")
        page.wait_for_function("() => !player_video.seeking")
        assert shown_frame(page) == 2 * step


def test_pin_and_choice_wait_while_the_plain_network_is_shown(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "s", "2", "5")
    page.mouse.click(*point(page, 1, 2))
    update(page, player_payload(None))
    page.mouse.click(*point(page, 4, 4))
    update(page, player_payload())
    page.mouse.move(5, 5)
    assert lit_tokens(page) == ["1", "3", "4", "6"]
    expect(page.locator(".where")).to_have_text("Weight at row 2, column 3 (pinned)")


def test_the_plain_network_is_seen_in_whatever_view_the_maps_were(open_player: OpenPlayer):
    page = open_player(player_payload())
    press(page, "g")
    opacity = "video => Number(getComputedStyle(video).opacity)"
    assert page.locator("video").evaluate(opacity) == 0, "tiles stand in its place"
    update(page, player_payload(None))
    assert page.locator("video").evaluate(opacity) == 1
    update(page, player_payload())
    assert page.locator("video").evaluate(opacity) == 0


def test_text_from_the_user_is_never_markup(open_player: OpenPlayer):
    text = "<img src=x onerror=alert(1)><b>UNTRAINED</b>"
    page = open_player(player_payload(caption=text, unit=text))
    expect(page.locator(".caption")).to_have_text(text)
    expect(page.locator(".unit")).to_contain_text(text)
    assert page.locator(".caption, .unit").evaluate_all("nodes => nodes.map((n) => n.childElementCount)") == [0, 0]
