"""What every step of the lesson works with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from app import cache
from app.bounded import Bounded
from app.explore.page import Here, wait_for
from app.items import Item, from_upload, samples
from app.learn.code import Excerpt
from app.learn.study import Study, study
from app.models import ModelChoice
from app.server import compute_devices
from app.text import plain
from tokenlearner.errors import CheckpointError
from tokenlearner.media.info import MediaKind

MAX_STUDIES: Final = 6
FIRST: Final[dict[MediaKind, str]] = {"image": "sample:motorcycle", "video": "sample:ride"}
_STUDIES: Final = "lesson studies"

Result = TypeVar("Result")


@dataclass(frozen=True)
class Step:
    """One page of the lesson.

    Attributes:
        name: One word for its button.
        title: What it is about.
        kind: What it is shown on.
        draw: Draws everything but the title, the formula and the code.
        formula: LaTeX.
        symbols: What its letters mean, in Markdown.
        code: The same thing in the library.
    """

    name: str
    title: str
    kind: MediaKind
    draw: Callable[[Lesson], None]
    formula: str
    symbols: str
    code: Sequence[Excerpt]


@dataclass(frozen=True)
class Lesson:
    """What a step is shown on, and where it runs.

    Attributes:
        here: Server and visit.
        study: The picture or clip.
    """

    here: Here
    study: Study

    def compute(self, work: Callable[[], Result]) -> Result:
        """Run something on the device, in the thread that alone may use it.

        Raises:
            TokenLearnerError: Whatever the work raised.
        """
        worker = self.here.server.worker(device())
        return wait_for(worker.submit(lambda ticket: work(), owner=self.here.visit.id, slot="lesson", quick=True))


def device() -> str:
    """The best device of this machine."""
    return next(iter(compute_devices()))


def items(here: Here, kind: MediaKind) -> dict[str, Item]:
    """What can be looked at, by key: the visitor's own first."""
    known = (*map(from_upload, here.visit.uploads.kept), *samples())
    return {item.key: item for item in known if item.kind == kind}


def model_for(kind: MediaKind) -> ModelChoice:
    """The trained model that the lesson looks into.

    Raises:
        CheckpointError: If there is none.
    """
    known, _ = cache.models()
    for model in known:
        config = model.card.config
        module = config.token_learner
        fits = module is not None and module.version == "1.1" and not module.use_fuser and config.backbone is None
        if fits and model.trained and config.is_video == (kind == "video"):
            return model
    what = "video" if kind == "video" else "image"
    raise CheckpointError(
        f"This step needs a trained {what} model with TokenLearner v1.1 in assets/checkpoints; there is none."
    )


def known_study(item: Item, model: ModelChoice) -> Study | None:
    """What is known about a file already; None if the network has not seen it here."""
    return _studies().get((item.key, model.key))


def _studies() -> Bounded[tuple[str, str], Study]:
    found: Bounded[tuple[str, str], Study] = st.session_state.setdefault(_STUDIES, Bounded(MAX_STUDIES))
    return found


def study_of(here: Here, item: Item, model: ModelChoice) -> Study:
    """What is known about a file; the network runs if it is new here.

    Raises:
        TokenLearnerError: If the file or the model cannot be used.
    """
    found = known_study(item, model)
    if found is None:
        name = device()
        job = here.server.worker(name).submit(
            lambda ticket: study(here.server.engine(model, name), item, model, ticket.cancel),
            owner=here.visit.id,
            slot="lesson",
            quick=True,
        )
        found = wait_for(job)
        _studies().put((item.key, model.key), found)
    return found


def columns() -> tuple[DeltaGenerator, DeltaGenerator]:
    """Room for the picture, and room for words and controls."""
    left, right = st.columns([1, 1], gap="large")
    return left, right


def figures() -> DeltaGenerator:
    """Room for a row of numbers."""
    return st.container(horizontal=True, key="lesson-figures")


def ask(key: str, question: str, options: Sequence[str], right: int, reveal: str) -> bool:
    """Draw a question whose answer appears once the reader has chosen one; say whether that is so.

    Args:
        key: Names the question on the page; another picture is another question.
        question: In Markdown.
        options: What can be chosen.
        right: Index of the right one.
        reveal: Why, in Markdown.
    """
    with st.container(key=f"question-{key}", border=True):
        st.markdown(f"**Predict.** {question}")
        chosen = st.segmented_control(
            "Your prediction", list(options), key=f"guess {key}", label_visibility="collapsed", persist_state="session"
        )
        answer = "Choose one: the answer follows here."
        if chosen is not None:
            said = "Right." if chosen == options[right] else f"It is: {plain(options[right])}."
            answer = f"**{said}** {reveal}"
        # Its role is "status": a screen reader says what changes in it. Eyes see it once there is an answer: learn.css.
        st.info(answer)
    return chosen is not None
