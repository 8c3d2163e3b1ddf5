"""What a lane shows: a model with its weights, tokens and place; and the comparisons that are one click away."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.models import ModelChoice
from app.results import View
from app.text import count, place_name
from tokenlearner.config import ModelConfig

LETTERS: Final = "ABCD"
FEWEST: Final = 2
MOST: Final = len(LETTERS)
USUAL_TOKENS: Final = 8


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One way to run a network.

    Attributes:
        model: Name of the model's card.
        loc: Block before which the tokens are made; None for the plain network.
        num_tokens: Tokens where there is a place for them.
        random: Whether the weights are random.
    """

    model: str
    loc: int | None
    num_tokens: int
    random: bool = False

    @property
    def view(self) -> View:
        """The lane in the server's words."""
        return self.loc, 0 if self.loc is None else self.num_tokens, ()


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A comparison that is one click away.

    Attributes:
        name: As it stands on the button.
        lanes: What it shows.
    """

    name: str
    lanes: tuple[Lane, ...]


def lane_of(model: ModelChoice, *, num_tokens: int = USUAL_TOKENS, random: bool = False) -> Lane:
    """A model at its own place."""
    config = model.card.config
    return Lane(
        model=model.card.name, loc=config.default_loc, num_tokens=min(num_tokens, config.num_tokens), random=random
    )


def fitted(lane: Lane, known: Sequence[ModelChoice]) -> Lane:
    """The lane with a model, a place and a number of tokens that exist.

    Args:
        lane: What was chosen, perhaps when other models were installed.
        known: The models, at least one.
    """
    model = named(known, lane.model)
    config = model.card.config
    loc = lane.loc if lane.loc is None or lane.loc in config.tokenlearner_locs else config.default_loc
    tokens = min(max(lane.num_tokens, 1), max(config.num_tokens, 1))
    return dataclasses.replace(lane, model=model.card.name, loc=loc, num_tokens=tokens)


def named(known: Sequence[ModelChoice], name: str) -> ModelChoice:
    """The model of a name, or the first one."""
    return next((model for model in known if model.card.name == name), known[0])


def one_more(lanes: Sequence[Lane]) -> tuple[Lane, ...]:
    """The lanes and a further one: like the last, with half as many tokens."""
    last = lanes[-1]
    return (*lanes, dataclasses.replace(last, num_tokens=max(1, last.num_tokens // 2)))


def lane_words(lane: Lane, config: ModelConfig) -> str:
    """Tokens and place: "8 tokens after 4 of 8 blocks"."""
    if lane.loc is None:
        return "Plain ViT, every patch"
    return f"{count(lane.num_tokens, 'token')} {place_name(lane.loc, config)}"


def presets(known: Sequence[ModelChoice], main: ModelChoice) -> tuple[Preset, ...]:
    """The comparisons that the installed models allow; those that would show the same twice are left out.

    Args:
        known: The models, in the order in which they are offered.
        main: The model of all presets but the one that compares models.
    """
    config, usual = main.card.config, lane_of(main)
    many = usual.num_tokens
    made = [
        Preset(
            name=f"{many} tokens | 2 tokens",
            lanes=(usual, dataclasses.replace(usual, num_tokens=min(2, many))),
        ),
        Preset(
            name="¼ | ¾ of the depth",
            lanes=tuple(dataclasses.replace(usual, loc=_loc_near(config, share)) for share in (0.25, 0.75)),
        ),
        Preset(name="tokens | plain ViT", lanes=(usual, dataclasses.replace(usual, loc=None))),
        Preset(name="trained | random weights", lanes=(usual, dataclasses.replace(usual, random=True))),
    ]
    image = main if not config.is_video else next((one for one in known if not one.card.config.is_video), None)
    video = main if config.is_video else next((one for one in known if one.card.config.is_video), None)
    if image is not None and video is not None:
        made.append(Preset(name="image | video model", lanes=(lane_of(image), lane_of(video))))
    made.append(
        Preset(
            name=" | ".join(str(number) for number in _halves(many)) + " tokens",
            lanes=tuple(dataclasses.replace(usual, num_tokens=number) for number in _halves(many)),
        )
    )
    return tuple(one for one in made if len({(*lane.view, lane.model, lane.random) for lane in one.lanes}) > 1)


def _halves(tokens: int) -> tuple[int, ...]:
    """A number of tokens, half of it, and so on: as many as there are lanes, at most."""
    numbers = [tokens]
    while numbers[-1] > 1 and len(numbers) < MOST:
        numbers.append(numbers[-1] // 2)
    return tuple(numbers)


def _loc_near(config: ModelConfig, share: float) -> int | None:
    """The place nearest to a share of the depth."""
    return min(config.tokenlearner_locs, key=lambda loc: abs(loc - share * config.depth), default=None)
