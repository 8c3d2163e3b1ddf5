"""Fixtures that several test modules share, and the rules for what may be skipped."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import jaxtyping
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("TOKENLEARNER_SHARED", REPOSITORY.parent / "shared"))

# torch reads this when it is first imported. Two threads: more only wait for one another on models this small.
os.environ.setdefault("OMP_NUM_THREADS", str(min(2, os.cpu_count() or 1)))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not needs_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in needs_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture
def unchecked_signatures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Call the library as it runs outside the tests, where only its own checks refuse a wrong type."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Optional test data (media, data sets) that is too large or not ours to commit."""
    if not SHARED.is_dir():
        pytest.skip(f"no test data at {SHARED}; set TOKENLEARNER_SHARED to its folder")
    return SHARED


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium; without one, tests skip, or fail if TOKENLEARNER_REQUIRE_BROWSER is set."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("TOKENLEARNER_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        message = "no Chromium on PATH; install it or set TOKENLEARNER_CHROMIUM to its path"
        if os.environ.get("TOKENLEARNER_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@pytest.fixture(scope="module")
def browser(chromium: str) -> "Iterator[Browser]":
    """A headless Chromium driven by Playwright; open pages with `browser.new_page()`.

    Module scope: Playwright's event loop must not run while other modules use theirs.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, as in containers, Chromium cannot set up its sandbox. The pages are ours.
        instance = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=os.geteuid() != 0)
        yield instance
        instance.close()
