"""Batches: the first parameter varies, the others are the same for all calls."""

from datetime import timedelta
from typing import assert_type

from typing_tests.accepted.calls import NamedClient, OrdersClient
from typing_tests.shop import Order, Receipt

from pico_celery import AsyncResult, BatchError


def batches(client: OrdersClient, named: NamedClient, orders: list[Order]) -> None:
    assert_type(client.place.send_many(orders), list[AsyncResult[Receipt]])
    assert_type(client.place.send_many((order for order in orders), dry_run=True), list[AsyncResult[Receipt]])
    assert_type(client.cancel.send_many([1, 2], "late"), list[AsyncResult[None]])
    assert_type(client.cancel.send_many(range(3), reason="late"), list[AsyncResult[None]])
    assert_type(client.find.send_many(["book"])[0].get(timeout=1), list[Order])
    assert_type(client.place.with_options(expires=timedelta(hours=1)).send_many(orders), list[AsyncResult[Receipt]])
    assert_type(named.place.send_many(orders), list[AsyncResult[Receipt]])


async def awaited_batches(client: OrdersClient, orders: list[Order]) -> None:
    assert_type(await client.place.asend_many(orders, dry_run=True), list[AsyncResult[Receipt]])
    assert_type([await result for result in await client.place.asend_many(orders)], list[Receipt])


def parts(client: OrdersClient, orders: list[Order]) -> tuple[str, ...]:
    try:
        client.place.send_many(orders)
    except BatchError as error:
        assert_type(error.sent, tuple[int, ...])
        assert_type(error.unsent, tuple[int, ...])
        assert_type(error.unknown, tuple[int, ...])
        assert_type(error.task, str)
        return error.task_ids
    return ()
