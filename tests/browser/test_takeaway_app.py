"""The real app: files of what is on the screen, and an address that brings the view back."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.playing import point, press
from tests.browser.test_app import FRAME_BY_FRAME, LIMIT_MS, SETTLE_MS
from tests.engine_cases import pictures, write_clip

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHIPS = ".player .chip"


@pytest.fixture(scope="module")
def app(serve: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> str:
    return serve("streamlit_app.py", TOKENLEARNER_CACHE=str(tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def page(app: str, browser: Browser) -> Iterator[Page]:
    """One page for the tests of this module, which run in order, as one visitor would."""
    made = opened(browser, f"{app}/{FRAME_BY_FRAME}")
    yield made
    made.close()


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clip(tmp_path_factory.mktemp("media") / "<b>my & clip.mp4", pictures(20, (90, 160)))


def opened(browser: Browser, address: str) -> Page:
    page = browser.new_page(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    page.set_default_timeout(SETTLE_MS)
    page.goto(address)
    page.locator(".player[data-drawn]").wait_for(timeout=LIMIT_MS)
    page.locator(".takeaway").wait_for(state="attached", timeout=LIMIT_MS)
    return page


def upload(page: Page, path: Path) -> None:
    page.get_by_role("button", name="Upload", exact=True).first.click()
    page.locator('input[type="file"]').first.set_input_files(path)
    expect(page.get_by_text(re.compile(r"my & clip\.mp4 · 160 × 90"))).to_be_visible(timeout=LIMIT_MS)


def said(page: Page) -> dict[str, str]:
    """What the page's address says."""
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def taken(page: Page, label: str, name: str, folder: Path) -> Path:
    """Make a file, which is to have a name, and save it."""
    page.locator(".takeaway").get_by_role("button", name=label).click()
    expect(page.locator(".takeaway .kinds button").first).to_be_enabled(timeout=LIMIT_MS)
    with page.expect_download() as download:
        page.get_by_role("button", name=re.compile(rf"^(download )?Save {re.escape(name)}")).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_the_address_follows_the_player_without_loading_anew(page):
    page.evaluate("() => { window.stayed = true; }")
    press(page, "w", "3", "t", "Home", "ArrowRight")
    page.mouse.click(*point(page, 4, 6))
    page.mouse.move(5, 5)
    page.wait_for_function("() => location.search.includes('pin=')")
    assert {"view": "owner", "tokens": "1.2.4.5.6.7.8", "trails": "1"}.items() <= said(page).items()
    assert float(said(page)["t"]) == pytest.approx(0.04, abs=0.02)
    assert page.evaluate("window.stayed")


def test_a_link_restores_the_view_for_somebody_else(page, browser):
    there = opened(browser, page.url)
    expect(there.locator(".player")).to_have_attribute("data-view", "owner")
    for selector in (".where", ".transport .time", ".step"):
        expect(there.locator(selector).first).to_have_text(page.locator(selector).first.text_content() or "?")
    pressed = [chip.get_attribute("aria-pressed") for chip in there.locator(CHIPS).all()]
    assert pressed == ["true", "true", "false", *["true"] * 5]
    there.wait_for_function("address => location.href === address", arg=page.url)
    there.close()


def test_a_link_brings_muted_and_solo_tokens_and_the_pin_back(page, browser):
    page.get_by_role("button", name="Mute Token 2:").click()
    page.get_by_role("button", name="Solo Token 5:").click()
    expect(page.get_by_text(re.compile("^Without tokens 1, 2, 3, 4, 6, 7, 8: "))).to_be_visible()
    page.wait_for_function("() => location.search.includes('mute=2') && location.search.includes('solo=5')")
    there = opened(browser, page.url)
    expect(there.get_by_text(re.compile("^Without tokens 1, 2, 3, 4, 6, 7, 8: "))).to_be_visible()
    expect(there.get_by_role("button", name="Mute Token 2:")).to_have_attribute("aria-pressed", "true")
    expect(there.get_by_role("button", name="Solo Token 5:")).to_have_attribute("aria-pressed", "true")
    assert there.locator(".desk button[aria-pressed=true]").count() == 2
    expect(there.locator(".place .spot b")).to_have_text(page.locator(".place .spot b").text_content() or "?")
    there.wait_for_function("address => location.href === address", arg=page.url)
    there.get_by_role("button", name="All tokens again").click()
    there.wait_for_function("() => !/mute|solo/.test(location.search)")
    there.close()
    page.get_by_role("button", name="All tokens again").click()
    expect(page.get_by_text(re.compile("^Without tokens"))).to_have_count(0)


def test_a_link_restores_tokens_place_and_model(page, browser, app):
    there = opened(browser, f"{app}/?item=sample:portrait&k=3&loc=2&view=grid&model={said(page)['model']}")
    expect(there.locator(CHIPS)).to_have_count(3)
    expect(there.locator(".player")).to_have_attribute("data-view", "grid")
    expect(there.get_by_text("after 2 of 8 blocks").first).to_be_visible()
    there.close()


def test_the_web_page_holds_the_view_and_plays_from_disk(page, clip, tmp_path, browser):
    upload(page, clip)
    press(page, "g", "Home")
    page.get_by_text("Take it away").click()
    path = taken(page, "Web page", "b-my-clip.html", tmp_path)
    assert path.name == "b-my-clip.html"
    assert path.stat().st_size < 2e6
    away = browser.new_page(offline=True)
    away.goto(path.as_uri())
    expect(away.locator(".player")).to_have_attribute("data-view", "grid")
    expect(away.locator("h1")).to_have_text("<b>my & clip.mp4")
    away.get_by_role("button", name="Play", exact=True).click()
    away.wait_for_function("video => video.currentTime > 0.5", arg=away.locator("video").element_handle())
    away.close()


@pytest.mark.parametrize(("label", "name"), [("Video", "b-my-clip.tokens.mp4"), ("Table", "b-my-clip.tokens.csv")])
def test_files_are_made_and_saved_under_harmless_names(page, tmp_path, label, name):
    path = taken(page, label, name, tmp_path)
    assert path.name == name
    assert path.stat().st_size > 1000


def test_a_link_to_somebodys_file_says_which_and_finds_it_again(page, browser, clip):
    press(page, "o", "2")
    page.wait_for_function("() => location.search.includes('view=one')")
    there = opened(browser, page.url)
    words = there.get_by_text(
        re.compile("^This address shows “<b>my & clip.mp4”, an uploaded file, and the server does")
    )
    expect(words).to_be_visible()
    there.wait_for_timeout(1500)  # longer than the address takes to follow the player
    assert said(there)["item"] == said(page)["item"], "it still asks for the file, to be opened again"
    upload(there, clip)
    expect(there.locator(".player")).to_have_attribute("data-view", "one")
    expect(words).to_have_count(0)
    there.close()
