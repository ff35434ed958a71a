"""Contracts of the tests; as a user's, they need no worker code."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal, Protocol
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, SecretBytes, SecretStr

from pico_celery import contract, task_options
from tests.support.models import Line, Order, Receipt


class Card(BaseModel):
    kind: Literal["card"] = "card"
    digits: str


class Cash(BaseModel):
    kind: Literal["cash"] = "cash"
    given: Decimal


class Refusal(BaseModel):
    reason: str


Payment = Annotated[Card | Cash, Field(discriminator="kind")]


class Moment(BaseModel):
    amount: Decimal
    key: UUID
    at: datetime


class Execution(BaseModel):
    """Where a task ran."""

    pid: int
    loop: int
    resource: int


@contract("shop")
class Shop(Protocol):
    """A shop, for calls of every kind."""

    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        """Book an order."""
        ...

    async def cancel(self, number: int) -> None: ...

    async def price_list(self, order: Order) -> list[Line]: ...

    async def pay(self, number: int, payment: Payment) -> Receipt | Refusal: ...

    async def ship(self, receipt: Receipt) -> str: ...

    async def sum_up(self, receipts: list[Receipt]) -> Decimal: ...

    async def remember(self, moment: Moment) -> Moment: ...

    async def attach(self, name: str, blob: bytes) -> bytes: ...


@contract("probe")
class Probe(Protocol):
    """Looks into the worker."""

    async def note(self, key: str, times: int = 1) -> int: ...

    async def fail(self, text: str) -> None: ...

    async def fail_often(self, key: str, times: int) -> int: ...

    async def lie(self, number: int) -> Receipt: ...

    async def where(self) -> Execution: ...

    async def current(self) -> str: ...

    async def hold(self, key: str, seconds: float = 30.0) -> str: ...

    async def scoped(self, key: str, outcome: Literal["succeed", "fail"]) -> int: ...

    @task_options(soft_time_limit=1)
    async def overrun(self, key: str, catch: bool) -> str: ...

    @task_options(ignore_result=True)
    async def quietly(self, key: str) -> None: ...


class Login(BaseModel):
    user: str
    password: SecretStr
    token: SecretBytes
    memo: str = Field(repr=False)


class Session(BaseModel):
    user: str
    key: SecretStr
    memo: str = Field(repr=False)


class Hidden(BaseModel):
    model_config = ConfigDict(extra="forbid")

    shown: str
    memo: str = Field(repr=False)


@contract("vault")
class Vault(Protocol):
    """Takes and gives secrets."""

    async def open(self, login: Login) -> Session: ...

    async def echo(self, secret: SecretStr) -> SecretStr: ...

    async def flaky(self, key: str, secret: SecretStr) -> SecretStr: ...

    async def never(self, secret: SecretStr) -> None: ...

    async def hold(self, key: str, secret: SecretStr) -> str: ...

    async def hide(self, hidden: Hidden) -> Hidden: ...
