"""The pictures of an evaluation: photographs as the network sees them, and test scenes made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from jaxtyping import Bool, Int64, UInt8

from tokenlearner.analysis.maps import regrid_mean
from tokenlearner.analysis.objects import Fractions
from tokenlearner.config import ModelConfig
from tokenlearner.data.cutouts import white_ground_mask
from tokenlearner.data.dataset import ImageSet
from tokenlearner.engine.geometry import Geometry, Resize, plan_geometry
from tokenlearner.errors import DataError
from tokenlearner.evaluation.collect import Picture
from tokenlearner.evaluation.scenes import Cutout, Scene, collage, cut_out, place

PLACEMENTS: Final = 3
MAX_KEPT_GROUNDS: Final = 200


@dataclass
class Photographs:
    """The photographs of a data set as network inputs, with what was seen of objects on white ground.

    Iterate over `inputs` once; the other fields fill on the way.

    Attributes:
        images: The data set.
        config: The network.
        resize: How photographs become inputs; see `engine.geometry`.
        white: Positions of the photographs with an object on white ground.
        white_inputs: Their network inputs.
        fractions: For each of them the fraction of each patch that the object covers.
        cutouts: Their objects, at the photographs' own size.
        grounds: Positions of up to 200 photographs without white ground, to put objects on.
    """

    images: ImageSet
    config: ModelConfig
    resize: Resize = "whole"
    white: list[int] = field(default_factory=list)
    white_inputs: list[Picture] = field(default_factory=list)
    fractions: list[Fractions] = field(default_factory=list)
    cutouts: list[Cutout] = field(default_factory=list)
    grounds: list[int] = field(default_factory=list)

    def inputs(self) -> Iterator[Picture]:
        """Decode each photograph once.

        Raises:
            DataError: If one cannot be decoded.
        """
        for position in range(len(self.images)):
            rgb = self.images.read(position)
            geometry = plan_geometry(self.config, (rgb.shape[0], rgb.shape[1]), resize=self.resize)
            picture = geometry.to_input(rgb)
            mask = white_ground_mask(rgb)
            if mask is not None:
                fractions = mask_fractions(mask, geometry)
                if fractions.any():
                    self.white.append(position)
                    self.white_inputs.append(picture)
                    self.fractions.append(fractions)
                    self.cutouts.append(cut_out(rgb, mask))
            elif len(self.grounds) < MAX_KEPT_GROUNDS:
                self.grounds.append(position)
            yield picture

    def placed(self, seed: int, *, clutter: bool = False) -> list[Scene]:
        """Each object three times, alone at random size and place, on white or on other photographs.

        Size and place are the same on white and on clutter. Empty if there is no photograph for clutter.
        """
        if clutter and not self.grounds:
            return []
        where, which = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 5])
        return [
            place(cutout, self._ground(which) if clutter else self.config.img_size, where)
            for cutout in self.cutouts
            for _ in range(PLACEMENTS)
        ]

    def collages(self, count: int, seed: int) -> list[Scene]:
        """Two or three objects, not overlapping, on the middle of other photographs.

        Empty if there are fewer than three objects or no photograph to put them on.
        """
        if len(self.cutouts) < 3 or not self.grounds:
            return []
        rng = np.random.default_rng([seed, 2])
        scenes = []
        for _ in range(count):
            ground = self._ground(rng)
            chosen = rng.choice(len(self.cutouts), size=int(rng.integers(2, 4)), replace=False)
            scenes.append(collage([self.cutouts[i] for i in chosen], ground, rng))
        return scenes

    def sample(self, count: int, seed: int) -> list[int]:
        """Positions of up to `count` photographs, drawn evenly, in order."""
        rng = np.random.default_rng([seed, 3])
        return sorted(int(i) for i in rng.choice(len(self.images), size=min(count, len(self.images)), replace=False))

    def squares(self, count: int, seed: int) -> UInt8[np.ndarray, "pictures height width 3"]:
        """The middles of up to `count` photographs, in the network's standard size."""
        return np.stack([self._middle(position) for position in self.sample(count, seed)])

    def _middle(self, position: int) -> Picture:
        rgb = self.images.read(position)
        return plan_geometry(self.config, (rgb.shape[0], rgb.shape[1]), resize="crop").to_input(rgb)

    def _ground(self, rng: np.random.Generator) -> Picture:
        return self._middle(int(rng.choice(self.grounds)))


def mask_fractions(mask: Bool[np.ndarray, "height width"], geometry: Geometry) -> Fractions:
    """Fraction of each patch that a mask over the whole frame covers."""
    left, top, width, height = geometry.box_xywh
    return regrid_mean(mask[top : top + height, left : left + width].astype(np.float64), geometry.grid_hw)


def scene_fractions(scene: Scene, config: ModelConfig) -> list[Fractions]:
    """Fraction of each patch of the standard grid that each object of a scene covers."""
    return [regrid_mean(mask, config.grid_hw()) for mask in scene.masks]


def known_labels(
    images: ImageSet, class_names: Sequence[str], num_classes: int
) -> tuple[ImageSet, Int64[np.ndarray, " photos"], tuple[str, ...]]:
    """The photographs whose class the model knows, their labels as the model counts them, and notes.

    Args:
        images: The data set.
        class_names: The model's classes in the order of its logits; if empty, the data set's own
            are taken, provided that there are as many.
        num_classes: Size of the logits.

    Raises:
        DataError: If the model knows none of the classes.
    """
    if not class_names:
        if num_classes != len(images.class_names):
            raise DataError(
                f"The model does not name its {num_classes} classes and the data set has {len(images.class_names)}; "
                "which is which cannot be told."
            )
        return images, images.labels, ("The model does not name its classes; the folders in order were taken.",)
    number = {name: index for index, name in enumerate(class_names)}
    translate = np.array([number.get(name, -1) for name in images.class_names], dtype=np.int64)
    labels = translate[images.labels]
    known = np.flatnonzero(labels >= 0)
    if not len(known):
        raise DataError(
            f"The model knows none of the data set's {len(images.class_names)} classes (such as "
            f"{images.class_names[0]}). Evaluate it on photographs of the classes it was trained on."
        )
    if len(known) == len(images):
        return images, labels, ()
    note = f"{len(images) - len(known)} photographs of classes that the model does not know were left out."
    return images.take(known), labels[known], (note,)
