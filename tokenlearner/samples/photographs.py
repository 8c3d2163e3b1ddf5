"""Photographs that ship inside the scikit-image wheel, found without importing it or downloading anything."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from jaxtyping import Float32, UInt8
from PIL import Image

from tokenlearner.errors import MediaError


def photograph_path(file_name: str) -> Path:
    """Where scikit-image keeps a file of its package data.

    Raises:
        MediaError: If scikit-image is not installed, or this release of it has no such file.
    """
    spec = importlib.util.find_spec("skimage")
    folders = (spec.submodule_search_locations if spec else None) or []
    for folder in folders:
        path = Path(folder) / "data" / file_name
        if path.is_file():
            return path
    raise MediaError(
        f"The sample photograph {file_name} was not found. "
        "Install the release of scikit-image that requirements.txt names."
    )


def load_photograph(file_name: str) -> UInt8[np.ndarray, "height width 3"]:
    """A photograph of scikit-image's package data as RGB 0..255.

    Raises:
        MediaError: If it is not there.
    """
    with Image.open(photograph_path(file_name)) as image:
        return np.array(image.convert("RGB"))


def load_disparity() -> Float32[np.ndarray, "height width"]:
    """Measured disparity of `motorcycle_left.png` in pixels; infinite where it is unknown.

    Raises:
        MediaError: If it is not there.
    """
    with np.load(photograph_path("motorcycle_disp.npz")) as arrays:
        return np.asarray(arrays["arr_0"], np.float32)
