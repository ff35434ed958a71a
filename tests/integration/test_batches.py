"""Batches over real brokers: all or nothing before the first is sent, in order, and an exact account of what was sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from celery.signals import before_task_publish

from pico_celery import BatchError, CelerySettings, OptionError, PayloadError, create_app
from pico_celery.client import batch as batches
from tests.integration.apps.clients import ProbeClient, ShopClient
from tests.integration.conftest import Served, ShareWorker, matrix, site_of
from tests.support.models import Line, Order
from tests.support.proxy import Proxy, proxied
from tests.support.sites import Site, close_app
from tests.support.waiting import eventually

SOON = 20
ORDER = Order(number=7, lines=[Line(sku="pen", quantity=2, price=Decimal("1.10"))])


@pytest.fixture(
    scope="module",
    params=matrix(("async", "redis"), ("async", "rabbitmq"), ("async", "rabbitmq-rpc"), app="contract_worker"),
)
def served(request: pytest.FixtureRequest, share_worker: ShareWorker) -> Iterator[Served]:
    pool, transport = request.param
    with share_worker("contract_worker", pool, transport) as started:
        yield started


def numbered(number: int) -> Order:
    return ORDER.model_copy(update={"number": number})


def test_results_come_in_the_order_of_the_items(served: Served) -> None:
    results = served.shop.place.send_many([numbered(number) for number in range(1200)], dry_run=True)
    assert [result.get(timeout=60).number for result in results] == list(range(1200))


def test_a_batch_is_awaited_on_a_loop(served: Served) -> None:
    async def call() -> list[int]:
        sent = await served.shop.place.asend_many([numbered(number) for number in range(50)])
        handed_over = served.shop.place.send_many([numbered(number) for number in range(50, 60)])
        return [(await result).number for result in [*sent, *handed_over]]

    assert asyncio.run(asyncio.wait_for(call(), 60)) == list(range(60))


def test_options_hold_for_every_call(served: Served) -> None:
    base = uuid4().int % 10**8
    calls = served.shop.cancel.with_options(countdown=0.5, priority=4, expires=60)
    results = calls.send_many(range(base, base + 5))
    assert [result.get(timeout=SOON) for result in results] == [None] * 5
    assert all(served.worker.noted(f"cancel-{base + number}") == ["ran"] for number in range(5))


def test_the_signals_of_a_call_are_sent_for_every_call(served: Served) -> None:
    seen: list[str] = []

    def see(headers: dict[str, Any], **_: object) -> None:
        seen.append(headers["id"])

    before_task_publish.connect(see)
    try:
        results = served.shop.place.send_many([ORDER, ORDER, ORDER])
    finally:
        before_task_publish.disconnect(see)
    assert seen == [result.id for result in results]


def test_nothing_is_sent_where_one_of_them_does_not_fit(served: Served) -> None:
    published: list[str] = []

    def see(sender: str, **_: object) -> None:
        published.append(sender)

    before_task_publish.connect(see)
    try:
        with pytest.raises(
            PayloadError, match=r"shop\.cancel: \[1\]\.number: .*\n.*shop\.cancel: \[3\]\.number"
        ) as caught:
            served.shop.cancel.send_many([1, "two", 3, None])  # type: ignore[list-item]
        assert caught.value.paths == ("[1].number", "[3].number")
        with pytest.raises(OptionError, match=r"task_id: expected an option that many calls can share.*leave it out"):
            served.shop.cancel.with_options(task_id="one").send_many([1, 2])
    finally:
        before_task_publish.disconnect(see)
    assert published == []
    assert served.shop.cancel.send_many([]) == []


def test_a_batch_without_results_is_sent_too(served: Served) -> None:
    keys = [f"quiet-{uuid4().hex}" for _ in range(20)]
    assert [result.get(timeout=1) for result in served.probe.quietly.send_many(keys)] == [None] * 20
    assert eventually(lambda: all(served.worker.noted(key) == ["ran"] for key in keys), SOON)


# --- A connection that breaks half-way


CHUNKS = 3


@pytest.fixture(params=matrix(("-", "redis"), ("-", "rabbitmq")))
def site(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Site]:
    made = site_of(request, request.param[1], tmp_path)
    yield made
    made.remove()


def cut_before_chunk(number: int, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, *, for_good: bool) -> None:
    """Cut the connection when a chunk of the batch has been written, before it is executed or confirmed."""
    original = batches._Batch._publish
    seen: set[int] = set()

    def publish(self: Any, producer: Any, position: int, *args: Any, **kwargs: Any) -> None:
        original(self, producer, position, *args, **kwargs)
        chunk = position // batches._CHUNK
        is_last = position % batches._CHUNK == batches._CHUNK - 1
        if chunk == number and is_last and (for_good or chunk not in seen):
            seen.add(chunk)
            if for_good:
                proxy.stop()
            else:
                proxy.cut()

    monkeypatch.setattr(batches._Batch, "_publish", publish)


def test_a_batch_goes_on_after_a_cut_and_nothing_is_sent_twice(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    if "+socket" in site.broker_url or site.transport != "redis":
        pytest.skip("a transaction that is certain is Redis's, and the proxy needs a TCP port")
    monkeypatch.setattr(batches, "_CHUNK", 50)
    with proxied(site.broker_url) as (proxy, url):
        app = create_app(CelerySettings.of({**site.settings(), "broker_url": url}))
        try:
            cut_before_chunk(1, proxy, monkeypatch, for_good=False)
            results = ProbeClient(app).quietly.send_many([str(number) for number in range(150)])
        finally:
            close_app(app)
    assert len({result.id for result in results}) == 150
    assert site.waiting_messages() == 150


def test_a_batch_that_fails_half_way_says_exactly_what_was_sent(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    if "+socket" in site.broker_url:
        pytest.skip("the proxy needs a TCP port")
    monkeypatch.setattr(batches, "_CHUNK", 50)
    with proxied(site.broker_url) as (proxy, url):
        settings = {
            **site.settings(),
            "broker_url": url,
            "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0},
        }
        app = create_app(CelerySettings.of(settings))
        try:
            cut_before_chunk(1, proxy, monkeypatch, for_good=True)
            with pytest.raises(BatchError, match=r"calls were sent, .* were not") as caught:
                ProbeClient(app).quietly.send_many([str(number) for number in range(150)])
        finally:
            monkeypatch.setattr(proxy, "stop", lambda: None)
            close_app(app)
    error = caught.value
    assert set(range(50)) <= set(error.sent)
    assert sorted(error.sent + error.unsent + error.unknown) == list(range(150))
    assert set(range(100, 150)) <= set(error.unsent)
    assert len(error.task_ids) == 150
    waiting = site.waiting_messages()
    assert len(error.sent) <= waiting <= len(error.sent) + len(error.unknown)


def test_a_batch_on_a_loop_tells_who_waits_for_what_was_not_sent() -> None:
    app = create_app(
        CelerySettings(
            broker_url="amqp://127.0.0.1:1//",
            backend_url="cache+memory://",
            options={"task_publish_retry": False, "broker_transport_options": {"max_retries": 1, "interval_start": 0}},
        )
    )

    async def call() -> list[BaseException]:
        results = ShopClient(app).place.send_many([ORDER, ORDER])
        return list(await asyncio.gather(*map(_value, results), return_exceptions=True))

    try:
        errors = asyncio.run(asyncio.wait_for(call(), SOON))
    finally:
        close_app(app)
    assert [type(error) for error in errors] == [BatchError, BatchError]
    assert "0 of 2 calls were sent, 2 were not" in str(errors[0])


async def _value(result: Any) -> Any:
    return await result
