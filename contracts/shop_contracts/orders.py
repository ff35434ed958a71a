"""Orders: models as payloads, task options, a declared error, and a second version."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field, SecretStr

from pico_celery import TaskError, contract, task_options


class Address(BaseModel):
    """Where the goods are sent. Models can contain models."""

    street: str
    city: str
    country: str = Field(pattern="^[A-Z]{2}$", description="ISO 3166 code, such as DE")


class Line(BaseModel):
    """One article of an order. The client refuses to send a value that `Field` forbids."""

    sku: str
    quantity: int = Field(gt=0)
    price: Decimal = Field(ge=0, description="price of one piece")


class Card(BaseModel):
    """Payment by card. The number reaches the worker, but never a log, an event or an error message."""

    method: Literal["card"] = "card"
    number: SecretStr


class BankTransfer(BaseModel):
    """Payment by bank transfer."""

    method: Literal["bank_transfer"] = "bank_transfer"
    iban: str


class Voucher(BaseModel):
    """Payment with a voucher."""

    method: Literal["voucher"] = "voucher"
    code: str
    value: Decimal


PaymentMethod = Annotated[Card | BankTransfer | Voucher, Field(discriminator="method")]
"""One of the three. `method` says which, so errors are about that one only."""


class Order(BaseModel):
    """What a customer orders."""

    id: int
    lines: list[Line] = Field(min_length=1)
    ship_to: Address
    payment: PaymentMethod


class Status(StrEnum):
    """The state of an order."""

    BOOKED = "booked"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Receipt(BaseModel):
    """The confirmation of a booked order."""

    order_id: int
    total: Decimal
    status: Status
    booked_at: datetime


class PaymentDeclined(TaskError):
    """The customer cannot pay in this way.

    A declared error: if the worker raises it, the caller gets this class with these fields. Its code on the wire is
    ``orders.payment_declined``, in both versions of the contract.
    """

    reason: str
    missing: Decimal = Field(gt=0, description="the amount still to be paid")


def order_key(order: Order, *, dry_run: bool) -> int | None:
    """Return the idempotency key of ``orders.place``: the order's id, unless it is a dry run."""
    return None if dry_run else order.id


@contract("orders")
class Orders(Protocol):
    """Place and cancel orders.

    Each method is a task: ``orders.place``, ``orders.cancel``, ``orders.status``. The signatures are all that clients and
    workers know of each other. The bodies are never executed.
    """

    @task_options(
        queue="orders",
        timeout=timedelta(minutes=1),
        time_limit=timedelta(seconds=30),
        key=order_key,
        errors=[PaymentDeclined],
    )
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        """Charge the customer and book the order, at most once for each order (``key``).

        Args:
            order: The order to book.
            dry_run: Whether to compute only the receipt.

        Returns:
            The receipt.

        Raises:
            PaymentDeclined: If the payment does not cover the order.
        """
        ...

    @task_options(queue="orders", idempotent=True)
    async def cancel(self, order_id: int) -> None:
        """Cancel an order. Doing it twice is harmless, so the task runs again if its worker is lost (``idempotent``)."""
        ...

    @task_options(queue="orders")
    async def status(self, order_ids: set[int]) -> dict[int, Status]:
        """Return the states of orders. Sets, and mappings whose keys are not strings, are valid payloads."""
        ...


class Placement(BaseModel):
    """An order with the customer data that version 2 needs."""

    order: Order
    customer_email: str


@contract("orders", version=2)
class OrdersV2(Protocol):
    """The second version of `Orders`, for a change that would break old callers.

    A new parameter with a default could be added to version 1: old callers do not send it. Here callers must send more than
    before, so the task gets a new name, ``orders.v2.place``. A worker serves both until nobody calls the old one.
    """

    @task_options(queue="orders", time_limit=timedelta(seconds=30), errors=[PaymentDeclined])
    async def place(self, placement: Placement) -> Receipt:
        """Book the order and mail the receipt."""
        ...
