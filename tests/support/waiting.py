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
