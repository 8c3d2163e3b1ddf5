"""`python -m tokenlearner distill`: a network of timm and photographs in, a TokenLearner that stands in for it out."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlearner.cli.again import command_line
from tokenlearner.cli.learning import add_device_options, learn, refuse_collapsed
from tokenlearner.cli.timm_network import add_options, as_written, asked_network
from tokenlearner.errors import ConfigError

if TYPE_CHECKING:
    from tokenlearner.config import ModelConfig
    from tokenlearner.weights import LoadedModel

_START = "start.safetensors"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the subcommand."""
    parser = subparsers.add_parser(
        "distill",
        help="teach TokenLearners around a network of timm",
        description="Build TokenLearners around a Vision Transformer of timm and teach them, and the blocks behind "
        "them, to answer as the frozen network does, on photographs without labels. A run that was stopped goes on "
        "where it was.",
    )
    parser.add_argument(
        "data", nargs="+", help="folders or plain tars of photographs; what folders they lie in is the same"
    )
    parser.add_argument(
        "--backbone", required=True, metavar="NAME", help="timm's name, such as deit_tiny_patch16_224.fb_in1k"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="OUT", help="folder for state, history and the checkpoint"
    )
    parser.add_argument("--name", help="name of the checkpoint (default: the backbone's, with -tokenlearner)")
    add_options(parser)
    parser.add_argument("--epochs", type=int, default=10, help="passes over the photographs (default: 10)")
    parser.add_argument("--batch-size", type=int, default=64, help="photographs a step (default: 64)")
    parser.add_argument("--lr", type=float, default=5e-5, help="peak learning rate of the blocks (default: 5e-5)")
    parser.add_argument("--module-lr", type=float, default=1e-3, help="that of the modules (default: 1e-3)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same student (default: 0)")
    parser.add_argument("--limit", type=int, default=10_000, metavar="N", help="photographs, at most (default: 10000)")
    parser.add_argument("--data-name", help="what the card calls the photographs (default: the folders' names)")
    parser.add_argument("--data-licence", default="unknown", help="their licence, for the card")
    add_device_options(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Distill, and say where the checkpoint is."""
    import torch

    from tokenlearner.cards import DataCredit
    from tokenlearner.engine.device import pick_device
    from tokenlearner.training.distill import Distiller, DistillSettings
    from tokenlearner.training.distill_export import export_student

    if args.threads:
        torch.set_num_threads(args.threads)
    settings = DistillSettings(
        epochs=args.epochs, batch_size=args.batch_size, lr=args.lr, module_lr=args.module_lr, seed=args.seed
    )
    compute = pick_device(args.device)
    start = _start(args)
    photos = _photos(args, start, compute.device)
    print(f"{start.card.title}, on {compute.label}; state in {args.output}")
    print(f"{len(photos[0])} photographs to learn from, {len(photos[1])} to measure on")
    distiller = Distiller(start, photos, settings, args.output)
    learn(distiller, _epoch_line)
    backbone = start.model.config.backbone
    assert backbone is not None
    path = args.output / f"{args.name or backbone.name.replace('.', '-') + '-tokenlearner'}.safetensors"
    learned = DataCredit(
        name=args.data_name or ", ".join(Path(source).name for source in args.data),
        licence=args.data_licence,
        split=f"{len(photos[0])} photographs to learn from, {len(photos[1])} to measure on; labels were not used",
    )
    export_student(distiller, path, photographs=learned, command=_command(args), device=compute)
    print(path)
    refuse_collapsed(
        distiller.history[-1]["collapsed"],
        "Give more photographs, more epochs, or a higher --module-lr, and another folder.",
    )
    return 0


def _command(args: argparse.Namespace) -> str:
    options = [
        ("-o", args.output),
        ("--backbone", args.backbone),
        *as_written(args),
        ("--epochs", args.epochs),
        ("--batch-size", args.batch_size),
        ("--lr", args.lr),
        ("--module-lr", args.module_lr),
        ("--seed", args.seed),
        ("--limit", args.limit),
    ]
    return command_line("distill", map(Path, args.data), options)


def _start(args: argparse.Namespace) -> LoadedModel:
    """The network with untrained modules: built once, and read back when a run goes on."""
    from tokenlearner.timm_models import around_timm
    from tokenlearner.weights import load_checkpoint, save_checkpoint

    network = asked_network(args.backbone, args)
    path = args.output / _START
    if path.exists():
        kept = load_checkpoint(path)
        if not _is_of(kept, network.config, args):
            raise ConfigError(f"{args.output} holds a run of another network. Choose another folder.")
        return kept
    start = around_timm(network, pretrained=not args.random_backbone, weights=args.weights, seed=args.seed)
    save_checkpoint(path, start.model, start.card, half=False)
    return load_checkpoint(path)


def _is_of(kept: LoadedModel, config: ModelConfig, args: argparse.Namespace) -> bool:
    """Whether a network that was built before is the one that is asked for, with its weights from the same source."""
    source = kept.card.provenance.get("pretrained weights")
    same_weights = kept.card.recipe.get("pretrained") is not args.random_backbone
    same_file = args.weights is None or args.weights.name == source
    # Class names belong to pretrained weights.
    return (
        same_weights
        and same_file
        and dataclasses.replace(config, class_names=kept.card.config.class_names) == (kept.card.config)
    )


def _photos(args: argparse.Namespace, start: LoadedModel, device: Any) -> Any:
    """Photographs to learn from and to measure on; the same split whenever the same files are given."""
    import numpy as np

    from tokenlearner.data.dataset import photo_cache_dir, read_unlabelled, split_by_file
    from tokenlearner.data.photos import Photos

    images = read_unlabelled(*args.data)
    if len(images) > args.limit:
        images = images.take(np.linspace(0, len(images) - 1, args.limit).round().astype(np.int64))
    split = split_by_file(images, 0.1, args.seed)
    side = round(1.15 * max(start.model.config.img_size))
    parts = []
    for part in ("train", "val"):
        held = images.part(split, part)
        store = held.load_pixels(side, cache_dir=photo_cache_dir())
        parts.append(Photos.from_store(store, held.labels, device))
    return tuple(parts)


def _epoch_line(record: dict[str, Any]) -> str:
    alike = "  ".join(f"{_setting(one)} {one['unexplained']:.3f}" for one in record["likeness"])
    maps = "  ".join(
        f"block {loc}: {found['entropy']:.2f}/{found['overlap'] or 0:.2f}/{found['adaptivity']:.2f}"
        for loc, found in record["maps"].items()
    )
    return f"epoch {record['epoch']}  unexplained {alike}\n    entropy/overlap/adaptivity {maps}"


def _setting(one: dict[str, Any]) -> str:
    return "plain" if one["loc"] is None else f"{one['loc']}/{one['num_tokens']}"
