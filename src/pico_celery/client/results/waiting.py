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

from pico_celery.client.results.hub import ResultHub
from pico_celery.client.results.waiters import Meta, Waiter
from pico_celery.contract.definition import TaskDefinition

if TYPE_CHECKING:
    import asyncio

Told = Callable[[BaseException | None], None]


class Awaited(Protocol):
    """A result as whoever waits for it needs it; see `pico_celery.client.results.async_result.AsyncResult`."""

    id: str
    heard: int
    definition: TaskDefinition
    parent: Any
    on_ready: Any
    failed_before: BaseException | None

    @property
    def hub(self) -> ResultHub:
        """Where this process waits for results."""

    def settle(self, meta: Meta) -> None:
        """Take what was stored."""

    def raise_unsent(self) -> None:
        """Raise the reason why the call was never sent, if it was not."""


def wait_for(
    result: Awaited,
    seconds: float | None,
    *,
    with_parents: bool = True,
    interval: tuple[float, Callable[[], Any] | None] = (0.5, None),
) -> None:
    """Wait until a result is there, holding the calling thread."""
    told = threading.Event()
    failures: list[BaseException] = []

    def tell(error: BaseException | None) -> None:
        if error is not None:
            failures.append(error)
        told.set()

    waiters = _watch(result, tell, with_parents=with_parents)
    try:
        if not _wait(told, seconds, *interval):
            raise timed_out(result, seconds)
    finally:
        _unwatch(result, waiters)
    if failures and not result.on_ready.ready:
        raise failures[0]


def _wait(told: threading.Event, seconds: float | None, interval: float, on_interval: Callable[[], Any] | None) -> bool:
    if on_interval is None:
        return told.wait(None if seconds is None else min(seconds, threading.TIMEOUT_MAX))
    end = None if seconds is None else monotonic() + seconds
    while not told.wait(interval if end is None else max(0.0, min(interval, end - monotonic()))):
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

    def settle(error: BaseException | None) -> None:
        if future.done():
            return
        if error is None or result.on_ready.ready:
            future.set_result(None)
        else:
            future.set_exception(error)

    def tell(error: BaseException | None) -> None:
        try:
            loop.call_soon_threadsafe(settle, error)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more

    waiters = _watch(result, tell, with_parents=True)
    timer = None if seconds is None else loop.call_later(seconds, lambda: settle(timed_out(result, seconds)))
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
    return None if asyncio is None else asyncio._get_running_loop()  # noqa: SLF001


def timed_out(result: Awaited, seconds: float | None) -> CeleryTimeoutError:
    """Return the error that a result has not come in time."""
    trouble = result.hub.trouble
    reason = (
        "the task goes on: wait again, or revoke() it"
        if trouble is None
        else f"the result backend cannot be reached: {type(trouble).__name__}: {trouble}"
    )
    return CeleryTimeoutError(
        f"{result.definition.name}[{result.id}] has no result after {round(seconds or 0, 2):g} s; {reason}"
    )


def _watch(result: Awaited, tell: Told, *, with_parents: bool) -> list[Waiter]:
    def resolve(meta: Meta | None, error: BaseException | None) -> None:
        if meta is not None:
            result.settle(meta)
        tell(error)

    known = result.id
    waiters = [result.hub.watch(known, resolve, result.heard)]
    try:
        if result.id != known:  # it became that of another call meanwhile
            result.hub.move(known, result.id)
        if with_parents and result.parent is not None:
            waiters.extend(_watch_parents(result, tell))
        if result.on_ready.ready:  # it came before it was watched
            tell(None)
        result.raise_unsent()
    except BaseException:
        _unwatch(result, waiters)
        raise
    return waiters


def settle(result: Any, meta: Meta) -> None:
    """Give a result of this library's or of Celery's own what was stored of its task."""
    if hasattr(result, "settle"):
        result.settle(meta)
    elif not result.on_ready.ready:
        result._maybe_set_cache(dict(meta))  # noqa: SLF001 - as the consumers of Celery's backends do; no other way in


def _watch_parents(result: Awaited, tell: Told) -> list[Waiter]:
    """Hear of a task before it in a chain that fails: then the result never comes."""
    waiters = []
    node = result.parent
    while node is not None:
        if isinstance(node, CeleryAsyncResult):
            waiters.append(result.hub.watch(node.id, _failure_of(result, node, tell), getattr(node, "heard", 0)))
            if node.on_ready.ready and node.state in states.PROPAGATE_STATES:  # it came before it was watched
                _tell_failure(result, node, tell)
        node = node.parent
    return waiters


def _failure_of(
    result: Awaited, parent: CeleryAsyncResult[Any], tell: Told
) -> Callable[[Meta | None, BaseException | None], None]:
    def resolve(meta: Meta | None, _: BaseException | None) -> None:
        if meta is not None and meta["status"] in states.PROPAGATE_STATES:
            settle(parent, meta)
            _tell_failure(result, parent, tell)

    return resolve


def _tell_failure(result: Awaited, parent: CeleryAsyncResult[Any], tell: Told) -> None:
    try:
        parent.maybe_throw()
    except Exception as error:  # noqa: BLE001 - it is what the task before raised
        result.failed_before = error
        tell(error)


def _unwatch(result: Awaited, waiters: list[Waiter]) -> None:
    for waiter in waiters:
        result.hub.unwatch(waiter)
