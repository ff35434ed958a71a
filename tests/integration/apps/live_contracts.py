"""A contract of which workers of several versions run: an environment variable says which one this process has."""

from __future__ import annotations

import os
from typing import Annotated, Protocol

from pydantic import BaseModel, Field, SecretStr

from pico_celery import CeleryClient, TaskError, celery, contract, send_task, task_options

VARIABLE = "PICO_TEST_CONTRACT"
VERSION = os.environ.get(VARIABLE, "today")
"""``today``; ``older``, which is another digest and fits; ``strict``, which refuses what clients of today send."""

SECRET = "hunter2-0815"
_LEAST = {"today": 1, "older": 0, "strict": 10}[VERSION]
TOKEN = SecretStr(SECRET)
_Quantity = Annotated[int, Field(ge=_LEAST)]


class NoSuchArticleError(TaskError, code="live.no_such_article"):
    """The store has no such article."""

    sku: str


class Line(BaseModel):
    """One article of an order."""

    sku: str
    quantity: _Quantity
    key: SecretStr = TOKEN


@contract("live")
class Live(Protocol):
    """Orders, and how far they are."""

    @task_options(errors=[NoSuchArticleError])
    async def place(self, line: Line, *, note: str = "none") -> int:
        """Book an order.

        The text goes on here.
        """
        ...

    async def status(self, number: int, *, token: SecretStr = TOKEN) -> str:
        """Tell how far an order is."""
        ...


@celery
class LiveClient(CeleryClient):
    place = send_task(Live.place)
    status = send_task(Live.status)
