"""JavaScript modules as one script: Streamlit takes one for each component. No Streamlit here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(r'^import \{[^}]*\} from "([^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?!default)", re.MULTILINE)


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
