"""`python -m tokenlearner flops`: what a network costs, counted without building it."""

from __future__ import annotations

import argparse
import json
import re
from typing import Any, Final

from tokenlearner import flops
from tokenlearner.config import ModelConfig, TokenLearnerConfig, named_config, parse_arch
from tokenlearner.errors import ConfigError

DEFAULT_TOKENS: Final = TokenLearnerConfig().num_tokens


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `flops` subcommand."""
    parser = subparsers.add_parser(
        "flops",
        help="count multiply-adds and parameters of a network, by stage",
        description="Count multiply-adds and parameters by stage, in closed form. Without --num-tokens and --loc it is "
        "the plain network.",
        epilog=flops.CONVENTION,
    )
    parser.add_argument("--arch", required=True, help="size and patch, such as Ti/16, S/32, B/16, L/8, G/14")
    parser.add_argument(
        "--img-size", type=_image_hw, default=(224, 224), metavar="SIDE|HxW", help="input in pixels (default: 224)"
    )
    parser.add_argument(
        "--num-tokens", type=int, metavar="K", help=f"tokens of TokenLearner (default: {DEFAULT_TOKENS})"
    )
    parser.add_argument("--loc", type=int, metavar="L", help="block before which it sits (default: the middle)")
    parser.add_argument("--depth", type=int, help="number of blocks (default: the size's own)")
    parser.add_argument("--frames", type=int, help="frames of a clip: a video model")
    parser.add_argument("--tubelet", type=int, help="frames per tubelet (default: 2)")
    parser.add_argument("--v10", action="store_true", help="TokenLearner v1.0 in place of v1.1")
    parser.add_argument("--fuser", action="store_true", help="TokenLearner and TokenFuser in every block from L on")
    parser.add_argument("--bottleneck", type=int, default=64, metavar="WIDTH", help="width of its MLP (default: 64)")
    parser.add_argument("--classes", type=int, default=1000, metavar="N", help="size of the logits (default: 1000)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the count as a table or as JSON."""
    config = _config(args)
    notes = _notes(args, config)
    compute, plain = flops.compute(config), flops.baseline(config)
    if args.json:
        print(json.dumps(_as_json(args.arch, config, compute, plain, notes), indent=2))
    else:
        print(_as_table(args.arch, config, compute, plain, notes))
    return 0


def _image_hw(text: str) -> tuple[int, int]:
    """Read "384" or "384x512" (height x width)."""
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is neither a side such as 384 nor a size such as 384x512')
    height = int(match[1])
    return height, int(match[2]) if match[2] else height


def _config(args: argparse.Namespace) -> ModelConfig:
    size, patch = parse_arch(args.arch)
    has_module = args.num_tokens is not None or args.loc is not None
    if not has_module and (args.v10 or args.fuser):
        raise ConfigError("--v10 and --fuser describe a TokenLearner: give --num-tokens or --loc too.")
    if args.tubelet is not None and args.frames is None:
        raise ConfigError("--tubelet belongs to a video model: give --frames too.")
    depth = size.depth if args.depth is None else args.depth
    module = TokenLearnerConfig(
        num_tokens=DEFAULT_TOKENS if args.num_tokens is None else args.num_tokens,
        version="1.0" if args.v10 else "1.1",
        bottleneck_dim=args.bottleneck,
        use_fuser=args.fuser,
    )
    loc = depth // 2 if args.loc is None else args.loc
    return named_config(
        args.arch,
        img_size=_whole_patches(args.img_size, patch),
        num_classes=args.classes,
        depth=depth,
        token_learner=module if has_module else None,
        loc=loc if has_module else None,
        num_frames=args.frames,
        tubelet_size=args.tubelet,
    )


def _whole_patches(image_hw: tuple[int, int], patch: int) -> tuple[int, int]:
    """The part of an input that whole patches cover, as the reference's unpadded convolution does."""
    if min(image_hw) < patch:
        raise ConfigError(f"An input of {image_hw[0]}x{image_hw[1]} pixels is smaller than one {patch}x{patch} patch.")
    return image_hw[0] // patch * patch, image_hw[1] // patch * patch


def _notes(args: argparse.Namespace, config: ModelConfig) -> list[str]:
    if config.img_size == args.img_size:
        return []
    asked, used = (f"{height}x{width}" for height, width in (args.img_size, config.img_size))
    return [f"{asked} pixels are not a whole number of patches; counted for the {used} pixels that patches cover."]


def _as_json(
    arch: str, config: ModelConfig, compute: flops.Compute, plain: flops.Compute, notes: list[str]
) -> dict[str, Any]:
    module = config.token_learner
    return {
        "arch": arch,
        "image_hw": config.img_size,
        "num_frames": config.num_frames,
        "tubelet_size": config.tubelet_size if config.is_video else None,
        "depth": config.depth,
        "num_tokens": config.num_tokens or None,
        "loc": config.default_loc,
        "version": module.version if module else None,
        "fuser": config.uses_fuser,
        "stages": compute.stages,
        "total_macs": compute.total_macs,
        "total_flops": compute.total_flops,
        "params": compute.params,
        "baseline_macs": plain.total_macs,
        "baseline_params": plain.params,
        "convention": flops.CONVENTION,
        "notes": notes,
    }


def _as_table(arch: str, config: ModelConfig, compute: flops.Compute, plain: flops.Compute, notes: list[str]) -> str:
    total = compute.total_macs
    lines = [_title(arch, config), "", f"{'stage':<16}{'GMACs':>10}{'GFLOPs':>10}{'share':>9}"]
    rows: list[tuple[str, int]] = [*compute.stages.items(), ("total", total)]
    lines += [f"{name:<16}{_giga(macs):>10}{_giga(2 * macs):>10}{macs / total:>9.1%}" for name, macs in rows if macs]
    lines += ["", f"parameters      {compute.params / 1e6:>10.4g} M"]
    if config.token_learner is not None:
        lines.append(
            f"plain network   {_giga(plain.total_macs):>10} GMACs, {plain.params / 1e6:.4g} M parameters; "
            f"this one takes {total / plain.total_macs:.1%} of its multiply-adds"
        )
    return "\n".join([*lines, "", *notes, flops.CONVENTION])


def _title(arch: str, config: ModelConfig) -> str:
    height, width = config.img_size
    parts = [f"ViT-{arch}", f"{config.depth} blocks", f"{height}x{width} pixels"]
    if config.is_video:
        parts.append(f"{config.num_frames} frames in tubelets of {config.tubelet_size}")
    if config.token_learner is not None:
        per = " per time step" if config.is_video else ""
        fuser = " and TokenFuser in every block from there" if config.uses_fuser else ""
        parts.append(
            f"{config.num_tokens} tokens{per} before block {config.default_loc} "
            f"(TokenLearner v{config.token_learner.version}{fuser})"
        )
    return ", ".join(parts)


def _giga(value: int) -> str:
    """Billions with four significant digits."""
    giga = value / 1e9
    return f"{giga:.4g}" if giga < 1000 else f"{giga:.1f}"
