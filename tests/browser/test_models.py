"""The Models page in Chromium: one walk through a card, and a network of timm from its name to Explore."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.brought_cases import scenic_file
from tests.browser.limits import LIMIT_MS, SETTLE_MS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture(scope="module")
def page(open_app: Callable[..., Page]) -> Page:
    """One page for the tests of this module, which run in order."""
    return ready(open_app("models"))


def ready(page: Page) -> Page:
    """Wait until a card is there."""
    page.locator(".st-key-models-card h3").wait_for(timeout=LIMIT_MS)
    return page


def part(page: Page, name: str) -> None:
    page.locator(".st-key-models-card").get_by_role("radio", name=name, exact=True).click()


def test_the_first_card_is_open(page):
    expect(page.get_by_role("heading", name="What is not claimed")).to_be_visible(timeout=SETTLE_MS)
    expect(page.locator(".stMetric", has_text="Parameters")).to_be_visible(timeout=SETTLE_MS)


def test_every_part_of_the_card_is_drawn(page):
    part(page, "Measured")
    expect(page.locator("table.heat td").first).to_be_visible(timeout=SETTLE_MS)
    part(page, "Training")
    expect(page.locator(".js-plotly-plot:has(.main-svg)")).to_be_visible(timeout=SETTLE_MS)
    part(page, "Provenance")
    expect(page.get_by_text(re.compile("^[0-9a-f]{64}$"))).to_be_visible(timeout=SETTLE_MS)
    part(page, "Maps")
    expect(page.locator("table.looking, .stAlert, .stImage").first).to_be_visible(timeout=SETTLE_MS)


def test_a_pickled_file_is_refused_in_a_sentence(page):
    page.locator(".st-key-bring-file").get_by_text("From a file").click()
    page.locator(".st-key-bring-file input[type=file]").set_input_files(
        {"name": "weights.pt", "mimeType": "application/octet-stream", "buffer": b"PK\x03\x04 no"}
    )
    expect(page.get_by_text("weights.pt is a zip archive")).to_be_visible(timeout=SETTLE_MS)


def test_a_scenic_file_that_lacks_an_option_is_read_once_its_field_says_it(page, tmp_path):
    source = tmp_path / "vit.msgpack"
    source.write_bytes(scenic_file(tmp_path))
    page.locator(".st-key-bring-file input[type=file]").set_input_files(source)
    expect(page.get_by_text("do not tell before which of the 3 blocks")).to_be_visible(timeout=SETTLE_MS)
    page.get_by_role("button", name="Scenic: what its file does not tell").click()
    page.get_by_role("spinbutton", name="Block before which").fill("1")
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Read it again").click()
    title = page.locator(".st-key-models-card h3")
    expect(title).to_have_text("Imported from Scenic: vit.msgpack", timeout=LIMIT_MS)
    page.get_by_role("button", name="Forget").click()
    expect(title).not_to_have_text("Imported from Scenic: vit.msgpack", timeout=SETTLE_MS)


def test_a_network_of_timm_is_built_marked_and_shown_in_explore(page):
    page.locator(".st-key-bring-timm").get_by_text("Around a network of timm").click()
    expect(page.get_by_text("blocks of width 192")).to_be_visible(timeout=SETTLE_MS)
    page.locator(".st-key-bring-timm").get_by_text("random", exact=True).click()
    page.get_by_role("button", name="Build").click()
    title = page.locator(".st-key-models-card h3")
    expect(title).to_have_text("vit_tiny_patch16_224 of timm, TokenLearner not trained", timeout=LIMIT_MS)
    expect(page.get_by_text("Not trained: TokenLearner's weights are random.")).to_be_visible(timeout=SETTLE_MS)
    page.get_by_role("button", name="Use in Explore").click()
    page.locator(".player canvas").first.wait_for(timeout=LIMIT_MS)
    expect(page.get_by_role("button", name=re.compile("vit_tiny_patch16_224-untrained"))).to_be_visible(
        timeout=SETTLE_MS
    )
    expect(page.locator(".player").get_by_text(re.compile("untrained", re.IGNORECASE)).first).to_be_visible(
        timeout=LIMIT_MS
    )


def test_nothing_failed(page):
    assert page.problems == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_page_fits_a_phone(open_app, theme):
    page = ready(open_app("models", 390, 844, theme))
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 390
    part(page, "Measured")
    expect(page.locator("table.heat td").first).to_be_visible(timeout=SETTLE_MS)
    wide = page.locator(".heat-scroll").evaluate("box => box.getBoundingClientRect().right")
    assert wide <= 390
    page.close()
