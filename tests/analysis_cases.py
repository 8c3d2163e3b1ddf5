"""A network that sees by construction, and photographs on which it is right.

Its tokens 0, 1 and 2 look at what is red, green and blue, its token 3 everywhere; it tells pictures by their colour.
So what every measure must find on it is known beforehand.
"""

import dataclasses
import io
import tarfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from tokenlearner.config import LabelGroup, ModelConfig, TokenLearnerConfig
from tokenlearner.data.moving import MOTIONS
from tokenlearner.layers import TokenLearnerV11
from tokenlearner.model import TokenLearnerViT
from tokenlearner.weights import LoadedModel, save_checkpoint, untrained

COLOURS = {"blue": (0, 0, 255), "green": (0, 255, 0), "red": (255, 0, 0)}
CHANNEL = {"red": 0, "green": 1, "blue": 2}
SEEING = ModelConfig(
    img_size=(48, 64),
    patch_size=(4, 4),
    embed_dim=10,
    depth=3,
    num_heads=2,
    mlp_dim=12,
    num_classes=3,
    token_learner=TokenLearnerConfig(num_tokens=4, bottleneck_dim=6),
    tokenlearner_locs=(0, 2),
    default_loc=2,
    class_names=tuple(COLOURS),
)


SEEING_VIDEO = dataclasses.replace(
    SEEING,
    num_frames=6,
    tubelet_size=2,
    num_classes=len(COLOURS) + len(MOTIONS),
    class_names=(*COLOURS, *MOTIONS),
    label_groups=(LabelGroup(name="object", num_classes=len(COLOURS)), LabelGroup(name="motion", num_classes=12)),
)
"""Sees colours in clips; of motions it knows nothing."""


def seeing_model(config: ModelConfig = SEEING) -> TokenLearnerViT:
    """Channel c of the features says how much more of colour c there is than of the others; blocks change nothing."""
    model = TokenLearnerViT(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        area = config.tubelet_size * config.patch_size[0] * config.patch_size[1]
        proj = model.embed.proj
        assert isinstance(proj, nn.Conv2d | nn.Conv3d)
        assert isinstance(proj.bias, nn.Parameter)
        for c in range(3):
            proj.weight[c] = -0.5 / area
            proj.weight[c, c] = 1 / area
        proj.bias[8], proj.bias[9] = 1, -1  # so that the norm does not blow up what is colourless
        for module in (model.norm, *(tl.norm for tl in model.token_learners.values())):
            nn.init.ones_(module.weight)
        for tl in model.token_learners.values():
            assert isinstance(tl, TokenLearnerV11)
            for c in range(3):
                tl.mlp.fc1.weight[c, c] = 1
                tl.mlp.fc2.weight[c, c] = 12
        for index, name in enumerate(COLOURS):
            model.head.weight[index, CHANNEL[name]] = 3
    return model


def seeing(tmp_path: Path) -> LoadedModel:
    """The network as a checkpoint on disk."""
    return _saved(tmp_path / "seeing.safetensors", SEEING)


def seeing_video(tmp_path: Path) -> LoadedModel:
    """The network for clips as a checkpoint on disk."""
    return _saved(tmp_path / "seeing-video.safetensors", SEEING_VIDEO)


def _saved(path: Path, config: ModelConfig) -> LoadedModel:
    from tokenlearner.weights import load_checkpoint

    save_checkpoint(path, seeing_model(config), untrained(config).card, half=False)
    return load_checkpoint(path)


def photograph(colour: str, seed: int, *, white: bool = True) -> np.ndarray:
    """A disc of one colour anywhere on white, or on grey noise, in pictures of two shapes."""
    rng = np.random.default_rng(seed)
    height, width = ((96, 128), (120, 100))[seed % 2]
    grey = rng.integers(60, 200, (height // 4, width // 4, 1), dtype=np.uint8)
    noise = np.kron(np.repeat(grey, 3, axis=2), np.ones((4, 4, 1), dtype=np.uint8))
    rgb = np.full((height, width, 3), 255, dtype=np.uint8) if white else noise
    radius = rng.uniform(18, 28)
    y, x = (rng.uniform(radius + 3, side - radius - 3) for side in (height, width))
    rows, columns = np.mgrid[:height, :width]
    rgb[np.hypot(rows - y, columns - x) < radius] = COLOURS[colour]
    return rgb


def photograph_folder(root: Path, per_class: int = 8, plain: int = 3) -> Path:
    """Class folders with photographs, `plain` of each class not on white."""
    for number, colour in enumerate(COLOURS):
        (root / colour).mkdir(parents=True)
        for i in range(per_class):
            rgb = photograph(colour, 100 * number + i, white=i >= plain)
            Image.fromarray(rgb).save(root / colour / f"{i}.png")
    return root


def sequences_tar(path: Path, frames: int = 6) -> Path:
    """Two sequences in the layout of DAVIS: a red and a blue disc crossing grey noise; the last mask is empty."""

    def png(array: np.ndarray) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "PNG")
        return buffer.getvalue()

    with tarfile.open(path, "w") as archive:
        for number, colour in enumerate(("red", "blue")):
            noise = np.random.default_rng(number).integers(60, 200, (24, 32, 1), dtype=np.uint8)
            for i in range(frames):
                rgb = np.kron(np.repeat(noise, 3, axis=2), np.ones((4, 4, 1), dtype=np.uint8))
                rows, columns = np.mgrid[:96, :128]
                mask = np.hypot(rows - 30 - 5 * number, columns - 25 - 14 * i) < 20
                rgb[mask] = COLOURS[colour]
                shown = mask if i < frames - 1 else np.zeros_like(mask)
                for kind, data in (("frames", png(rgb)), ("masks", png((255 * shown).astype(np.uint8)))):
                    member = tarfile.TarInfo(f"set/{kind}/{colour}-runs/{i:05}.png")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    return path
