"""A client whose surroundings fail: a clear error within the time, never a hang, and what a reconnect can save is saved."""

from __future__ import annotations

import asyncio
import logging
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

from pico_celery import AsyncResult, CelerySettings, DeadlineExceeded, create_app
from pico_celery.client.results.hub import hub_of
from tests.integration.apps.clients import ProbeClient
from tests.integration.apps.contracts import Probe
from tests.integration.conftest import Served, ShareWorker, StartWorker, matrix, serve
from tests.support.processes import Worker
from tests.support.proxy import Proxy, proxied
from tests.support.servers import PrivateRedis
from tests.support.sites import Site, close_app
from tests.support.waiting import eventually

SOON = 30


@pytest.fixture(scope="module", params=matrix(("async", "redis"), ("async", "rabbitmq-rpc"), app="contract_worker"))
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("contract_worker", pool, transport) as started:
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
            waiting = [asyncio.ensure_future(value(await probe.hold.asend(key))) for key in keys]
            hub = hub_of(probe.hold._app)
            assert await asyncio.to_thread(eventually, hub._listening.is_set, SOON)
            for key in keys[:5]:
                served.worker.note(key)
            proxy.cut()
            for key in keys[5:]:
                served.worker.note(key)
            return list(await asyncio.gather(*waiting))

        assert asyncio.run(asyncio.wait_for(call(), SOON)) == keys


def test_a_consumer_that_cannot_connect_again_at_once_is_made_anew(served: Served, monkeypatch: Any) -> None:
    if served.keeps_results:
        pytest.skip("only replies over the broker have a consumer")
    key = f"anew-{uuid4().hex}"
    with behind_proxy(served) as (proxy, probe):

        async def call() -> str:
            result = await probe.hold.asend(key)
            waiting = asyncio.ensure_future(value(result))
            hub = hub_of(probe.hold._app)
            assert await asyncio.to_thread(eventually, hub._listening.is_set, SOON)
            consumer: Any = hub._receiver._consumer  # type: ignore[union-attr]  # it listens

            def fail_half_way() -> None:
                consumer._connection = consumer.app.connection()  # as Celery's, which has not consumed by then
                raise OSError("no route to the broker")

            monkeypatch.setattr(consumer, "_reconnect", fail_half_way)
            proxy.cut()
            served.worker.note(key)
            received: str = await waiting
            return received

        assert asyncio.run(asyncio.wait_for(call(), SOON)) == key


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
        assert time.monotonic() - began < 10
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
            await probe.hold.asend("never")
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
def restricted_redis() -> Iterator[str]:
    """A Redis server whose user may not subscribe to patterns."""
    with PrivateRedis() as server:
        with Redis(unix_socket_path=server.path) as admin:
            admin.execute_command("ACL", "SETUSER", "default", "-psubscribe")
        yield server.url


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")  # Celery's own, on this thread
def test_where_patterns_are_forbidden_each_result_is_subscribed_to(restricted_redis: str) -> None:
    app = create_app(CelerySettings(broker_url="memory://", backend_url=restricted_redis))

    async def call() -> list[str]:
        results = [await ProbeClient(app).hold.asend(str(number)) for number in range(5)]
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


@pytest.mark.parametrize("pair", matrix(("async", "redis"), ("async", "rabbitmq")))
def test_a_call_whose_worker_is_killed_ends_at_its_deadline(start_worker: StartWorker, pair: tuple[str, str]) -> None:
    with start_worker("contract_worker", *pair) as started:
        probe, key = ProbeClient(started.app), f"killed-{uuid4().hex}"

        async def call() -> None:
            result = await probe.hold.with_options(timeout=4).asend(key)
            assert await asyncio.to_thread(
                eventually, lambda: f"probe.hold[{result.id}] received" in started.worker.log
            )
            started.worker.process.kill()
            await result

        began = time.monotonic()
        with pytest.raises(
            DeadlineExceeded, match="no worker has said how it ended; see that a worker serves its queue"
        ):
            asyncio.run(asyncio.wait_for(call(), SOON))
        assert time.monotonic() - began < 20


@pytest.mark.slow
def test_calls_outlive_a_restart_of_broker_and_backend(tmp_path: Path) -> None:
    with PrivateRedis("--appendonly", "yes", "--appendfsync", "always") as server:
        site = Site(broker_url=server.url, backend_url=server.url)
        with serve(Worker("contract_worker", "async", site, tmp_path, concurrency=20), "redis") as started:
            probe, keys = ProbeClient(started.app), [f"restart-{uuid4().hex}" for _ in range(5)]

            async def call() -> list[str]:
                waiting = [asyncio.ensure_future(value(await probe.hold.asend(key))) for key in keys]
                assert await asyncio.to_thread(
                    eventually, lambda: all(started.worker.noted(f"{key}-started") for key in keys)
                )
                await asyncio.to_thread(server.stop)
                await asyncio.to_thread(server.start)
                for key in keys:
                    started.worker.note(key)
                return [*await asyncio.gather(*waiting), await probe.hold.with_options(timeout=60)(keys[0])]

            assert asyncio.run(asyncio.wait_for(call(), 120)) == [*keys, keys[0]]
