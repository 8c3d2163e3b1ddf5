"""`python -m tokenlearner distill`: a network of timm and photographs in, a TokenLearner that stands in for it out."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenlearner.errors import ConfigError, TrainingError

if TYPE_CHECKING:
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
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        "--weights", type=Path, metavar="FILE", help="safetensors file of timm's weights, without a network"
    )
    weights.add_argument("--random-backbone", action="store_true", help="random weights for the teacher: a trial run")
    parser.add_argument(
        "--loc",
        type=int,
        action="append",
        metavar="BLOCK",
        help="block before which a module sits; may be repeated (default: a quarter and half of the way)",
    )
    parser.add_argument("--tokens", type=int, default=16, help="tokens that the modules hold (default: 16)")
    parser.add_argument("--img-size", type=int, metavar="SIDE", help="side of the pictures in pixels (default: timm's)")
    parser.add_argument("--epochs", type=int, default=10, help="passes over the photographs (default: 10)")
    parser.add_argument("--batch-size", type=int, default=64, help="photographs a step (default: 64)")
    parser.add_argument("--lr", type=float, default=5e-5, help="peak learning rate of the blocks (default: 5e-5)")
    parser.add_argument("--module-lr", type=float, default=1e-3, help="that of the modules (default: 1e-3)")
    parser.add_argument("--seed", type=int, default=0, help="same seed, same student (default: 0)")
    parser.add_argument("--limit", type=int, default=10_000, metavar="N", help="photographs, at most (default: 10000)")
    parser.add_argument("--data-name", help="what the card calls the photographs (default: the folders' names)")
    parser.add_argument("--data-licence", default="unknown", help="their licence, for the card")
    parser.add_argument("--device", help="cuda, mps or cpu (default: the best there is)")
    parser.add_argument("--threads", type=int, help="CPU threads")
    parser.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Distill, and say where the checkpoint is."""
    import torch
    from tqdm import tqdm

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
    with tqdm(total=distiller.total_steps, initial=distiller.step, unit="step", mininterval=5) as bar:

        def progress(step: int, total: int, loss: float) -> None:
            bar.update(step - bar.n)
            bar.set_postfix(loss=f"{loss:.3f}", epoch=distiller.epoch, refresh=False)
            if step % distiller.steps_per_epoch == 1 and distiller.history:
                tqdm.write(_epoch_line(distiller.history[-1]))

        distiller.run(progress)
    print(_epoch_line(distiller.history[-1]))
    backbone = start.model.config.backbone
    assert backbone is not None
    path = args.output / f"{args.name or backbone.name.replace('.', '-') + '-tokenlearner'}.safetensors"
    learned = DataCredit(
        name=args.data_name or ", ".join(Path(source).name for source in args.data),
        licence=args.data_licence,
        split=f"{len(photos[0])} photographs to learn from, {len(photos[1])} to measure on; labels were not used",
    )
    named = [Path(source).name for source in args.data]
    command = ["python", "-m", "tokenlearner", "distill", "--backbone", args.backbone, *named, "-o", args.output.name]
    card = export_student(distiller, path, photographs=learned, command=shlex.join(command), device=compute)
    print(path)
    if collapsed := distiller.history[-1]["collapsed"]:
        places = ", ".join(f"block {loc}" for loc in collapsed)
        raise TrainingError(
            f"The maps of {card.name} before {places} have collapsed: they are nearly uniform or nearly all the same. "
            "Give more photographs, more epochs, or a higher --module-lr, and another folder."
        )
    return 0


def _start(args: argparse.Namespace) -> LoadedModel:
    """The network with untrained modules: built once, and read back when a run goes on."""
    from tokenlearner.config import TokenLearnerConfig
    from tokenlearner.timm_backbone import timm_config
    from tokenlearner.timm_models import around_timm
    from tokenlearner.weights import load_checkpoint, save_checkpoint

    options = dict(_option(text) for text in args.option)
    token_learner = TokenLearnerConfig(num_tokens=args.tokens)
    whole = timm_config(args.backbone, locs=(), img_size=args.img_size, options=options).config
    locs = tuple(args.loc) if args.loc else tuple(sorted({whole.depth // 4, whole.depth // 2}))
    network = timm_config(
        args.backbone, locs=locs, token_learner=token_learner, img_size=args.img_size, options=options
    )
    path = args.output / _START
    if path.exists():
        kept = load_checkpoint(path)
        same = (kept.model.config.backbone, kept.model.config.tokenlearner_locs, kept.model.config.token_learner)
        if same != (network.config.backbone, network.config.tokenlearner_locs, network.config.token_learner):
            raise ConfigError(f"{args.output} holds a run of another network. Choose another folder.")
        return kept
    start = around_timm(network, pretrained=not args.random_backbone, weights=args.weights, seed=args.seed)
    save_checkpoint(path, start.model, start.card, half=False)
    return load_checkpoint(path)


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


def _option(text: str) -> tuple[str, Any]:
    import ast

    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return name, value


def _epoch_line(record: dict[str, Any]) -> str:
    alike = "  ".join(f"{_setting(one)} {one['unexplained']:.3f}" for one in record["likeness"])
    maps = "  ".join(
        f"block {loc}: {found['entropy']:.2f}/{found['overlap'] or 0:.2f}/{found['adaptivity']:.2f}"
        for loc, found in record["maps"].items()
    )
    return f"epoch {record['epoch']}  unexplained {alike}\n    entropy/overlap/adaptivity {maps}"


def _setting(one: dict[str, Any]) -> str:
    return "plain" if one["loc"] is None else f"{one['loc']}/{one['num_tokens']}"
