"""Whether what the tokens look at matters: patches are deleted, and the prediction is watched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from tokenlearner.analysis.objects import centre_prior
from tokenlearner.analysis.patches import FRACTIONS, Order, area, by_weight, delete_patches
from tokenlearner.evaluation.collect import Choice, Collected, Picture

Runner = Callable[[Sequence[Picture], Sequence[Choice]], Collected]


@dataclass(frozen=True, kw_only=True)
class Deletion:
    """Mean probability of the class first predicted, over the deletion of the first half of the patches.

    Each is an area under the curve over the deleted fraction 0..0.5, divided by 0.5: 0..1, and the
    lower, the more the deleted patches mattered.

    Attributes:
        tokens: Patches deleted in the order of the tokens' mean map.
        centre_prior: Those nearest the middle first.
        random: In random order.
        curve: The curve of `tokens`, at the fractions 0, 0.1, ... 0.5.
    """

    tokens: float
    centre_prior: float
    random: float
    curve: tuple[float, ...]

    def to_dict(self) -> dict[str, float | tuple[float, ...]]:
        """The measures by name, for JSON."""
        return asdict(self)


def deletion(
    run: Runner,
    pictures: Sequence[Picture],
    choices: Sequence[Choice],
    mean: tuple[float, float, float],
    rng: np.random.Generator,
) -> dict[Choice, Deletion]:
    """Draw the deletion curves of several choices over the same pictures.

    Args:
        run: Runs pictures through the network at some choices.
        pictures: Network inputs.
        choices: Choices with a module.
        mean: The network's normalisation mean, 0..1: the colour that it sees as zero takes the place
            of what is deleted. (A picture's own mean would tell of the object that is gone.)
        rng: Draws the random order, one for each picture.
    """
    colour = (255 * np.array(mean)).round().astype(np.uint8)
    intact = run(pictures, choices)
    predicted = {choice: intact.predictions(choice) for choice in choices}
    grids = [(one.shape[-2], one.shape[-1]) for one in intact.shares[_loc(choices[0])]]

    def curves(orders: Sequence[Order], chosen: Sequence[Choice]) -> dict[Choice, list[float]]:
        found: dict[Choice, list[float]] = {choice: [] for choice in chosen}
        for fraction in FRACTIONS:
            cut = [
                delete_patches(picture, grid, order[: round(fraction * len(order))], colour)
                for picture, grid, order in zip(pictures, grids, orders, strict=True)
            ]
            probs = intact.probs if fraction == 0 else run(cut, chosen).probs
            for choice in chosen:
                kept = np.take_along_axis(probs[choice], predicted[choice][:, None], axis=1)
                found[choice].append(float(kept.mean()))
        return found

    centre = curves([by_weight(centre_prior(grid)) for grid in grids], choices)
    random = curves([rng.permutation(rows * columns) for rows, columns in grids], choices)
    results = {}
    for choice in choices:
        orders = [by_weight(maps.mean(axis=0)) for maps in intact.first_tokens(choice)]
        own = curves(orders, [choice])[choice]
        results[choice] = Deletion(
            tokens=area(own), centre_prior=area(centre[choice]), random=area(random[choice]), curve=tuple(own)
        )
    return results


def _loc(choice: Choice) -> int:
    assert choice.loc is not None
    return choice.loc
