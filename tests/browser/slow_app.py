"""The app with a network that takes its time, for tests of progress and Cancel."""

import os
import runpy
import time
from pathlib import Path
from typing import Any

from tokenlearner.engine.network import Network

SECONDS_PER_BATCH = float(os.environ.get("SLOW_SECONDS_PER_BATCH", "0.5"))

if not hasattr(Network, "quick_full"):
    Network.quick_full = Network.full  # type: ignore[attr-defined]

    def slow_full(self: Network, rgb: Any, choice: Any, **options: Any) -> Any:
        if len(rgb) > 1:
            time.sleep(SECONDS_PER_BATCH)
        return Network.quick_full(self, rgb, choice, **options)  # type: ignore[attr-defined]

    Network.full = slow_full  # type: ignore[method-assign]

runpy.run_path(str(Path(__file__).parents[2] / "streamlit_app.py"), run_name="__main__")
