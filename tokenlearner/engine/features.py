"""A bounded store of prefix features, so that another choice of tokens costs the rest of the network only."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from tokenlearner.engine.batching import is_out_of_memory
from tokenlearner.engine.geometry import Geometry
from tokenlearner.engine.results import Analysis
from tokenlearner.media import Sampling
from tokenlearner.model import FeatureMap


@dataclass(frozen=True)
class FeatureKey:
    """What features depend on: the same key means the same features.

    Attributes:
        media_sha256: Content of the media file.
        weights_sha256: Weights of the network.
        sampling: Which frames were taken.
        geometry: What the model saw of each.
        dtype: Precision in which the network ran.
    """

    media_sha256: str
    weights_sha256: str
    sampling: Sampling
    geometry: Geometry
    dtype: str


def key_of(analysis: Analysis) -> FeatureKey:
    """What the features of an analysis are kept under."""
    return FeatureKey(
        analysis.media.sha256,
        analysis.provenance.weights_sha256,
        analysis.settings.sampling,
        analysis.geometry,
        analysis.provenance.dtype,
    )


class FeatureStore:
    """Feature maps of the clips used last, within a number of bytes. Threads, and engines of one device, may share one.

    A clip that is stored or read becomes the newest; the oldest are dropped first.

    Args:
        budget_bytes: Most that is kept; 0 keeps nothing.
    """

    def __init__(self, budget_bytes: int) -> None:
        self.budget_bytes = budget_bytes
        self._clips: OrderedDict[FeatureKey, dict[int | None, FeatureMap]] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Bytes kept now."""
        with self._lock:
            return self._used()

    def put(self, key: FeatureKey, features: Mapping[int | None, FeatureMap]) -> bool:
        """Keep a clip's features, beside those of other locations kept for it before.

        Returns:
            Whether they fit; what is larger than the whole budget is not kept, and drops nothing.
        """
        with self._lock:
            merged = {**self._clips.get(key, {}), **features}
            if sum(map(feature_bytes, merged.values())) > self.budget_bytes:
                return False
            self._clips[key] = merged
            self._clips.move_to_end(key)
            while self._used() > self.budget_bytes:
                self._clips.popitem(last=False)
            return True

    def get(self, key: FeatureKey) -> dict[int | None, FeatureMap]:
        """Features kept for a clip by location; empty if they were dropped or never kept."""
        with self._lock:
            if key not in self._clips:
                return {}
            self._clips.move_to_end(key)
            return dict(self._clips[key])

    def drop(self, key: FeatureKey) -> None:
        """Forget a clip's features, if they are kept, for example when the person who brought it has left."""
        with self._lock:
            self._clips.pop(key, None)

    def clear(self) -> bool:
        """Forget everything, and say whether there was anything."""
        with self._lock:
            held = bool(self._clips)
            self._clips.clear()
            return held

    def _used(self) -> int:
        return sum(feature_bytes(features) for clip in self._clips.values() for features in clip.values())


def feature_bytes(features: FeatureMap) -> int:
    """Memory that a feature map's values take."""
    return features.x.numel() * features.x.element_size()


def to_half(features: FeatureMap) -> FeatureMap:
    """Copy of the features in 16 bits per value; they stay as they are if a value is too large for float16."""
    x = features.x
    if x.element_size() > 2 and bool(x.abs().amax() <= torch.finfo(torch.float16).max):
        x = x.to(torch.float16)
    return FeatureMap(x, features.grid_hw, features.loc)


@dataclass
class FeatureRecorder:
    """Gathers the features of one clip batch by batch, within a number of bytes.

    When they grow too large, the location least useful goes first: the one given last.

    Attributes:
        locs: Locations to keep, the most useful first.
        budget_bytes: Most that is gathered.
    """

    locs: Sequence[int | None]
    budget_bytes: int
    _parts: dict[int | None, list[FeatureMap]] = field(init=False)

    def __post_init__(self) -> None:
        self._parts = {loc: [] for loc in self.locs}

    @property
    def kept_locs(self) -> tuple[int | None, ...]:
        """Locations that have fitted so far."""
        return tuple(self._parts)

    def add(self, features: Mapping[int | None, FeatureMap]) -> None:
        """Append one batch; locations that are no longer kept are passed over."""
        for loc, parts in self._parts.items():
            parts.append(features[loc])
        while self._parts and sum(feature_bytes(part) for parts in self._parts.values() for part in parts) > (
            self.budget_bytes
        ):
            self._parts.popitem()

    def clear(self) -> bool:
        """Give up what was gathered, and say whether there was anything; if so, nothing more is gathered."""
        held = any(self._parts.values())
        if held:
            self._parts.clear()
        return held

    def finish(self) -> dict[int | None, FeatureMap]:
        """The whole clip's features by location; the recorder is empty afterwards.

        Locations for which memory does not hold the joined copy are left out.
        """
        whole = {}
        for loc in list(self._parts):
            parts = self._parts.pop(loc)
            try:
                if parts:
                    whole[loc] = FeatureMap(torch.cat([part.x for part in parts]), parts[0].grid_hw, loc)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
        return whole
