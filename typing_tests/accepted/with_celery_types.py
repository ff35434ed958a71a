"""Results as Celery's own, which needs Celery's types (celery-types): all other files here do without them."""

import asyncio
from typing import Any, assert_type

from celery.result import AsyncResult as CeleryAsyncResult
from typing_tests.accepted.calls import OrdersClient
from typing_tests.shop import Order, Receipt


def as_celery_knows_it(client: OrdersClient, order: Order) -> None:
    result: CeleryAsyncResult[Receipt] = client.place(order)
    assert_type(result.get(), Receipt)
    several: list[CeleryAsyncResult[Any]] = [client.place(order), client.count()]
    assert_type(len(several), int)


def celery_s_own_members(client: OrdersClient) -> None:
    assert_type(client.count().id, str)
    assert_type(client.count().ready(), bool)
    assert_type(client.count().revoke(terminate=True), None)


async def together(client: OrdersClient, order: Order) -> None:
    receipt, count = await asyncio.gather(client.place(order), client.count())
    assert_type(receipt, Receipt)
    assert_type(count, int)
    assert_type(await asyncio.wait_for(client.count(), timeout=1), int)
