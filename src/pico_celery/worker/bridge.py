"""Where Celery's synchronous tracer waits while a task's coroutine runs on the event loop.

A thread or process of a stock pool waits on a lock. A tracer of this library's pool is suspended instead: it says so by a
`Suspender` of its thread.
"""

from __future__ import annotations

import threading
from typing import Any, Final, Protocol, TypeVar

from celery.exceptions import SoftTimeLimitExceeded

from pico_celery.errors import ExecutionError
from pico_celery.worker.coroutine import CoroutineRun, SoftTimeLimitCancelled
from pico_celery.worker.loop import LoopService

T = TypeVar("T")
_LOOK_SECONDS: Final = 5.0  # how often a thread that waits looks whether the loop is still there


class Suspender(Protocol):
    """What can wait for a coroutine in place of a thread."""

    def wait_for(self, run: CoroutineRun[Any]) -> None:
        """Start a coroutine, and come back when it has ended."""


class _Waiting(threading.local):
    suspender: Suspender | None = None


waiting: Final = _Waiting()


def wait_for(service: LoopService, run: CoroutineRun[T]) -> T:
    """Start a coroutine and wait for it, without holding more than the place where the caller stands."""
    suspender = waiting.suspender
    if suspender is None:
        _ThreadWaiter(service, run).wait()
    else:
        suspender.wait_for(run)
    return run.outcome()


class _ThreadWaiter:
    """A thread that waits for a coroutine; what interrupts the thread interrupts the coroutine."""

    def __init__(self, service: LoopService, run: CoroutineRun[Any]) -> None:
        self._service = service
        self._run = run
        self._done = threading.Lock()
        self._done.acquire()
        run.on_end = self._done.release

    def wait(self) -> None:
        interruption: BaseException | None = None
        told: list[BaseException | None] = []
        started = False
        # A signal handler may raise between any two steps: also when the lock is taken, and is not given back.
        while not self._run.ended:
            if self._service.is_closed:
                raise ExecutionError("the event loop was closed before the task had ended") from interruption
            try:
                if not started:
                    self._service.post(self._run.start, self._service.loop)  # the second time does nothing
                    started = True
                while told:
                    self._service.post(self._run.interrupt, told[0])
                    del told[0]
                if interruption is None:
                    self._done.acquire(timeout=_LOOK_SECONDS)
                elif not self._done.acquire(timeout=self._service.options.cancel_grace_seconds):
                    self._service.post(self._run.abandon)
                    self._done.acquire(timeout=_LOOK_SECONDS)
            except SoftTimeLimitExceeded as limit:
                # The coroutine may catch it and go on, as a synchronous task may; the hard limit is the end of that.
                told.append(SoftTimeLimitCancelled(*limit.args))
            except BaseException as error:  # noqa: BLE001 - signals of the pool end the task in every way they like
                interruption = error
                told.append(None)
        if interruption is not None:
            raise interruption
