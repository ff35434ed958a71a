"""Waiting for a condition instead of for a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
DEADLINE_SECONDS = 30.0
_POLL_SECONDS = 0.02


def eventually(condition: Callable[[], T], timeout_seconds: float = DEADLINE_SECONDS) -> T:
    """Return what the condition returns as soon as it is true, or at the deadline."""
    deadline = time.monotonic() + timeout_seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return found


def becomes(look: Callable[[], object], wanted: object, timeout_seconds: float = DEADLINE_SECONDS) -> None:
    """Wait until what is looked at equals a value; fail with what was seen last.

    Unlike ``assert eventually(look) == wanted`` it does not stop at the first true value, such as the first of two lines.
    """
    seen: list[object] = []

    def equals() -> bool:
        seen[:] = [look()]
        return bool(seen[0] == wanted)

    assert eventually(equals, timeout_seconds), f"still {seen[0]!r} after {timeout_seconds:g} s, expected {wanted!r}"
