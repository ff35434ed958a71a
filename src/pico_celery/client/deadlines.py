"""Deadlines of workflows, whose steps are sent later, and of every message that the body of a task sends."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeVar

from celery.signals import before_task_publish

from pico_celery.messaging.deadline import (
    DEADLINE_HEADER,
    TIMEOUT_HEADER,
    current_deadline,
    deadline_in,
    inherit,
    seconds_of,
    seconds_until,
    set_current_deadline,
    start_timeout,
    with_deadline,
)

T = TypeVar("T")

GRACE_SECONDS: Final = 0.5
"""How long a client waits beyond a deadline, so that what the worker says of it arrives."""
_NOT_GIVEN: Final[Any] = object()
_OF_A_CALL: Final = frozenset({"timeout", "idempotency_key", "idempotency_ttl"})


def patience_seconds(deadline: datetime | None, timeout: float | None) -> float | None:
    """Return how long to wait for a result."""
    if deadline is None:
        return timeout
    left = max(0.0, seconds_until(deadline)) + GRACE_SECONDS
    return left if timeout is None else min(timeout, left)


def defer_timeout(options: Mapping[str, Any]) -> dict[str, object]:
    """Return options of a step of a workflow, which is sent later and perhaps by a worker that knows no ``timeout``."""
    deferred = {name: value for name, value in options.items() if name not in _OF_A_CALL}
    timeout = options.get("timeout", _NOT_GIVEN)
    if timeout is not _NOT_GIVEN:
        seconds = None if timeout is None else seconds_of(timeout)
        deferred["headers"] = {**(deferred.get("headers") or {}), TIMEOUT_HEADER: seconds}
    return deferred


def resume_timeout(options: Mapping[str, Any]) -> dict[str, object]:
    """Return options of a step that is sent as a call of its own, with the ``timeout`` that `defer_timeout` put away."""
    headers = options.get("headers") or {}
    if TIMEOUT_HEADER not in headers:
        return dict(options)
    rest = {name: value for name, value in headers.items() if name != TIMEOUT_HEADER}
    return {"timeout": headers[TIMEOUT_HEADER], **options, "headers": rest}


def run_within(deadline: datetime | None, call: Callable[[], T]) -> tuple[T, Deadlines]:
    """Call something whose messages inherit a deadline, as those that a task sends inherit the task's."""
    deadlines = Deadlines(deadline)
    context = contextvars.copy_context()
    set_current_deadline(context, deadline)
    context.run(_sent.set, deadlines.sent)
    return context.run(call), deadlines


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The deadlines of a workflow that has been sent."""

    whole: datetime | None
    """That of the workflow."""
    sent: dict[str, datetime | None] = field(default_factory=dict)
    """Those of the messages that have been sent, by task id; the others are sent by workers, later."""

    def give_to(self, result: Any) -> None:  # noqa: ANN401 - a result of any kind that Celery has
        """Give results the deadlines of their calls."""
        while result is not None:
            for member in getattr(result, "results", None) or ():
                self.give_to(member)
            if not hasattr(result, "results"):
                result.deadline = self.sent.get(result.id, self.whole)
            result = result.parent


_sent: Final[contextvars.ContextVar[dict[str, datetime | None] | None]] = contextvars.ContextVar(
    "pico_celery_sent_deadlines", default=None
)


def hand_on_deadlines() -> None:
    """Let every message that the body of a task sends inherit its deadline: calls, ``delay()``, canvas, plain tasks.

    A step of a workflow gets the deadline that its own timeout gives it.
    """
    before_task_publish.connect(_hand_on, weak=False, dispatch_uid="pico-celery-deadline")


def _hand_on(headers: object, body: object, **_: object) -> None:
    embed = body[-1] if isinstance(body, tuple) else body  # as the two protocols of Celery have it
    if not isinstance(headers, dict) or not isinstance(embed, dict):
        return
    start_timeout(headers)
    deadline, sent = current_deadline(), _sent.get()
    # A call with a timeout of None is none of the body's work, nor is what comes after it; a step says it of itself alone.
    is_detached = sent is None and headers.get(DEADLINE_HEADER, deadline) is None
    if deadline is not None and not is_detached:
        inherit(headers, deadline)
        for name in ("chain", "callbacks"):
            if embed.get(name):
                embed[name] = [with_deadline(signature, deadline) for signature in embed[name]]
        if embed.get("chord"):
            embed["chord"] = with_deadline(embed["chord"], deadline)
    if sent is not None:
        sent[headers.get("id") or embed.get("id") or ""] = deadline_in(headers)
