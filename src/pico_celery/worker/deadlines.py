"""The deadline of an execution: taken from its message, kept by its coroutine, handed on to what its body sends."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pico_celery.errors import DeadlineExceeded
from pico_celery.messaging.deadline import (
    DEADLINE_HEADER,
    TIMEOUT_HEADER,
    current_deadline,
    inherit,
    read_deadline,
    seconds_until,
    start_timeout,
)


class DeadlineCancelled(DeadlineExceeded, asyncio.CancelledError):
    """A deadline inside a coroutine.

    It is a `CancelledError` too, so that ``gather``, ``timeout`` and ``TaskGroup`` clean up after it.
    """

    def __repr__(self) -> str:
        """Return what the error looks like outside."""
        return f"{DeadlineExceeded.__name__}({self.message!r})"


@dataclass(slots=True)
class RunDeadline:
    """When a coroutine has to have ended."""

    at: datetime  # the deadline
    error: DeadlineExceeded  # what its task fails with then
    grace_seconds: float  # how long it may take to clean up
    passed: bool = False  # whether it was interrupted at it

    @property
    def seconds_left(self) -> float:
        """How much time is left, at least none."""
        return max(0.0, seconds_until(self.at))


def deadline_of(request: Any) -> datetime | None:
    """Return the deadline of a request."""
    value = getattr(request, DEADLINE_HEADER, None)
    if value is None and isinstance(request.headers, Mapping):
        value = request.headers.get(DEADLINE_HEADER)
    return read_deadline(value)


def start_in_time(task: str, request: Any, grace_seconds: float) -> RunDeadline | None:
    """Return the deadline of an execution that is about to start."""
    _settle(request)
    deadline = deadline_of(request)
    if deadline is None:
        return None
    task_id = request.id or ""
    if seconds_until(deadline) <= 0:
        raise DeadlineExceeded.of(task, task_id, deadline, "unstarted")
    return RunDeadline(deadline, DeadlineExceeded.of(task, task_id, deadline, "running"), grace_seconds)


def _settle(request: Any) -> None:
    """Make a deadline of what nobody has made one of before; retries keep it.

    A step that a plain Celery process has sent has its timeout from now, which is what is known. A workflow in eager mode
    calls its steps without sending them.
    """
    inherited = current_deadline() if request.is_eager else None
    custom = dict(request.headers) if isinstance(request.headers, Mapping) else {}
    own = {name: getattr(request, name, None) for name in (TIMEOUT_HEADER, DEADLINE_HEADER)}
    custom.update({name: value for name, value in own.items() if value is not None})
    if TIMEOUT_HEADER not in custom and inherited is None:
        return
    start_timeout(custom)
    if inherited is not None:
        inherit(custom, inherited)
    setattr(request, TIMEOUT_HEADER, None)
    setattr(request, DEADLINE_HEADER, custom.get(DEADLINE_HEADER))
    request.headers = custom
