"""What makes a result repeatable: which weights, on what, with which versions, of which file, when."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import torch

import tokenlearner
from tokenlearner.cards import ModelCard
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.engine.results import Provenance


@dataclass(frozen=True, eq=False)
class Origin:
    """A model with its weights on a device.

    Attributes:
        card: The model's.
        weights_sha256: Of its weights.
        device: Where it runs.
    """

    card: ModelCard
    weights_sha256: str
    device: ComputeDevice

    def provenance(self, media_sha256: str, *, from_features: bool = False) -> Provenance:
        """Where a result on a file comes from, with the time now."""
        return Provenance(
            model_name=self.card.name,
            weights_sha256=self.weights_sha256,
            trained=self.card.trained,
            device=self.device.label,
            dtype=self.device.dtype_name,
            versions={
                "tokenlearner": tokenlearner.__version__,
                "torch": torch.__version__,
                "numpy": np.__version__,
                "python": platform.python_version(),
            },
            media_sha256=media_sha256,
            created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
            from_features=from_features,
        )
