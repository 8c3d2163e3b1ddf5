"""Small analyses with the clips that the browser plays, for the tests of what is taken away."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import torch

from app.clips import BrowserClip, ClipRecorder
from tests.engine_cases import pictures, tiny_model, write_clip, write_photo
from tokenlearner.engine import Analysis, ComputeDevice, Engine

CPU = ComputeDevice(torch.device("cpu"), None, "test CPU")
NASTY = '"><img src=x onerror=alert(1)>$name</script><script>alert(2)</script>\u2028.mp4'
FRAMES, FRAME_HW = 24, (90, 160)


@functools.cache
def analysed(kind: str = "video", *, name: str = "my clip.mp4", trained: bool = True) -> tuple[Analysis, BrowserClip]:
    """A moving disc (or one picture of it) as a tiny network sees it, and the clip of it."""
    engine = Engine(tiny_model(trained=trained), device=CPU)
    with tempfile.TemporaryDirectory() as folder, ClipRecorder() as recorder:
        if kind == "video":
            path = write_clip(Path(folder) / "clip.mp4", pictures(FRAMES, FRAME_HW))
        else:
            path = write_photo(Path(folder) / "photo.png", FRAME_HW)
        return engine.analyze(path, name=name, on_frame=recorder.add), recorder.finish()
