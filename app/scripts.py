"""Markup, style and script of a component as Streamlit takes them: one text each. No Streamlit here."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Final, NamedTuple

_BASE_CSS: Final = Path(__file__).parent / "js" / "base.css"
_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "([^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)


class Texts(NamedTuple):
    """What a component consists of."""

    html: str
    css: str
    js: str


@functools.cache
def texts(files: Path) -> Texts:
    """Read a component.

    Args:
        files: Path of its `.html`, `.css` and `.js` without the ending; one without a style of its own has no `.css`.
            What all components share in style (`js/base.css`) and the modules that the script imports come with it.
    """
    own = files.with_suffix(".css")
    css = _BASE_CSS.read_text("utf-8") + (own.read_text("utf-8") if own.exists() else "")
    return Texts(files.with_suffix(".html").read_text("utf-8"), css, bundle(files.with_suffix(".js")))


def bundle(entry: Path) -> str:
    """Concatenate an ES module and all that it imports by relative path, dependencies first.

    Imports and `export` keywords of named things fall away; `export default` of the entry stays. All top-level
    names share one scope, so they must differ between the files.
    """
    parts: dict[Path, str] = {}

    def add(path: Path) -> None:
        if path in parts:
            return
        parts[path] = ""  # Marked before its imports are followed: two modules may import one another's functions.
        text = path.read_text("utf-8")
        for name in _IMPORT.findall(text):
            add((path.parent / name).resolve())
        del parts[path]
        parts[path] = _EXPORT.sub("", _IMPORT.sub("", text))

    add(entry.resolve())
    return "\n".join(parts.values())
