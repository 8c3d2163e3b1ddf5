"""The Trade-offs page, driven without a browser: its numbers are those of the library, and nothing breaks it."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from app.tradeoffs import counting, measure, published, timing
from app.tradeoffs.design import Design
from app.tradeoffs.marks import counted
from tests.app_cases import LIMIT_S, save_tiny_model
from tests.app_pages import app_page, button, control, metrics
from tests.test_tradeoffs_timing import comparison
from tokenlearner import cards
from tokenlearner.cli import main
from tokenlearner.errors import Cancelled, DeviceError
from tokenlearner.flops import CONVENTION


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    save_tiny_model(folder)
    return folder


@pytest.fixture
def page(models: Path, repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The page with the tiny model, not run yet."""
    with app_page(repository / "app" / "views" / "tradeoffs.py", models, monkeypatch) as at:
        yield at


def run(at: AppTest, part: str | None = None) -> AppTest:
    if part is not None:
        at.session_state["part"] = part
    at.run()
    assert not at.exception, at.exception[0].value
    return at


def press(at: AppTest, label: str) -> AppTest:
    button(at, label).click()
    return run(at)


def choose(at: AppTest, label: str, value: object) -> AppTest:
    control(at, label).set_value(value)
    return run(at)


def words(at: AppTest) -> str:
    return "\n".join(element.value for element in (*at.caption, *at.markdown, *at.info))


def settled(at: AppTest) -> AppTest:
    """Run the page until the measurement is over."""
    for _ in range(200):
        run(at)
        job = at.session_state.get("timing job", None)
        if job is None:
            return at
        assert job.wait(LIMIT_S)
    pytest.fail("the page did not settle")


def test_the_papers_figures_open_first_and_say_how_they_count(page):
    at = run(page)
    titles = [title.value for title in at.subheader]
    assert titles == ["Where to put the module", "Accuracy against compute", "Large models", "Video"]
    assert len(at.get("plotly_chart")) == 7
    assert any(CONVENTION.split(",")[0] in caption.value.replace("\\", "") for caption in at.caption)
    assert "published: as the paper reports it" in words(at)
    assert "**66.3 %** mean average precision on Charades" in words(at)
    assert "https://arxiv.org/abs/2106.11297" in words(at)


def test_the_video_table_holds_what_was_published_and_what_is_counted(page):
    table = run(page).dataframe[-1].value.set_index("network")
    assert list(table["published, GMACs per view"]) == [1446, 766, 8316, 4076]
    assert list(table["computed, GMACs per view"].dropna()) == [1435, 761, 3990]
    assert list(table["Kinetics-400 top-1, %"].dropna()) == [83.4, 84.8, 85.4]
    at = run(page)
    at.segmented_control(key="trade-offs counted in").set_value("FLOPs")
    table = run(at).dataframe[-1].value.set_index("network")
    assert list(table["computed, GFLOPs per view"].dropna()) == [2871, 1521, 7980]


def test_without_a_model_the_published_figures_are_shown_alone(page, tmp_path, monkeypatch):
    monkeypatch.setattr(cards, "BUNDLED_DIR", tmp_path)
    st.cache_data.clear()
    at = run(page)
    assert "No trained checkpoint with measured accuracies is installed" in words(at)
    assert len(at.get("plotly_chart")) == 6


def test_damaged_figures_give_a_sentence(page, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "PATH", tmp_path / "gone.json")
    published.published.cache_clear()
    at = run(page)
    assert [error.value for error in at.error] == [
        r"The published figures \(assets/published\.json\) cannot be read\. Get the file from the repository again\."
    ]
    published.published.cache_clear()


def test_without_the_published_figures_the_bench_goes_on(page, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "PATH", tmp_path / "gone.json")
    published.published.cache_clear()
    at = run(page, "Design bench")
    assert [error.value.split(" ")[0] for error in at.error] == ["The"]
    assert metrics(choose(at, "Tokens", 21))["patches → tokens"] == "196 → 21"
    published.published.cache_clear()


def test_counting_that_fails_says_so(page, monkeypatch):
    def fail(side, with_module):
        raise DeviceError("The device went away.")

    monkeypatch.setattr(counting, "count_four_ways", fail)
    at = run(page, "Counting")
    assert [error.value for error in at.error] == [r"The device went away\."]
    assert CONVENTION.split(",")[0] in words(at).replace("\\", "")


def test_the_bench_starts_with_the_papers_network_and_the_numbers_of_the_command_line(page, capsys):
    at = run(page, "Design bench")
    (command,) = at.code
    assert main([*command.value.removeprefix("python -m tokenlearner ").split(), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    shown = metrics(at)
    assert shown["GMACs per image"] == f"{printed['total_macs'] / 1e9:.2f}" == "9.15"
    assert shown["of plain ViT"] == f"{100 * printed['total_macs'] / printed['baseline_macs']:.0f} %"
    assert shown["Parameters"] == f"{printed['params'] / 1e6:.0f} M"
    assert shown["patches → tokens"] == "196 → 8"


def test_every_control_changes_the_design(page, capsys):
    at = run(page, "Design bench")
    for label, value in (
        ("Size", "S"),
        ("Patch, pixels", 32),
        ("Image side, pixels", 256),
        ("Input", "video"),
        ("Frames per tubelet", 4),
        ("Frames", 24),
        ("Depth, blocks", 9),
        ("Tokens per time step", 5),
        ("Location: blocks before the module", 7),
        ("TokenLearner", "1.0"),
        ("TokenFuser", True),
    ):
        at = choose(at, label, value)
    expected = Design(
        size="S", patch=32, side=256, num_frames=24, tubelet_size=4, depth=9, num_tokens=5, loc=7, version="1.0",
        use_fuser=True,
    )  # fmt: skip
    assert at.session_state["design"] == expected
    assert metrics(at)["GMACs per clip"] == counted(expected.compute.total_macs, "MACs").split()[0]
    assert main([*at.code[0].value.split()[3:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["stages"] == expected.compute.stages


def test_impossible_choices_are_never_offered(page):
    at = run(page, "Design bench")
    at = choose(at, "Location: blocks before the module", 11)
    at = choose(at, "Depth, blocks", 4)
    assert at.session_state["design"].loc == 3
    at = choose(at, "Tokens", 64)
    at = choose(at, "Patch, pixels", 32)
    assert at.session_state["design"].num_tokens == 49
    at = choose(at, "Size", "G")
    at = choose(at, "Patch, pixels", 14)
    design = at.session_state["design"]
    assert (design.patch, design.depth, design.side) == (14, 48, 224)
    assert control(at, "Patch, pixels").options == ["8", "10", "14", "16", "32"]
    at = choose(at, "Size", "H")
    assert at.session_state["design"].depth == 32
    assert all(int(side) % 14 == 0 for side in control(at, "Image side, pixels").options)


def test_the_design_stays_when_another_part_was_looked_at(page):
    at = choose(run(page, "Design bench"), "Tokens", 21)
    at = run(run(at, "Counting"), "Design bench")
    assert at.session_state["design"].num_tokens == 21
    assert control(at, "Tokens").value == 21


def test_a_published_network_can_be_put_on_the_bench(page):
    at = choose(run(page, "Design bench"), "Start from", "TokenLearner 16at18 (L/10)")
    assert at.session_state["design"] == Design(
        size="L", patch=10, side=220, num_frames=32, tubelet_size=2, depth=24, num_tokens=16, loc=18
    )
    assert metrics(at)["GMACs per clip"] == "3990"


def test_two_designs_are_pinned_and_compared(page):
    at = press(run(page, "Design bench"), "Pin as A")
    at = press(choose(at, "Size", "S"), "Pin as B")
    at = choose(at, "Tokens", 3)
    table = at.dataframe[0].value
    assert list(table[""]) == ["this", "A", "B"]
    small = Design(size="S")
    assert list(table["MACs per input"]) == [
        counted(design.compute.total_macs, "MACs") for design in (small.but(num_tokens=3), Design(), small)
    ]
    at = press(at, "Back to A")
    assert at.session_state["design"] == Design()
    at = press(at, "Unpin")
    assert not at.dataframe


def test_the_budget_says_what_fits(page):
    at = choose(run(page, "Design bench"), "Budget", 5 * 10**9)
    assert "this design **does not fit**" in words(at)
    assert "at most 3 blocks before the module" in words(at)


def test_a_design_is_timed_and_the_result_drawn(page, monkeypatch):
    seen = []

    def compare(design, device, *, report, cancel):
        seen.append((design, device.device.type))
        return comparison(design, 100.0, 180.0)

    monkeypatch.setattr(timing, "compare", compare)
    at = settled(press(run(page, "Design bench"), "Time it on this device"))
    assert [design for design, _ in seen] == [Design()]
    assert "Peak memory: **420 MB**" in words(at)
    assert "Measured: **100 ms**" in words(at)
    assert "Random weights" in words(at)
    at = choose(at, "Location: blocks before the module", 2)
    assert "Once two designs of different cost are" in words(at)
    at = choose(settled(press(at, "Time it on this device")), "Location: blocks before the module", 9)
    assert "Not measured. Extrapolated from the 2 designs that were" in words(at)


def test_a_measurement_can_be_stopped(page, monkeypatch):
    begun, stopped = threading.Event(), threading.Event()

    def endless(design, device, *, report, cancel):
        begun.set()
        assert cancel.wait(LIMIT_S)
        stopped.set()
        raise Cancelled("stopped")

    monkeypatch.setattr(timing, "compare", endless)
    at = press(run(page, "Design bench"), "Time it on this device")
    assert begun.wait(LIMIT_S)
    at = press(at, "Cancel")
    assert stopped.wait(LIMIT_S)
    at = settled(at)
    assert "Stopped" in words(at)
    assert "Stopped" not in words(choose(at, "Tokens", 9))


def test_what_the_device_cannot_do_is_said(page, monkeypatch):
    def fail(design, device, **_):
        raise DeviceError("Timing this design would take about 3 h.")

    monkeypatch.setattr(timing, "compare", fail)
    at = settled(press(run(page, "Design bench"), "Time it on this device"))
    assert r"would take about 3 h" in words(at)
    assert not button(at, "Time it on this device").disabled


def test_a_design_too_large_for_memory_cannot_be_started(page, monkeypatch):
    monkeypatch.setattr(timing, "MEMORY_SHARE", 0.0)
    at = run(page, "Design bench")
    assert button(at, "Time it on this device").disabled
    assert "Timing this design takes about" in words(at)


def test_the_counters_are_run_and_compared(page):
    at = run(page, "Counting")
    assert "give **the same number**" in words(at)
    at = choose(at, "Network", "with TokenLearner")
    assert "weighted sums" in words(at)


def test_measured_designs_are_known_again(page):
    found = comparison(Design(), 100.0, 180.0)
    page.session_state["timed designs"] = [found]
    at = press(run(page, "Design bench"), "Pin as A")
    assert at.dataframe[0].value["measured here"][0] == measure.latency_words(found)
