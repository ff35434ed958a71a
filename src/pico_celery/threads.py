"""Daemon threads that are made as they are needed.

A `concurrent.futures.ThreadPoolExecutor` joins its threads when the interpreter exits, so that one blocking task keeps a
worker from ending at all.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")
_logger = logging.getLogger(__name__)


class DaemonThreads:
    """A bounded number of daemon threads that call what they are given, in its order."""

    def __init__(self, name: str, limit: int, prepare: Callable[[], None] | None = None) -> None:
        self._prepare = prepare
        self._name = name
        self._limit = limit
        self._calls: deque[Callable[[], None]] = deque()
        self._changed = threading.Condition()
        self._idle = 0
        self._threads = 0
        self._stopped = False

    def __len__(self) -> int:
        """Return how many threads there are."""
        return self._threads

    def submit(self, call: Callable[[], None]) -> None:
        """Call something on a thread, soon."""
        with self._changed:
            self._calls.append(call)
            # Each idle thread takes one call: those that were woken and have not come yet are counted as idle still.
            if self._idle >= len(self._calls) or self._threads >= self._limit:
                self._changed.notify()
                return
            self._threads += 1
            number = self._threads
        try:
            threading.Thread(target=self._serve, name=f"{self._name}-{number}", daemon=True).start()
        except BaseException:  # there may be too many threads in the process for the moment
            with self._changed:
                self._threads -= 1
                if call in self._calls:
                    self._calls.remove(call)
            raise

    def future_of(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call something on a thread, soon, and keep what comes of it."""
        future: Future[T] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it belongs to who waits
                future.set_exception(error)

        self.submit(call)
        return future

    def stop(self) -> None:
        """Let every thread end after what it does now."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _serve(self) -> None:
        if self._prepare is not None:
            self._prepare()
        while (call := self._next()) is not None:
            try:
                call()
            except BaseException:  # a thread of the pool outlives what it runs
                _logger.exception("%r failed", call)
            del call  # or an idle thread keeps the last task's arguments alive

    def _next(self) -> Callable[[], None] | None:
        with self._changed:
            self._idle += 1
            while not self._calls and not self._stopped:
                self._changed.wait()
            self._idle -= 1
            if self._calls:
                return self._calls.popleft()
            self._threads -= 1
            return None


_MAX_THREADS: Final = 4

_threads = DaemonThreads("pico-celery-io", _MAX_THREADS)


def _reset_after_fork() -> None:
    global _threads  # noqa: PLW0603 - no thread survives a fork
    _threads = DaemonThreads("pico-celery-io", _MAX_THREADS)


os.register_at_fork(after_in_child=_reset_after_fork)


def submit(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Call something on a thread, in a copy of the caller's context."""
    context = contextvars.copy_context()
    return _threads.future_of(lambda: context.run(function, *args, **kwargs))


async def offload(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something on a thread and wait for it without blocking the event loop.

    A cancelled wait leaves a call that has begun to itself.
    """
    return await asyncio.wrap_future(submit(function, *args, **kwargs))
