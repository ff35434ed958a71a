"""A contract whose tasks are called from the command line."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from pydantic import BaseModel, Field, SecretStr

from pico_celery import TaskError, contract, task_options
from tests.support.models import Order, Receipt


class Login(BaseModel):
    user: str
    password: SecretStr
    memo: str = Field(repr=False)


class SoldOut(TaskError):
    """There is none left."""

    sku: str
    left: int


@contract("desk")
class Desk(Protocol):
    """A desk, for calls of every kind."""

    @task_options(errors=[SoldOut])
    async def book(self, order: Order, *, dry_run: bool = False) -> Receipt:
        """Book an order."""
        ...

    async def enter(self, login: Login, door: int) -> str: ...

    async def stumble(self, text: str) -> None: ...

    async def hold(self, key: str) -> str: ...

    @task_options(timeout=timedelta(seconds=1))
    async def hurry(self, key: str) -> str: ...

    @task_options(ignore_result=True)
    async def note(self, key: str) -> None: ...

    @task_options(key=lambda number: number)
    async def once(self, number: int) -> int: ...

    async def request(self) -> dict[str, str]: ...
