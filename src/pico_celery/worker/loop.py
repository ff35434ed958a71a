"""One event loop for each worker process, on a thread of its own, and the bridge on which a task waits for it.

Celery's tracer is synchronous: a pool's thread or process waits here while the coroutine runs on the loop. The loop is
made at its first use in a process, after any fork, and lives as long as the process: connection pools and clients that
are bound to a loop stay usable from task to task.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final, Generic, TypeVar

from celery.exceptions import SoftTimeLimitExceeded

from pico_celery.errors import ExecutionError

T = TypeVar("T")
GRACE_SECONDS: Final = 1.0
_logger = logging.getLogger(__name__)


class SoftTimeLimitCancelled(SoftTimeLimitExceeded, asyncio.CancelledError):
    """A soft time limit inside a coroutine.

    It is a `CancelledError` too, so that ``gather``, ``timeout`` and ``TaskGroup`` clean up after it.
    """


class _Interruptible(Generic[T]):
    """Awaits a coroutine and throws into it what interrupts it, in place of a cancellation."""

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self.interruption: BaseException | None = None

    def __await__(self) -> Generator[Any, Any, T]:
        send, value = True, None
        failure: BaseException | None = None
        while True:
            try:
                waited = self._coroutine.send(value) if send else self._coroutine.throw(failure)  # type: ignore[arg-type]
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


class _Execution(Generic[T]):
    """One coroutine on the loop, and the thread that waits for it."""

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]], loop: asyncio.AbstractEventLoop) -> None:
        self._make = make
        self._loop = loop
        self._done = threading.Lock()
        self._done.acquire()
        self._interruptible: _Interruptible[T] | None = None
        self._task: asyncio.Task[None] | None = None
        self._result: T
        self._error: BaseException | None = None

    def start(self) -> None:
        self._task = self._loop.create_task(self._run())
        self._task.add_done_callback(self._finish)

    async def _run(self) -> None:
        try:
            self._interruptible = _Interruptible(self._make())
            self._result = await self._interruptible
        except SoftTimeLimitCancelled as error:
            self._error = SoftTimeLimitExceeded(*error.args).with_traceback(error.__traceback__)
        except asyncio.CancelledError as error:
            self._error = _cancelled().with_traceback(error.__traceback__)
        except BaseException as error:  # noqa: BLE001 - SystemExit must end the task's tracer, not the loop
            self._error = error

    def _finish(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step, so that _run had no chance to see it
            self._error = _cancelled()
        self._done.release()

    def wait(self) -> T:
        """Wait for the end; what interrupts the waiting thread interrupts the coroutine."""
        interruption = self._wait_for_end()
        if interruption is not None:
            raise interruption
        if self._error is not None:
            failure, self._error = self._error, None
            try:
                raise failure
            finally:
                del failure  # or the traceback keeps the frames of the task alive in a cycle
        return self._result

    def _wait_for_end(self) -> BaseException | None:
        interruption: BaseException | None = None
        while True:
            try:
                if not self._done.acquire(timeout=-1 if interruption is None else GRACE_SECONDS):
                    _logger.warning("a coroutine did not end within %s s of its cancellation", GRACE_SECONDS)
            except SoftTimeLimitExceeded as limit:
                # The coroutine may catch it and go on, as a synchronous task may; the hard limit is the end of that.
                self._interrupt(SoftTimeLimitCancelled(*limit.args))
            except BaseException as error:  # noqa: BLE001 - signals of the pool end the task in every way they like
                interruption = error
                self._interrupt(None)
            else:
                return interruption

    def _interrupt(self, error: BaseException | None) -> None:
        def cancel() -> None:
            if self._task is not None and not self._task.done():
                if self._interruptible is not None:
                    self._interruptible.interruption = error
                self._task.cancel()

        self._loop.call_soon_threadsafe(cancel)


def _cancelled() -> ExecutionError:
    return ExecutionError("the coroutine of the task was cancelled from inside")


class LoopService:
    """The event loop of a process. Take it from `current`."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stopped = False
        self.first_resolution = asyncio.Lock()
        self.resolved: set[str] = set()
        started = threading.Event()
        self._thread = threading.Thread(target=self._serve, args=(started,), name="pico-celery-loop", daemon=True)
        self._thread.start()
        started.wait()

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The running loop."""
        return self._loop

    def run(self, make: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Run a coroutine on the loop and wait for it on this thread.

        Args:
            make: Makes the coroutine; called on the loop, in a copy of this thread's context.

        Returns:
            What the coroutine returned.

        Raises:
            ExecutionError: If this thread is the loop's own, which would wait for itself.
            BaseException: What the coroutine raised, or what interrupted this thread while it waited.
        """
        if threading.current_thread() is self._thread:
            raise ExecutionError(
                "a task is run synchronously from inside another task's coroutine, which would block the event loop "
                "for ever: await a client's call instead"
            )
        execution = _Execution(make, self._loop)
        self._loop.call_soon_threadsafe(execution.start, context=contextvars.copy_context())
        return execution.wait()

    def stop(self, closing: Callable[[], Coroutine[Any, Any, None]], timeout_seconds: float) -> None:
        """Stop the loop; cancel what is left on it.

        Args:
            closing: Makes a coroutine that is run first, for at most the timeout.
            timeout_seconds: As long as the coroutine may take.
        """
        if self._stopped:
            return
        self._stopped = True
        try:
            asyncio.run_coroutine_threadsafe(_bounded(closing, timeout_seconds), self._loop).result(timeout_seconds * 2)
        except Exception:  # a shutdown goes on whatever a clean-up raises
            _logger.exception("closing the worker's components failed")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout_seconds)

    def _serve(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(started.set)
        while not self._stopped:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # A background task of user code raised it; asyncio lets it out of run_forever.
                _logger.exception("%s in a background task; the loop goes on", type(error).__name__)
        self._close()

    def _close(self) -> None:
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        if left:
            self._loop.run_until_complete(asyncio.wait(left, timeout=GRACE_SECONDS))
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()


async def _bounded(closing: Callable[[], Coroutine[Any, Any, None]], timeout_seconds: float) -> None:
    async with asyncio.timeout(timeout_seconds):
        await closing()


_services: dict[int, LoopService] = {}
_services_lock = threading.Lock()


def _reset_after_fork() -> None:
    global _services_lock  # noqa: PLW0603 - the lock may have been held by a thread that did not survive the fork
    _services.clear()
    _services_lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_after_fork)


def current_loop_service() -> LoopService:
    """Return the loop of this process, which starts at the first call."""
    pid = os.getpid()
    service = _services.get(pid)
    if service is None:
        with _services_lock:
            service = _services.get(pid)
            if service is None:
                service = _services[pid] = LoopService()
    return service


def stop_loop_service(closing: Callable[[], Coroutine[Any, Any, None]], timeout_seconds: float = 10.0) -> None:
    """Stop the loop of this process, if it ever started.

    Args:
        closing: Makes a coroutine that is run on it first.
        timeout_seconds: As long as that may take.
    """
    service = _services.pop(os.getpid(), None)
    if service is not None:
        service.stop(closing, timeout_seconds)
