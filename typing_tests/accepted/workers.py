"""Workers: `task` compares a method with the contract and leaves it callable."""

from decimal import Decimal
from typing import Any, assert_type

from pico_ioc import component
from typing_tests.shop import Order, Orders, OrdersV2, Parcels, Receipt

from pico_celery import ImplementationOptions, celery, task


class Payments:
    async def charge(self, order: Order) -> Decimal:
        return Decimal(order.id)


@component
class OrdersWorker:
    def __init__(self, payments: Payments) -> None:
        self.payments = payments

    @task(Orders.place)
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        return Receipt(total=Decimal(0) if dry_run else await self.payments.charge(order))

    @task(Orders.cancel, max_retries=3, autoretry_for=[ConnectionError], rate_limit="10/m")
    async def cancel(self, order_id: int, reason: str = "") -> None: ...

    @task("shop.find")
    async def find(self, text: str, limits: dict[str, int] | None = None) -> list[Order]:
        return [Order(id=len(text) + len(limits or {}))]

    @task(name="shop.count", acks_late=True, time_limit=3)
    async def count(self) -> int:
        return 0


options: ImplementationOptions = {"max_retries": None, "throws": (KeyError,), "queue": "parcels"}


@celery(scope="prototype", primary=True)
class ParcelsWorker:
    @task(Parcels.send, **options)
    async def send(self, to: str, weight: float) -> str:
        return f"{to} {weight}"

    @task("parcels.undeclared", **options)
    async def undeclared(self, *args: int, **kwargs: str) -> dict[str, Any]:
        return {"args": args, **kwargs}


@component
class InheritingWorker(Orders):
    """A component may inherit the contract instead of naming its tasks."""

    def __init__(self, payments: Payments) -> None:
        self.payments = payments

    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        return Receipt(total=Decimal(0) if dry_run else await self.payments.charge(order))

    async def cancel(self, order_id: int, reason: str = "") -> None: ...

    async def find(self, text: str, limits: dict[str, int] | None = None) -> list[Order]:
        return [Order(id=len(text) + len(limits or {}))]

    async def count(self) -> int:
        return 0


@component
class InheritingAndNamingWorker(Parcels):
    @task(Parcels.send, max_retries=1)
    async def send(self, to: str, weight: float) -> str:
        return f"{to} {weight}"


@component
class ResultOfASubclass:
    class Detailed(Receipt):
        lines: int

    @task(OrdersV2.place)
    async def place(self, order: Order, *, dry_run: bool = False) -> Detailed:
        return self.Detailed(total=Decimal(order.id), lines=int(dry_run))


async def methods_stay_callable(worker: OrdersWorker, heir: InheritingWorker, parcels: ParcelsWorker) -> None:
    assert_type(await worker.place(Order(id=1), dry_run=True), Receipt)
    assert_type(await worker.find("book", limits={"pages": 3}), list[Order])
    assert_type(await worker.count(), int)
    assert_type(await heir.place(Order(id=1)), Receipt)
    assert_type(await parcels.send(to="Ada", weight=1), str)
    assert_type(await parcels.undeclared(1, 2, x="y"), dict[str, Any])
    fits: Orders = heir
    also_fits: Orders = worker
    assert_type(await fits.count(), int)
    assert_type(await also_fits.count(), int)
