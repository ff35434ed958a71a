"""Calls that end with the code that waits for them, and calls that go on without it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from celery.exceptions import TaskRevokedError

from pico_celery import AsyncResult, CelerySettings, DeadlineExceeded, ExecutionError, ResultError, create_app
from pico_celery.client import call_scope as scopes
from pico_celery.client.publishing import publish as sending
from tests.integration.apps.time_contracts import TimesClient
from tests.integration.conftest import Served, ShareWorker, matrix
from tests.support.processes import NOTES_VARIABLE, ROOT
from tests.support.proxy import Proxy
from tests.support.sites import Site, close_app
from tests.support.waiting import becomes, eventually

SOON = timedelta(seconds=30)
SLOTS = 2  # of a shared worker, whatever its pool
POOLS = matrix(("async", "redis"), ("async", "rabbitmq"), ("processes", "redis"), app="time_worker")


@pytest.fixture(scope="module", params=POOLS)
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("time_worker", pool, transport) as started:
        yield started


@pytest.fixture(scope="module")
def times(served: Served) -> TimesClient:
    return TimesClient(served.app)


def new_key() -> str:
    return f"cancel-{uuid4().hex}"


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


def started(served: Served, key: str) -> Callable[[], bool]:
    return lambda: bool(served.worker.noted(f"{key}-started"))


def was_revoked(served: Served, task_id: str) -> bool:
    result: Any = served.app.AsyncResult(task_id)
    return eventually(lambda: bool(result.state == "REVOKED"))


def told_of(served: Served, task_id: str) -> bool:
    """Whether the worker knows of a revocation."""
    found = served.app.control.inspect([served.worker.node], timeout=1).revoked() or {}
    return task_id in found.get(served.worker.node, [])


def id_of(served: Served, key: str) -> str:
    return served.worker.noted(f"{key}-started")[0]


def assert_cancelled(served: Served, key: str) -> None:
    assert was_revoked(served, id_of(served, key))
    if served.worker.pool == "async":  # a child process is killed, with all that it would still have done
        assert eventually(lambda: served.worker.noted(f"{key}-ended") == ["cancelled", "finally"])
    assert "finally" not in served.worker.noted(f"{key}-ended")[:1]


def test_a_cancelled_await_of_a_result_leaves_the_task_alone(served: Served, times: TimesClient) -> None:
    key = new_key()
    results: list[AsyncResult[str]] = []

    async def leave() -> None:
        results.append(await times.hold.asend(key))
        waiting = asyncio.ensure_future(_await(results[0]))
        await until(started(served, key))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(leave())
    served.worker.note(key)
    assert results[0].get(timeout=SOON) == key
    assert served.worker.noted(f"{key}-ended") == ["finally"]


async def _await(result: AsyncResult[Any]) -> Any:
    return await result


def test_a_call_that_ends_gives_its_result_and_revokes_nothing(served: Served, times: TimesClient) -> None:
    key = new_key()
    ids: list[str] = []

    async def use() -> None:
        assert await times.tell.acall(key) is None
        async with times.tell.scope(key) as result:
            ids.append(result.id)
            assert await result is None

    asyncio.run(use())
    assert not told_of(served, ids[0])
    assert served.worker.noted(key) == ["None", "None"]


async def by_cancelling(times: TimesClient, served: Served, key: str) -> None:
    waiting = asyncio.create_task(times.hold.acall(key))
    await until(started(served, key))
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def by_timeout(times: TimesClient, served: Served, key: str) -> None:
    async with asyncio.timeout(None) as limit:
        waiting = asyncio.ensure_future(until(started(served, key)))
        waiting.add_done_callback(lambda _: limit.reschedule(0))
        await times.hold.acall(key)


async def by_group(times: TimesClient, served: Served, key: str) -> None:
    async def fail() -> None:
        await until(started(served, key))
        raise ValueError("the other one failed")

    async with asyncio.TaskGroup() as group:
        group.create_task(times.hold.acall(key))
        group.create_task(fail())


async def by_error(times: TimesClient, served: Served, key: str) -> None:
    async with times.hold.scope(key):
        await until(started(served, key))
        raise ValueError("changed my mind")


async def by_leaving(times: TimesClient, served: Served, key: str) -> None:
    async with times.hold.scope(key) as result:
        await until(started(served, key))
        assert result.id == id_of(served, key)


async def by_break(times: TimesClient, served: Served, key: str) -> None:
    for _ in range(3):
        async with times.hold.scope(key):
            await until(started(served, key))
            break


async def by_end_of_the_loop(times: TimesClient, served: Served, key: str) -> None:
    waiting = asyncio.create_task(times.hold.acall(key))
    waiting.add_done_callback(lambda _: None)
    await until(started(served, key))


Way = Callable[[TimesClient, Served, str], Coroutine[Any, Any, None]]


@pytest.mark.parametrize(
    ("way", "raised"),
    [
        (by_cancelling, None),
        (by_timeout, TimeoutError),
        (by_group, ExceptionGroup),
        (by_error, ValueError),
        (by_leaving, None),
        (by_break, None),
        (by_end_of_the_loop, None),
    ],
)
def test_however_a_scope_is_left_its_task_is_cancelled(
    served: Served, times: TimesClient, way: Way, raised: type[Exception] | None
) -> None:
    key = new_key()
    with pytest.raises(raised) if raised else nullcontext():
        asyncio.run(way(times, served, key))
    assert_cancelled(served, key)


@contextmanager
def full(served: Served, times: TimesClient) -> Iterator[None]:
    """Hold every slot of the worker for a while."""
    keys = [new_key() for _ in range(SLOTS)]
    held = [times.hold(key) for key in keys]
    try:
        assert all(eventually(started(served, key)) for key in keys)
        yield
    finally:
        for key in keys:
            served.worker.note(key)
        assert [result.get(timeout=SOON) for result in held] == keys


def test_a_call_that_no_worker_has_started_yet_never_runs(served: Served, times: TimesClient) -> None:
    key = new_key()
    ids: list[str] = []

    async def leave() -> None:
        async with times.mark.scope(key, "ran") as result:
            ids.append(result.id)

    with full(served, times):
        asyncio.run(leave())
        assert eventually(lambda: told_of(served, ids[0]))
    assert was_revoked(served, ids[0])
    assert served.worker.noted(key) == []


def test_a_task_that_is_revoked_while_it_starts_stays_revoked(served: Served, times: TimesClient) -> None:
    key = f"late-{new_key()}"
    result = times.hold(key)
    assert eventually(lambda: served.worker.noted(f"{key}-prerun"))
    served.app.control.revoke(result.id, terminate=True)
    assert was_revoked(served, result.id)

    served.worker.note(f"{key}-go")  # its tracer stores STARTED now
    becomes(lambda: running(served), 0)
    assert result.state == "REVOKED"
    assert served.worker.noted(f"{key}-started") == []


def running(served: Served) -> int:
    """Return how many jobs the worker's own pool runs."""
    stats: Any = served.app.control.inspect([served.worker.node], timeout=5).stats()
    return int(stats[served.worker.node]["pool"].get("running", 0))


def test_who_else_waits_for_a_call_that_is_cancelled_hears_of_it(served: Served, times: TimesClient) -> None:
    key = new_key()

    async def leave() -> str:
        async with times.hold.scope(key) as result:
            await until(started(served, key))
            return result.id

    other = served.app.AsyncResult(asyncio.run(leave()))
    with pytest.raises(TaskRevokedError):
        other.get(timeout=30)


def test_a_call_that_is_cancelled_while_it_is_published_is_revoked_too(
    served: Served, times: TimesClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = new_key()
    began, may_go = threading.Event(), threading.Event()
    publish: Any = sending.publish

    ids: list[str] = []

    def slowly(app: Any, prepared: Any, *more: Any) -> Any:
        ids.append(prepared.options["task_id"])
        began.set()
        assert may_go.wait(30)
        return publish(app, prepared, *more)

    monkeypatch.setattr(sending, "publish", slowly)

    async def leave() -> None:
        waiting = asyncio.create_task(times.hold.acall(key))
        await until(began.is_set)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

    asyncio.run(leave())
    may_go.set()
    assert was_revoked(served, ids[0])
    assert "finally" not in served.worker.noted(f"{key}-ended")[:1]


def test_a_process_that_ends_at_once_has_revoked_what_it_waited_for(served: Served) -> None:
    key = new_key()
    environment = {**os.environ, **served.site.environment(), NOTES_VARIABLE: str(served.worker.notes)}
    command = [sys.executable, "-m", "tests.integration.apps.time_worker", key]
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert_cancelled(served, key)


def test_a_call_beyond_its_deadline_is_revoked_when_it_is_left(served: Served, times: TimesClient) -> None:
    key = new_key()
    ids: list[str] = []

    async def wait() -> None:
        async with times.mark.with_options(timeout=0.3).scope(key, "ran") as result:
            ids.append(result.id)
            await result

    with full(served, times):
        with pytest.raises(DeadlineExceeded):
            asyncio.run(wait())
        assert eventually(lambda: told_of(served, ids[0]))
    assert served.worker.noted(key) == []


def test_a_scope_of_a_call_without_a_stored_result_is_refused_before_it_is_sent(
    served: Served, times: TimesClient
) -> None:
    async def use() -> None:
        async with times.mark.with_options(ignore_result=True).scope(new_key(), "ran"):
            raise AssertionError

    with pytest.raises(ResultError, match="send it without ignore_result, or without a scope"):
        asyncio.run(use())


def test_a_scope_is_entered_once(served: Served, times: TimesClient) -> None:
    async def use() -> None:
        scope = times.tell.scope(new_key())
        async with scope as result:
            await result
        with pytest.raises(ExecutionError, match="was entered before, and its call sent: make another scope"):
            await scope.__aenter__()

    asyncio.run(use())


@pytest.mark.redis
def test_leaving_a_scope_does_not_hang_when_the_broker_is_gone(
    redis_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "+socket" in redis_url:
        pytest.skip("the proxy needs a server with a TCP port")
    site = Site(broker_url=redis_url, backend_url=redis_url)
    monkeypatch.setattr(scopes, "REVOKE_SECONDS", 1.0)
    parts = urlsplit(site.broker_url)
    broker = Proxy(parts.hostname or "127.0.0.1", parts.port or 6379)
    broker.start()
    app = create_app(CelerySettings.of({**site.settings(), "broker_url": f"redis://127.0.0.1:{broker.port}/0"}))

    async def use() -> float:
        async with TimesClient(app).tell.scope(new_key()):
            broker.stop()
            began = time.monotonic()
        return time.monotonic() - began

    try:
        assert asyncio.run(use()) < 10
        assert eventually(lambda: "could not revoke" in caplog.text and "it is still running" in caplog.text)
    finally:
        close_app(app)
        site.remove()
