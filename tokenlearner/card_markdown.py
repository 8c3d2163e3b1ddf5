"""A model card as a Markdown page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

_ORIGINS: Final = {
    "trained": "trained by this project",
    "imported": "imported from another program's checkpoint",
    "untrained": "not trained: the weights are random",
}

_PICTURE_LEGEND: Final = (
    "Brighter: more of the token's attention. None of these pictures was seen in training. They are scikit-image's "
    "own, or rendered from such by this project; `tokenlearner/samples/catalog.py` names their authors and terms."
)


def render_markdown(card: Mapping[str, Any], picture: str | None = None) -> str:
    """Render a card given as its JSON-ready dictionary.

    Nested numbers become one table, lists of rows a table each.

    Args:
        card: Of `ModelCard.to_dict`.
        picture: File name of a picture of the model's maps; None for none.
    """
    lines = [f"# {card['title']}", ""]
    if card["summary"]:
        lines += [card["summary"], ""]
    if not card["trained"]:
        lines += ["**Not trained.** TokenLearner's weights are random; the maps mean nothing.", ""]
    lines += _facts(_overview(card))
    if picture:
        lines += ["## Maps", "", f"![What each token looks at in sample pictures]({picture})", "", _PICTURE_LEGEND, ""]
    lines += ["## Network", "", *_facts(_network(card["config"]))]
    if card["data"]:
        lines += ["## Data", ""]
        for credit in card["data"]:
            lines += [f"### {credit['name']}", "", *_facts({k: v for k, v in credit.items() if k != "name" and v})]
    if card["metrics"]:
        lines += ["## Measured", "", *_metrics(card["metrics"])]
    if card["recipe"]:
        lines += ["## Recipe", "", "```json", json.dumps(card["recipe"], indent=1, ensure_ascii=False), "```", ""]
    if card["provenance"]:
        lines += ["## Provenance", "", *_facts(card["provenance"])]
    if card["notes"]:
        lines += ["## Notes", "", *(f"- {note}" for note in card["notes"]), ""]
    return "\n".join(lines).rstrip() + "\n"


def _overview(card: Mapping[str, Any]) -> dict[str, Any]:
    facts = {
        "name": f"`{card['name']}`",
        "origin": _ORIGINS[card["origin"]],
        "created": card["created"],
        "command": f"`{card['command']}`" if card["command"] else "",
        "hardware": card["hardware"],
        "time": f"{card['seconds'] / 60:.0f} min" if card["seconds"] else "",
        "sha256 of the weights": f"`{card['sha256']}`" if card["sha256"] else "",
    }
    return {key: value for key, value in facts.items() if value}


def _network(config: Mapping[str, Any]) -> dict[str, Any]:
    height, width = config["img_size"]
    patch_height, patch_width = config["patch_size"]
    frames = f", {config['num_frames']} frames in tubelets of {config['tubelet_size']}" if config["num_frames"] else ""
    facts: dict[str, Any] = {
        "input": f"{height}x{width} pixels{frames}",
        "patches": f"{patch_height}x{patch_width} pixels, {config['stem']} stem",
        "width, depth, heads, MLP": (
            f"{config['embed_dim']}, {config['depth']}, {config['num_heads']}, {config['mlp_dim']}"
        ),
        "classes": config["num_classes"],
        "head": f"{config['backbone']['pool'] if config.get('backbone') else config['head_pool']} pooling"
        + (f", pre_logits of {config['representation_size']}" if config["representation_size"] else ""),
        "normalisation": f"mean {_values(config['mean'])}, standard deviation {_values(config['std'])}",
    }
    if config.get("backbone"):
        facts |= _backbone(config["backbone"])
    tl = config["token_learner"]
    if tl is None:
        facts["TokenLearner"] = "none (plain Vision Transformer)"
        return facts
    detail = f"{tl['pooling']} pooling" if tl["version"] == "1.0" else f"bottleneck {tl['bottleneck_dim']}"
    if tl["use_fuser"]:
        norms = "" if tl["fuser_norm"] else " without norms"
        detail += f", TokenFuser{norms} of bottleneck {tl['bottleneck_dim']}"
    facts["TokenLearner"] = f"v{tl['version']}, {tl['num_tokens']} tokens, {detail}"
    facts["before block"] = _values(config["tokenlearner_locs"]) + (" and all after it" if tl["use_fuser"] else "")
    facts["default"] = "no module" if config["default_loc"] is None else f"block {config['default_loc']}"
    return facts


def _backbone(backbone: Mapping[str, Any]) -> dict[str, Any]:
    options = ", ".join(f"{name}={value}" for name, value in backbone["options"])
    return {
        "built around": f"timm's `{backbone['name']}`" + (f" with {options}" if options else ""),
        "class and register tokens": f"{backbone['num_prefix_tokens']}, which pass by the module",
    }


def _facts(facts: Mapping[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in facts.items()), ""]


def _metrics(metrics: Mapping[str, Any]) -> list[str]:
    values, tables = {}, []
    for name, value in _walk(metrics):
        if _is_rows(value):
            tables += [f"### {name}", "", *_rows(value)]
        else:
            values[name] = value
    return (_facts(values) if values else []) + tables


def _walk(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{prefix}{key} / ")
        else:
            yield f"{prefix}{key}", value


def _is_rows(value: object) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _rows(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return [
        f"| {' | '.join(columns)} |",
        "|" + "---|" * len(columns),
        *(f"| {' | '.join(_cell(row.get(column, '')) for column in columns)} |" for row in rows),
        "",
    ]


def _cell(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list | tuple):
        return _values(value)
    return str(value).replace("|", "\\|").replace("\n", " ")


def _values(values: Sequence[Any]) -> str:
    return ", ".join(_cell(value) for value in values)
