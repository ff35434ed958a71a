"""Orders: models as payloads, options as policy, a declared error, and what a second version is for."""

from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field, SecretStr

from pico_celery import TaskError, contract, task_options


class Address(BaseModel):
    """Where the goods go. A model in a model needs nothing special."""

    street: str
    city: str
    country: str = Field(pattern="^[A-Z]{2}$", description="ISO 3166 code, such as DE")


class Line(BaseModel):
    """One article of an order. What `Field` forbids never leaves the client and never reaches the worker."""

    sku: str
    quantity: int = Field(gt=0)
    price: Decimal = Field(ge=0, description="of one piece")


class Card(BaseModel):
    """Payment by card. The secret arrives whole and shows in no log, event or error."""

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
"""One of three: `method` says which, so an error names the fields of that one and not of all three."""


class Order(BaseModel):
    """What a customer wants."""

    id: int
    lines: list[Line] = Field(min_length=1)
    ship_to: Address
    payment: PaymentMethod


class Status(StrEnum):
    """How far an order is."""

    BOOKED = "booked"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Receipt(BaseModel):
    """What the customer gets back at once."""

    order_id: int
    total: Decimal
    status: Status
    booked_at: datetime


class PaymentDeclined(TaskError):
    """The customer cannot pay in this way.

    A declared error: raised in the worker, it is raised at the caller as this class with these fields. Its code on the
    wire is ``orders.payment_declined``, in both versions of the contract.
    """

    reason: str
    missing: Decimal = Field(gt=0, description="what is left to pay")


def order_key(order: Order, *, dry_run: bool) -> int | None:
    """Return what makes two calls of ``orders.place`` the same call: the order, where it is really placed."""
    return None if dry_run else order.id


@contract("orders")
class Orders(Protocol):
    """Taking and cancelling orders.

    Each method is a task: ``orders.place``, ``orders.cancel``, ``orders.status``. The signature is all that both sides
    know of each other, and nobody needs the bodies.
    """

    @task_options(
        queue="orders",
        timeout=timedelta(minutes=1),
        time_limit=timedelta(seconds=30),
        key=order_key,
        errors=[PaymentDeclined],
    )
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        """Charge the customer and book the order, once for each order however often it is sent (``key``).

        Args:
            order: What to book.
            dry_run: Whether to compute the receipt only.

        Returns:
            The receipt.

        Raises:
            PaymentDeclined: If the payment does not cover the order.
        """
        ...

    @task_options(queue="orders", idempotent=True)
    async def cancel(self, order_id: int) -> None:
        """Cancel an order. Twice is the same as once, so a lost worker's task may run again (``idempotent``)."""
        ...

    @task_options(queue="orders")
    async def status(self, order_ids: set[int]) -> dict[int, Status]:
        """Tell how far orders are. Sets, and mappings with keys that are no strings, are payloads as well."""
        ...


class Placement(BaseModel):
    """An order together with what version 2 wants to know about the customer."""

    order: Order
    customer_email: str


@contract("orders", version=2)
class OrdersV2(Protocol):
    """The second version of `Orders`, for a change that old callers cannot live with.

    A new parameter with a default would fit version 1: those who do not know it do not send it. Here callers must give
    more than before, so the task gets a new name, ``orders.v2.place``. A worker serves both names for as long as
    somebody calls the old one.
    """

    @task_options(queue="orders", time_limit=timedelta(seconds=30), errors=[PaymentDeclined])
    async def place(self, placement: Placement) -> Receipt:
        """Book the order and mail the receipt."""
        ...
