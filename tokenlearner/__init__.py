"""TokenLearner: how a Vision Transformer learns to tokenize images and videos.

The library behind the app and the command line. It never imports Streamlit, Plotly or the app;
`config`, `errors`, `flops` and `media` do without torch as well. The names below are loaded when they are
first used, so that importing the package, or one module of it, costs that module alone:

    import tokenlearner

    analysis = tokenlearner.analyze("clip.mp4", num_tokens=8)
    print(analysis.top(3), analysis.token_maps.shape)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config
    from tokenlearner.engine import Analysis, AnalysisSettings, Engine, analyze
    from tokenlearner.errors import TokenLearnerError
    from tokenlearner.media import MediaLimits, Sampling, open_media, probe
    from tokenlearner.model import TokenLearnerViT
    from tokenlearner.weights import list_models, load_model

__version__ = "0.1.0"

_HOMES = {
    "Analysis": "tokenlearner.engine",
    "AnalysisSettings": "tokenlearner.engine",
    "Engine": "tokenlearner.engine",
    "MediaLimits": "tokenlearner.media",
    "ModelConfig": "tokenlearner.config",
    "Sampling": "tokenlearner.media",
    "TokenLearnerConfig": "tokenlearner.config",
    "TokenLearnerError": "tokenlearner.errors",
    "TokenLearnerViT": "tokenlearner.model",
    "analyze": "tokenlearner.engine",
    "list_models": "tokenlearner.weights",
    "load_model": "tokenlearner.weights",
    "named_config": "tokenlearner.config",
    "open_media": "tokenlearner.media",
    "probe": "tokenlearner.media",
}

__all__ = [
    "Analysis",
    "AnalysisSettings",
    "Engine",
    "MediaLimits",
    "ModelConfig",
    "Sampling",
    "TokenLearnerConfig",
    "TokenLearnerError",
    "TokenLearnerViT",
    "analyze",
    "list_models",
    "load_model",
    "named_config",
    "open_media",
    "probe",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
