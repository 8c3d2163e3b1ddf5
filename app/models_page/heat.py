"""Tables as HTML: a heat table over tokens and places, and how tokens look at objects. No Streamlit."""

from __future__ import annotations

import html
from collections.abc import Sequence

from app.models_page.facts import Looking, Measure, Setting
from app.text import operations, percent, place_name
from tokenlearner import flops
from tokenlearner.config import ModelConfig
from tokenlearner.errors import ConfigError


def heat_table(measure: Measure, config: ModelConfig) -> str:
    """One row a place, one column a number of tokens; the deeper the blue, the better (or, undecided, the more).

    Below each figure stands what the setting costs, in the unit that `cost_unit` names. The plain network, which has
    no tokens, fills a row of its own.
    """
    values = measure.values
    counts = sorted({k for loc, k in values if loc is not None})
    places = sorted({loc for loc, _ in values if loc is not None})
    low, high = min(values.values()), max(values.values())

    def cell(setting: Setting, span: int = 1) -> str:
        value = values.get(setting)
        if value is None:
            return f'<td colspan="{span}" class="none">–</td>'
        share = (value - low) / (high - low) if high > low else 1.0
        depth = 1 - share if measure.good_high is False else share
        own = ' data-own="yes"' if setting[0] == config.default_loc and setting[1] == (config.num_tokens or 0) else ""
        return (
            f'<td colspan="{span}" style="--depth:{depth:.3f}"{own}>'
            f"{html.escape(measure.text(value))}<small>{_cost(config, setting)}</small></td>"
        )

    head = "".join(f"<th scope='col'>{k}</th>" for k in counts)
    lines = [
        f"<tr><th scope='row'>{html.escape(place_name(loc, config))}</th>{''.join(cell((loc, k)) for k in counts)}</tr>"
        for loc in places
    ]
    if (None, 0) in values:
        lines.append(f"<tr><th scope='row'>plain ViT</th>{cell((None, 0), max(1, len(counts)))}</tr>")
    top = (
        "<tr><th scope='col' rowspan='2'>place of the module</th>"
        f"<th scope='colgroup' colspan='{max(1, len(counts))}'>tokens</th></tr><tr>{head}</tr>"
    )
    caption = f"{html.escape(measure.name)} by place (rows) and number of tokens (columns)"
    return (
        f'<div class="heat-scroll"><table class="heat"><caption>{caption}</caption>'
        f"<thead>{top}</thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def looking_table(tests: Sequence[Looking]) -> str:
    """One row a test: the kept token's share of attention on the object, beside four maps that know nothing of it."""
    names = ("best token", "middle", "own mean map", "random weights", "uniform")
    head = "".join(f"<th scope='col'>{name}</th>" for name in names)
    rows = []
    for one in tests:
        values = (one.share, one.centre, one.fixed, one.random, one.uniform)
        largest = max((value for value in values if value is not None), default=0.0)
        cells = "".join(
            "<td class='none'>–</td>"
            if value is None
            else f"<td{' data-best=yes' if value == largest else ''}>{html.escape(percent(value))}</td>"
            for value in values
        )
        count = f"{one.pictures} pictures" if "clip" not in one.test else f"{one.pictures} frames"
        rows.append(f"<tr><th scope='row'>{html.escape(one.test)} <small>{count}</small></th>{cells}</tr>")
    return (
        '<div class="heat-scroll"><table class="heat looking"><thead><tr><th scope="col">shown</th>'
        f"{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def fact_table(facts: dict[str, str]) -> str:
    """Pairs of words, one a row."""
    rows = "".join(f"<dt>{html.escape(name)}</dt><dd>{html.escape(value)}</dd>" for name, value in facts.items())
    return f'<dl class="facts">{rows}</dl>'


def cost_unit(config: ModelConfig) -> str:
    """Unit of the small figures: the one in which the plain network is counted."""
    return operations(flops.baseline(config).total_macs, "MACs")[1]


def _cost(config: ModelConfig, setting: Setting) -> str:
    try:
        macs = flops.compute(config, loc=setting[0], num_tokens=setting[1] or None).total_macs
    except ConfigError:
        return "–"  # a setting that this network does not have
    return operations(macs, "MACs", flops.baseline(config).total_macs)[0]
