"""`python -m tokenlearner flops`: what a network costs, counted without building it."""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tokenlearner import flops
from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config, parse_arch
from tokenlearner.errors import CheckpointError, ConfigError

DEFAULT_TOKENS: Final = TokenLearnerConfig().num_tokens
DEFAULT_SIDE: Final = 224
DEFAULT_CLASSES: Final = 1000
OF_NAMED_SIZES: Final = ("depth", "tubelet", "v10", "fuser", "bottleneck", "classes")
"""Options that shape a named network; an installed model is what it is."""


@dataclass(frozen=True)
class Network:
    """What is counted: a network, the input it sees, and the choice made for the call.

    Attributes:
        name: As the user gave it.
        config: The network.
        image_hw: Input in pixels, whole patches.
        num_frames: Frames of the clip, None for an image.
        loc: Location of the module, None for none.
        num_tokens: Tokens per time step, 0 for none.
        notes: Sentences on what was left out.
    """

    name: str
    config: ModelConfig
    image_hw: tuple[int, int]
    num_frames: int | None
    loc: int | None
    num_tokens: int
    notes: tuple[str, ...]

    @property
    def compute(self) -> flops.Compute:
        """Cost of one input with the module."""
        return flops.compute(
            self.config,
            image_hw=self.image_hw,
            num_frames=self.num_frames,
            loc=self.loc,
            num_tokens=self.num_tokens or None,
        )

    @property
    def baseline(self) -> flops.Compute:
        """Cost of the same input without it."""
        return flops.baseline(self.config, image_hw=self.image_hw, num_frames=self.num_frames)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `flops` subcommand."""
    parser = subparsers.add_parser(
        "flops",
        help="count multiply-adds and parameters of a network, by stage",
        description="Count multiply-adds and parameters by stage, in closed form. A named architecture is the plain "
        "network unless --num-tokens or --loc is given.",
        epilog=flops.CONVENTION,
    )
    network = parser.add_mutually_exclusive_group(required=True)
    network.add_argument("--arch", help="size and patch, such as Ti/16, S/32, B/16, L/8, G/14")
    network.add_argument("--model", metavar="NAME", help="an installed model (see `models`), or a .safetensors file")
    size = f"input in pixels (default: {DEFAULT_SIDE}, or the model's own)"
    parser.add_argument("--img-size", type=_image_hw, metavar="SIDE|HxW", help=size)
    tokens = f"tokens of TokenLearner (default: {DEFAULT_TOKENS}, or all of the model's)"
    parser.add_argument("--num-tokens", type=int, metavar="K", help=tokens)
    loc = "block before which it sits (default: the middle, or the model's own)"
    parser.add_argument("--loc", type=int, metavar="L", help=loc)
    parser.add_argument("--frames", type=int, metavar="N", help="frames of a clip: a video model")
    parser.add_argument("--depth", type=int, metavar="N", help="number of blocks (default: the size's own)")
    parser.add_argument("--tubelet", type=int, metavar="N", help="frames per tubelet (default: 2)")
    parser.add_argument("--v10", action="store_true", help="TokenLearner v1.0 in place of v1.1")
    parser.add_argument("--fuser", action="store_true", help="TokenLearner and TokenFuser in every block from L on")
    width = TokenLearnerConfig().bottleneck_dim
    parser.add_argument("--bottleneck", type=int, metavar="WIDTH", help=f"width of its MLP (default: {width})")
    parser.add_argument("--classes", type=int, metavar="N", help=f"size of the logits (default: {DEFAULT_CLASSES})")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the count as a table or as JSON."""
    network = _named(args) if args.model is None else _installed(args)
    print(json.dumps(_as_json(network), indent=2) if args.json else _as_table(network))
    return 0


def _image_hw(text: str) -> tuple[int, int]:
    """Read "384" or "384x512" (height x width)."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is neither a side such as 384 nor a size such as 384x512')
    height = int(match[1])
    return height, int(match[2]) if match[2] else height


def _named(args: argparse.Namespace) -> Network:
    size, patch = parse_arch(args.arch)
    has_module = args.num_tokens is not None or args.loc is not None
    if not has_module and (args.v10 or args.fuser):
        raise ConfigError("--v10 and --fuser describe a TokenLearner: give --num-tokens or --loc too.")
    if args.tubelet is not None and args.frames is None:
        raise ConfigError("--tubelet belongs to a video model: give --frames too.")
    depth = size.depth if args.depth is None else args.depth
    usual = TokenLearnerConfig()
    module = TokenLearnerConfig(
        num_tokens=DEFAULT_TOKENS if args.num_tokens is None else args.num_tokens,
        version="1.0" if args.v10 else "1.1",
        bottleneck_dim=usual.bottleneck_dim if args.bottleneck is None else args.bottleneck,
        use_fuser=args.fuser,
    )
    loc = depth // 2 if args.loc is None else args.loc
    image_hw, notes = _whole_patches(args.img_size or (DEFAULT_SIDE, DEFAULT_SIDE), (patch, patch))
    config = named_config(
        args.arch,
        img_size=image_hw,
        num_classes=DEFAULT_CLASSES if args.classes is None else args.classes,
        depth=depth,
        token_learner=module if has_module else None,
        loc=loc if has_module else None,
        num_frames=args.frames,
        tubelet_size=args.tubelet,
    )
    return Network(f"ViT-{args.arch}", config, image_hw, args.frames, config.default_loc, config.num_tokens, notes)


def _installed(args: argparse.Namespace) -> Network:
    given = [f"--{name}" for name in OF_NAMED_SIZES if getattr(args, name)]
    if given:
        raise ConfigError(f"An installed model is what it is: {', '.join(given)} can be given with --arch only.")
    config = _model_config(args.model)
    loc = config.default_loc if args.loc is None else args.loc
    num_tokens = config.check_choice(loc, args.num_tokens)
    image_hw, notes = _whole_patches(args.img_size or config.img_size, config.patch_size)
    num_frames = config.num_frames if args.frames is None else args.frames
    return Network(args.model, config, image_hw, num_frames, loc, num_tokens, notes)


def _model_config(name: str) -> ModelConfig:
    """Configuration of an installed model, from its card: the weights are not read."""
    from tokenlearner.cards import list_models, read_card

    if name.endswith(".safetensors"):
        return read_card(Path(name)).config
    models = {listed.card.name: listed.card.config for listed in list_models()}
    if name not in models:
        raise CheckpointError(f'There is no model "{name}". Known: {", ".join(models) or "none"}.')
    return models[name]


def _whole_patches(image_hw: tuple[int, int], patch_hw: tuple[int, int]) -> tuple[tuple[int, int], tuple[str, ...]]:
    """The part of an input that whole patches cover, as the reference's unpadded convolution does."""
    (height, width), (patch_height, patch_width) = image_hw, patch_hw
    used = height // patch_height * patch_height, width // patch_width * patch_width
    if not all(used):
        raise ConfigError(
            f"An input of {height}x{width} pixels is smaller than one {patch_height}x{patch_width} patch."
        )
    if used == image_hw:
        return used, ()
    note = (
        f"{height}x{width} pixels are not a whole number of patches; "
        f"counted for the {used[0]}x{used[1]} pixels that patches cover."
    )
    return used, (note,)


def _as_json(network: Network) -> dict[str, Any]:
    config, compute, baseline = network.config, network.compute, network.baseline
    module = config.token_learner if network.loc is not None else None
    return {
        "network": network.name,
        "image_hw": network.image_hw,
        "num_frames": network.num_frames,
        "tubelet_size": config.tubelet_size if config.is_video else None,
        "depth": config.depth,
        "num_tokens": network.num_tokens or None,
        "loc": network.loc,
        "version": module.version if module else None,
        "fuser": module is not None and module.use_fuser,
        "stages": compute.stages,
        "total_macs": compute.total_macs,
        "total_flops": compute.total_flops,
        "params": compute.params,
        "baseline_macs": baseline.total_macs,
        "baseline_params": baseline.params,
        "convention": flops.CONVENTION,
        "notes": network.notes,
    }


def _as_table(network: Network) -> str:
    compute, baseline = network.compute, network.baseline
    total = compute.total_macs
    lines = [_title(network), "", f"{'stage':<16}{'GMACs':>10}{'GFLOPs':>10}{'share':>9}"]
    rows: list[tuple[str, int]] = [*compute.stages.items(), ("total", total)]
    lines += [f"{name:<16}{_giga(macs):>10}{_giga(2 * macs):>10}{macs / total:>9.1%}" for name, macs in rows if macs]
    lines += ["", f"parameters      {compute.params / 1e6:>10.4g} M"]
    if network.loc is not None:
        lines.append(
            f"plain network   {_giga(baseline.total_macs):>10} GMACs, {baseline.params / 1e6:.4g} M parameters; "
            f"this one takes {total / baseline.total_macs:.1%} of its multiply-adds"
        )
    return "\n".join([*lines, "", *network.notes, flops.CONVENTION])


def _title(network: Network) -> str:
    config = network.config
    height, width = network.image_hw
    parts = [network.name, f"{config.depth} blocks", f"{height}x{width} pixels"]
    if config.is_video:
        parts.append(f"{network.num_frames} frames in tubelets of {config.tubelet_size}")
    if config.token_learner is not None and network.loc is not None:
        per = " per time step" if config.is_video else ""
        fuser = " and TokenFuser in every block from there" if config.uses_fuser else ""
        parts.append(
            f"{network.num_tokens} tokens{per} before block {network.loc} "
            f"(TokenLearner v{config.token_learner.version}{fuser})"
        )
    return ", ".join(parts)


def _giga(value: int) -> str:
    """Billions with four significant digits."""
    giga = value / 1e9
    return f"{giga:.4g}" if giga < 1000 else f"{giga:.1f}"
