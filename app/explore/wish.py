"""What the visitor wants to see: photo or clip, part of it, model, device."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.items import Item
from app.models import ModelChoice
from app.results import Request
from tokenlearner.engine import AnalysisSettings
from tokenlearner.engine.geometry import Resize
from tokenlearner.media import Sampling

DETAILS = (1.0, 1.5, 2.0)
"""Sides of the input that can be chosen, as multiples of the model's own."""


@dataclass(frozen=True, kw_only=True)
class Framing:
    """Which frames of a clip, and what of each frame.

    Attributes:
        sampling: Range and most frames.
        resize: Whole frames, or their middle.
        detail: Side of the input as a multiple of the model's own.
    """

    sampling: Sampling = field(default_factory=Sampling)
    resize: Resize = "whole"
    detail: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Wish:
    """Everything that decides an analysis but tokens and place.

    Attributes:
        item: The photo or clip.
        model: The model, or its random twin.
        device: Name of the device.
        framing: Which frames, and what of each.
    """

    item: Item
    model: ModelChoice
    device: str
    framing: Framing

    @property
    def input_side(self) -> int | None:
        """Side of a square input with the area that is wanted; None for the model's own."""
        height, width = self.model.card.config.img_size
        return None if self.framing.detail == 1.0 else round((height * width) ** 0.5 * self.framing.detail)

    @property
    def request(self) -> Request:
        """The wish in the server's words."""
        return Request(
            item=self.item.key,
            model=self.model.key,
            device=self.device,
            sampling=self.framing.sampling,
            resize=self.framing.resize,
            input_side=self.input_side,
        )

    def settings(self, loc: int | None, num_tokens: int) -> AnalysisSettings:
        """Settings of the first pass, which begins with the tokens and the place that are on the sliders."""
        return AnalysisSettings(
            loc=loc,
            num_tokens=num_tokens or None,
            sampling=self.framing.sampling,
            resize=self.framing.resize,
            input_side=self.input_side,
        )
