"""A dictionary for threads that forgets what was not used for longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Bounded(Generic[Key, Value]):
    """Keeps a bounded number of values, and of bytes if their size is told.

    Args:
        max_entries: At least 1.
        max_bytes: Most bytes of all values together; the newest value stays even if it is larger.
        size_of: Bytes that a value takes.
        on_drop: Called with each value that goes, inside the lock: it must be quick.
    """

    def __init__(
        self,
        max_entries: int,
        *,
        max_bytes: int = 0,
        size_of: Callable[[Value], int] = lambda value: 0,
        on_drop: Callable[[Value], None] = lambda value: None,
    ) -> None:
        if max_entries < 1:
            raise ValueError(f"max_entries must be at least 1, not {max_entries}")
        self._max_entries, self._max_bytes = max_entries, max_bytes
        self._size_of, self._on_drop = size_of, on_drop
        self._entries: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key) -> Value | None:
        """The value, which counts as used now; None if it is not there."""
        with self._lock:
            if key not in self._entries:
                return None
            self._entries.move_to_end(key)
            return self._entries[key]

    def put(self, key: Key, value: Value) -> None:
        """Keep a value in place of an earlier one."""
        with self._lock:
            self._entries[key] = value
            self._entries.move_to_end(key)
            while len(self._entries) > 1 and self._is_too_much():
                self._on_drop(self._entries.popitem(last=False)[1])

    def drop(self, which: Callable[[Key], bool]) -> None:
        """Forget the values whose keys are meant."""
        with self._lock:
            for key in [key for key in self._entries if which(key)]:
                self._on_drop(self._entries.pop(key))

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def used_bytes(self) -> int:
        """Bytes of all values."""
        with self._lock:
            return sum(map(self._size_of, self._entries.values()))

    def _is_too_much(self) -> bool:
        return len(self._entries) > self._max_entries or (
            sum(map(self._size_of, self._entries.values())) > self._max_bytes
        )
