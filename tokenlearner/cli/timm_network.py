"""Options that say which network of timm is meant, and where its modules sit."""

from __future__ import annotations

import argparse
import ast
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tokenlearner.timm_backbone import TimmNetwork


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add them to a command's parser."""
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights", type=Path, metavar="FILE", help="safetensors file of timm's weights, without a network"
    )
    weights.add_argument("--random-backbone", action="store_true", help="random weights for the network of timm too")
    parser.add_argument(
        "--loc",
        type=int,
        action="append",
        metavar="BLOCK",
        help="block before which a module sits; may be repeated (default: a quarter and half of the way)",
    )
    parser.add_argument("--tokens", type=int, default=16, help="tokens that the modules hold (default: 16)")
    parser.add_argument("--img-size", type=int, metavar="SIDE", help="side of the pictures in pixels (default: timm's)")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=argparse.SUPPRESS)


def asked_network(name: str, args: argparse.Namespace) -> TimmNetwork:
    """The network that the options describe.

    Raises:
        ConfigError: If there is no such network, or it cannot carry the modules.
    """
    from tokenlearner.config import TokenLearnerConfig
    from tokenlearner.timm_backbone import default_locs, timm_config

    options = dict(_option(text) for text in args.option)
    locs = args.loc or default_locs(timm_config(name, locs=(), img_size=args.img_size, options=options).config.depth)
    token_learner = TokenLearnerConfig(num_tokens=args.tokens)
    return timm_config(name, locs=tuple(locs), token_learner=token_learner, img_size=args.img_size, options=options)


def as_written(args: argparse.Namespace) -> list[tuple[str, Any]]:
    """The options as they were given, for a card."""
    return [
        ("--weights", args.weights),
        ("--random-backbone", args.random_backbone),
        *(("--loc", loc) for loc in args.loc or ()),
        ("--tokens", args.tokens),
        ("--img-size", args.img_size),
        *(("--option", option) for option in args.option),
    ]


def _option(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value
