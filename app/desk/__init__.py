"""The mixing desk: one strip a token, with its colour, its course, what it is worth, and buttons to mute and solo it.

The buttons answer at once; the choice goes to the server, where only the blocks behind TokenLearner run again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import streamlit as st
from jaxtyping import Float32

from app.components import component
from app.text import significant
from tokenlearner.palette import hex_color, token_color, token_name, token_number

_FOLDER: Final = Path(__file__).parent
_COMPONENT: Final = "desk"
_VERSION: Final = "desk version"
_REFUSED: Final = "desk refused"
_POINTS: Final = 48


@dataclass(frozen=True)
class Pressed:
    """The buttons that are pressed on a desk.

    Attributes:
        muted: Tokens whose M is pressed, ascending.
        solo: Tokens whose S is pressed, ascending.
    """

    muted: tuple[int, ...] = ()
    solo: tuple[int, ...] = ()


NOTHING_PRESSED: Final = Pressed()


def pressed(num_tokens: int, of: str) -> Pressed:
    """The buttons of a desk, drawn or not.

    Args:
        num_tokens: Its strips.
        of: Whose tokens they are: those of another photo, clip or model are other tokens.
    """
    held = st.session_state.get(_key(num_tokens, of))
    return held if isinstance(held, Pressed) else NOTHING_PRESSED


def press(num_tokens: int, of: str, buttons: Pressed) -> None:
    """Set a desk; tokens that it does not have are left out, and so is all of it if no token would be left."""
    known = Pressed(_tokens(buttons.muted, num_tokens), _tokens(buttons.solo, num_tokens))
    if len(silent(num_tokens, known.muted, known.solo)) < num_tokens:
        st.session_state[_key(num_tokens, of)] = known


def left_out(num_tokens: int, of: str) -> tuple[int, ...]:
    """The tokens that a desk leaves out, as it stands, drawn or not; see `pressed`."""
    held = pressed(num_tokens, of)
    return silent(num_tokens, held.muted, held.solo)


def silent(num_tokens: int, muted: Iterable[int], solo: Iterable[int]) -> tuple[int, ...]:
    """Tokens that are left out, as on a mixing desk: the muted ones, and if any plays solo, all that do not."""
    out, alone = set(muted), set(solo)
    return tuple(token for token in range(num_tokens) if token in out or (alone and token not in alone))


def draw(
    num_tokens: int,
    of: str,
    maps: Float32[np.ndarray, "time tokens rows cols"] | None,
    worth: Sequence[float] | None,
    worth_words: str,
    *,
    waiting: bool = False,
) -> None:
    """Draw the desk.

    Args:
        num_tokens: Strips.
        of: Whose tokens they are.
        maps: Their maps.
        worth: Shapley value of each token, in probability; None if it is not known.
        worth_words: What the values are for.
        waiting: Whether its buttons cannot be pressed yet; they stay as they are.
    """
    data = desk_data(num_tokens, maps, worth, worth_words, pressed(num_tokens, of))
    component("token_desk", _FOLDER / "desk")(
        key=_COMPONENT,
        data=data | {"waiting": waiting, "version": st.session_state.get(_VERSION, 0)},
        on_desk_change=lambda: _take(num_tokens, of),
    )
    if st.session_state.pop(_REFUSED, False):
        st.caption("One token has to stay: without any, the blocks behind TokenLearner have nothing to work on.")


def desk_data(
    num_tokens: int,
    maps: Float32[np.ndarray, "time tokens rows cols"] | None,
    worth: Sequence[float] | None,
    worth_words: str,
    held: Pressed,
) -> dict[str, Any]:
    """What the desk needs, ready for JSON; courses are of each map's largest weight, 0..100 of the largest of all."""
    courses: list[list[int]] = [[] for _ in range(num_tokens)]
    if maps is not None and maps.shape[1] == num_tokens:
        peaks = maps.max(axis=(2, 3))
        chosen = np.unique(np.linspace(0, len(peaks) - 1, min(_POINTS, len(peaks))).round().astype(int))
        top = float(peaks.max()) or 1.0
        courses = [[round(100 * float(value) / top) for value in peaks[chosen, token]] for token in range(num_tokens)]
    return {
        "tokens": [
            {
                "number": token_number(token),
                "name": token_name(token),
                "color": hex_color(token_color(token)),
                "course": courses[token],
                "worth": None if worth is None else float(worth[token]),
                "worth_text": "" if worth is None else points(float(worth[token])),
            }
            for token in range(num_tokens)
        ],
        "worth_words": worth_words,
        "muted": list(held.muted),
        "solo": list(held.solo),
    }


def points(difference: float) -> str:
    """A difference of probabilities in percentage points, with its sign: "+21", "−0.3"."""
    words = significant(abs(100 * difference)) if abs(difference) >= 0.0005 else "0"
    return words if words == "0" else f"{'−' if difference < 0 else '+'}{words}"


def _key(num_tokens: int, of: str) -> str:
    return f"desk of {num_tokens} for {of}"


def _tokens(given: object, num_tokens: int) -> tuple[int, ...]:
    listed = given if isinstance(given, list | tuple) else ()
    return tuple(sorted({token for token in listed if isinstance(token, int) and 0 <= token < num_tokens}))


def _take(num_tokens: int, of: str) -> None:
    """Keep what the browser says, unless no token would be left: then its last press is taken back."""
    said = st.session_state.get(_COMPONENT)
    told = said.get("desk") if isinstance(said, Mapping) else None
    if not isinstance(told, Mapping) or told.get("of") != num_tokens:
        return
    wish = Pressed(_tokens(told.get("muted"), num_tokens), _tokens(told.get("solo"), num_tokens))
    press(num_tokens, of, wish)
    st.session_state[_REFUSED] = pressed(num_tokens, of) != wish
    version = told.get("version")
    # The browser takes nothing that is older than its last press, and one more is newer than that.
    st.session_state[_VERSION] = (version if isinstance(version, int) else 0) + st.session_state[_REFUSED]
