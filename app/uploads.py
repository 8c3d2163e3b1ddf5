"""Files that a visitor brings: at once on disk under a name of our own, known by their content, bounded, cleaned up."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import tempfile
import threading
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from app.text import display_name, seconds, size
from tokenlearner.errors import ConfigError, MediaError, MediaLimitError
from tokenlearner.media import MediaInfo, MediaLimits, probe

_CHUNK: Final = 1024**2
MAX_KEPT: Final = 12
"""Files of one visitor that stay on disk; the oldest makes room."""


def limits_from(environment: Mapping[str, str]) -> MediaLimits:
    """Bounds on what the app opens; a shared server takes less than the command line.

    Raises:
        ConfigError: If a variable holds no whole number from 1 on.
    """

    def whole(name: str, usual: int) -> int:
        text = environment.get(name, str(usual)).strip()
        if not (text.isascii() and text.isdigit() and int(text) > 0):
            raise ConfigError(f"{name} must be a whole number from 1 on, not “{text}”.")
        return int(text)

    return MediaLimits(
        max_file_bytes=10**6 * whole("TOKENLEARNER_MAX_FILE_MB", 200),
        max_frame_pixels=10**6 * whole("TOKENLEARNER_MAX_MEGAPIXELS", 50),
        max_duration_s=float(whole("TOKENLEARNER_MAX_VIDEO_S", 1800)),
        max_decode_s=float(whole("TOKENLEARNER_MAX_DECODE_S", 300)),
    )


APP_LIMITS: Final = limits_from(os.environ)
"""Those of this server."""


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A file that a visitor brought.

    Attributes:
        name: Its name as it is shown; never part of a path.
        path: Where it lies.
        info: What it holds.
    """

    name: str
    path: Path
    info: MediaInfo


class UploadFolder:
    """One visitor's files in a temporary folder of their own, removed with this object. Threads may share it.

    Args:
        limits: Bounds on each file.
        max_kept: Files kept; when one more comes, the one that was brought first goes.
    """

    def __init__(self, limits: MediaLimits = APP_LIMITS, *, max_kept: int = MAX_KEPT) -> None:
        self.limits = limits
        self._max_kept = max_kept
        self._folder = Path(tempfile.mkdtemp(prefix="tokenlearner-upload-"))
        weakref.finalize(self, shutil.rmtree, self._folder, True)
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def kept(self) -> tuple[Upload, ...]:
        """The files, the newest first."""
        with self._lock:
            return tuple(reversed(self._kept.values()))

    def add(self, file: BinaryIO, name: str) -> Upload:
        """Write a file to disk and find out what it holds. The same content again gives the same file.

        Args:
            file: Read once, in pieces, from where it stands.
            name: As its owner calls it.

        Raises:
            MediaError: If it is no photo or video that can be read, or cannot be stored; nothing is kept.
            MediaLimitError: If it is larger than the limits; nothing is kept.
        """
        name = display_name(name)
        partial = self._folder / f"{secrets.token_hex(8)}.part"
        try:
            sha256 = self._store(file, partial, name)
            path = self._folder / sha256
            info = probe(partial, self.limits, name=name)
            partial.replace(path)
        except OSError as error:
            why = (error.strerror or "it cannot be written").lower()
            raise MediaError(f"{name} could not be stored on the server: {why}.") from error
        finally:
            partial.unlink(missing_ok=True)
        upload = Upload(name=name, path=path, info=info)
        with self._lock:
            self._kept[sha256] = upload
            self._kept.move_to_end(sha256)
            while len(self._kept) > self._max_kept:
                _, oldest = self._kept.popitem(last=False)
                oldest.path.unlink(missing_ok=True)
        return upload

    def close(self) -> None:
        """Remove all files."""
        with self._lock:
            self._kept.clear()
            shutil.rmtree(self._folder, ignore_errors=True)

    def _store(self, file: BinaryIO, path: Path, name: str) -> str:
        digest, written = hashlib.sha256(), 0
        with path.open("wb") as target:
            while chunk := file.read(_CHUNK):
                written += len(chunk)
                if written > self.limits.max_file_bytes:
                    raise MediaLimitError(
                        f"{name} is larger than {size(self.limits.max_file_bytes)}, the limit here. "
                        "Shorten or compress it first."
                    )
                digest.update(chunk)
                target.write(chunk)
        return digest.hexdigest()


def describe_limits(limits: MediaLimits = APP_LIMITS) -> str:
    """The limits in one sentence, to be read before one hits them."""
    return (
        f"Up to {size(limits.max_file_bytes)} a file, {limits.max_frame_pixels / 1e6:.0f} megapixels a picture, "
        f"{seconds(limits.max_duration_s)} of a video at a time, and {seconds(limits.max_decode_s)} to read it."
    )
