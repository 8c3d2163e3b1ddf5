"""`import`: turn another program's checkpoint into one of this project."""

from __future__ import annotations

import argparse
import dataclasses
import re
from pathlib import Path
from typing import Final

from tokenlearner.cards import MODELS_VARIABLE, model_dirs
from tokenlearner.cli.again import command_line
from tokenlearner.cli.timm_network import add_options, as_written, asked_network
from tokenlearner.config import ModelConfig
from tokenlearner.errors import CheckpointError, ConfigError, OptionError
from tokenlearner.scenic import ScenicOptions, read_scenic
from tokenlearner.scenic.infer import CLASSIFIERS, Channels, read_channels
from tokenlearner.scenic_models import from_scenic
from tokenlearner.weights import LoadedModel, save_checkpoint

_FLAGS: Final = {"loc": "--loc", "num_frames": "--frames", "img_size": "--img-size"}
_HALF: Final = (0.5, 0.5, 0.5)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its formats to the parser."""
    parser = subparsers.add_parser(
        "import",
        help="import a checkpoint of another program",
        description="Turn another program's checkpoint into a safetensors file with a model card.",
    )
    formats = parser.add_subparsers(dest="format", required=True, metavar="FORMAT")
    scenic = formats.add_parser(
        "scenic",
        help="a Scenic TokenLearner checkpoint (Flax msgpack)",
        description="Import a TokenLearner model of google-research/scenic. The configuration is read off the "
        "parameter shapes; the options say what shapes cannot.",
    )
    scenic.add_argument("file", type=Path, metavar="FILE", help="Flax msgpack file with the parameters")
    scenic.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="file to write")
    scenic.add_argument("--loc", type=int, help="block before which TokenLearner sits (tokenlearner_loc)")
    scenic.add_argument("--img-size", type=_size, metavar="HxW", help="input size in pixels, if it is not square")
    scenic.add_argument("--frames", type=int, metavar="N", help="frames of a clip, for a video model")
    scenic.add_argument(
        "--pooling", choices=("sum", "mean"), default="sum", help="how a v1.0 module pools (default: sum)"
    )
    scenic.add_argument(
        "--classifier", choices=tuple(CLASSIFIERS), default="gap", help="how the head pools (default: gap, the average)"
    )
    scenic.add_argument("--mean", type=_mean, default=_HALF, metavar="R,G,B", help="pixel mean, of 0..1 (default: 0.5)")
    scenic.add_argument("--std", type=_deviation, default=_HALF, metavar="R,G,B", help="pixel deviation (default: 0.5)")
    scenic.add_argument("--class-names", type=Path, metavar="FILE", help="text file, one class name a line")
    scenic.add_argument("--title", default="", help="title of the model card")
    scenic.add_argument("--half", action="store_true", help="store the weights as float16")
    scenic.set_defaults(run=run_scenic)
    timm = formats.add_parser(
        "timm",
        help="a Vision Transformer of timm, with TokenLearners that are not trained",
        description="Build TokenLearners with random weights around a Vision Transformer of timm. `distill` trains "
        "them.",
    )
    timm.add_argument("name", metavar="NAME", help="timm's name, such as vit_large_patch16_224.augreg_in21k_ft_in1k")
    timm.add_argument("-o", "--output", type=Path, required=True, metavar="OUT.safetensors", help="file to write")
    add_options(timm)
    timm.add_argument("--seed", type=int, default=0, help="same seed, same random weights (default: 0)")
    timm.add_argument("--half", action="store_true", help="store the weights as float16")
    timm.set_defaults(run=run_timm)


def run_scenic(args: argparse.Namespace) -> int:
    """Import a Scenic checkpoint."""
    options = ScenicOptions(
        loc=args.loc,
        img_size=args.img_size,
        num_frames=args.frames,
        pooling=args.pooling,
        head_pool=CLASSIFIERS[args.classifier],
        mean=args.mean,
        std=args.std,
        class_names=_read_class_names(args.class_names) if args.class_names else (),
    )
    try:
        imported = read_scenic(args.file, options)
    except OptionError as error:
        raise CheckpointError(f"{error} The option for it is {_FLAGS[error.option]}.") from error
    loaded = from_scenic(imported, options, args.file, title=args.title, command=_scenic_command(args))
    return _save(args, loaded)


def run_timm(args: argparse.Namespace) -> int:
    """Build untrained modules around a network of timm."""
    from tokenlearner.timm_models import around_timm

    network = asked_network(args.name, args)
    loaded = around_timm(network, pretrained=not args.random_backbone, weights=args.weights, seed=args.seed)
    options = [("-o", args.output), *as_written(args), ("--seed", args.seed), ("--half", args.half)]
    card = dataclasses.replace(loaded.card, command=command_line("import timm", [args.name], options))
    return _save(args, dataclasses.replace(loaded, card=card))


def _save(args: argparse.Namespace, loaded: LoadedModel) -> int:
    card = save_checkpoint(args.output, loaded.model, loaded.card, half=args.half)
    print(f"{args.output}: {_summary(card.config)}")
    if args.output.resolve().parent not in [folder.resolve() for folder in model_dirs()]:
        print(f"The app lists what lies in assets/checkpoints, or in a folder that {MODELS_VARIABLE} names.")
    return 0


def _scenic_command(args: argparse.Namespace) -> str:
    """The command with every option that says something else than the default."""
    options = [
        ("--loc", args.loc),
        ("--img-size", "x".join(map(str, args.img_size)) if args.img_size else None),
        ("--frames", args.frames),
        ("--pooling", args.pooling if args.pooling != "sum" else None),
        ("--classifier", args.classifier if args.classifier != "gap" else None),
        ("--mean", ",".join(map(str, args.mean)) if args.mean != _HALF else None),
        ("--std", ",".join(map(str, args.std)) if args.std != _HALF else None),
        ("--class-names", args.class_names),
        ("--half", args.half),
    ]
    return command_line("import scenic", [args.file], [("-o", args.output), *options])


def _summary(config: ModelConfig) -> str:
    height, width = config.img_size
    frames = f"{config.num_frames} frames of " if config.num_frames else ""
    tl = config.token_learner
    module = "no TokenLearner" if tl is None else f"TokenLearner v{tl.version}, {tl.num_tokens} tokens"
    places = config.tokenlearner_locs[:1] if config.uses_fuser else config.tokenlearner_locs
    words = " with TokenFuser from block" if config.uses_fuser else " before block"
    loc = f"{words} {', '.join(map(str, places))}" if places else ""
    return (
        f"{frames}{height}x{width} px, {config.depth} blocks of width {config.embed_dim}, {config.num_heads} heads, "
        f"{config.num_classes} classes, {module}{loc}"
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:[x,](\d+))?", text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a size such as 224 or 192x256 (height x width)')
    return int(match.group(1)), int(match.group(2) or match.group(1))


def _mean(text: str) -> Channels:
    try:
        return read_channels(text)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _deviation(text: str) -> Channels:
    try:
        return read_channels(text, positive=True)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _read_class_names(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f'The class names in "{path}" cannot be read: give a UTF-8 text file.') from error
    return tuple(line.strip() for line in lines if line.strip())
