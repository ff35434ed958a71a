"""Celery's blocking calls on threads of this library, awaited by an event loop that goes on meanwhile."""

from __future__ import annotations

import asyncio
import contextvars
import os
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, ParamSpec, TypeVar

from pico_celery.threads import DaemonThreads

T = TypeVar("T")
P = ParamSpec("P")
_MAX_THREADS: Final = 4

_threads = DaemonThreads("pico-celery-io", _MAX_THREADS)


def _reset_after_fork() -> None:
    global _threads  # noqa: PLW0603 - no thread survives a fork
    _threads = DaemonThreads("pico-celery-io", _MAX_THREADS)


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
    context = contextvars.copy_context()
    return _threads.future_of(lambda: context.run(function, *args, **kwargs))


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
