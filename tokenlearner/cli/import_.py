"""`import`: turn another program's checkpoint into one of this project."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from tokenlearner.cards import ModelCard, file_sha256
from tokenlearner.config import ModelConfig
from tokenlearner.errors import CheckpointError
from tokenlearner.scenic import ScenicModel, ScenicOptions, read_scenic
from tokenlearner.scenic.infer import CLASSIFIERS
from tokenlearner.weights import build_model, save_checkpoint, utc_now


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
    scenic.add_argument(
        "--mean", type=_channels, default=(0.5, 0.5, 0.5), metavar="R,G,B", help="pixel mean, of 0..1 (default: 0.5)"
    )
    scenic.add_argument(
        "--std", type=_deviations, default=(0.5, 0.5, 0.5), metavar="R,G,B", help="pixel deviation (default: 0.5)"
    )
    scenic.add_argument("--class-names", type=Path, metavar="FILE", help="text file, one class name a line")
    scenic.add_argument("--title", default="", help="title of the model card")
    scenic.add_argument("--half", action="store_true", help="store the weights as float16")
    scenic.set_defaults(run=run_scenic)


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
    imported = read_scenic(args.file, options)
    model = build_model(imported.config, seed=0)
    model.load_state_dict(imported.state_dict)
    card = save_checkpoint(args.output, model, _card(args, imported), half=args.half)
    print(f"{args.output}: {_summary(card.config)}")
    return 0


def _card(args: argparse.Namespace, imported: ScenicModel) -> ModelCard:
    return ModelCard(
        name=args.output.stem,
        title=args.title or f"Imported from Scenic: {args.file.name}",
        config=imported.config,
        trained=True,
        origin="imported",
        summary="Converted from a checkpoint of google-research/scenic; this project did not train it.",
        recipe={
            "loc": imported.config.default_loc,
            "img_size": imported.config.img_size,
            "frames": imported.config.num_frames,
            "pooling": args.pooling,
            "classifier": args.classifier,
            "mean": args.mean,
            "std": args.std,
        },
        command=f"python -m tokenlearner import scenic {args.file.name} -o {args.output.name}",
        created=utc_now(),
        provenance={
            "source file": args.file.name,
            "sha256 of the source": file_sha256(args.file),
            "format": "Flax msgpack (google-research/scenic)",
            "parameters at": imported.found_at or "root",
        },
        notes=(
            "How and on what data it was trained, and under which licence, its source must say.",
            "Not told by the parameters, but given or assumed when importing: location (without TokenFuser), "
            "picture and clip size (if not square), pooling of v1.0, pooling of the head, normalisation.",
        ),
    )


def _summary(config: ModelConfig) -> str:
    height, width = config.img_size
    frames = f"{config.num_frames} frames of " if config.num_frames else ""
    tl = config.token_learner
    module = "no TokenLearner" if tl is None else f"TokenLearner v{tl.version}, {tl.num_tokens} tokens"
    fuser = " with TokenFuser from block" if config.uses_fuser else " before block"
    loc = "" if tl is None else f"{fuser} {config.default_loc}"
    return (
        f"{frames}{height}x{width} px, {config.depth} blocks of width {config.embed_dim}, {config.num_heads} heads, "
        f"{config.num_classes} classes, {module}{loc}"
    )


def _size(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)(?:[x,](\d+))?", text.strip().lower())
    if match is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a size such as 224 or 192x256 (height x width)')
    return int(match.group(1)), int(match.group(2) or match.group(1))


def _channels(text: str) -> tuple[float, float, float]:
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) not in (1, 3):
        raise argparse.ArgumentTypeError(f'"{text}" is not one number, nor three such as 0.485,0.456,0.406')
    red, green, blue = values * 3 if len(values) == 1 else values
    return red, green, blue


def _deviations(text: str) -> tuple[float, float, float]:
    values = _channels(text)
    if min(values) <= 0:
        raise argparse.ArgumentTypeError(f'"{text}" must be above 0: pixels are divided by it')
    return values


def _read_class_names(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f'The class names in "{path}" cannot be read: give a UTF-8 text file.') from error
    return tuple(line.strip() for line in lines if line.strip())
