"""Calling what may never return, in bounded time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class NoReturnError(TimeoutError):
    """A call has not returned in time; it goes on, on a thread that nobody waits for."""


def in_time(call: Callable[[], T], seconds: float) -> T:
    """Call something on a thread that may be left behind: a server that accepts and then says nothing holds it for ever."""
    returned: list[T] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            returned.append(call())
        except BaseException as error:  # noqa: BLE001 - raised by the thread that waits
            failures.append(error)

    thread = threading.Thread(target=run, name="pico-celery-in-time", daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not returned:
        raise NoReturnError(f"no answer within {seconds:g} s")
    return returned[0]
