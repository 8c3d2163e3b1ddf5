"""How much tokens repeat one another, and how many are needed, as HTML: pure functions, no Streamlit."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from app.charts import CountUnit
from app.text import operations, percent
from tokenlearner.analysis.needed import NeededTokens
from tokenlearner.palette import hex_color, text_color_on, token_color, token_name, token_number


def chip(token: int, role: str = "") -> str:
    """A token's number on its colour.

    Args:
        token: Its index.
        role: What it is in a table, for who does not see it.
    """
    color = token_color(token)
    ink = hex_color(text_color_on(color))
    part = f' role="{role}"' if role else ""
    return f'<b class="token"{part} style="background:{hex_color(color)};color:{ink}">{token_number(token)}</b>'


def matrix(redundancy: Float[np.ndarray, "tokens tokens"]) -> str:
    """Overlap of every two tokens: the darker, the more alike their maps."""
    count = len(redundancy)
    head = "".join(["<span></span>", *(chip(token, "columnheader") for token in range(count))])
    rows = [f'<div role="row">{head}</div>']
    for row in range(count):
        cells = [chip(row, "rowheader")]
        for column in range(count):
            value = float(redundancy[row, column])
            words = f"{token_name(row)} and {token_name(column)}: {value:.2f}"
            shown = "" if row == column else f"{100 * value:.0f}"
            strong = " strong" if value > 0.55 else ""
            style = f"--share:{value:.3f}"
            cells.append(f'<i class="cell{strong}" role="cell" style="{style}" title="{words}">{shown}</i>')
        rows.append(f'<div role="row">{"".join(cells)}</div>')
    label = f"Overlap of {count} tokens with one another, in hundredths"
    return f'<div class="overlap" role="table" aria-label="{label}" style="--count:{count}">{"".join(rows)}</div>'


def needed_bars(found: NeededTokens, unit: CountUnit) -> str:
    """Every number of tokens tried: how many answers stay, and what it costs."""
    factor = 2 if unit == "FLOPs" else 1
    rows = []
    for one in found.tried:
        cost = " ".join(operations(factor * one.total_macs, unit, factor * found.baseline_macs))
        stays = one.agreement
        chosen = ' class="chosen"' if one.num_tokens == found.needed else ""
        title = (
            f"{one.num_tokens} tokens: same top class on {percent(stays.top1)}, "
            f"{percent(stays.total_variation)} of the probability moves, {cost}"
        )
        rows.append(
            f'<div{chosen} title="{title}"><span>{one.num_tokens}</span>'
            f'<i><b style="width:{100 * stays.top1:.2f}%"></b></i>'
            f"<span>{percent(stays.top1)}</span><span>{percent(stays.total_variation)}</span><span>{cost}</span></div>"
        )
    head = "<div><span>tokens</span><span>same top class</span><span></span><span>moves</span><span>cost</span></div>"
    return f'<div class="needed">{head}{"".join(rows)}</div>'
