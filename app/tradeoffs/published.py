"""What was published about TokenLearner, from `assets/published.json`, with the networks as we read them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from app.tradeoffs.marks import Origin
from tokenlearner import flops
from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config, parse_arch
from tokenlearner.errors import DataError
from tokenlearner.flops import Compute

PATH: Final = Path(__file__).resolve().parents[2] / "assets" / "published.json"
ASSUMED_TOKENS: Final = 16
"""Tokens of the large image models, which our source does not state."""
_DAMAGED: Final = (
    "The published figures (assets/published.json) cannot be read. Get the file from the repository again."
)
LARGE_SIDES: Final = (224, 280, 384, 448, 512, 560)


@dataclass(frozen=True)
class Row:
    """One published model.

    Attributes:
        name: As published.
        values: Everything that the file holds about it.
        config: The network with its input; None if our source does not state the input.
    """

    name: str
    values: dict[str, Any]
    config: ModelConfig | None

    def number(self, key: str) -> float | None:
        """A published number, None if it was not given."""
        value = self.values.get(key)
        return None if value is None else float(value)

    @property
    def has_module(self) -> bool:
        """Whether it is a TokenLearner."""
        return "TokenLearner" in self.name

    @property
    def origin(self) -> Origin:
        """Whether a second quotation agrees with its accuracies."""
        return "reported" if self.values.get("as_reported") else "published"

    @property
    def compute(self) -> Compute | None:
        """What our closed form counts for it."""
        return None if self.config is None else flops.compute(self.config)


@dataclass(frozen=True)
class Published:
    """The whole file.

    Attributes:
        paper: Citation.
        blog: Citation.
        paper_url: Where the paper is.
        blog_url: Where the blog article is.
        note: What its GFLOPs are.
        provenance: How the numbers came here.
        pretraining: What the image models had seen before.
        images: Fine-tuned on ImageNet.
        video: On Kinetics.
        charades_map: Mean average precision in percent on Charades.
        avid_acc: Accuracy in percent on AViD.
        claims: Sentences on placement, without numbers.
        counted: How the published GFLOPs compare with the closed form.
    """

    paper: str
    blog: str
    paper_url: str
    blog_url: str
    note: str
    provenance: str
    pretraining: str
    images: tuple[Row, ...]
    video: tuple[Row, ...]
    charades_map: float
    avid_acc: float
    claims: tuple[str, ...]
    counted: str


@functools.cache
def published() -> Published:
    """Read the file, once.

    Raises:
        DataError: If it is missing or damaged.
    """
    data = _file()
    try:
        return Published(
            paper=data["paper"],
            blog=data["blog"],
            paper_url=data["urls"]["paper"],
            blog_url=data["urls"]["blog"],
            note=data["note"],
            provenance=data["provenance"],
            pretraining=data["imagenet_finetune"]["pretraining"],
            images=tuple(Row(row["model"], row, _config(row)) for row in data["imagenet_finetune"]["rows"]),
            video=tuple(Row(row["model"], row, _config(row)) for row in data["kinetics"]["rows"]),
            charades_map=data["charades_map"]["TokenLearner"],
            avid_acc=data["avid_acc"]["TokenLearner"],
            claims=tuple(data["placement_claims_from_the_blog"]),
            counted=data["closed_form_check"]["remark"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(_DAMAGED) from error


def large_models(side: int) -> tuple[Row, ...]:
    """The large image models on pictures of about `side` pixels, of which each uses the part that whole patches cover.

    Args:
        side: In pixels.

    Raises:
        DataError: If the file is missing or damaged.
    """
    try:
        rows = _file()["imagenet_large"]["rows"]
    except KeyError as error:
        raise DataError(_DAMAGED) from error
    return tuple(Row(row["model"], row, _config({"image": side, "num_tokens": ASSUMED_TOKENS, **row})) for row in rows)


def relative_location(row: Row) -> float | None:
    """Share of the blocks that lie before the module."""
    loc = row.values.get("loc")
    return None if loc is None or row.config is None else loc / row.config.depth


def plain_twin(row: Row, rows: tuple[Row, ...]) -> Row | None:
    """The published network without TokenLearner that has the same size, depth and input."""
    if row.config is None or not row.has_module:
        return None
    twin = flops.plain(row.config)
    return next((other for other in rows if other.config == twin), None)


def _file() -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(_DAMAGED) from error
    return found


def _config(row: dict[str, Any]) -> ModelConfig | None:
    if "image" not in row:
        return None  # the input of ViViT-H/16 is not in our source
    _, patch = parse_arch(row["arch"])
    loc = row.get("loc")
    return named_config(
        row["arch"],
        img_size=row["image"] // patch * patch,
        depth=row.get("layers"),
        token_learner=None if loc is None else TokenLearnerConfig(num_tokens=row["num_tokens"]),
        loc=loc,
        num_frames=row.get("frames"),
        tubelet_size=row.get("tubelet"),
    )
