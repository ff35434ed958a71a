"""Deadlines, scopes of calls, and idempotency keys."""

from datetime import datetime, timedelta
from typing import Protocol, assert_type

from typing_tests.accepted.calls import NamedClient, OrdersClient
from typing_tests.shop import Order, Receipt

from pico_celery import (
    AsyncResult,
    CallScope,
    CeleryClient,
    DeadlineExceeded,
    SendOptions,
    TaskOptions,
    celery,
    contract,
    send_task,
    task_options,
)


def order_id(order: Order) -> int:
    return order.id


defaults: TaskOptions = {"timeout": None, "key": order_id, "idempotency_ttl": timedelta(days=1)}


@contract("bookings")
class Bookings(Protocol):
    @task_options(timeout=timedelta(seconds=30), key=order_id, idempotency_ttl=3600)
    async def book(self, order: Order, *, dry_run: bool = False) -> Receipt: ...

    @task_options(**defaults)
    async def cancel(self, order: Order) -> None: ...


@celery
class BookingsClient(CeleryClient):
    book = send_task(Bookings.book, timeout=5)
    cancel = send_task(Bookings.cancel, idempotency_key="all")


options: SendOptions = {"timeout": timedelta(seconds=5), "idempotency_key": "1", "idempotency_ttl": 60.0}


def deadlines(client: BookingsClient, order: Order) -> None:
    result = client.book.with_options(**options)(order, dry_run=True)
    assert_type(result, AsyncResult[Receipt])
    assert_type(result.deadline, datetime | None)
    assert_type(client.book.with_options(timeout=None)(order), AsyncResult[Receipt])
    try:
        result.get()
    except DeadlineExceeded as error:
        assert_type(error.task, str)
        assert_type(error.task_id, str)
        assert_type(error.deadline, datetime | None)
        assert_type(error.noticed, str)


async def scopes(client: OrdersClient, named: NamedClient, order: Order) -> None:
    assert_type(await client.place.acall(order, dry_run=True), Receipt)
    assert_type(await client.place.with_options(timeout=5).acall(order), Receipt)
    assert_type(await client.count.acall(), int)
    assert_type(await named.place.acall(order), Receipt)
    scope = client.place.scope(order)
    assert_type(scope, CallScope[Receipt])
    async with scope as result:
        assert_type(result, AsyncResult[Receipt])
        assert_type(await result, Receipt)
    await wider(client.count.scope())


async def wider(scope: CallScope[int | None]) -> None:
    async with scope as count:
        assert_type(await count, int | None)
