"""What attention costs, taken from the library's counts. No Streamlit."""

from __future__ import annotations

from dataclasses import dataclass

from app.text import percent
from tokenlearner import flops
from tokenlearner.config import ModelConfig, named_config


@dataclass(frozen=True)
class Split:
    """Multiply-adds of a plain network, split by how they grow.

    Attributes:
        patches: Tokens in every block.
        attention: What grows with the square of the tokens: the two products of attention.
        total: Everything.
    """

    patches: int
    attention: int
    total: int

    @property
    def pairs(self) -> int:
        """Pairs of tokens that one head of one block compares."""
        return self.patches**2

    @property
    def rest(self) -> int:
        """What grows with the tokens alone, and the head, which does not grow."""
        return self.total - self.attention


def split(config: ModelConfig, image_hw: tuple[int, int]) -> Split:
    """Split what the plain network costs on images of a size.

    The quadratic part is told apart by asking for twice as many patches: of `a * n + c * n**2`, twice `n` costs
    `2 * c * n**2` more than twice.
    """
    height, width = image_hw
    rows, columns = config.grid_hw(image_hw)
    one = flops.baseline(config, image_hw=image_hw)
    two = flops.baseline(config, image_hw=(height, 2 * width))
    attention = (two.stages["blocks before"] - 2 * one.stages["blocks before"]) // 2
    return Split(rows * columns, attention, one.total_macs)


def vit_b16(side: int) -> Split:
    """The same for ViT-B/16 on square images."""
    return split(named_config("B/16", img_size=side), (side, side))


@dataclass(frozen=True)
class Saving:
    """Multiply-adds that a module takes off the blocks behind it.

    Attributes:
        total: All of them.
        pairs: Those that compared pairs of tokens.
    """

    total: int
    pairs: int

    def words(self, tokens: int, patches: int) -> str:
        """What it consists of, in a sentence.

        Args:
            tokens: Behind the module.
            patches: That the plain network has there.
        """
        share = self.pairs / self.total
        return (
            f"Of the work that the blocks save, **{percent(1 - share)}** ran once for each token (the projections of "
            f"attention, and the MLP): {patches:,} times, now {tokens:,}. The pairs are **{percent(share)}** of it."
        )


def saving(config: ModelConfig, image_hw: tuple[int, int], loc: int, num_tokens: int) -> Saving:
    """What the blocks save on one input of a size by a module before block `loc`, with its first tokens."""
    plain = flops.baseline(config, image_hw=image_hw).stages
    here = flops.compute(config, image_hw=image_hw, loc=loc, num_tokens=num_tokens).stages
    rows, columns = config.grid_hw(image_hw)
    patches, tokens = (config.num_time_steps * count for count in (rows * columns, num_tokens))
    pairs = 2 * config.embed_dim * (config.depth - loc) * (patches**2 - tokens**2)
    return Saving(plain["blocks before"] - here["blocks before"] - here["blocks after"], pairs)


def level_tokens(config: ModelConfig) -> int:
    """Tokens at which the pairs cost as much as all the rest of a block: `4D^2 + 2DM = 2ND`."""
    return 2 * config.embed_dim + config.mlp_dim
