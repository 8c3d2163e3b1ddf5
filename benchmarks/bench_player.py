"""How smoothly the player draws: 16 tokens over 300 frames of 16x16 maps, every view, in headless Chromium.

    python benchmarks/bench_player.py [--seconds 4] [--width 1440] [--chromium PATH]

For each view: animation frames a second that the page reached while the clip played (60 is the screen's rate),
frames of the clip presented and dropped, and the time the player took for one new map (median and 95th percentile
of `TokenPlayer.onTime`, drawing commands included). Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import base64
import io
import os
import platform
import shutil
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Page, sync_playwright

from app import player
from app.player.payload import PlayerOptions, pack
from app.scripts import texts
from tokenlearner.palette import UNIT_SHARE
from tokenlearner.render import clip_scale

FRAMES, RATE, TOKENS, SIDE = 300, 30, 16, 16
FRAME_HW = (720, 1280)
VIEWS = {"o": "one", "s": "several", "w": "owner", "g": "grid", "b": "beside"}

PAGE = """<!DOCTYPE html><meta charset="utf-8"><div id="host"></div><script type="module">
import mount from "./player.js";
const shadow = document.querySelector("#host").attachShadow({ mode: "open" });
window.start = (html, css, base64) => {
  shadow.append(document.createRange().createContextualFragment(`<style>${css}</style>${html}`));
  const data = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  mount({ data, parentElement: shadow, setStateValue() {} });
  window.video = shadow.querySelector("video");
};
window.measure = async (seconds) => {
  const spent = [];
  const untimed = window.player.onTime;
  window.player.onTime = function () {
    const step = this.step;
    const begin = performance.now();
    untimed.call(this);
    if (this.step !== step) spent.push(performance.now() - begin);
  };
  const before = video.getVideoPlaybackQuality();
  const begin = performance.now();
  let ticks = 0;
  await new Promise((resolve) => {
    const tick = (now) => (ticks++, now - begin < 1000 * seconds ? requestAnimationFrame(tick) : resolve());
    requestAnimationFrame(tick);
  });
  const elapsed = (performance.now() - begin) / 1000;
  window.player.onTime = untimed;
  const after = video.getVideoPlaybackQuality();
  return {
    fps: ticks / elapsed,
    presented: (after.totalVideoFrames - before.totalVideoFrames) / elapsed,
    dropped: after.droppedVideoFrames - before.droppedVideoFrames,
    spent,
  };
};
</script>"""


def clip() -> bytes:
    """Ten seconds of moving noise at 720p: worse than most clips."""
    rng = np.random.default_rng(0)
    ground = rng.integers(0, 256, (FRAME_HW[0] // 8, FRAME_HW[1] // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=RATE, options={"preset": "veryfast"})
        stream.height, stream.width, stream.pix_fmt = *FRAME_HW, "yuv420p"
        for index in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(np.roll(ground, 3 * index, axis=1), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return sink.getvalue()


def moving_maps() -> np.ndarray:
    """Soft spots on their way around, over a rough ground: about as spread and as rough as trained maps."""
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    rng = np.random.default_rng(1)
    maps = np.empty((FRAMES, TOKENS, SIDE, SIDE), np.float32)
    for token in range(TOKENS):
        center, width, rough = rng.uniform(3, SIDE - 3, 2), rng.uniform(1.5, 3.0), rng.random((SIDE, SIDE))
        for step in range(FRAMES):
            turn = step / 20 + token
            distance = (y - center[0] - 2 * np.sin(turn)) ** 2 + (x - center[1] - 2 * np.cos(turn)) ** 2
            maps[step, token] = np.exp(-distance / (2 * width**2)) + 0.1 * rough
    return maps / maps.sum(axis=(2, 3), keepdims=True)


def payload() -> bytes:
    """The clip with its maps."""
    maps = moving_maps()
    return pack(
        clip(),
        "video/mp4",
        maps,
        np.arange(FRAMES) / RATE,
        scale_max=clip_scale(maps),
        unit=UNIT_SHARE,
        frame_hw=FRAME_HW,
        options=PlayerOptions(key="bench", autoplay=True),
    )


def open_player(page: Page, data: bytes) -> None:
    """The player on a page of its own, with its object reachable as `window.player`."""
    held = "update(held.made);"
    html, css, script = texts(Path(player.__file__).with_name("player"))
    assert held in script
    exposed = script.replace(held, f"window.player = held.made; {held}")
    page.route("http://player.test/", lambda route: route.fulfill(body=PAGE, content_type="text/html"))
    page.route(
        "http://player.test/player.js", lambda route: route.fulfill(body=exposed, content_type="text/javascript")
    )
    page.goto("http://player.test/")
    page.evaluate("arguments => start(...arguments)", [html, css, base64.b64encode(data).decode()])
    page.wait_for_function("() => video.currentTime > 0.2")


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="of playing for each view")
    parser.add_argument("--width", type=int, default=1440, help="of the window in CSS pixels")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of the browser")
    arguments = parser.parse_args()
    data = payload()
    maps_mb = FRAMES * TOKENS * SIDE * SIDE / 1e6
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, chromium_sandbox=os.geteuid() != 0, args=["--disable-gpu"]
        )
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, {platform.machine()}, no GPU, {arguments.width} px")
        print(f"{TOKENS} tokens, {FRAMES} frames of {SIDE}x{SIDE}: {maps_mb:.2f} of {len(data) / 1e6:.1f} MB are maps")
        print(f"{'view':9}{'page fps':>9}{'clip fps':>9}{'dropped':>9}{'ms/map':>8}{'95 %':>7}")
        page = browser.new_page(viewport={"width": arguments.width, "height": 900})
        open_player(page, data)
        for key, name in VIEWS.items():
            page.locator(".player").press(key)
            page.wait_for_timeout(500)
            found = page.evaluate("seconds => measure(seconds)", arguments.seconds)
            spent = found["spent"] or [float("nan")]
            print(
                f"{name:9}{found['fps']:9.1f}{found['presented']:9.1f}{found['dropped']:9d}"
                f"{np.median(spent):8.1f}{np.quantile(spent, 0.95):7.1f}"
            )
        browser.close()


if __name__ == "__main__":
    main()
