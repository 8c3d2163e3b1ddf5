"""What was asked for, what came out, and a store of it that is bounded in bytes and knows who still needs what."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from app.clips import BrowserClip
from app.items import Item
from app.models import ModelChoice
from tokenlearner.engine import Analysis
from tokenlearner.engine.geometry import Resize
from tokenlearner.media import Sampling

DEFAULT_BUDGET: Final = 512 * 1024**2
EVERYBODY: Final = "everybody"
"""Owner of what belongs to no visitor, such as the samples; it stays until room is needed."""

View = tuple[int | None, int, tuple[int, ...]]
"""Place, number of tokens (0 without module) and muted tokens."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """An analysis that somebody wants. Tokens and place are no part of it: they cost only the rest of the network.

    Attributes:
        item: Key of the photo or clip; says its content.
        model: Key of the model; says its weights.
        device: Name of the device as torch knows it.
        sampling: Which frames.
        resize: Whole frames, or their middle.
        input_side: See `AnalysisSettings.input_side`.
    """

    item: str
    model: str
    device: str
    sampling: Sampling
    resize: Resize = "whole"
    input_side: int | None = None


@dataclass(frozen=True, eq=False)
class Shown:
    """An analysis, or the first part of one that is still going, with the clip that the browser plays under its maps.

    Attributes:
        request: What was asked for.
        item: The photo or clip, as the visitor who asked calls it.
        model: The model that ran.
        analysis: What was found.
        clip: What the browser plays: the analysed frames, and those between them.
    """

    request: Request
    item: Item
    model: ModelChoice
    analysis: Analysis
    clip: BrowserClip

    def named(self, item: Item, model: ModelChoice) -> Shown:
        """The same under the name that a visitor has for the file, and with the model's card as it is now.

        Another visitor, who brought the same file under another name, may have asked for it first.
        """
        media = dataclasses.replace(self.analysis.media, name=item.name)
        analysis = dataclasses.replace(self.analysis, media=media)
        return dataclasses.replace(self, item=item, model=model, analysis=analysis)

    @property
    def is_part(self) -> bool:
        """Whether these are the first frames only."""
        return self.analysis.is_part

    @property
    def size_bytes(self) -> int:
        """Memory that its larger parts take."""
        return len(self.clip.media) + self.analysis.logits.nbytes + maps_bytes(self.analysis)


def maps_bytes(found: Analysis) -> int:
    """Memory that an analysis' maps take."""
    return 0 if found.token_maps is None else found.token_maps.nbytes


class Results:
    """Finished analyses, for all visitors. The same request is answered once, whoever asks.

    What nobody owns any more is dropped; beyond the budget, what was not used for longest goes too.

    Args:
        budget_bytes: Most that is kept.
        on_drop: Called with each dropped result, outside the lock.
    """

    def __init__(
        self, budget_bytes: int = DEFAULT_BUDGET, *, on_drop: Callable[[Shown], None] = lambda shown: None
    ) -> None:
        self._budget_bytes = budget_bytes
        self._on_drop = on_drop
        self._kept: OrderedDict[Request, tuple[Shown, set[str]]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Memory taken now, about."""
        with self._lock:
            return self._used()

    def __contains__(self, request: Request) -> bool:
        with self._lock:
            return request in self._kept

    def get(self, request: Request, owner: str) -> Shown | None:
        """The answer to a request, now also owned by `owner`; None if there is none."""
        with self._lock:
            if request not in self._kept:
                return None
            self._kept.move_to_end(request)
            shown, owners = self._kept[request]
            owners.add(owner)
            return shown

    def put(self, shown: Shown, owner: str) -> None:
        """Keep an answer for its owner."""
        dropped: list[Shown] = []
        with self._lock:
            _, owners = self._kept.pop(shown.request, (None, set()))
            self._kept[shown.request] = (shown, owners | {owner})
            while self._used() > self._budget_bytes and len(self._kept) > 1:
                dropped.append(self._kept.popitem(last=False)[1][0])
        self._tell(dropped)

    def drop(self, request: Request) -> None:
        """Forget an answer, whoever owns it."""
        with self._lock:
            entry = self._kept.pop(request, None)
        if entry is not None:
            self._tell([entry[0]])

    def release(self, owner: str) -> None:
        """Forget what `owner` alone still had."""
        dropped: list[Shown] = []
        with self._lock:
            for request, (shown, owners) in list(self._kept.items()):
                if owners == {owner}:
                    del self._kept[request]
                    dropped.append(shown)
                owners.discard(owner)
        self._tell(dropped)

    def _used(self) -> int:
        return sum(shown.size_bytes for shown, _ in self._kept.values())

    def _tell(self, dropped: list[Shown]) -> None:
        for shown in dropped:
            self._on_drop(shown)
