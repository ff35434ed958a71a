"""The deadline of a call: a header on the wire, a context variable where its task runs, and who inherits it.

On the wire it is a text, ISO 8601 in UTC, as Celery writes ``eta`` and ``expires``: people read it in Flower and in the
broker's console, and any language does. It is a point in time, so a message that waits, is retried or is delivered again
has no more time for it.
"""

from __future__ import annotations

import contextvars
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

DEADLINE_HEADER: Final = "pico_deadline"
TIMEOUT_HEADER: Final = "pico_timeout"
"""Seconds that a step of a workflow has from when it is sent; whoever sends it makes a deadline of it.

``None`` says that it has no deadline and inherits none.
"""

_current: Final[contextvars.ContextVar[datetime | None]] = contextvars.ContextVar("pico_celery_deadline", default=None)


def current_deadline() -> datetime | None:
    """Return the deadline of the task whose body this context belongs to, if there is one."""
    return _current.get()


def set_current_deadline(context: contextvars.Context, deadline: datetime | None) -> None:
    """Let what runs in a context, and in its copies, inherit a deadline."""
    context.run(_current.set, deadline)


def write_deadline(deadline: datetime | None) -> str | None:
    """Return a deadline as it stands in a header."""
    return None if deadline is None else deadline.astimezone(UTC).isoformat()


def read_deadline(value: object) -> datetime | None:
    """Return the deadline that a header says."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise ValueError(f"expected str, got {type(value).__name__}")  # noqa: TRY004 - one error for all that is no time
    read = datetime.fromisoformat(value)
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def deadline_in(headers: Mapping[str, object]) -> datetime | None:
    """Return the deadline that headers say, or ``None`` where they say none that can be read."""
    try:
        return read_deadline(headers.get(DEADLINE_HEADER))
    except ValueError:
        return None


def seconds_of(duration: float | timedelta) -> float:
    """Return a duration in seconds."""
    return duration.total_seconds() if isinstance(duration, timedelta) else duration


def seconds_until(deadline: datetime) -> float:
    """Return how many seconds are left until a deadline; less than none where it has passed."""
    return (deadline - datetime.now(UTC)).total_seconds()


def after(seconds: float) -> datetime:
    """Return the time that comes so many seconds from now, or the last there is where that is too far away."""
    try:
        return datetime.now(UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)


def inherit(headers: dict[str, Any], deadline: datetime) -> None:
    """Let a message have no later deadline than the task that sends it."""
    if headers.get(TIMEOUT_HEADER, deadline) is None:
        return
    if DEADLINE_HEADER in headers:
        try:
            own = read_deadline(headers[DEADLINE_HEADER])
        except ValueError:
            return  # the worker refuses the message, and says why
        if own is None or own <= deadline:
            return
    headers[DEADLINE_HEADER] = write_deadline(deadline)


def start_timeout(headers: dict[str, object]) -> None:
    """Make a deadline of the seconds that a step of a workflow has, now that it is sent."""
    if TIMEOUT_HEADER not in headers:
        return
    seconds = headers.pop(TIMEOUT_HEADER)
    if seconds is None:
        headers[DEADLINE_HEADER] = None
    elif isinstance(seconds, (int, float)) and not isinstance(seconds, bool):
        inherit(headers, after(seconds))


def with_deadline(signature: object, deadline: datetime) -> object:
    """Return a signature in which all that is yet to be sent inherits a deadline.

    What is sent when something fails (``link_error``) does not: it has to run after the deadline too.
    """
    if not isinstance(signature, Mapping) or "task" not in signature:
        return signature
    options = dict(signature.get("options") or {})
    headers = dict(options.get("headers") or {})
    inherit(headers, deadline)
    options["headers"] = headers
    for name in ("chain", "link", "chord"):
        if options.get(name):
            options[name] = _each(options[name], deadline)
    kwargs = dict(signature.get("kwargs") or {})
    if signature.get("subtask_type") in {"chain", "group", "chord"}:
        for name in ("tasks", "header", "body"):
            if name in kwargs:
                kwargs[name] = _each(kwargs[name], deadline)
    return {**signature, "options": options, "kwargs": kwargs}


def _each(value: object, deadline: datetime) -> object:
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [with_deadline(one, deadline) for one in value]
    return with_deadline(value, deadline)
