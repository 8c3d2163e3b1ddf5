"""Pretrained weights of timm from the Hugging Face hub: seen from afar, fetched with progress, stopped when wished."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlparse

from tqdm.std import tqdm

from tokenlearner.errors import CheckpointError

CONTACT: Final = "Without a network, give a safetensors file of timm's weights, or build it with random weights."
FetchProgress = Callable[[int, int | None], None]
"""Called with the bytes that have come and those in all, None if nobody knows; an error that it raises ends it."""

_TIMEOUT_S: Final = 4.0
_PROXIES: Final = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def fetch(repository: str, name: str, filename: str | None = None, progress: FetchProgress | None = None) -> None:
    """Bring a file of weights into the hub's cache, where timm looks for it first.

    A repository without that file is left to timm, which knows other formats.

    Args:
        repository: As timm's `hf_hub_id`, with "@" and a revision behind it or not.
        name: Of the network, for messages.
        filename: Of the weights; None for the usual one.
        progress: Told how far it is.

    Raises:
        CheckpointError: If the hub cannot be reached; said at once, where its client would try for most of a minute.
    """
    from huggingface_hub import hf_hub_download, try_to_load_from_cache
    from huggingface_hub.errors import EntryNotFoundError

    repo_id, _, revision = repository.partition("@")
    filename = filename or "model.safetensors"
    if isinstance(try_to_load_from_cache(repo_id, filename, revision=revision or None), str):
        return
    _require_hub(name)
    bar = _bar(progress) if progress is not None else None
    try:
        hf_hub_download(repo_id, filename, revision=revision or None, tqdm_class=bar)
    except EntryNotFoundError:
        return


def _bar(progress: FetchProgress) -> type[tqdm[Any]]:
    """A progress bar that draws nothing and passes on what it is told."""

    class Bar(tqdm):  # type: ignore[misc]  # tqdm comes without types
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})
            progress(int(self.n), self._whole)

        @property
        def _whole(self) -> int | None:
            return int(self.total) if self.total else None

        def update(self, n: int | float | None = 1) -> None:
            self.n += n or 0
            progress(int(self.n), self._whole)

    return Bar


def _require_hub(name: str) -> None:
    from huggingface_hub import constants

    if any(os.environ.get(variable) for variable in _PROXIES):
        return  # a proxy answers for the hub: nothing to see from here
    address = urlparse(constants.ENDPOINT)
    port = address.port or (80 if address.scheme == "http" else 443)
    try:
        socket.create_connection((address.hostname or "", port), _TIMEOUT_S).close()
    except OSError as error:
        raise CheckpointError(
            f'The pretrained weights of "{name}" are not on this machine, and {address.hostname} cannot be reached. '
            f"{CONTACT}"
        ) from error
