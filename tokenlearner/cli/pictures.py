"""`python -m tokenlearner pictures`: draw a model's maps over the samples, for its card."""

from __future__ import annotations

import argparse
from pathlib import Path

from tokenlearner.cards import card_paths, save_card


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the `pictures` subcommand."""
    parser = subparsers.add_parser(
        "pictures",
        help="draw a model's maps over the samples, for its card",
        description="Draw what each token of a model looks at in the sample photographs, or for a video model in the "
        "sample clips, and show the picture in the model's Markdown card.",
    )
    parser.add_argument("checkpoint", help="a .safetensors file, or the name of an available model")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the JPEG here and leave the card as it is")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Draw, and write the card anew."""
    # Imported late: `--help` must not wait for torch.
    from tokenlearner.card_pictures import sample_sheet, save_card_picture, write_sheet
    from tokenlearner.weights import load_model

    loaded = load_model(args.checkpoint)
    if args.out is not None:
        write_sheet(args.out, sample_sheet(loaded))
        print(f"Maps: {args.out}")
        return 0
    picture = save_card_picture(loaded)
    assert loaded.path is not None
    save_card(loaded.path, loaded.card)
    print(f"Maps: {picture}\nCard updated: {card_paths(loaded.path)[1]}")
    return 0
