"""Make `celery.current_task` and ``task.request`` work inside a coroutine.

Celery keeps the running task and its request on stacks that belong to a thread or greenlet. A coroutine runs on the
loop's thread, beside others: here its stacks belong to its execution instead, by a context variable that child tasks and
`asyncio.to_thread` inherit.

The stacks' ``__ident_func__`` is what Celery offers for this (``celery.utils.threads.LocalStack``); `install` checks that it
works before the first task is registered.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future, wait
from datetime import datetime, timedelta
from time import monotonic
from typing import Any, Final, NoReturn, Protocol, Self, TypeVar

from celery import Signature, Task
from celery.app.task import Context
from celery.exceptions import Ignore, Retry
from celery.utils.threads import LocalStack, get_ident

from pico_celery.celery_port import Stack, request_stack, task_stack
from pico_celery.errors import ExecutionError

T = TypeVar("T")
AnyTask = Task[..., Any]
STORE_SECONDS: Final = 10.0


class Run(Protocol):
    """What an execution may know of its coroutine on the loop."""

    ended: bool
    interrupted: bool
    time_limits: tuple[timedelta | None, timedelta | None] | None


class Execution:
    """One execution of a task, as its coroutine sees it."""

    __slots__ = ("began", "deadline", "has_reported", "label", "pending", "request", "run", "task")

    def __init__(self, task: AnyTask, request: Context, label: str) -> None:
        self.task = task
        self.request = request
        self.label = label
        self.began = monotonic()
        self.deadline: datetime | None = None
        self.run: Run | None = None
        self.pending: list[Future[object]] = []
        self.has_reported = False

    def wait_for_stores(self) -> None:
        """Wait for stores of progress that were cancelled half-way, so that none comes after the result."""
        if self.pending:
            wait(tuple(self.pending), timeout=STORE_SECONDS)  # a copy: the loop takes out what is stored meanwhile


_execution: Final[contextvars.ContextVar[Execution | None]] = contextvars.ContextVar(
    "pico_celery_execution", default=None
)


def current_execution() -> Execution | None:
    """Return the execution that this context belongs to, if any."""
    return _execution.get()


def _ident() -> object:
    execution = _execution.get()
    return get_ident() if execution is None else execution


def install(task: AnyTask) -> None:
    """Let a task's request, and the current task, follow the execution."""
    for stack in (task_stack(), request_stack(task)):
        if getattr(stack, "__ident_func__", None) is not _ident:
            _check(stack)
            stack.__ident_func__ = _ident


async def run_as_current(execution: Execution, coroutine: Coroutine[Any, Any, T]) -> T:
    """Await a coroutine whose context, with all contexts copied from it, belongs to an execution."""
    token = _execution.set(execution)
    current_tasks, requests = task_stack(), execution.task.request_stack
    current_tasks.push(execution.task)
    requests.push(execution.request)
    try:
        return await coroutine
    finally:
        requests.pop()
        current_tasks.pop()
        _execution.reset(token)


def _check(stack: Stack) -> None:
    if not hasattr(type(stack), "__ident_func__"):
        raise ExecutionError(
            "this Celery keeps its current task in a way that coroutines cannot follow: "
            "unset USE_FAST_LOCALS, or install celery>=5.7,<5.8"
        )
    probe: Any = LocalStack()
    probe.__ident_func__ = _ident
    seen: list[object] = []
    context = contextvars.copy_context()
    nothing: Any = None
    context.run(_execution.set, Execution(nothing, nothing, ""))
    context.run(probe.push, "it")
    reader = threading.Thread(target=context.run, args=(lambda: seen.append(probe.top),))
    reader.start()
    reader.join()
    if seen != ["it"] or probe.top is not None:
        raise ExecutionError(
            "this Celery does not look its current task up by __ident_func__: install celery>=5.7,<5.8"
        )


class RetryRequested(Retry):
    """A retry that a body asked for; it is published when the body has ended."""

    options: Mapping[str, Any]

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """Build the request."""
        when = options.get("eta") or options.get("countdown")
        request = cls("the task asked for its retry", options.get("exc"), when)
        request.options = {name: value for name, value in options.items() if value is not None}
        return request

    def carry_out(self, task: AnyTask) -> NoReturn:
        """Publish the retry, and raise Celery's own."""
        raise task.retry(**self.options)


class ReplacementRequested(Ignore):
    """A replacement that a body asked for; it is published when the body has ended."""

    signature: Signature[Any]

    @classmethod
    def of(cls, signature: Signature[Any]) -> Self:
        """Build the request."""
        request = cls("the task asked for its replacement")
        request.signature = signature
        return request

    def carry_out(self, task: AnyTask) -> object:
        """Publish the replacement, and raise Celery's ``Ignore``; in eager mode, return the signature's result."""
        return task.replace(self.signature)
