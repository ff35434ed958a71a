"""Waiting for a result: a thread on an event, a coroutine on a future, both by way of the hub."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from celery import states
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import AsyncResult as CeleryAsyncResult

from pico_celery.celery_port import resolve_result
from pico_celery.client.results.hub import ResultHub
from pico_celery.client.results.waiters import Meta, Sent, Waiter
from pico_celery.contract.definition import TaskDefinition

if TYPE_CHECKING:
    import asyncio

Notify = Callable[[BaseException | None], None]


class Awaited(Sent, Protocol):
    """A result as whoever waits for it needs it; see `pico_celery.client.results.async_result.AsyncResult`."""

    definition: TaskDefinition
    parent: Any
    on_ready: Any
    _failed_before: BaseException | None

    @property
    def _hub(self) -> ResultHub: ...

    def _raise_unsent(self) -> None: ...


def wait_for(
    result: Awaited,
    seconds: float | None,
    *,
    with_parents: bool = True,
    interval: tuple[float, Callable[[], object] | None] = (0.5, None),
) -> None:
    """Wait until a result is there, holding the calling thread."""
    done = threading.Event()
    failures: list[BaseException] = []

    def notify(error: BaseException | None) -> None:
        if error is not None:
            failures.append(error)
        done.set()

    waiters = _watch(result, notify, with_parents=with_parents)
    try:
        if not _wait(done, seconds, *interval):
            raise timed_out(result, seconds)
    finally:
        _unwatch(result, waiters)
    if failures and not result.on_ready.ready:
        raise failures[0]


def _wait(
    done: threading.Event, seconds: float | None, interval: float, on_interval: Callable[[], object] | None
) -> bool:
    if on_interval is None:
        return done.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))
    end = None if seconds is None else monotonic() + seconds
    while not done.wait(interval if end is None else max(0.0, min(interval, end - monotonic()))):
        if end is not None and monotonic() >= end:
            return False
        on_interval()
    return True


async def wait_for_on_loop(result: Awaited, seconds: float | None) -> None:
    """Wait until a result is there, leaving the event loop free.

    A cancelled wait leaves nothing behind; the task itself goes on.
    """
    import asyncio  # noqa: PLC0415 - who awaits has imported it; who does not need not

    loop = asyncio.get_running_loop()
    future: asyncio.Future[None] = loop.create_future()

    def finish(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None or result.on_ready.ready:
            future.set_result(None)
        else:
            future.set_exception(error)

    def notify(error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(finish, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    waiters = _watch(result, notify, with_parents=True)
    timer = None if seconds is None else loop.call_later(seconds, lambda: finish(timed_out(result, seconds)))
    try:
        await future
    finally:
        if timer is not None:
            timer.cancel()
        _unwatch(result, waiters)


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the event loop on which the caller runs, if any."""
    asyncio = sys.modules.get("asyncio")  # who runs a loop has imported it; who does not need not
    # Documented as the one that does not raise.
    return None if asyncio is None else asyncio._get_running_loop()


def timed_out(result: Awaited, seconds: float | None) -> CeleryTimeoutError:
    """Return the error that a result has not come in time."""
    trouble = result._hub.trouble
    reason = (
        "the task goes on: wait again, or revoke() it"
        if trouble is None
        else f"the result backend cannot be reached: {type(trouble).__name__}: {trouble}"
    )
    return CeleryTimeoutError(
        f"{result.definition.name}[{result.id}] has no result after {round(seconds or 0, 2):g} s; {reason}"
    )


def _watch(result: Awaited, notify: Notify, *, with_parents: bool) -> list[Waiter]:
    def resolve(meta: Meta | None, error: BaseException | None) -> None:
        if meta is not None:
            result._store(meta)
        notify(error)

    known = result.id
    waiters = [result._hub.watch(known, resolve, result._heard)]
    try:
        if result.id != known:  # it became that of another call meanwhile
            result._hub.move(known, result.id)
        if with_parents and result.parent is not None:
            waiters.extend(_watch_parents(result, notify))
        if result.on_ready.ready:  # it came before it was watched
            notify(None)
        result._raise_unsent()
    except BaseException:
        _unwatch(result, waiters)
        raise
    return waiters


def store(result: Any, meta: Meta) -> None:  # noqa: ANN401 - a result of this library's or of Celery's
    """Store what a backend has of a task in its result, one of this library or of Celery."""
    if hasattr(result, "_store"):
        result._store(meta)
    elif not result.on_ready.ready:
        resolve_result(result, meta)


def _watch_parents(result: Awaited, notify: Notify) -> list[Waiter]:
    """Hear of a task before it in a chain that fails: then the result never comes."""
    waiters = []
    node = result.parent
    while node is not None:
        if isinstance(node, CeleryAsyncResult):
            waiters.append(result._hub.watch(node.id, _failure_of(result, node, notify), getattr(node, "_heard", 0)))
            if node.on_ready.ready and node.state in states.PROPAGATE_STATES:  # it came before it was watched
                _notify_failure(result, node, notify)
        node = node.parent
    return waiters


def _failure_of(
    result: Awaited, parent: CeleryAsyncResult[object], notify: Notify
) -> Callable[[Meta | None, BaseException | None], None]:
    def resolve(meta: Meta | None, _: BaseException | None) -> None:
        if meta is not None and meta["status"] in states.PROPAGATE_STATES:
            store(parent, meta)
            _notify_failure(result, parent, notify)

    return resolve


def _notify_failure(result: Awaited, parent: CeleryAsyncResult[object], notify: Notify) -> None:
    try:
        parent.maybe_throw()
    except Exception as error:  # noqa: BLE001 - it is what the task before raised
        result._failed_before = error
        notify(error)


def _unwatch(result: Awaited, waiters: list[Waiter]) -> None:
    for waiter in waiters:
        result._hub.unwatch(waiter)
