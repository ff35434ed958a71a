"""Run a coroutine on the event loop, from its start to its outcome, and interrupt it: limit, deadline, termination."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from celery.exceptions import SoftTimeLimitExceeded, TaskPredicate

from pico_celery.errors import DeadlineExceeded, ExecutionError
from pico_celery.messaging.deadline import seconds_until

T = TypeVar("T")
_logger = logging.getLogger(__name__)
Body = Coroutine[Any, Any, T]
_UNSET: Final = object()
_MAX_FRAMES: Final = 20


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

    at: datetime
    error: DeadlineExceeded  # what its task fails with then
    grace_seconds: float  # how long it may take to clean up
    passed: bool = False  # whether it was interrupted at it

    @property
    def seconds_left(self) -> float:
        """How much time is left, at least none."""
        return max(0.0, seconds_until(self.at))


class SoftTimeLimitCancelled(SoftTimeLimitExceeded, asyncio.CancelledError):
    """A soft time limit inside a coroutine.

    It is a `CancelledError` too, so that ``gather``, ``timeout`` and ``TaskGroup`` clean up after it.
    """

    def __repr__(self) -> str:
        """Return what Celery's own looks like."""
        return f"{SoftTimeLimitExceeded.__name__}({', '.join(map(repr, self.args))})"


Interruption = SoftTimeLimitCancelled | DeadlineCancelled


class _Interruptible(Generic[T]):
    """Awaits a coroutine and throws into it what interrupts it, in place of a cancellation."""

    def __init__(self, coroutine: Body[T]) -> None:
        self.coroutine = coroutine
        self.interruption: BaseException | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        send, value = True, None
        failure: BaseException | None = None
        while True:
            try:
                waited = self.coroutine.send(value) if send else self.coroutine.throw(failure)  # type: ignore[arg-type]
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                value, send = (yield waited), True
            except asyncio.CancelledError as cancelled:
                failure, send = self._reason(cancelled), False
            except BaseException as error:  # noqa: BLE001 - all of it belongs to the coroutine
                failure, send = error, False

    def _reason(self, cancelled: asyncio.CancelledError) -> BaseException:
        interruption, self.interruption = self.interruption, None
        if interruption is None:
            return cancelled
        current = asyncio.current_task()
        if current is not None:
            current.uncancel()
        return interruption


class CoroutineRun(Generic[T]):
    """One coroutine on the loop.

    `start`, `interrupt` and `abandon` are called on the loop's thread; `outcome` where ``on_end`` has been seen.
    """

    __slots__ = (
        "__weakref__",
        "_error",
        "_interruptible",
        "_make",
        "_result",
        "_task",
        "_timers",
        "context",
        "deadline",
        "ended",
        "interrupted",
        "name",
        "on_end",
        "time_limits",
    )

    def __init__(self, make: Callable[[], Body[T]], name: str) -> None:
        self.name = name
        self.context = contextvars.copy_context()
        self.on_end: Callable[[], None] = _nothing
        self.interrupted = False
        self.ended = False
        # Hard and soft, where the pool knows them; what the request says counts otherwise.
        self.time_limits: tuple[timedelta | None, timedelta | None] | None = None
        self.deadline: RunDeadline | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._make: Callable[[], Body[T]] = make
        self._interruptible: _Interruptible[T] | None = None
        self._task: asyncio.Task[None] | None = None
        self._result: Any = _UNSET
        self._error: BaseException | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the coroutine."""
        if self._task is not None or self.ended:
            return
        if self.interrupted:  # by a signal that came before
            self._end()
            return
        coroutine = self._run()
        try:
            self._task = task = loop.create_task(coroutine, name=self.name, context=self.context)
        except Exception as error:  # noqa: BLE001 - a task factory of the user's failed: that is the outcome
            coroutine.close()
            self._error = error
            self._end()
            return
        task.add_done_callback(lambda _: self._end())
        if self.deadline is not None:
            self._timers.append(loop.call_later(self.deadline.seconds_left, self._pass_deadline, loop, self.deadline))

    def interrupt(self, error: BaseException | None = None) -> None:
        """Cancel the coroutine, or throw something into it."""
        self.interrupted = True
        if self.ended or (self._task is not None and self._task.done()):
            return
        if self._interruptible is None:
            self._error = _outside(error) if isinstance(error, Interruption) else None
        else:
            self._interruptible.interruption = error
        if self._task is not None:
            self._task.cancel()

    def _pass_deadline(self, loop: asyncio.AbstractEventLoop, deadline: RunDeadline) -> None:
        if self.ended:
            return
        deadline.passed = True
        self.interrupt(DeadlineCancelled(deadline.error.message, deadline.error.data))
        self._timers.append(loop.call_later(deadline.grace_seconds, self.abandon))

    def abandon(self) -> None:
        """Stop waiting for a coroutine that does not end."""
        if self.ended:
            return
        task = self._task
        if task is not None and not task.done():
            _zombies.add(task)
            task.add_done_callback(_zombies.discard)
            _logger.error(
                "%s went on after its cancellation; its slot is free again, the coroutine still runs at:\n%s",
                self.name,
                _where(self._interruptible),
            )
        self._end()

    def outcome(self) -> T:
        """Return what the coroutine returned, or raise what it raised."""
        if self._error is not None:
            failure, self._error = self._error, None
            try:
                raise failure
            finally:
                del failure  # or the traceback keeps the frames of the task alive in a cycle
        result: T = self._result
        return result

    async def _run(self) -> None:
        try:
            self._interruptible = _Interruptible(self._make())
            self._result = await self._interruptible
        except (SoftTimeLimitCancelled, DeadlineCancelled) as error:
            self._error = _outside(error)
        except asyncio.CancelledError as error:
            self._error = self._cancellation().with_traceback(error.__traceback__)
        except BaseExceptionGroup as group:
            self._error = _unwrapped(group)
        except MemoryError as error:
            self._error = _out_of_memory(error).with_traceback(error.__traceback__)
        except Exception as error:  # noqa: BLE001 - the task's own failure
            self._error = error
        except BaseException as error:  # noqa: BLE001 - SystemExit ends the task, not the worker
            self._error = _exited(error).with_traceback(error.__traceback__)

    def _cancellation(self) -> Exception:
        """Return why the coroutine was cancelled."""
        if self.deadline is not None and self.deadline.passed:
            return DeadlineExceeded(*self.deadline.error.args)
        return _cancelled()

    def _end(self) -> None:
        if not self.ended:
            if self._result is _UNSET and self._error is None:  # cancelled before its first step, or abandoned
                self._error = self._cancellation()
            for timer in self._timers:
                timer.cancel()
            self.ended = True  # last: a thread that waits looks at it
            self.on_end()


_zombies: set[asyncio.Task[None]] = set()  # a loop keeps no strong reference to its tasks


def _nothing() -> None:
    """Do nothing at the end of a coroutine for which no caller waits yet."""


def _where(interruptible: _Interruptible[Any] | None) -> str:
    """Return where a coroutine waits; a task's own ``get_stack`` does not look behind `_Interruptible`."""
    lines: list[str] = []
    waiting: Any = None if interruptible is None else interruptible.coroutine
    while waiting is not None and len(lines) < _MAX_FRAMES:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is None:
            break
        lines.append(f'  File "{frame.f_code.co_filename}", line {frame.f_lineno}, in {frame.f_code.co_name}')
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return "\n".join(lines) or "  an unknown place"


def _outside(error: Interruption) -> Exception:
    """Return an interruption as the plain error that is stored."""
    plain = DeadlineExceeded if isinstance(error, DeadlineCancelled) else SoftTimeLimitExceeded
    outside: Exception = plain(*error.args)
    return outside.with_traceback(error.__traceback__)


def _unwrapped(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what a TaskGroup wraps that means something to Celery: a soft limit, a deadline, a retry, Ignore, Reject.

    A soft limit or deadline that is raised in the group's own body comes so before Python 3.13.
    Source: https://docs.python.org/3.13/library/asyncio-task.html#asyncio.TaskGroup
    """
    meant, others = group.split((SoftTimeLimitCancelled, DeadlineCancelled, TaskPredicate))
    if meant is not None and others is None:
        first = _first_of(meant)
        if isinstance(first, Interruption):
            first = _outside(first)
        return first.with_traceback(group.__traceback__)
    if isinstance(group, Exception):
        return group
    return _exited(group).with_traceback(group.__traceback__)


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first_of(first) if isinstance(first, BaseExceptionGroup) else first


def _cancelled() -> ExecutionError:
    return ExecutionError("the coroutine of the task was cancelled from inside")


def _out_of_memory(error: MemoryError) -> ExecutionError:
    # Celery takes a MemoryError for the end of a child process. Here it would end all other tasks too, for what is most often
    # one allocation that was too large.
    return ExecutionError(f"the task raised {type(error).__name__}: {error}")


def _exited(error: BaseException) -> ExecutionError:
    return ExecutionError(
        f"the task raised {type(error).__name__}({', '.join(map(repr, error.args))}), which ends a process, not a task: "
        "raise an exception that says what failed"
    )
