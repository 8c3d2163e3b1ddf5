"""Lines of the library, read from its source when they are shown: the lesson cannot fall behind. No Streamlit."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Excerpt:
    """Some lines of a function.

    Attributes:
        function: Whose they are.
        first: Text that the first line holds; the first such line of the function counts.
        last: Text that the last line holds, in the first line or behind it; "" for one line alone.
    """

    function: Callable[..., Any]
    first: str
    last: str = ""

    def read(self) -> Lines:
        """Read the lines.

        Raises:
            LookupError: If the function has no such lines any more.
        """
        lines, start = inspect.getsourcelines(self.function)
        begin = self._find(lines, self.first, 0)
        end = self._find(lines, self.last, begin) if self.last else begin
        path = Path(inspect.getsourcefile(inspect.unwrap(self.function)) or "")
        text = textwrap.dedent("".join(lines[begin : end + 1])).rstrip()
        return Lines(path.relative_to(_ROOT).as_posix(), self.function.__qualname__, start + begin, text)

    def _find(self, lines: list[str], text: str, start: int) -> int:
        for i in range(start, len(lines)):
            if text in lines[i]:
                return i
        raise LookupError(f'{self.function.__qualname__} holds no line with "{text}"')


@dataclass(frozen=True)
class Lines:
    """Lines as they stand in a file.

    Attributes:
        path: The file, from the root of the checkout.
        name: The function, with its class.
        number: Number of the first line.
        text: The lines, moved to the left margin.
    """

    path: str
    name: str
    number: int
    text: str
