"""A network that somebody designs: every choice of the bench, the network it makes, and what it costs."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Final, Literal

from tokenlearner import flops
from tokenlearner.config import ARCH_PATCHES, ARCH_SIZES, ModelConfig, SizeName, TokenLearnerConfig, named_config
from tokenlearner.flops import Compute

BenchVersion = Literal["1.1", "1.0"]

SIZES: Final[tuple[SizeName, ...]] = tuple(ARCH_SIZES)
PATCHES: Final = tuple(sorted(ARCH_PATCHES))
MAX_TOKENS: Final = 64
MAX_DEPTH: Final = 48
TUBELETS: Final = (1, 2, 4)
_SIDES: Final = (96, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768, 896, 1024)
_FRAMES: Final = (4, 8, 16, 24, 32, 48, 64, 96, 128)


@dataclass(frozen=True, kw_only=True)
class Design:
    """One network with TokenLearner, and the input it sees.

    Attributes:
        size: Name of the width and the number of heads.
        patch: Side of a patch in pixels.
        side: Side of the picture in pixels, a whole number of patches.
        num_frames: Frames of a clip, None for a picture.
        tubelet_size: Frames that one tubelet spans; of clips alone.
        depth: Blocks.
        num_tokens: Tokens per time step.
        loc: Block before which TokenLearner sits.
        version: Of TokenLearner.
        use_fuser: TokenLearner and TokenFuser in every block from `loc` on.
    """

    size: SizeName = "B"
    patch: int = 16
    side: int = 224
    num_frames: int | None = None
    tubelet_size: int = 2
    depth: int = 12
    num_tokens: int = 8
    loc: int = 6
    version: BenchVersion = "1.1"
    use_fuser: bool = False

    @property
    def arch(self) -> str:
        """Name of size and patch, such as "B/16"."""
        return f"{self.size}/{self.patch}"

    @property
    def config(self) -> ModelConfig:
        """The network.

        Raises:
            ConfigError: If there can be no such network.
        """
        module = TokenLearnerConfig(num_tokens=self.num_tokens, version=self.version, use_fuser=self.use_fuser)
        return named_config(
            self.arch,
            img_size=self.side,
            depth=self.depth,
            token_learner=module,
            loc=self.loc,
            num_frames=self.num_frames,
            tubelet_size=None if self.num_frames is None else self.tubelet_size,
        )

    @property
    def compute(self) -> Compute:
        """What one picture or clip costs."""
        return flops.compute(self.config)

    @property
    def baseline(self) -> Compute:
        """What it costs without TokenLearner."""
        return flops.baseline(self.config)

    @property
    def patches(self) -> int:
        """Patches of one picture, or of one time step of a clip."""
        return (self.side // self.patch) ** 2

    @property
    def time_steps(self) -> int:
        """Tubelets in time; 1 for a picture."""
        return 1 if self.num_frames is None else self.num_frames // self.tubelet_size

    @property
    def per(self) -> str:
        """What is counted for: "image" or "clip"."""
        return "image" if self.num_frames is None else "clip"

    def but(self, **changes: Any) -> Design:
        """The same design with other choices."""
        return dataclasses.replace(self, **changes)

    def name(self) -> str:
        """The design in one line."""
        clip = "" if self.num_frames is None else f" × {self.num_frames} frames in tubelets of {self.tubelet_size}"
        usual = ARCH_SIZES[self.size].depth
        depth = "" if self.depth == usual else f" ({self.depth})"
        tokens = f"{self.num_tokens} token{'' if self.num_tokens == 1 else 's'}"
        extra = f"{' v1.0' if self.version == '1.0' else ''}{', TokenFuser' if self.use_fuser else ''}"
        return f"{self.arch}{depth}, {self.side} px{clip}, {tokens} after {self.loc} of {self.depth}{extra}"

    def options(self) -> str:
        """What `python -m tokenlearner flops` takes to count this design."""
        parts = [f"--arch {self.arch} --img-size {self.side} --depth {self.depth}"]
        parts.append(f"--num-tokens {self.num_tokens} --loc {self.loc}")
        if self.num_frames is not None:
            parts.append(f"--frames {self.num_frames} --tubelet {self.tubelet_size}")
        if self.version == "1.0":
            parts.append("--v10")
        if self.use_fuser:
            parts.append("--fuser")
        return " ".join(parts)


def sides_of(patch: int) -> tuple[int, ...]:
    """Sides in pixels that are whole patches, close to the usual ones."""
    return tuple(dict.fromkeys(side // patch * patch for side in _SIDES))


def frames_of(tubelet_size: int) -> tuple[int, ...]:
    """Lengths of clips that are whole tubelets."""
    return tuple(frames for frames in _FRAMES if frames % tubelet_size == 0)


def most_tokens(patch: int, side: int) -> int:
    """The largest number of tokens that makes sense: not more than there are patches."""
    return min(MAX_TOKENS, (side // patch) ** 2)


def nearest(value: int, options: tuple[int, ...]) -> int:
    """The option closest to a value, the smaller one of two."""
    return min(options, key=lambda option: (abs(option - value), option))
