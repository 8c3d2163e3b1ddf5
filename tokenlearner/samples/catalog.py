"""The list of samples, and where each one lies."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tokenlearner.errors import MediaError
from tokenlearner.media.info import MediaKind
from tokenlearner.samples.photographs import photograph_path

# Part of the cached files' path: raise it when the clips change.
_CLIPS_VERSION: Final = "1"

_MIDDLEBURY: Final = "Motorcycle: Middlebury 2014 stereo benchmark (Scharstein et al., GCPR 2014)"
_MIDDLEBURY_TERMS: Final = "no licence stated, cite the paper"
_RENDERED: Final = "rendered by this project"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A photograph or clip to try things on.

    Attributes:
        name: Short name without spaces, for `sample_path`.
        title: Name to show.
        kind: "image" or "video".
        description: What is to be seen, in one sentence.
        attribution: Who made it, and what it was made from.
        licence: Terms of use.
    """

    name: str
    title: str
    kind: MediaKind
    description: str
    attribution: str
    licence: str


_CLIPS: Final = (
    Sample(
        name="lawn",
        title="Cup and coins",
        kind="video",
        description="A coffee cup and three coins cross one another on a lawn, seen from above.",
        attribution=(
            "Cup: Rachel Michetti, courtesy of Pikolo Espresso Bar. Coins: Brooklyn Museum. Grass: linolafett. "
            f"Clip {_RENDERED}."
        ),
        licence="Cup and grass: CC0; coins: no known copyright restrictions",
    ),
    Sample(
        name="portrait",
        title="Astronaut and shuttle",
        kind="video",
        description="A camera moves from an astronaut to the model of a space shuttle beside her, and back.",
        attribution=f"Photograph: NASA Great Images. Camera movement {_RENDERED}.",
        licence="public domain",
    ),
    Sample(
        name="ride",
        title="Motorcycle at dusk",
        kind="video",
        description="A motorcycle rides past a rocket while the camera follows it.",
        attribution=f"{_MIDDLEBURY}. Rocket: SpaceX. Gravel: CC0Textures. Clip {_RENDERED}.",
        licence=f"Motorcycle: {_MIDDLEBURY_TERMS}; rocket: public domain; gravel: CC0",
    ),
    Sample(
        name="garage",
        title="Around a motorcycle",
        kind="video",
        description="A camera moves past a motorcycle that stands still, so everything shifts by its depth.",
        attribution=f"{_MIDDLEBURY}. Views between its two cameras {_RENDERED}.",
        licence=_MIDDLEBURY_TERMS,
    ),
    Sample(
        name="shapes",
        title="Five shapes",
        kind="video",
        description="Five coloured shapes drift, turn and bounce off the edges.",
        attribution=f"Clip {_RENDERED}.",
        licence="Apache-2.0",
    ),
)
_PHOTOGRAPHS: Final = (
    Sample(
        name="motorcycle",
        title="Motorcycle",
        kind="image",
        description="A red motorcycle in a crowded garage.",
        attribution=f"{_MIDDLEBURY}.",
        licence=_MIDDLEBURY_TERMS,
    ),
    Sample(
        name="cat",
        title="Cat",
        kind="image",
        description="The face of a cat, close up.",
        attribution="Stefan van der Walt.",
        licence="CC0",
    ),
    Sample(
        name="astronaut",
        title="Astronaut",
        kind="image",
        description="Eileen Collins in a space suit, with a flag and a model of the space shuttle.",
        attribution="NASA Great Images.",
        licence="public domain",
    ),
    Sample(
        name="coffee",
        title="Coffee",
        kind="image",
        description="A cup of espresso on a wooden table.",
        attribution="Rachel Michetti, courtesy of Pikolo Espresso Bar.",
        licence="CC0",
    ),
    Sample(
        name="rocket",
        title="Rocket",
        kind="image",
        description="A Falcon 9 rocket on its launch pad at dusk.",
        attribution="SpaceX.",
        licence="public domain",
    ),
    Sample(
        name="photographer",
        title="Photographer",
        kind="image",
        description="A man with a camera on a tripod, in shades of grey.",
        attribution="Lav Varshney.",
        licence="CC0",
    ),
)
_FILES: Final = {
    "motorcycle": "motorcycle_left.png",
    "cat": "chelsea.png",
    "astronaut": "astronaut.png",
    "coffee": "coffee.png",
    "rocket": "rocket.jpg",
    "photographer": "camera.png",
}


def list_samples() -> tuple[Sample, ...]:
    """All samples, clips first; the first one is the one to start with."""
    return _CLIPS + _PHOTOGRAPHS


def sample_path(name: str, cache_dir: Path | None = None) -> Path:
    """The file of a sample. A clip is rendered when it is first asked for, which takes a few seconds.

    Args:
        name: A sample's name.
        cache_dir: Where rendered clips are kept; by default `default_cache_dir()`.

    Raises:
        MediaError: If there is no such sample, its photographs are not installed, or the cache cannot
            be written to.
    """
    if name in _FILES:
        return photograph_path(_FILES[name])
    if name not in {sample.name for sample in _CLIPS}:
        known = ", ".join(sample.name for sample in list_samples())
        raise MediaError(f'There is no sample "{name}". There are: {known}.')
    folder = (cache_dir or default_cache_dir()) / "samples" / _CLIPS_VERSION
    path = folder / f"{name}.mp4"
    if not path.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MediaError(
                f"The folder {folder} for sample clips cannot be made. "
                "Set TOKENLEARNER_CACHE to a folder that can be written."
            ) from error
        from tokenlearner.samples import clips  # the renderer, which most runs do not need

        clips.write_clip(clips.SCENES[name], path)
    return path


def default_cache_dir() -> Path:
    """Folder for what can be made again: TOKENLEARNER_CACHE, else the platform's own place."""
    chosen = os.environ.get("TOKENLEARNER_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tokenlearner" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tokenlearner"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tokenlearner"
