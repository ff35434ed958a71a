"""A worker whose tasks fail in every way; its settings come from the environment."""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from celery import Celery, current_task, signals
from celery.backends.rpc import RPCBackend
from kombu import Connection
from pico_ioc import EnvSource, component, configuration, init
from pydantic import SecretStr

from pico_celery import task
from tests.integration.apps.errors_contracts import (
    Busy,
    CardDeclined,
    Declined,
    Locked,
    OutOfStock,
    Till,
    Unlisted,
    Way,
)
from tests.integration.apps.notes import note, wait_for_note

CARD, PIN = "5500-0000", "pin-0815"  # here, so that no line of a traceback shows them


class StrangerError(Exception):
    """What the client cannot import in any test that asks for it."""


class KeywordError(Exception):
    def __init__(self, *, number: int) -> None:
        super().__init__(f"number {number}")


@component
class TillWorker:
    @task(Till.pay)
    async def pay(self, way: Way) -> int:
        await asyncio.sleep(0)
        if way == "declined":
            raise Declined(reason="limit", limit=Decimal("0.10"), retry_after=timedelta(hours=1))
        if way == "heir":
            raise CardDeclined(reason="limit", last_digits="4711")
        if way == "locked":
            raise Locked(card=SecretStr(CARD), pin=PIN)
        if way == "unlisted":
            raise Unlisted(reason="nobody listed me")
        if way == "keyword":
            raise KeywordError(number=7)
        if way == "own":
            raise SystemExit(3)
        raise StrangerError("no line", 5)

    @task(Till.pack)
    async def pack(self, number: int) -> int:
        raise OutOfStock(missing={"tea": number})

    @task(Till.flaky)
    async def flaky(self, key: str, raises: list[Literal["busy", "line", "declined", "stranger"]]) -> int:
        attempt = note(key)
        if attempt > len(raises):
            return attempt
        way = raises[attempt - 1]
        if way == "busy":
            raise Busy(attempt=attempt)
        if way == "line":
            raise ConnectionError("no line")
        if way == "declined":
            raise Declined(reason="limit")
        raise StrangerError("no line")

    @task(Till.strand)
    async def strand(self, key: str) -> int:
        note(key)
        task: Any = current_task
        raise task.retry(exc=Busy(attempt=1), connection=Connection("redis+socket:///no/such/broker"))

    @task(Till.add_up)
    async def add_up(self, numbers: list[int]) -> int:
        return sum(numbers)

    @task(Till.tell)
    async def tell(self, task_id: str, key: str) -> None:
        note(key, task_id)

    @task(Till.hold)
    async def hold(self, number: int, key: str) -> int:
        await wait_for_note(key, 30)
        return number


container = init(modules=["pico_celery", sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)


@signals.before_task_publish.connect(weak=False)
def note_state(headers: Any, body: Any, **_: Any) -> None:
    """Tell which state is stored when a retry goes out: from then on, its outcome may be stored at any time."""
    if headers.get("retries") and headers["task"] == "till.flaky" and not isinstance(celery_app.backend, RPCBackend):
        note(f"{body[1]['key']}-states", celery_app.AsyncResult(headers["id"]).state)
