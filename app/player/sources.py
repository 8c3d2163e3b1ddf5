"""The player's HTML, CSS and JavaScript as text. Streamlit takes one script, so the modules become one here."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Final

from app.scripts import bundle

_FOLDER: Final = Path(__file__).parent


@functools.cache
def player_html() -> str:
    """Markup of one player."""
    return (_FOLDER / "player.html").read_text("utf-8")


@functools.cache
def player_css() -> str:
    """Style of the player."""
    return (_FOLDER / "player.css").read_text("utf-8")


@functools.cache
def player_js() -> str:
    """One ES module: player.js with the modules it imports before it, each once."""
    return bundle(_FOLDER / "player.js")
