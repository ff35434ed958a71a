"""A call that lives no longer than the code that waits for it: what has not ended when a scope is left is revoked."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import threading
from concurrent.futures import Future, wait
from dataclasses import replace
from time import monotonic
from types import TracebackType
from typing import Any, Final, Generic, TypeVar

from celery import Celery

from pico_celery.client.publishing.prepare import PreparedCall
from pico_celery.client.publishing.publish import publish_in_background, published
from pico_celery.client.publishing.runtime import runtime_of
from pico_celery.client.results.async_result import AsyncResult
from pico_celery.errors import DeadlineExceeded, ExecutionError, Fault, ResultError
from pico_celery.threads import submit

R_co = TypeVar("R_co", covariant=True)
REVOKE_SECONDS: Final = 2.0
"""How long leaving a scope, and the end of the process, wait for a revocation to be published."""
_logger = logging.getLogger(__name__)


class CallScope(Generic[R_co]):
    """``async with client.place.scope(order) as result``: the task is revoked when the block is left before it has ended.

    It is entered once. Entering publishes the call without blocking the event loop.

    Args:
        app: The application.
        prepared: The call.
    """

    def __init__(self, app: Celery, prepared: PreparedCall) -> None:
        self._app = app
        # With an id known beforehand, a call can be revoked of which it is not known yet whether it was sent.
        self._id: str = prepared.options.get("task_id") or runtime_of(app).ids.new()
        self._outgoing = replace(prepared, options={**prepared.options, "task_id": self._id})
        self._entered = False
        self._result: AsyncResult[R_co] | None = None

    async def __aenter__(self) -> AsyncResult[R_co]:
        """Publish the call.

        Returns:
            The typed result to be.

        Raises:
            ResultError: If no result will be stored, so that nobody could know whether the task has ended.
            ExecutionError: If the scope was entered before.
            DeadlineExceeded: If the broker has not taken the call by its deadline.
            kombu.exceptions.OperationalError: If the broker cannot be reached.
        """
        _check_is_kept(self._app, self._outgoing)
        if self._entered:
            label = f"{self._outgoing.definition.name}[{self._id}]"
            raise ExecutionError(f"the scope of {label} was entered before, and its call sent: make another scope")
        self._entered = True
        sending: Future[AsyncResult[R_co]] = publish_in_background(self._app, self._outgoing)
        try:
            name, deadline = self._outgoing.definition.name, self._outgoing.deadline
            self._result = result = await published(sending, name, deadline)
        except (asyncio.CancelledError, DeadlineExceeded):
            sending.cancel()
            # Either it was withdrawn before it began, or it goes on, and may be with the broker before or after this.
            sending.add_done_callback(self._revoke_if_sent)
            _keep(sending)
            raise
        return result

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Revoke the task, unless it has ended; wait a moment until the broker has it."""
        result = self._result
        if result is None or result.on_ready.ready or self._is_anothers(result):
            return
        revoked = asyncio.wrap_future(revoke_soon(self._app, result.id))
        await asyncio.wait([revoked], timeout=REVOKE_SECONDS)  # which, cancelled itself, leaves what it waits for alone

    def _revoke_if_sent(self, sending: Future[AsyncResult[Any]]) -> None:
        if not sending.cancelled() and sending.exception() is None and not self._is_anothers(sending.result()):
            revoke_soon(self._app, self._id)

    def _is_anothers(self, result: AsyncResult[object]) -> bool:
        # With an idempotency key it may be that of an earlier call, for which others wait.
        return result.id != self._id


def revoke_soon(app: Celery, task_id: str) -> Future[None]:
    """Revoke a task, and end it where it runs, on a thread of the library. The end of the process waits for it."""
    future = submit(_revoke, app, task_id)
    _keep(future)
    return future


def _revoke(app: Celery, task_id: str) -> None:
    try:
        app.control.revoke(task_id, terminate=True)
    except Exception:
        _logger.warning("could not revoke %s; it is still running", task_id, exc_info=True)


# What the end of the process waits for: revocations, and publishes that one may follow.
_pending: set[Future[Any]] = set()
_lock = threading.RLock()  # the garbage collector may close a scope, and so revoke, inside it


def _keep(future: Future[Any]) -> None:
    with _lock:
        _pending.add(future)
    future.add_done_callback(_forget)


def _forget(future: Future[object]) -> None:
    with _lock:
        _pending.discard(future)


def _reset_after_fork() -> None:
    global _lock  # noqa: PLW0603 - the lock may have been held by a thread that did not survive the fork
    _lock = threading.RLock()
    _pending.clear()


def _wait_for_pending() -> None:
    end = monotonic() + REVOKE_SECONDS
    while _pending and monotonic() < end:
        with _lock:
            pending = list(_pending)
        wait(pending, timeout=end - monotonic())


os.register_at_fork(after_in_child=_reset_after_fork)
atexit.register(_wait_for_pending)


def _check_is_kept(app: Celery, prepared: PreparedCall) -> None:
    ignored = prepared.options.get("ignore_result")
    if not ignored and (ignored is not None or not app.conf.task_ignore_result):
        return
    task = prepared.definition.name
    remedy = "send it without ignore_result, or without a scope"
    got = "a call whose result is not stored"
    fault = Fault(
        task=task,
        path="return",
        expected="a stored result, which says when the task ends",
        got=got,
        remedy=remedy,
        code="ignored",
    )
    raise ResultError.of(task, [fault])
