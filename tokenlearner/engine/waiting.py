"""Waiting for work in another thread, while this one still heeds Cancel and lets others use the device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final, TypeVar

from tokenlearner.errors import Cancelled

POLL_S: Final = 0.05
"""How soon a waiting thread notices that there is something to do."""

Result = TypeVar("Result")


def raise_if_set(cancel: threading.Event | None) -> None:
    """Stop here if the caller asked to.

    Raises:
        Cancelled: If `cancel` is set.
    """
    if cancel is not None and cancel.is_set():
        raise Cancelled("The analysis was stopped.")


def aside(
    work: Callable[[], Result],
    *,
    stop: threading.Event,
    cancel: threading.Event | None,
    idle: Callable[[], None],
) -> Result:
    """Do a piece of work in a thread of its own, and wait for it.

    Args:
        work: Called in that thread, which has ended when this function does.
        stop: Set if this function shall end before the work has, which must heed it.
        cancel: Set by the caller to stop.
        idle: Called in this thread again and again meanwhile.

    Raises:
        Cancelled: If the caller asked to stop.
        Exception: Whatever `work` or `idle` raised.
    """
    with ThreadPoolExecutor(1, "tokenlearner-aside") as executor:
        future = executor.submit(work)
        try:
            while not wait([future], POLL_S).done:
                raise_if_set(cancel)
                idle()
        except BaseException:
            stop.set()
            raise
        return future.result()
