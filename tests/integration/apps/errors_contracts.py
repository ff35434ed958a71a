"""A contract whose tasks fail in every way."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Literal, Protocol

from pydantic import Field, SecretStr

from pico_celery import CeleryClient, RetryPolicy, TaskError, celery, contract, send_task, task_options

AT_ONCE = RetryPolicy(max_attempts=3, delay=timedelta(milliseconds=10), retry_on=(ConnectionError,))


class Declined(TaskError):
    """The bank said no."""

    reason: str
    limit: Decimal | None = None
    retry_after: timedelta | None = None


class CardDeclined(Declined):
    """What the worker knows more of it; no contract declares it."""

    last_digits: str


class Locked(TaskError):
    card: SecretStr
    pin: str = Field(repr=False)


class OutOfStock(TaskError):
    missing: dict[str, int]


class Busy(TaskError, retryable=True):
    attempt: int


class Unlisted(TaskError):
    reason: str


Way = Literal["declined", "heir", "locked", "unlisted", "stranger", "keyword", "own"]


@contract("till")
class Till(Protocol):
    @task_options(errors=[Declined, Locked])
    async def pay(self, way: Way) -> int: ...

    @task_options(errors=[OutOfStock])
    async def pack(self, number: int) -> int: ...

    @task_options(errors=[Busy, Declined], retries=AT_ONCE)
    async def flaky(self, key: str, raises: list[Literal["busy", "line", "declined", "stranger"]]) -> int: ...

    @task_options(errors=[Busy])
    async def strand(self, key: str) -> int: ...

    async def add_up(self, numbers: list[int]) -> int: ...

    async def tell(self, task_id: str, key: str) -> None: ...

    async def hold(self, number: int, key: str) -> int: ...


@celery
class TillClient(CeleryClient):
    pay = send_task(Till.pay)
    pack = send_task(Till.pack)
    flaky = send_task(Till.flaky)
    strand = send_task(Till.strand)
    add_up = send_task(Till.add_up)
    tell = send_task(Till.tell)
    hold = send_task(Till.hold)
