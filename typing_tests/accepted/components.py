"""`celery` classes as components: bare, with options, with and without a constructor of their own."""

from typing import assert_type

from celery import Celery
from pico_ioc import PicoContainer, component
from typing_tests.shop import Order, Orders, Parcels, Receipt

from pico_celery import AsyncResult, Catalog, CeleryClient, celery, send_task, task


@celery
class Bare(CeleryClient):
    place = send_task(Orders.place)


@celery()
class Called(CeleryClient):
    place = send_task(Orders.place)


@celery(scope="singleton", name="orders", qualifiers=["fast"], primary=True, lazy=True, catalog=Catalog())
class WithOptions(CeleryClient):
    place = send_task(Orders.place)


class Log:
    def write(self, text: str) -> None: ...


@celery
class WithConstructor(CeleryClient):
    place = send_task(Orders.place)

    def __init__(self, app: Celery, log: Log) -> None:
        super().__init__(app)
        self.log = log

    def place_and_log(self, order: Order) -> AsyncResult[Receipt]:
        self.log.write(f"placing {order.id}")
        return self.place(order)


@celery
class BothSides(CeleryClient):
    """A class may serve one task and send another."""

    place = send_task(Orders.place)

    @task(Parcels.send)
    async def send(self, to: str, weight: float) -> str:
        receipt = await self.place(Order(id=int(weight)))
        return f"{to} {receipt.total}"


class Derived(WithConstructor):
    count = send_task(Orders.count)


@component
class OrderService:
    def __init__(self, client: Bare, other: WithOptions) -> None:
        self.client = client
        self.other = other

    def place(self, order: Order) -> Receipt:
        assert_type(self.other.place(order), AsyncResult[Receipt])
        return self.client.place(order).get(timeout=1)


def from_a_container(container: PicoContainer) -> None:
    assert_type(container.get(Bare), Bare)
    assert_type(container.get(Called).place(Order(id=1)).get(), Receipt)
    assert_type(container.get(OrderService).place(Order(id=1)), Receipt)
    assert_type(Bare(container.get(Celery)), Bare)


async def by_hand(app: Celery, log: Log) -> None:
    assert_type(Bare(app), Bare)
    assert_type(Called(app).place(Order(id=1)), AsyncResult[Receipt])
    assert_type(WithOptions(app=app).place(Order(id=1)), AsyncResult[Receipt])
    assert_type(WithConstructor(app, log).place_and_log(Order(id=1)), AsyncResult[Receipt])
    assert_type(Derived(app, log).count(), AsyncResult[int])
    assert_type(await BothSides(app).send("Ada", 1.5), str)
