"""The contracts that the other files use; every form of `contract` and `task_options`."""

from datetime import timedelta
from decimal import Decimal
from typing import Any, Protocol, assert_type

from pydantic import BaseModel

from pico_celery import Catalog, PublishRetryPolicy, TaskOptions, contract, task_options


class Order(BaseModel):
    id: int
    note: str = ""


class Receipt(BaseModel):
    total: Decimal


@contract("shop")
class Orders(Protocol):
    @task_options(queue="shop", priority=5, expires=timedelta(hours=1), idempotent=True, retry_backoff=1.5)
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt: ...

    async def cancel(self, order_id: int, reason: str = "") -> None: ...

    @task_options()
    async def find(self, text: str, limits: dict[str, int] | None = None) -> list[Order]: ...

    async def count(self) -> int: ...


@contract("shop", version=2)
class OrdersV2(Orders, Protocol):
    async def price(self, order: Order) -> Decimal: ...


@contract
class Parcels(Protocol):
    async def send(self, to: str, weight: float) -> str: ...


@contract()
class Returns(Protocol):
    async def take_back(self, order_id: int) -> bool: ...


@contract(catalog=Catalog())
class Invoices(Protocol):
    async def print_out(self, order_id: int) -> bytes: ...


@contract("audit", version=1, catalog=Catalog())
class Audit(Protocol):
    async def note(self, entry: dict[str, Any]) -> None: ...


retry_policy: PublishRetryPolicy = {"max_retries": 3, "interval_start": 0.1}
policy: TaskOptions = {"queue": "stock", "retry_policy": retry_policy, "max_retries": None, "rate_limit": "10/m"}


@contract("stock")
class Stock(Protocol):
    @task_options(**policy)
    async def reserve(self, sku: str, quantity: int = 1) -> bool: ...


class PlainOrders:
    """A contract's methods stay plain functions, so a class without any decorator fits the contract."""

    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        return Receipt(total=Decimal(order.id if dry_run else 0))

    async def cancel(self, order_id: int, reason: str = "") -> None: ...

    async def find(self, text: str, limits: dict[str, int] | None = None) -> list[Order]:
        return [Order(id=len(text) + len(limits or {}))]

    async def count(self) -> int:
        return 0


async def contracts_stay_protocols_and_their_methods_functions(orders: Orders, parcels: Parcels) -> None:
    plain: Orders = PlainOrders()
    assert_type(await plain.place(Order(id=1), dry_run=True), Receipt)
    assert_type(await orders.place(Order(id=1)), Receipt)
    assert_type(await orders.find("book", limits={"pages": 3}), list[Order])
    assert_type(await parcels.send("Ada", weight=1.5), str)
    assert_type(Orders, type[Orders])
    assert_type(OrdersV2, type[OrdersV2])
    assert_type(Parcels, type[Parcels])
    assert_type(Returns, type[Returns])
