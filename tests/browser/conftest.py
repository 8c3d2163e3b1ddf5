"""Runs Streamlit scripts for tests that look at them in a real browser."""

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import expect

from app import player
from tests.browser.bare import open_bare, put
from tests.browser.limits import EXPECT_MS, SETTLE_MS
from tests.browser.playing import update

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

START_LIMIT_S = 60.0
expect.set_options(timeout=EXPECT_MS)


@pytest.fixture(scope="module")
def serve(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., str]]:
    """Call with a script (relative to the checkout, or absolute) to have it served on a free port of this machine.

    Returns the address. Keyword arguments become environment variables of the server, which ends with the module.
    """
    running: list[subprocess.Popen[bytes]] = []

    def start(script: str | Path, **environment: str) -> str:
        port = free_port()
        log = tmp_path_factory.mktemp("streamlit") / "server.log"
        flags = {
            "server.address": "127.0.0.1",
            "server.port": str(port),
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        with log.open("wb") as sink:
            server = subprocess.Popen(
                [
                    *(sys.executable, "-m", "streamlit", "run", str(repository / script)),
                    *(f"--{name}={value}" for name, value in flags.items()),
                ],
                cwd=repository,
                env=os.environ | {"PYTHONPATH": str(repository)} | environment,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        running.append(server)
        address = f"http://127.0.0.1:{port}"
        wait_for_health(address, server, log)
        return address

    yield start
    for server in running:
        server.terminate()
    for server in running:
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="module")
def player_address(serve: Callable[..., str]) -> str:
    return serve("tests/browser/player_script.py")


@pytest.fixture(scope="module")
def context_for(browser: "Browser") -> "Iterator[Callable[..., BrowserContext]]":
    """One browser context for each set of options, so that pages of a module share the cache."""
    contexts: dict[str, BrowserContext] = {}

    def get(**options: Any) -> "BrowserContext":
        key = repr(options)
        if key not in contexts:
            contexts[key] = browser.new_context(**options)
        return contexts[key]

    yield get
    for context in contexts.values():
        context.close()


@pytest.fixture
def new_page(context_for: "Callable[..., BrowserContext]") -> "Iterator[Callable[..., Page]]":
    """Call to have a page of a given size. Errors in any page fail the test."""
    pages: list[Page] = []
    problems: list[str] = []

    def start(width: int = 1200, height: int = 1000, **options: Any) -> "Page":
        page = context_for(**options).new_page()
        pages.append(page)
        page.set_viewport_size({"width": width, "height": height})
        page.set_default_timeout(30_000)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        return page

    yield start
    for page in pages:
        page.close()
    assert problems == []


@pytest.fixture
def open_player(new_page: "Callable[..., Page]") -> "Callable[..., Page]":
    """Call with a payload to have it played on a bare page, where `player_video` is the video."""

    def start(payload: bytes, **options: Any) -> "Page":
        page = new_page(**options)
        open_bare(page)
        put(page, Path(player.__file__).with_name("player"))
        page.locator("video").evaluate("video => { window.player_video = video; }")
        update(page, payload)
        if page.locator("video").is_visible():
            page.wait_for_function("() => player_video.readyState >= 2 || player_video.error")
        return page

    return start


@pytest.fixture
def open_script(new_page: "Callable[..., Page]", player_address: str) -> "Callable[..., Page]":
    """Call with a query string (see player_script.py) to have a Streamlit page whose player is ready."""

    def start(query: str = "", **options: Any) -> "Page":
        page = new_page(**options)
        page.goto(f"{player_address}/?{query}")
        page.locator(".player[data-drawn]").wait_for(timeout=60_000)
        page.locator("video").evaluate("video => { window.player_video = video; }")
        page.wait_for_function("() => player_video.readyState >= 2")
        return page

    return start


@pytest.fixture(scope="module")
def app(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of the app, with samples and settings of its own."""
    return serve("streamlit_app.py", TOKENLEARNER_CACHE=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def open_app(app: str, browser: "Browser") -> "Iterator[Callable[..., Page]]":
    """Call with a path (and query) to have a page of the app, of a given size and theme, closed with the module.

    `page.problems` lists what went wrong in it, `page.hosts` the hosts that it asked.
    """
    opened: list[Page] = []

    def start(path: str, width: int = 1440, height: int = 900, theme: str = "light", **options: Any) -> "Page":
        page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme, **options)
        opened.append(page)
        page.set_default_timeout(SETTLE_MS)
        page.problems = []
        page.hosts = set()
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.on("requestfailed", lambda request: page.problems.append(request.url))
        page.on("request", lambda request: page.hosts.add(urlsplit(request.url).hostname))
        page.goto(f"{app}/{path}")
        return page

    yield start
    for page in opened:
        page.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for_health(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    pytest.fail(f"Streamlit did not start:\n{log.read_text()[-3000:]}")
