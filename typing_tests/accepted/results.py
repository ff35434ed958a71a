"""Results: typed wherever a value comes out."""

from datetime import timedelta
from typing import Any, assert_type

from celery import Celery
from typing_tests.accepted.calls import OrdersClient
from typing_tests.shop import Order, Orders, Receipt

from pico_celery import AsyncResult, Outcome, TaskDefinition


def waiting(client: OrdersClient, order: Order) -> None:
    result = client.place(order)
    assert_type(result.get(), Receipt)
    assert_type(result.get(5), Receipt)
    assert_type(result.get(timeout=5), Receipt)
    assert_type(result.get(timeout=0.5, propagate=True), Receipt)
    assert_type(result.get(timeout=timedelta(seconds=5)), Receipt)
    assert_type(result.get(timeout=None, interval=0.1, disable_sync_subtasks=False), Receipt)
    assert_type(result.get(propagate=False), Receipt | BaseException)
    assert_type(result.wait(), Receipt)
    assert_type(result.wait(timeout=timedelta(seconds=5)), Receipt)
    assert_type(client.place.with_options(countdown=1)(order).get(), Receipt)
    assert_type(client.find("book").get()[0].note, str)


def ended(client: OrdersClient, order: Order) -> Outcome[Receipt]:
    return client.place(order).outcome(timeout=5)


async def awaiting(client: OrdersClient, order: Order) -> None:
    assert_type(await client.place(order), Receipt)
    assert_type(await client.place.with_options(countdown=1)(order, dry_run=True), Receipt)
    assert_type(await client.count(), int)
    await client.cancel(1)


def looking(client: OrdersClient, order: Order) -> None:
    result = client.place(order)
    assert_type(result.result, Any)  # a value, a failure, or nothing yet
    assert_type(result.definition, TaskDefinition)


def covariant(client: OrdersClient) -> None:
    assert_type(described(client.count()), str)


def described(result: AsyncResult[object]) -> str:
    """A result is covariant, as Celery's is."""
    return str(result.get())


def opened_again(app: Celery, result: AsyncResult[Receipt]) -> None:
    assert_type(AsyncResult.of(Orders.place, result.id, app), AsyncResult[Receipt])
    assert_type(AsyncResult.of(Orders.find, task_id="1", app=app).get(), list[Order])
