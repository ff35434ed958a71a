"""Celery's blocking calls on threads of this library, awaited by an event loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, ParamSpec, TypeVar

from pico_celery.threads import DaemonThreads

T = TypeVar("T")
P = ParamSpec("P")
_MAX_THREADS: Final = 4

_threads: dict[int, DaemonThreads] = {}
_threads_lock = threading.Lock()


def _reset_after_fork() -> None:
    global _threads_lock  # noqa: PLW0603 - the lock may have been held by a thread that did not survive the fork
    _threads.clear()
    _threads_lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_after_fork)


def submit(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
    """Call something on a thread, in a copy of the caller's context.

    Args:
        function: What to call.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Returns:
        A future of its result.
    """
    future: Future[T] = Future()
    context = contextvars.copy_context()

    def call() -> None:
        if not future.set_running_or_notify_cancel():
            return
        try:
            future.set_result(context.run(function, *args, **kwargs))
        except BaseException as error:  # noqa: BLE001 - it belongs to who waits
            future.set_exception(error)

    with _threads_lock:
        threads = _threads.get(os.getpid())
        if threads is None:
            threads = _threads[os.getpid()] = DaemonThreads("pico-celery-io", _MAX_THREADS)
    threads.submit(call)
    return future


async def offload(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call something on a thread and wait for it without blocking the event loop.

    A cancelled wait leaves a call that has begun to itself.

    Args:
        function: What to call.
        *args: Its positional arguments.
        **kwargs: Its keyword arguments.

    Returns:
        What it returned.

    Raises:
        Exception: What it raised.
    """
    return await asyncio.wrap_future(submit(function, *args, **kwargs))
