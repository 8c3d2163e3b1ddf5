"""The app with a network that takes its time, for tests of progress, parts and Cancel.

While the file of the environment's `SLOW_GATE` is there, no more batches run than the number in it.
"""

import os
import runpy
import time
from pathlib import Path
from typing import Any

from tokenlearner.engine.network import Network

SECONDS_PER_BATCH = 0.5
GATED_SECONDS_PER_BATCH = 1.0
"""So long that a part is worth a look after two batches, and that the rest is not near."""

if not hasattr(Network, "quick_full"):
    Network.quick_full = Network.full  # type: ignore[attr-defined]
    gate = Path(os.environ["SLOW_GATE"]) if "SLOW_GATE" in os.environ else None
    passed = [0]

    def allowed() -> int | None:
        try:
            return int(gate.read_text()) if gate is not None else None
        except FileNotFoundError:
            passed[0] = 0
            return None

    def wait() -> None:
        if gate is None:
            time.sleep(SECONDS_PER_BATCH)
            return
        while (most := allowed()) is not None and passed[0] >= most:
            time.sleep(0.05)
        if most is not None:
            passed[0] += 1
            time.sleep(GATED_SECONDS_PER_BATCH)

    def slow_full(self: Network, rgb: Any, choice: Any, **options: Any) -> Any:
        if len(rgb) > 1:
            wait()
        return Network.quick_full(self, rgb, choice, **options)  # type: ignore[attr-defined]

    Network.full = slow_full  # type: ignore[method-assign]

runpy.run_path(str(Path(__file__).parents[2] / "streamlit_app.py"), run_name="__main__")
