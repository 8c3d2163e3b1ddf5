"""How soon the design bench of the Trade-offs page follows a slider, from the key to the page in Chromium.

python benchmarks/bench_design.py
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
SLIDER = "Location: blocks before the module"

# Seconds from a key to the frame that has the new number, and to the one that has new lines in both charts.
FOLLOW = """() => {
  const text = () => document.querySelector('[data-testid="stMetricValue"]').textContent;
  const drawing = (path) => path.getAttribute("d") + path.getAttribute("transform");
  const lines = () => [...document.querySelectorAll(".js-plotly-plot")].map((plot) =>
    [...plot.querySelectorAll(".scatterlayer path")].map(drawing).join());
  const before = { text: text(), lines: lines() };
  window.followed = new Promise((resolve) => {
    window.addEventListener("keydown", () => {
      const begin = performance.now();
      let number = null;
      const look = () => {
        if (number === null && text() !== before.text) number = performance.now() - begin;
        const now = lines();
        const moved = (one, index) => one && one !== before.lines[index];
        const drawn = now.length === before.lines.length && now.every(moved);
        if (number !== null && drawn) resolve([number, performance.now() - begin]);
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    }, { once: true, capture: true });
  });
}"""


@contextmanager
def app() -> Iterator[str]:
    """The app on a free port of this machine; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = ("--server.address=127.0.0.1", f"--server.port={port}", "--server.headless=true")
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "streamlit_app.py"), *flags]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def measure(page: Page, moves: int) -> np.ndarray:
    """Milliseconds until the number and until the curves, for each move of the slider to and fro."""
    slider = page.locator(".stSlider, .stSelectSlider", has_text=SLIDER).get_by_role("slider")
    taken = []
    for move in range(moves):
        page.evaluate(FOLLOW)
        slider.focus()
        page.keyboard.press("ArrowLeft" if move % 2 == 0 else "ArrowRight")
        taken.append(page.evaluate("followed"))
        page.wait_for_timeout(700)
    return np.array(taken)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--moves", type=int, default=23, help="of the slider; the first two are not counted")
    parser.add_argument("--chromium", default=shutil.which("chromium"), help="path of the browser")
    arguments = parser.parse_args()
    with app() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=arguments.chromium, chromium_sandbox=os.geteuid() != 0, args=["--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.goto(f"{address}/tradeoffs")
        page.get_by_role("radio", name="Design bench", exact=True).click(timeout=60_000)
        page.locator(".js-plotly-plot .scatterlayer path").nth(1).wait_for(state="attached", timeout=60_000)
        page.wait_for_timeout(2000)
        numbers, curves = measure(page, arguments.moves)[2:].T
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, {platform.machine()}, no GPU, 1440 px")
        for name, taken in (("numbers", numbers), ("curves", curves)):
            low, median, high = np.quantile(taken, (0.1, 0.5, 0.9))
            print(f"{name:8} {median:4.0f} ms (80 % between {low:.0f} and {high:.0f} ms)")
        browser.close()


if __name__ == "__main__":
    main()
