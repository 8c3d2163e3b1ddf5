"""What a link that a page was opened with asks for: set up at once, or when its file arrives."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import streamlit as st

from app import cache, desk
from app.explore import model_choice, present, sliders, trim
from app.explore.page import ITEM, RANDOM, note, noted
from app.explore.tokens import whose
from app.items import Item, samples
from app.models import ModelChoice
from app.results import Shown
from app.takeaway import link
from app.text import count

_LINK: Final = "link followed"
_AWAITED: Final = "link that waits for its file"


def follow() -> None:
    """Set the page to what its address asks for; to be called first, does so once."""
    if _LINK in st.session_state:
        return
    query = st.query_params.to_dict()
    present.follow(query)
    wanted = link.read(query)
    st.session_state[_LINK] = wanted
    if wanted is None:
        return
    item = next((item for item in samples() if wanted.is_for(item.key)), None)
    _open_model(wanted, item, query)
    if wanted.random:
        st.session_state[RANDOM] = True
    if item is not None:
        st.session_state[ITEM] = item.key
        _open_view(wanted, item)
    elif wanted.item.startswith("sample:"):
        note("This link shows a sample that is not here.")
    else:
        st.session_state[_AWAITED] = query
        name = f"“{wanted.name}”" if wanted.name else "a file"
        note(
            f"This address shows {name}, an uploaded file, and the server does not have it any more or never had. A "
            "link holds no files: upload that very file to see the same view."
        )


def arrived(item: Item) -> None:
    """Set the page to what the link asks for if this is the file that it was waiting for."""
    wanted: link.Link | None = st.session_state.get(_LINK)
    if wanted is None or st.session_state.pop(_AWAITED, None) is None:
        return
    if wanted.is_for(item.key):
        _open_view(wanted, item)
    else:
        note(f"“{item.name}” is another file than the one that the link shows, so nothing else of it is restored.")


def awaited() -> dict[str, str] | None:
    """What the address says while its file is not here and nothing else was chosen: it stays, to be opened again."""
    query: dict[str, str] | None = st.session_state.get(_AWAITED)
    return query if noted() else None


def to_restore(shown: Shown) -> dict[str, Any] | None:
    """The view that the player shall come back to, if this is what the link was about."""
    wanted: link.Link | None = st.session_state.get(_LINK)
    if wanted is None or not wanted.is_for(shown.request.item):
        return None
    return {"id": repr(wanted), "view": wanted.state.to_dict()}


def _open_model(wanted: link.Link, item: Item | None, query: dict[str, str]) -> None:
    """Choose the model with its tokens and place, and note what it cannot do."""
    model = _model(wanted)
    if model is None:
        if wanted.model:
            note(f"This link asks for the model “{wanted.model}”, which is not here: another one answers.")
        return
    config = model.card.config
    for kind in ("image", "video") if item is None else (item.kind,):
        model_choice.choose(kind, model)
    loc, tokens = sliders.chosen(model)
    if wanted.loc is None or wanted.loc in config.tokenlearner_locs:
        loc = wanted.loc if isinstance(wanted.loc, int) else None
    elif query.get("loc"):
        note(f"This link asks for a place (“{query['loc'][:20]}”) where {model.card.name} has no TokenLearner.")
    if wanted.tokens and wanted.tokens <= config.num_tokens:
        tokens = wanted.tokens
    elif wanted.tokens:
        held = count(config.num_tokens, "token")
        note(f"This link asks for {wanted.tokens} tokens; {model.card.name} has {held} at most.")
    sliders.go_to(model, loc, tokens)


def _open_view(wanted: link.Link, item: Item) -> None:
    """Choose what was trimmed and left out."""
    trim.choose(item, wanted.framing)
    model = _model(wanted)
    if model is not None and wanted.tokens:
        desk.press(wanted.tokens, whose(item.key, dataclasses.replace(model, random=wanted.random)), wanted.desk)


def _model(wanted: link.Link) -> ModelChoice | None:
    return next((model for model in cache.models()[0] if model.card.name == wanted.model), None)
