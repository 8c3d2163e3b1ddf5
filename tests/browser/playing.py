"""What the player's tests see and touch: times, frames, weights and pixels of a page."""

import base64
import dataclasses
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from playwright.sync_api import Page

from app.player.payload import PlayerOptions, pack, quantize
from tests.browser.clips import COLS, FRAMES, HEIGHT, RATE, ROWS, WIDTH, Clip, clip_maps, synthetic_clip
from tokenlearner.palette import UNIT_SHARE, format_weight
from tokenlearner.render import clip_scale

TIMES = np.arange(0, FRAMES, 2) / RATE
TOKENS = 6
MAPS = clip_maps(TIMES, TOKENS)
SCALE = clip_scale(MAPS)
OpenPlayer = Callable[..., Page]


def received(maps: np.ndarray) -> np.ndarray:
    """The weights as the browser has them, after eight bits."""
    return ((quantize(maps, 1.0) / 255.0) ** 3).astype(np.float32)


def player_payload(maps: np.ndarray | None = MAPS, *, clip: Clip | None = None, **changes: Any) -> bytes:
    """The test clip, or another, with maps, as one payload; `changes` go to `pack` or its options."""
    clip = synthetic_clip() if clip is None else clip
    names = {field.name for field in dataclasses.fields(PlayerOptions)}
    options = {"key": "player"} | {name: changes.pop(name) for name in names & set(changes)}
    arguments: dict[str, Any] = {
        "scale_max": 1.0 if maps is None else clip_scale(maps),
        "unit": UNIT_SHARE,
        "frame_hw": clip.frame_hw,
        "options": PlayerOptions(**options),
    }
    return pack(clip.media, clip.mime, maps, clip.timestamps_s, **(arguments | changes))


def update(page: Page, payload: bytes) -> None:
    """Hand a payload to the player of a page without Streamlit."""
    page.evaluate(
        "base64 => player.show(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)))",
        base64.b64encode(payload).decode(),
    )


def seek(page: Page, time_s: float) -> None:
    """Move the video itself, as if by its own clock, and wait for the frame."""
    page.locator("video").evaluate(
        """async (video, time) => {
            video.pause();
            const done = new Promise((resolve) => video.addEventListener("seeked", resolve, { once: true }));
            video.currentTime = time;
            await done;
            await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
        }""",
        time_s,
    )


def current_time(page: Page) -> float:
    return float(page.locator("video").evaluate("video => video.currentTime"))


def shown_frame(page: Page) -> int:
    """Index of the frame on screen, read from its own grey level."""
    level = page.locator("video").evaluate(
        """video => {
            const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
            const context = canvas.getContext("2d");
            context.drawImage(video, 0, 0);
            return context.getImageData(20, 10, 1, 1).data[1];
        }"""
    )
    return round((level - 40) / 2)


def shown_map(page: Page) -> int:
    text = page.locator(".step").text_content() or ""
    found = re.fullmatch(rf"map (\d+) of {len(TIMES)}", text)
    assert found, text
    return int(found[1]) - 1


def pixels(page: Page) -> str:
    """All pixels of the canvas, after what is pending was drawn."""
    return str(
        page.locator("canvas.overlay").evaluate(
            """async canvas => {
                await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
                return canvas.toDataURL();
            }"""
        )
    )


def weights(page: Page) -> list[str]:
    return page.locator(".chip span").all_text_contents()


def expected_weights(step: int, place: tuple[int, int] | None, tokens: int = TOKENS) -> list[str]:
    """What the tokens must show, from the packed maps: the weight at a cell, or the largest of the frame."""
    held = received(clip_maps(TIMES, tokens))[step]
    shown = held.max(axis=(1, 2)) if place is None else held[:, place[0], place[1]]
    return [format_weight(weight, UNIT_SHARE) for weight in shown.tolist()]


def point(
    page: Page, row: int, col: int, tile: tuple[float, float, float, float] = (0, 0, 1, 1)
) -> tuple[float, float]:
    """Page coordinates of the centre of a cell, with the picture filling `tile` of the stage (x, y, w, h in 0..1)."""
    box = page.locator("canvas.overlay").bounding_box()
    assert box
    width = min(box["width"], box["height"] * WIDTH / HEIGHT)
    left = box["x"] + (box["width"] - width) / 2
    x, y, w, h = tile
    return left + width * (x + w * (col + 0.5) / COLS), box["y"] + box["height"] * (y + h * (row + 0.5) / ROWS)


def press(page: Page, *keys: str) -> None:
    page.locator(".player").evaluate("player => player.focus({ preventScroll: true })")
    for key in keys:
        page.keyboard.press(key)


def lit_tokens(page: Page) -> list[str]:
    """Numbers of the tokens that are on show or chosen."""
    return page.locator(".chip[aria-pressed=true] b").all_text_contents()
