"""Video sequences with masks (the layout of DAVIS 2016), and how well one token stays on the moving object.

The archive holds `<root>/frames/<sequence>/<number>.jpg` and `<root>/masks/<sequence>/<number>.png`.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Bool, Float64
from PIL import Image

from tokenlearner.analysis.maps import Shares, regrid_shares
from tokenlearner.analysis.objects import PEAK_FRACTION, Fractions, centre_prior, mass, mean_maps, peak_fraction
from tokenlearner.engine.device import ComputeDevice
from tokenlearner.engine.geometry import Resize, plan_geometry
from tokenlearner.errors import DataError
from tokenlearner.evaluation.collect import Choice, Picture, collect
from tokenlearner.evaluation.pictures import mask_fractions
from tokenlearner.evaluation.results import VideoMass
from tokenlearner.model import TokenLearnerViT

_MASK_THRESHOLD = 128


@dataclass(frozen=True, eq=False)
class SequenceFile:
    """One sequence of an archive, not yet decoded.

    Attributes:
        name: Folder name.
        archive: The tar.
        frames: Member names of the frames that have a mask, in order.
        masks: Member names of their masks.
    """

    name: str
    archive: Path
    frames: tuple[str, ...]
    masks: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class _Watched:
    """Maps and masks of one sequence, frame by frame."""

    shares: dict[int, tuple[Shares, ...]]
    random_shares: dict[int, tuple[Shares, ...]]
    fractions: list[Fractions]


def list_sequences(path: str | Path) -> tuple[SequenceFile, ...]:
    """Find the sequences of an archive, by name.

    Raises:
        DataError: If it is missing, no plain tar, or holds no frames with masks.
    """
    path = Path(path)
    try:
        with tarfile.open(path, "r:") as archive:
            names = [member.name for member in archive if member.isfile()]
    except FileNotFoundError as error:
        raise DataError(f"There is no archive of sequences at {path}.") from error
    except (tarfile.TarError, OSError) as error:
        raise DataError(f"{path} is not a plain tar of sequences.") from error
    found: dict[str, dict[str, dict[str, str]]] = {}
    for name in names:
        parts = PurePosixPath(name).parts
        if len(parts) >= 3 and parts[-3] in ("frames", "masks"):
            found.setdefault(parts[-2], {}).setdefault(parts[-3], {})[PurePosixPath(name).stem] = name
    sequences = []
    for sequence, kinds in sorted(found.items()):
        frames, masks = kinds.get("frames", {}), kinds.get("masks", {})
        both = sorted(frames.keys() & masks.keys())
        if both:
            pairs = tuple(frames[stem] for stem in both), tuple(masks[stem] for stem in both)
            sequences.append(SequenceFile(sequence, path, *pairs))
    if not sequences:
        raise DataError(
            f"{path} holds no frames with masks. Expected are frames/<sequence>/<number>.jpg and "
            "masks/<sequence>/<number>.png."
        )
    return tuple(sequences)


def video_mass(
    model: TokenLearnerViT,
    random_model: TokenLearnerViT,
    sequences: Sequence[SequenceFile],
    choices: Sequence[Choice],
    *,
    device: ComputeDevice | None = None,
    resize: Resize = "whole",
    max_frames: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[VideoMass, ...]:
    """Run an image model frame by frame and measure one kept token a sequence.

    Frames whose mask is empty are passed over.

    Args:
        model: An image model.
        random_model: The same network before training.
        sequences: From `list_sequences`.
        choices: Choices with a module; others are passed over.
        device: Where to run.
        resize: How frames become inputs.
        max_frames: At most so many frames of each sequence, spread evenly; None for all.
        progress: Called with (sequences done, all).

    Raises:
        DataError: If a file cannot be decoded, or no frame has an object in its mask.
    """
    chosen = [choice for choice in choices if choice.loc is not None]
    watched = []
    for done, sequence in enumerate(sequences, start=1):
        frames, fractions = _read(sequence, model, resize, max_frames)
        if frames:
            found = collect(model, frames, chosen, device=device)
            rival = collect(random_model, frames, chosen, device=device)
            watched.append(_Watched(dict(found.shares), dict(rival.shares), fractions))
        if progress is not None:
            progress(done, len(sequences))
    if not watched:
        raise DataError("All masks of the sequences are empty; there is nothing to measure.")
    return tuple(_measure(watched, choice, model.config.grid_hw()) for choice in chosen)


def read_frames(
    sequence: SequenceFile, positions: Iterable[int]
) -> Iterator[tuple[Picture, Bool[np.ndarray, "height width"]]]:
    """Decode some frames of a sequence with their masks.

    Args:
        sequence: From `list_sequences`.
        positions: Which frames, counted from 0.

    Raises:
        DataError: If a file cannot be decoded, or a mask has another size than its frame.
    """
    with tarfile.open(sequence.archive, "r:") as archive:
        for index in positions:
            mask = np.asarray(_decode(archive, sequence.masks[index]).convert("L")) >= _MASK_THRESHOLD
            rgb = np.asarray(_decode(archive, sequence.frames[index]).convert("RGB"))
            if mask.shape != rgb.shape[:2]:
                raise DataError(f"{sequence.masks[index]} and {sequence.frames[index]} differ in size.")
            yield rgb, mask


def _read(
    sequence: SequenceFile, model: TokenLearnerViT, resize: Resize, max_frames: int | None
) -> tuple[list[Picture], list[Fractions]]:
    count = len(sequence.frames)
    num_wanted = count if max_frames is None else min(count, max_frames)
    wanted = [round(i) for i in np.linspace(0, count - 1, num_wanted)]
    pictures, fractions = [], []
    for rgb, mask in read_frames(sequence, wanted):
        geometry = plan_geometry(model.config, (rgb.shape[0], rgb.shape[1]), resize=resize)
        covered = mask_fractions(mask, geometry)
        if covered.any():
            pictures.append(geometry.to_input(rgb))
            fractions.append(covered)
    return pictures, fractions


def _decode(archive: tarfile.TarFile, name: str) -> Image.Image:
    try:
        file = archive.extractfile(name)
        assert file is not None
        image = Image.open(io.BytesIO(file.read()))
        image.load()
    except (OSError, SyntaxError, tarfile.TarError) as error:
        raise DataError(f"{name} cannot be read ({error}).") from error
    return image


def _measure(watched: Sequence[_Watched], choice: Choice, grid_hw: tuple[int, int]) -> VideoMass:
    assert choice.loc is not None
    loc, k = choice.loc, choice.num_tokens
    own = [[one[:k] for one in part.shares[loc]] for part in watched]
    rival = [[one[:k] for one in part.random_shares[loc]] for part in watched]
    masks = [part.fractions for part in watched]
    fixed = mean_maps([one for part in own for one in part], grid_hw)
    fixed_everywhere = [[regrid_shares(fixed, (len(f), f.shape[1])) for f in part] for part in masks]
    centre = [[centre_prior((len(f), f.shape[1]))[None] for f in part] for part in masks]
    by_token = np.stack([_masses(one, part).mean(axis=0) for one, part in zip(own, masks, strict=True)])
    always = int(by_token.mean(axis=0).argmax())
    kept, random, middle = _kept(own, masks), _kept(rival, masks), _kept(centre, masks)
    return VideoMass(
        loc=loc,
        num_tokens=k,
        sequences=len(watched),
        frames=sum(map(len, masks)),
        kept=kept.mass,
        kept_peak=kept.peak,
        kept_touch=kept.touch,
        always=float(by_token[:, always].mean()),
        always_token=always,
        uniform=float(np.mean([np.mean([f.mean() for f in part]) for part in masks])),
        centre_prior=middle.mass,
        centre_prior_peak=middle.peak,
        centre_prior_touch=middle.touch,
        mean_map=_kept(fixed_everywhere, masks).mass,
        random_weights=random.mass,
        random_weights_peak=random.peak,
        random_weights_touch=random.touch,
    )


@dataclass(frozen=True)
class _Kept:
    mass: float
    peak: float
    touch: float


def _kept(shares: Sequence[Sequence[Shares]], masks: Sequence[Sequence[Fractions]]) -> _Kept:
    """How the token that each sequence keeps does, as means over sequences of means over frames."""
    found = []
    for one, part in zip(shares, masks, strict=True):
        by_token = _masses(one, part).mean(axis=0)
        token = int(by_token.argmax())
        peaks = np.array([peak_fraction(maps, f)[token] for maps, f in zip(one, part, strict=True)])
        found.append((by_token[token], (peaks >= PEAK_FRACTION).mean(), (peaks > 0).mean()))
    return _Kept(*map(float, np.mean(found, axis=0)))


def _masses(shares: Sequence[Shares], masks: Sequence[Fractions]) -> Float64[np.ndarray, "frames tokens"]:
    return np.stack([mass(maps, f) for maps, f in zip(shares, masks, strict=True)])
