"""From an evaluation to the measured part of a model card: flat rows, five digits."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tokenlearner.analysis.maps import MapQuality
from tokenlearner.analysis.objects import ObjectMass
from tokenlearner.evaluation.results import ChoiceResult, ClipEvaluation, Evaluation, FollowingResult

_DIGITS = 5
"""Of a share: three in percent, and one more so that rounding again does not move the third."""


def card_metrics(found: Evaluation) -> dict[str, Any]:
    """What a card keeps of an evaluation.

    Returns:
        `conditions` (what was measured on, and where), `choices` (one row a place and number of tokens: accuracy and
        map quality), one list of rows for each kind of object picture, and `meaning` and `video` where measured.
    """
    metrics: dict[str, Any] = {
        "conditions": {
            **({"command": found.command} if found.command else {}),
            "photographs": found.photos,
            "classes": found.classes,
            "part": f"validation part of {found.split}" if found.split else "all",
            "data": ", ".join(found.data),
            "resize": found.resize,
            "seed": found.seed,
            "device": found.device,
            "weights": found.sha256,
        },
        "choices": [_choice_row(entry) for entry in found.choices],
    }
    for kind in ("whole", "placed", "cluttered"):
        rows = [_object_row(entry, getattr(entry, kind)) for entry in found.choices if getattr(entry, kind) is not None]
        if rows:
            metrics[f"objects {kind}"] = rows
    for name in ("meaning", "video"):
        rows = [_rounded(_flat(dataclasses.asdict(entry))) for entry in getattr(found, name)]
        if rows:
            metrics[name] = rows
    return metrics


def clip_card_metrics(found: ClipEvaluation) -> dict[str, Any]:
    """What a card keeps of a video model's evaluation.

    Returns:
        `conditions`, `choices` (one row a place and number of tokens), `motions` (one row a motion), and a row for
        each kind of maps on the clips' objects and, where measured, on the `sequences`' objects.
    """
    metrics: dict[str, Any] = {
        "conditions": {
            "command": found.command,
            "clips": found.clips,
            "moments with an object": found.moments,
            "photographs": found.photos,
            "cut-outs": found.cutouts,
            "part": f"validation part of {found.split}" if found.split else "all",
            "data": ", ".join(found.data),
            "chance of motion": round(found.chance, _DIGITS),
            "seed": found.seed,
            "device": found.device,
            "weights": found.sha256,
        },
        "choices": [
            _rounded(
                {
                    **{name: value for name, value in dataclasses.asdict(entry).items() if name != "maps"},
                    **_map_columns(entry.maps),
                }
            )
            for entry in found.choices
        ],
        "motions": [_rounded({"motion": name, "named": share}) for name, share in found.by_motion.items()],
        "objects in clips": [_following_row(entry) for entry in found.following],
    }
    real = found.sequences
    if real is not None:
        metrics["conditions"]["sequences"] = f"{real.sequences} of {real.name}, {real.frames} frames with an object"
        metrics["objects in sequences"] = [_following_row(entry) for entry in real.following]
    return metrics


def _following_row(entry: FollowingResult) -> dict[str, Any]:
    """One kind of maps; what it has not (a place, a peak) is left out."""
    row = {"maps": entry.maps, "loc": entry.loc, "num_tokens": entry.num_tokens, **entry.following.to_dict()}
    return _rounded({name: value for name, value in row.items() if value is not None})


def _map_columns(maps: MapQuality | None) -> dict[str, Any]:
    values = maps.to_dict() if maps is not None else {}
    return {name: values.get(name) for name in ("entropy", "overlap", "adaptivity", "coverage")}


def _choice_row(entry: ChoiceResult) -> dict[str, Any]:
    return _rounded(
        {
            "loc": entry.loc,
            "num_tokens": entry.num_tokens,
            "macs": entry.macs,
            "top1": entry.top1,
            "mean_class": entry.mean_class,
            **_map_columns(entry.maps),
        }
    )


def _object_row(entry: ChoiceResult, mass: ObjectMass) -> dict[str, Any]:
    values = {"loc": entry.loc, "num_tokens": entry.num_tokens, **dataclasses.asdict(mass), "lift": mass.lift}
    return _rounded(_flat(values))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, their keys joined by a space."""
    row: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            row.update(_flat(value, f"{prefix}{key} "))
        else:
            row[f"{prefix}{key}"] = value
    return row


def _rounded(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: round(value, _DIGITS) if isinstance(value, float) else value for key, value in row.items()}
