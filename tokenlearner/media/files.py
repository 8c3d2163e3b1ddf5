"""Files in and out: checks before reading, a digest, and writing that leaves a whole file or none."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from tokenlearner.errors import MediaError, MediaLimitError
from tokenlearner.media.limits import MediaLimits


def content_sha256(path: str | os.PathLike[str]) -> str:
    """Hex SHA-256 of a file's bytes.

    Raises:
        MediaError: If the file cannot be read.
    """
    with open_binary(Path(path), Path(path).name) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_binary(path: Path, name: str) -> io.BufferedReader:
    """Open a file for reading.

    Raises:
        MediaError: If that is not possible.
    """
    try:
        return open(path, "rb")
    except OSError as error:
        raise MediaError(f"{name} cannot be opened ({_reason(error)}).") from error


def open_for_ffmpeg(path: Path, name: str) -> io.FileIO:
    """Open a file to be read through FFmpeg, which keeps a buffer of its own.

    Raises:
        MediaError: If that is not possible.
    """
    try:
        return _ForgivingFile(path)
    except OSError as error:
        raise MediaError(f"{name} cannot be opened ({_reason(error)}).") from error


def check_file(path: Path, name: str, limits: MediaLimits) -> int:
    """Make sure that `path` is a file of acceptable size, and return its size in bytes.

    Raises:
        MediaError: If it is missing, empty, no regular file or not readable.
        MediaLimitError: If it is larger than `limits.max_file_bytes`.
    """
    if path.is_dir():
        raise MediaError(f"{name} is a folder. Choose one photo or video in it.")
    if not path.exists():
        raise MediaError(f"There is no file {name}. Check its name and folder.")
    if not path.is_file():
        raise MediaError(f"{name} is not an ordinary file. Choose a photo or a video file.")
    with open_binary(path, name) as file:
        size = os.fstat(file.fileno()).st_size
    if not size:
        raise MediaError(f"{name} is empty (0 bytes). Copy or upload it again.")
    if size > limits.max_file_bytes:
        raise MediaLimitError(
            f"{name} is {_in_units(size)} large; the limit is {_in_units(limits.max_file_bytes)}. "
            "Shorten or compress it first."
        )
    return size


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path` that takes its place when the block ends well.

    On an error the temporary file is removed and what stood at `path` stays as it was.

    Raises:
        MediaError: If the folder is missing or cannot be written to.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise MediaError(f"The folder {target.parent} does not exist, so {target.name} cannot be written there.")
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(6)}.part")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as error:
        raise MediaError(f"{target} cannot be written ({_reason(error)}).") from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


class _ForgivingFile(io.FileIO):
    """A file for FFmpeg: without a name, so that content alone decides what it is, and quiet.

    Damaged files make FFmpeg seek to nowhere, which need not be reported.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.name = ""

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Return -1, which FFmpeg understands, where Python would raise (and PyAV print) an error."""
        try:
            return super().seek(offset, whence)
        except OSError:
            return -1


def _reason(error: OSError) -> str:
    return (error.strerror or type(error).__name__).lower()


def _in_units(size: int) -> str:
    for unit, scale in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size} bytes"
