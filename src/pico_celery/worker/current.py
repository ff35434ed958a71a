"""`celery.current_task` and ``task.request`` inside a coroutine.

Celery keeps the running task and its request on stacks that belong to a thread or greenlet. A coroutine runs on the
loop's thread, beside others: here its stacks belong to its execution instead, by a context variable that child tasks and
`asyncio.to_thread` inherit.

The stacks' ``__ident_func__`` is what Celery offers for this (``celery.utils.threads.LocalStack``); `install` checks that it
works before the first task is registered.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from celery import Task, _state
from celery.utils.threads import LocalStack, get_ident

from pico_celery.errors import ExecutionError

_task_stack: Any = _state._task_stack  # type: ignore[attr-defined]  # noqa: SLF001 - what celery.current_task reads
_execution: Final[contextvars.ContextVar[object | None]] = contextvars.ContextVar("pico_celery_execution", default=None)


def _ident() -> object:
    token = _execution.get()
    return get_ident() if token is None else token


def install(task: Task[..., Any]) -> None:
    """Let a task's request, and the current task, follow the execution.

    Args:
        task: A task that is bound to its application.

    Raises:
        ExecutionError: If this Celery keeps its stacks in another way (``USE_FAST_LOCALS`` is set, or a new release).
    """
    stacks: tuple[Any, ...] = (_task_stack, task.request_stack)
    for stack in stacks:
        if getattr(stack, "__ident_func__", None) is not _ident:
            _check(stack)
            stack.__ident_func__ = _ident


@contextmanager
def current(task: Task[..., Any], request: Any) -> Iterator[None]:
    """Make a task and its request the current ones of this context and all contexts copied from it.

    Args:
        task: The task.
        request: Its request.

    Yields:
        Nothing.
    """
    # One token for each execution: a background task that outlives it must not see the next one's request.
    token = _execution.set(object())
    _task_stack.push(task)
    task.request_stack.push(request)
    try:
        yield
    finally:
        task.request_stack.pop()
        _task_stack.pop()
        _execution.reset(token)


def _check(stack: Any) -> None:
    if not hasattr(type(stack), "__ident_func__"):
        raise ExecutionError(
            "this Celery keeps its current task in a way that coroutines cannot follow: "
            "unset USE_FAST_LOCALS, or install celery>=5.7,<5.8"
        )
    probe: Any = LocalStack()
    probe.__ident_func__ = _ident
    seen: list[Any] = []
    context = contextvars.copy_context()
    context.run(_execution.set, object())
    context.run(probe.push, "it")
    reader = threading.Thread(target=context.run, args=(lambda: seen.append(probe.top),))
    reader.start()
    reader.join()
    if seen != ["it"] or probe.top is not None:
        raise ExecutionError(
            "this Celery does not look its current task up by __ident_func__: install celery>=5.7,<5.8"
        )
