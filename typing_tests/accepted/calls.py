"""A client's calls: names, kinds and types of the arguments come from the contract, the result too."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, assert_type

from celery import Celery
from celery.result import AsyncResult as CeleryAsyncResult
from typing_tests.shop import Order, Orders, OrdersV2, Parcels, Receipt

from pico_celery import AsyncResult, BoundSender, CeleryClient, SendOptions, TaskSender, celery, send_task


@celery
class OrdersClient(CeleryClient):
    place = send_task(Orders.place)
    cancel = send_task(Orders.cancel, countdown=10, queue="slow")
    find = send_task(Orders.find)
    count = send_task(Orders.count)


@celery
class OrdersV2Client(CeleryClient):
    place = send_task(OrdersV2.place)  # inherited by the contract
    price = send_task(OrdersV2.price)


@celery
class NamedClient(CeleryClient):
    @send_task("shop.place")
    def place(self, order: Order, *, dry_run: bool = False) -> AsyncResult[Receipt]:
        raise NotImplementedError

    @send_task(name="shop.cancel", expires=timedelta(minutes=1))
    def cancel(self, order_id: int, reason: str = "") -> Any: ...

    @send_task("shop.count", queue="slow")
    def count(self) -> Any:
        pass

    @send_task("shop.find")
    def find(self, text: str, limits: dict[str, int] | None = None) -> CeleryAsyncResult[list[Order]]:
        raise NotImplementedError


def senders_on_the_class() -> None:
    assert_type(OrdersClient.cancel.name, str)
    cancel: TaskSender[..., None] = OrdersClient.cancel
    named: TaskSender[..., Receipt] = NamedClient.place
    assert_type(cancel.attribute, str)
    assert_type(named.where, str)


def calls_by_reference(client: OrdersClient, order: Order) -> None:
    assert_type(client.place(order), AsyncResult[Receipt])
    assert_type(client.place(order=order, dry_run=True), AsyncResult[Receipt])
    assert_type(client.cancel(1), AsyncResult[None])
    assert_type(client.cancel(1, "late"), AsyncResult[None])
    assert_type(client.cancel(order_id=1, reason="late"), AsyncResult[None])
    assert_type(client.find("book"), AsyncResult[list[Order]])
    assert_type(client.find("book", {"pages": 3}), AsyncResult[list[Order]])
    assert_type(client.count(), AsyncResult[int])
    place: BoundSender[..., Receipt] = client.place
    assert_type(place.definition.name, str)


def calls_of_inherited_tasks(client: OrdersV2Client, order: Order) -> None:
    assert_type(client.place(order, dry_run=True), AsyncResult[Receipt])
    assert_type(client.price(order), AsyncResult[Decimal])


def calls_by_name(client: NamedClient, order: Order) -> None:
    assert_type(client.place(order, dry_run=True), AsyncResult[Receipt])
    assert_type(client.place(order).get(), Receipt)
    assert_type(client.place.with_options(countdown=1)(order), AsyncResult[Receipt])
    assert_type(client.cancel(1, reason="late"), AsyncResult[Any])
    assert_type(client.count(), AsyncResult[Any])
    assert_type(client.find("book"), AsyncResult[Any])


def calls_with_options(client: OrdersClient, order: Order) -> None:
    assert_type(client.place.with_options(countdown=10)(order, dry_run=True), AsyncResult[Receipt])
    urgent = client.place.with_options(priority=9, queue="urgent")
    assert_type(urgent(order=order), AsyncResult[Receipt])
    assert_type(urgent.with_options(eta=datetime(2030, 1, 1, tzinfo=UTC))(order), AsyncResult[Receipt])
    assert_type(client.cancel.with_options(expires=timedelta(hours=1))(1, "late"), AsyncResult[None])
    options: SendOptions = {
        "task_id": "1",
        "headers": {"trace": "a"},
        "retry_policy": {"max_retries": 3},
        "delivery_mode": "transient",
        "time_limit": timedelta(seconds=3),
        "ignore_result": False,
    }
    assert_type(client.count.with_options(**options)(), AsyncResult[int])


def one_call_after_another(app: Celery, first: OrdersClient) -> None:
    """A client is built by hand with the application that publishes."""
    client = OrdersClient(app)
    assert_type(client, OrdersClient)
    assert_type(client.place(Order(id=1)).get(), Receipt)
    after = first.count.with_options(link=[], link_error={})
    assert_type(after(), AsyncResult[int])


@celery
class PlainClient:
    """The base class is optional where the container builds the client."""

    send = send_task(Parcels.send)


def calls_without_the_base_class(client: PlainClient) -> None:
    assert_type(client.send("Ada", 1), AsyncResult[str])
