"""A network of timm with untrained TokenLearners, as a model with its card."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import timm

from tokenlearner.cards import DataCredit, ModelCard, file_sha256
from tokenlearner.config import BackboneConfig
from tokenlearner.timm_backbone import TimmNetwork, TimmTokenLearner, load_pretrained_
from tokenlearner.timm_hub import FetchProgress
from tokenlearner.weights import LoadedModel, build_model, in_memory, utc_now

UNTRAINED_NOTE = (
    "The TokenLearner modules hold random weights: their maps mean nothing, nor do predictions made from their tokens. "
    "`python -m tokenlearner distill` trains them."
)


def around_timm(
    network: TimmNetwork,
    *,
    pretrained: bool = True,
    weights: Path | None = None,
    seed: int = 0,
    progress: FetchProgress | None = None,
) -> LoadedModel:
    """Build a network of timm with modules that are not trained yet; the card says so.

    Args:
        network: See `timm_backbone.timm_config`.
        pretrained: Take timm's pretrained weights; False for random ones.
        weights: A safetensors file of timm's weights, instead of the Hugging Face hub.
        seed: The same seed gives the same random weights.
        progress: Told how far the fetching of pretrained weights is.

    Raises:
        CheckpointError: If the pretrained weights cannot be had or do not fit.
        ConfigError: If the network cannot be built.
    """
    config = network.config
    if not pretrained:
        config = dataclasses.replace(config, class_names=())
    model = build_model(config, seed=seed)
    backbone = config.backbone
    assert isinstance(model, TimmTokenLearner)
    assert backbone is not None
    source = load_pretrained_(model, weights, progress=progress) if pretrained else ""
    base = backbone.name.split(".", maxsplit=1)[0]  # behind the dot stands which weights
    name = (network.weights or base) if pretrained and weights is None else base
    whose = "random weights" if not pretrained else "timm's pretrained weights" if weights is None else "given weights"
    card = ModelCard(
        name=f"{_file_name(name)}-untrained",
        title=f"{name} of timm, TokenLearner not trained",
        config=config,
        trained=False,
        origin="untrained",
        summary=f"{name} with {whose}, and untrained TokenLearners {before_blocks(config.tokenlearner_locs)}."
        if config.tokenlearner_locs
        else f"{name} with {whose}.",
        data=(weights_credit(network, name, weights),) if pretrained else (),
        recipe={"seed": seed, "pretrained": pretrained},
        created=utc_now(),
        provenance=provenance(backbone, source, weights),
        notes=(UNTRAINED_NOTE,),
    )
    return in_memory(model, card)


def before_blocks(locs: Sequence[int]) -> str:
    """Places in words: "before block 6", "before blocks 3 and 6"."""
    *first, last = map(str, locs)
    return f"before blocks {', '.join(first)} and {last}" if first else f"before block {last}"


def weights_credit(network: TimmNetwork, name: str, weights: Path | None = None) -> DataCredit:
    """Whose pretrained weights they are, as a card credits them; of a file nobody knows but who gave it."""
    if weights is not None:
        return DataCredit(
            name=f"Weights for {name} from the file {weights.name}",
            licence="unknown",
            split="Which weights it holds, and under which licence, its source must say.",
        )
    return DataCredit(
        name=f"Pretrained weights {name} (timm)",
        licence=network.licence,
        split="What they were trained on, their own page says.",
        url=network.source,
    )


def provenance(backbone: BackboneConfig, source: str, weights: Path | None = None) -> dict[str, str]:
    """Where the network and its weights come from, for a card."""
    facts = {"network": f"timm {timm.__version__}, {backbone.name}", "pretrained weights": source or "none: random"}
    return facts if weights is None else {**facts, "sha256 of the pretrained weights": file_sha256(weights)}


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)
