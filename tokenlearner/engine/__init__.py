"""Media, a model and settings to an analysis: the one call behind the app, the command line and the library."""

from tokenlearner.engine.device import ComputeDevice, pick_device
from tokenlearner.engine.engine import DEFAULT_FEATURE_BUDGET, Engine
from tokenlearner.engine.features import FeatureStore, key_of
from tokenlearner.engine.geometry import Geometry, plan_geometry
from tokenlearner.engine.held import HeldTokens
from tokenlearner.engine.results import (
    PART_NOTE,
    UNTRAINED_NOTE,
    Analysis,
    AnalysisSettings,
    Latency,
    Prediction,
    Progress,
    Provenance,
    Timings,
    speed_note,
)
from tokenlearner.engine.shortcut import analyze, default_model_name

__all__ = [
    "DEFAULT_FEATURE_BUDGET",
    "PART_NOTE",
    "UNTRAINED_NOTE",
    "Analysis",
    "AnalysisSettings",
    "ComputeDevice",
    "Engine",
    "FeatureStore",
    "Geometry",
    "HeldTokens",
    "Latency",
    "Prediction",
    "Progress",
    "Provenance",
    "Timings",
    "analyze",
    "default_model_name",
    "key_of",
    "pick_device",
    "plan_geometry",
    "speed_note",
]
