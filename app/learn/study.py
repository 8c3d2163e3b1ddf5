"""A picture or clip with what the network makes of it at every place of the module. No Streamlit.

Everything heavy happens here, in a worker's thread; the tokens are held so that the lesson's questions cost only the
blocks behind the module.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from jaxtyping import Float32, UInt8

from app.items import Item
from app.models import ModelChoice
from tokenlearner.engine import Analysis, AnalysisSettings, Engine, HeldTokens
from tokenlearner.engine.features import FeatureKey
from tokenlearner.errors import TokenLearnerError
from tokenlearner.media import Frame, Sampling

PICTURE_SIDE: Final = 560
FRAME_SIDE: Final = 320
CLIP_S: Final = 1.6
"""The start of a clip that the lesson looks at: one clip of the video model at ten frames a second."""


@dataclass(frozen=True)
class Answer:
    """The most probable class of each question of a model.

    Attributes:
        names: Classes, the best first.
        probs: Their probabilities.
    """

    names: tuple[str, ...]
    probs: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Study:
    """What the lesson knows about a picture or clip.

    Attributes:
        item: The file.
        model: The model.
        analysis: At the model's own place with all its tokens; the middle of the picture alone.
        pictures: RGB, the part that the model saw: of a photo one, of a clip one for each time step.
        held: All tokens at each place of the module, by the block that comes next.
        features: What they are pooled from, by the same places; of the first time step.
        plain: Logits without the module.
    """

    item: Item
    model: ModelChoice
    analysis: Analysis
    pictures: tuple[UInt8[np.ndarray, "height width 3"], ...]
    held: Mapping[int, HeldTokens]
    features: Mapping[int, Float32[np.ndarray, "patches dim"]]
    plain: Float32[np.ndarray, " classes"]

    @property
    def grid_hw(self) -> tuple[int, int]:
        """Patches as (rows, columns)."""
        return self.analysis.geometry.grid_hw

    @property
    def num_patches(self) -> int:
        """Patches of one time step."""
        return self.grid_hw[0] * self.grid_hw[1]

    def maps(self, loc: int) -> Float32[np.ndarray, "time tokens rows cols"]:
        """The learned maps at a place."""
        flat = self.held[loc].token_maps[0].float().cpu().numpy()
        return flat.reshape(*flat.shape[:2], *self.grid_hw)

    def with_first(self, loc: int, num_tokens: int) -> Float32[np.ndarray, " classes"]:
        """Logits from the first tokens at a place; runs the blocks behind them."""
        held = self.held[loc]
        return held.answer(held.tokens[:, :, :num_tokens])[0]

    def with_map(self, loc: int, token_map: Float32[np.ndarray, "rows cols"]) -> Float32[np.ndarray, " classes"]:
        """Logits from a single token that is pooled by a map of one's own; runs the blocks behind it."""
        return self.held[loc].answer_with_maps(token_map[None, None])[0]

    def best(self, logits: Float32[np.ndarray, " classes"], n: int = 3, group: str | None = None) -> Answer:
        """The most probable classes.

        Args:
            logits: Class scores.
            n: How many.
            group: The question that is answered; None for the first.
        """
        place = self.analysis.label_groups[group or next(iter(self.analysis.label_groups))]
        scores = logits[place].astype(np.float64)
        probs = np.exp(scores - scores.max())
        probs /= probs.sum()
        order = np.argsort(-probs, kind="stable")[:n]
        names = tuple(self.analysis.class_name(int(i) + place.start) for i in order)
        return Answer(names, tuple(float(probs[i]) for i in order))


class _Pictures:
    """Keeps every so-many-th frame, small."""

    def __init__(self, every: int, side: int) -> None:
        self._every, self._side, self._count = every, side, 0
        self.kept: list[UInt8[np.ndarray, "height width 3"]] = []

    def add(self, frame: Frame) -> None:
        if self._count % self._every == 0:
            scale = self._side / min(frame.rgb.shape[:2])
            height, width = (max(1, round(size * scale)) for size in frame.rgb.shape[:2])
            how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            self.kept.append(np.asarray(cv2.resize(frame.rgb, (width, height), interpolation=how)))
        self._count += 1


def study(engine: Engine, item: Item, model: ModelChoice, cancel: threading.Event | None = None) -> Study:
    """Run the network on a photo, or on the start of a clip.

    Raises:
        TokenLearnerError: If the file or the model cannot be used; the message says why.
    """
    config = engine.config
    pictures = _Pictures(config.tubelet_size, FRAME_SIDE if config.is_video else PICTURE_SIDE)
    sampling = Sampling(end_s=CLIP_S, max_frames=config.num_frames or 1) if config.is_video else Sampling(max_frames=1)
    analysis = engine.analyze(
        item.locate(),
        AnalysisSettings(resize="crop", sampling=sampling),
        name=item.name,
        cancel=cancel,
        on_frame=pictures.add,
    )
    held = {loc: engine.hold(analysis, loc=loc, num_tokens=config.num_tokens, cancel=cancel) for loc in _places(engine)}
    plain = engine.rerun(analysis, loc=None, cancel=cancel).logits[0]
    key = FeatureKey(
        analysis.media.sha256, engine.weights_sha256, sampling, analysis.geometry, engine.device.dtype_name
    )
    kept = engine.features.get(key)
    if any(loc not in kept for loc in held):
        raise TokenLearnerError("The memory for kept features is too small for this picture.")
    return Study(
        item=item,
        model=model,
        analysis=analysis,
        pictures=tuple(_cut(picture, analysis.geometry.box_normalized) for picture in pictures.kept),
        held=held,
        features={loc: kept[loc].patches[0, 0].float().cpu().numpy() for loc in held},
        plain=plain,
    )


def _places(engine: Engine) -> tuple[int, ...]:
    return engine.config.tokenlearner_locs


def _cut(
    picture: UInt8[np.ndarray, "height width 3"], box: tuple[float, float, float, float]
) -> UInt8[np.ndarray, "cut_height cut_width 3"]:
    """The part of a picture that the model saw."""
    height, width = picture.shape[:2]
    left, top, across, down = box
    x, y = round(left * width), round(top * height)
    return np.ascontiguousarray(picture[y : y + max(1, round(down * height)), x : x + max(1, round(across * width))])


def half_of(token_map: Float32[np.ndarray, "rows cols"]) -> list[int]:
    """The fewest patches that hold half of a map's weight, by their row-major number, the heaviest first."""
    order = np.argsort(-token_map, axis=None, kind="stable")
    gathered = np.cumsum(token_map.ravel()[order].astype(np.float64))
    needed = int(np.searchsorted(gathered, gathered[-1] / 2)) + 1
    return [int(i) for i in order[:needed]]
