"""Awaiting results without blocking the event loop: one thread for each result backend drains it for all waiters."""

from __future__ import annotations

import contextlib
import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import asyncio

    from celery.result import AsyncResult

_DRAIN_SECONDS: Final = 0.2  # how long a drain may block before the thread looks at what is new or cancelled
_POLL_SECONDS: Final = (0.002, 0.25)  # first and longest interval between two looks at a backend that only polls
_SAFETY_SECONDS: Final = 5.0  # a notification may be lost in a reconnect; a look at the store finds its result


class _Waiter:
    """Futures that wait for results of one backend, and the thread that resolves them while there are any."""

    def __init__(self, backend: Any) -> None:
        self._backend = weakref.ref(backend)
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[AsyncResult[Any], Callable[[BaseException | None], None]]] = {}
        self._unseen: list[AsyncResult[Any]] = []
        self._running = False
        self._wake = threading.Event()

    def add(self, result: AsyncResult[Any], resolve: Callable[[BaseException | None], None]) -> None:
        with self._lock:
            self._pending[id(result)] = (result, resolve)
            self._unseen.append(result)
            start = not self._running
            self._running = True
        self._wake.set()
        if start:
            threading.Thread(target=self._run, name="pico-celery-results", daemon=True).start()

    def discard(self, result: AsyncResult[Any]) -> None:
        with self._lock:
            self._pending.pop(id(result), None)

    def _run(self) -> None:
        interval, waited = _POLL_SECONDS[0], 0.0
        while True:
            self._wake.clear()  # first: what is added from here on is seen now, or wakes
            with self._lock:
                results = [result for result, _ in self._pending.values()]
                unseen, self._unseen = self._unseen, []
                if not results:
                    self._running = False
                    return
            backend = self._backend()
            try:
                if backend is None or not getattr(backend, "is_async", False):
                    interval = _POLL_SECONDS[0] if unseen else min(interval * 1.5, _POLL_SECONDS[1])
                    self._look(results)
                    self._wake.wait(interval)
                else:
                    due = waited > _SAFETY_SECONDS
                    waited = 0.0 if due else waited + _DRAIN_SECONDS
                    self._look(results if due else unseen, backend)
                    _drain(backend)
            except Exception as error:  # noqa: BLE001 - whatever the backend raises belongs to those who wait for it
                self._fail(error)
            del backend

    def _look(self, results: list[AsyncResult[Any]], backend: Any = None) -> None:
        # rpc:// keeps its results in a queue of the thread that sent: nothing is lost there, and nothing to look up.
        from celery.backends.rpc import RPCBackend  # noqa: PLC0415 - whoever waits has a backend already

        readable = not isinstance(backend, RPCBackend)
        for result in results:
            if result.on_ready.ready or (readable and result.ready()):
                self._resolve(result, None)

    def _resolve(self, result: AsyncResult[Any], error: BaseException | None) -> None:
        with self._lock:
            _, resolve = self._pending.pop(id(result), (None, None))
        if resolve is not None:
            resolve(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            pending, self._pending = list(self._pending.values()), {}
        for _, resolve in pending:
            resolve(error)


def _drain(backend: Any) -> None:
    with contextlib.suppress(TimeoutError):
        backend.result_consumer.drain_events(timeout=_DRAIN_SECONDS)


_waiters: weakref.WeakKeyDictionary[Any, tuple[int, _Waiter]] = weakref.WeakKeyDictionary()
_waiters_lock = threading.Lock()


def _reset_after_fork() -> None:
    global _waiters_lock  # noqa: PLW0603 - the lock may have been held by a thread that did not survive the fork
    _waiters_lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_after_fork)


def _waiter_of(backend: Any) -> _Waiter:
    with _waiters_lock:
        pid, waiter = _waiters.get(backend, (0, None))
        if waiter is None or pid != os.getpid():
            waiter = _Waiter(backend)
            _waiters[backend] = (os.getpid(), waiter)
        return waiter


async def wait_until_ready(result: AsyncResult[Any]) -> None:
    """Wait until a result is there, leaving the event loop free.

    A cancelled wait leaves nothing behind; the task itself goes on.

    Args:
        result: A result of an application with a result backend.

    Raises:
        Exception: What the result backend raises when it cannot be reached.
    """
    import asyncio  # noqa: PLC0415 - who awaits has imported it; who does not need not

    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def settle(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def resolve(error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    def on_ready(_: object) -> None:
        waiter.discard(result)
        resolve(None)

    backend: Any = result.backend
    waiter = _waiter_of(backend)
    result.then(on_ready)
    waiter.add(result, resolve)
    try:
        await future
    finally:
        waiter.discard(result)
        backend.remove_pending_result(result)
