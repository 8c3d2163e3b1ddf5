"""What visitors bring, small enough to be read at once."""

from pathlib import Path
from typing import Final

from tests.scenic_cases import Spec, model_params, write_flax

SMALL_VIT: Final = {"depth": 3, "embed_dim": 24, "num_heads": 3}
"""Options that make any of timm's networks small."""


def scenic_file(tmp_path: Path) -> bytes:
    """A checkpoint of Scenic with a module before block 1 of 3, for square pictures."""
    return write_flax(tmp_path / "ckpt", model_params(Spec(image=(12, 15)))).read_bytes()
