"""The folder of a training run: its state, for going on, and its history, one line a measurement."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import torch

STATE: Final = "state.pt"


def save_run(run_dir: Path, state: Mapping[str, Any], history: Sequence[Mapping[str, Any]]) -> None:
    """Write `state.pt`, which is never seen half written, and `history.jsonl`.

    Args:
        run_dir: The run's folder; it exists.
        state: What the run needs to go on; the history is added to it as JSON, under "history".
        history: What was measured so far.
    """
    partial = run_dir / f"{STATE}.partial"
    torch.save({**state, "history": json.dumps(history)}, partial)
    os.replace(partial, run_dir / STATE)
    lines = "".join(json.dumps(record) + "\n" for record in history)
    (run_dir / "history.jsonl").write_text(lines, encoding="utf-8")
