"""Errors are said where they happen, in fragments too; and nothing is blank while the libraries are read."""

import ast
import threading
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app import opening


def a_part_that_fails() -> None:
    import streamlit as st

    from app.fragments import fragment
    from tokenlearner.errors import DeviceError

    @fragment()
    def part() -> None:
        st.button("Again")
        raise DeviceError("The device went away.")

    part()
    st.caption("and the rest")


def a_part_of_streamlits_own_that_fails() -> None:
    import streamlit as st

    from app.fragments import errors_said
    from tokenlearner.errors import DeviceError

    @st.fragment
    def part() -> None:
        raise DeviceError("The device went away.")

    with errors_said():
        part()


def a_page_that_is_being_read() -> None:
    import streamlit as st

    from app.opening import starting

    with starting():
        st.stop()  # as if its imports went on


def fragments_of_streamlit(path: Path) -> list[int]:
    """Lines on which a file makes a fragment without the app's own way to say errors."""
    tree = ast.parse(path.read_text("utf-8"))
    return [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "fragment"]


def test_an_error_in_a_fragment_is_said_in_its_place_and_the_page_goes_on() -> None:
    at = AppTest.from_function(a_part_that_fails).run()
    for _ in range(2):
        assert not at.exception
        assert [error.value for error in at.error] == [r"The device went away\."]
        assert [caption.value for caption in at.caption] == ["and the rest"]
        at = at.button[0].click().run()


def test_around_a_fragment_an_error_is_not_seen() -> None:
    at = AppTest.from_function(a_part_of_streamlits_own_that_fails).run()
    assert at.exception  # if this fails, Streamlit has changed and app/fragments.py may go
    assert not at.error


def test_every_fragment_of_the_app_says_its_errors(repository: Path) -> None:
    made = {path.name: lines for path in (repository / "app").rglob("*.py") if (lines := fragments_of_streamlit(path))}
    assert list(made) == ["fragments.py"]


def test_a_page_holds_its_place_until_the_libraries_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_read", threading.Event())  # torch is known to this process, as on a second page
    at = AppTest.from_function(a_page_that_is_being_read).run()
    assert [caption.value.split(":")[0] for caption in at.caption] == ["Starting"]
    opening._read.set()
    at = AppTest.from_function(a_page_that_is_being_read).run()
    assert not at.caption
