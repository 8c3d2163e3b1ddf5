"""`models`: list the checkpoints that can be used by name."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from tokenlearner.cards import BUNDLED_DIR, MODELS_VARIABLE, ListedModel, ModelCard, scan_models


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = subparsers.add_parser(
        "models",
        help="list the available models",
        description=f"List the bundled checkpoints and those in the folders of {MODELS_VARIABLE}, with the numbers of "
        "their cards.",
    )
    parser.add_argument("--json", action="store_true", help="print the whole cards as one JSON list")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Print the models; files that cannot be used get a sentence each on the error stream."""
    models, problems = scan_models()
    if args.json:
        print(json.dumps([_as_dict(model) for model in models], indent=1, ensure_ascii=False))
    elif not models:
        print(f"No models found in {BUNDLED_DIR} or the folders of {MODELS_VARIABLE}.")
    else:
        print("\n\n".join("\n".join(_describe(model)) for model in models))
    for problem in problems:
        print(f"warning: {problem}", file=sys.stderr)
    return 1 if problems and not models else 0


def _as_dict(model: ListedModel) -> dict[str, Any]:
    return {
        **model.card.to_dict(),
        "path": str(model.path),
        "size_bytes": model.size_bytes,
        "bundled": model.bundled,
    }


def _describe(model: ListedModel) -> Iterator[str]:
    card = model.card
    yield f"{card.name}  {card.title}"
    size = f"{model.size_bytes / 1e6:.1f} MB"
    yield f"  {size}, {'trained' if card.trained else 'NOT trained'}, {card.origin}  {model.path}"
    yield f"  {_network(card)}"
    for name, value in _numbers(card.metrics):
        yield f"  {name}: {value}"


def _network(card: ModelCard) -> str:
    config = card.config
    height, width = config.img_size
    frames = f"{config.num_frames} frames of " if config.num_frames else ""
    tl = config.token_learner
    if tl is None:
        module = "no TokenLearner"
    else:
        locs = ", ".join(map(str, config.tokenlearner_locs))
        fuser = " with TokenFuser" if tl.use_fuser else ""
        module = f"TokenLearner v{tl.version}{fuser}, {tl.num_tokens} tokens before block {locs}"
    return f"{frames}{height}x{width} px, {config.depth} blocks of width {config.embed_dim}, {module}"


def _numbers(metrics: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """The single numbers of a card; tables are left to the Markdown card and `--json`."""
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{prefix}{key} / ")
        elif isinstance(value, float):
            yield f"{prefix}{key}", f"{value:.4g}"
        elif isinstance(value, int | str):
            yield f"{prefix}{key}", str(value)
