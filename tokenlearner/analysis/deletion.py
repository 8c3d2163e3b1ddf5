"""Whether the places that tokens look at matter: patches are painted over, and the prediction is watched.

The pixels of a frame's patches are replaced by the network's mean colour, a growing part of them, in several orders:
what the tokens attend to most comes first, or the middle of the frame, or a random patch. The faster the
probability of the class falls, the more the patches deleted first mattered to it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Float64, Int64, UInt8

from tokenlearner.agreement import softmax
from tokenlearner.analysis.maps import as_shares
from tokenlearner.analysis.objects import centre_prior
from tokenlearner.analysis.patches import FRACTIONS, area, by_weight, delete_patches
from tokenlearner.engine import Analysis, Engine
from tokenlearner.engine.waiting import aside
from tokenlearner.errors import ConfigError
from tokenlearner.media import open_media

ATTENDED: Final = "attended"
CENTRE: Final = "centre"
_RGB_MAX: Final = 255

Report = Callable[[int, int], None]


@dataclass(frozen=True, eq=False, kw_only=True)
class DeletionCurve:
    """Probability of one class while more and more patches are deleted. Arrays are read-only.

    Attributes:
        class_index: The class watched.
        fractions: Part of the patches deleted, 0 .. 0.5.
        curves: Mean probability over the rows at each fraction, by order: "attended" (the mean map of the tokens,
            largest weights first), "centre" (nearest the middle first), and the names of maps given besides.
        random: The same for each random order drawn.
        rows: Rows of the logits that were taken: frames, or clips for a video model.
        timestamps_s: Their presentation times.
    """

    class_index: int
    fractions: tuple[float, ...]
    curves: Mapping[str, Float64[np.ndarray, " fractions"]]
    random: Float64[np.ndarray, "draws fractions"]
    rows: Int64[np.ndarray, " rows"]
    timestamps_s: Float64[np.ndarray, " rows"]

    def __post_init__(self) -> None:
        for array in (*self.curves.values(), self.random, self.rows, self.timestamps_s):
            array.setflags(write=False)

    def area(self, order: str) -> float:
        """Mean height of a curve over the deleted fractions, 0..1: the lower, the more its patches mattered.

        Raises:
            KeyError: If there is no such order.
        """
        return area(self.curves[order].tolist())

    @property
    def random_areas(self) -> tuple[float, ...]:
        """The same of each random order, ascending."""
        return tuple(sorted(area(curve.tolist()) for curve in self.random))

    @property
    def random_area(self) -> float:
        """Mean of `random_areas`."""
        return float(np.mean(self.random_areas))

    def summary(self) -> dict[str, Any]:
        """Curves and areas, ready for JSON."""
        return {
            "class_index": self.class_index,
            "fractions": list(self.fractions),
            "rows": len(self.rows),
            "curves": {name: curve.tolist() for name, curve in self.curves.items()},
            "areas": {name: self.area(name) for name in self.curves},
            "random_curves": self.random.tolist(),
            "random_areas": list(self.random_areas),
        }


def delete_most_attended(
    engine: Engine,
    path: str | Path,
    analysis: Analysis,
    class_index: int,
    *,
    others: Mapping[str, Float[np.ndarray, "time tokens rows cols"]] | None = None,
    max_rows: int = 12,
    draws: int = 5,
    seed: int = 0,
    progress: Report | None = None,
    cancel: threading.Event | None = None,
) -> DeletionCurve:
    """Read the media again, delete patches in several orders, and run the whole network on what is left.

    Args:
        engine: With the weights that are asked; its tokens and location are those of `analysis`.
        path: The media file.
        analysis: What was found in it.
        class_index: Index into the logits.
        others: Maps from elsewhere, such as those of random weights, on the same steps and grid, by name; each
            gives one more order.
        max_rows: Most frames (clips for a video model) that are taken, evenly spread.
        draws: Random orders; their spread tells what a difference is worth.
        seed: Of the random orders.
        progress: Told (passes done, passes in all), again and again while the media is read; a pass is one order at
            one fraction.
        cancel: Set it to stop; acts within one batch.

    Raises:
        ConfigError: If there are no maps, the class does not exist, or other maps are of another shape.
        MediaError: If the file cannot be read any more, or is another one.
        DeviceError: If memory does not hold even one frame.
        Cancelled: If the caller asked to stop.
    """
    if analysis.token_maps is None:
        raise ConfigError("The plain network has no maps to delete by.")
    group = analysis.group_of(class_index)
    named: dict[str, Float[np.ndarray, "time tokens rows cols"]] = {ATTENDED: analysis.token_maps, **(others or {})}
    for name, maps in named.items():
        if (maps.shape[0], *maps.shape[2:]) != (len(analysis.timestamps_s), *analysis.geometry.grid_hw):
            raise ConfigError(f'The maps "{name}" are not on the steps and the grid of this analysis.')
    rows = np.unique(np.linspace(0, len(analysis.logits) - 1, min(max_rows, len(analysis.logits))).round().astype(int))
    total, done = 1 + (len(named) + 1 + draws) * (len(FRACTIONS) - 1), 0

    def report() -> None:
        if progress is not None:
            progress(done, total)

    stop = threading.Event()
    inputs = aside(lambda: _inputs(engine, path, analysis, rows, stop), stop=stop, cancel=cancel, idle=report)
    steps = _steps(engine, analysis, rows)
    grid_hw, rng = analysis.geometry.grid_hw, np.random.default_rng(seed)
    orders = {name: _orders(as_shares(maps).mean(axis=1)[steps]) for name, maps in named.items()}
    orders[CENTRE] = _orders(np.broadcast_to(centre_prior(grid_hw), (*steps.shape, *grid_hw)))
    for draw in range(draws):
        orders[f"random {draw}"] = _orders(rng.random((*steps.shape, *grid_hw)))

    def probability(pixels: UInt8[np.ndarray, "rows *frames height width 3"]) -> float:
        nonlocal done
        k = analysis.num_tokens
        logits = engine.answer_inputs(pixels, loc=analysis.loc, num_tokens=k, cancel=cancel)
        done += 1
        report()
        return float(softmax(logits[:, group])[:, class_index - group.start].mean())

    whole = probability(inputs)
    found = {}
    for name, order in orders.items():
        rest = [probability(_painted(engine, inputs, grid_hw, order, fraction)) for fraction in FRACTIONS[1:]]
        found[name] = np.array([whole, *rest])
    drawn = [found.pop(f"random {draw}") for draw in range(draws)]
    return DeletionCurve(
        class_index=class_index,
        fractions=FRACTIONS,
        curves=found,
        random=np.stack(drawn) if drawn else np.empty((0, len(FRACTIONS))),
        rows=rows.astype(np.int64),
        timestamps_s=analysis.logits_timestamps_s[rows],
    )


def _inputs(
    engine: Engine,
    path: str | Path,
    analysis: Analysis,
    rows: Int64[np.ndarray, " rows"],
    cancel: threading.Event,
) -> UInt8[np.ndarray, "rows *frames height width 3"]:
    """The network's inputs for some rows of the logits, decoded and resized again."""
    per_row = analysis.clip_frames
    wanted: dict[int, list[UInt8[np.ndarray, "height width 3"]]] = {int(row): [] for row in rows}
    sampling, name = analysis.settings.sampling, analysis.media.name
    with open_media(path, sampling, engine.limits, name=name, cancel=cancel) as reader:
        if reader.info.sha256 != analysis.media.sha256:
            raise ConfigError(f"{analysis.media.name} is no longer the file that was analysed. Analyse it again.")
        for i, frame in enumerate(reader):
            if i // per_row in wanted:
                wanted[i // per_row].append(analysis.geometry.to_input(frame.rgb))
            if i // per_row > rows[-1]:
                break
    clips = [np.stack(frames + [frames[-1]] * (per_row - len(frames))) for frames in wanted.values() if frames]
    if len(clips) != len(rows):
        raise ConfigError(f"{analysis.media.name} has fewer frames than were analysed. Analyse it again.")
    stacked = np.stack(clips)
    return stacked if engine.config.is_video else stacked[:, 0]


def _steps(engine: Engine, analysis: Analysis, rows: Int64[np.ndarray, " rows"]) -> Int64[np.ndarray, "rows time"]:
    """The time steps under each row; steps that saw only filling frames are the last one."""
    time = engine.config.num_time_steps
    return np.minimum(rows[:, None] * time + np.arange(time), len(analysis.timestamps_s) - 1).astype(np.int64)


def _orders(weights: Float[np.ndarray, "rows time grid_rows grid_cols"]) -> list[list[Int64[np.ndarray, " patches"]]]:
    """Patches of each step of each row, the heaviest first."""
    return [[by_weight(step) for step in row] for row in weights]


def _painted(
    engine: Engine,
    inputs: UInt8[np.ndarray, "rows *frames height width 3"],
    grid_hw: tuple[int, int],
    orders: list[list[Int64[np.ndarray, " patches"]]],
    fraction: float,
) -> UInt8[np.ndarray, "rows *frames height width 3"]:
    """Inputs with the first part of each order painted in the colour that the network sees as 0."""
    colour = (_RGB_MAX * np.array(engine.config.mean)).round().astype(np.uint8)
    tubelet = engine.config.tubelet_size
    count = round(fraction * grid_hw[0] * grid_hw[1])
    out = np.empty_like(inputs)
    for row, steps in enumerate(orders):
        if not engine.config.is_video:
            out[row] = delete_patches(inputs[row], grid_hw, steps[0][:count], colour)
            continue
        for frame in range(inputs.shape[1]):
            gone = steps[frame // tubelet][:count]
            out[row, frame] = delete_patches(inputs[row, frame], grid_hw, gone, colour)
    return out
