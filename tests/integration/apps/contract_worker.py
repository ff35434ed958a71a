"""A worker that implements the contracts of the tests; its settings come from the environment."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from decimal import Decimal
from typing import Any, Literal

from celery import Celery, Task, current_task, signals
from celery.exceptions import SoftTimeLimitExceeded
from pico_ioc import EnvSource, cleanup, component, configuration, init
from pydantic import SecretStr

from pico_celery import task
from tests.integration.apps.contracts import (
    Card,
    Execution,
    Hidden,
    Login,
    Moment,
    Payment,
    Probe,
    Refusal,
    Session,
    Shop,
    Vault,
)
from tests.integration.apps.notes import note, wait_for_note
from tests.support.models import Line, Order, Receipt

REQUIRED_TOTAL = Decimal(10)


@signals.task_prerun.connect(weak=False)
def note_request(task_id: str, task: Task[Any, Any], **_: Any) -> None:
    """Note what only the message says of a call."""
    if task.name == "probe.where":
        request = task.request
        headers = {name: value for name, value in (request.headers or {}).items() if name.startswith("x-")}
        delivery: Any = request.delivery_info
        told = [delivery["routing_key"], delivery.get("priority"), headers]
        note(f"request-{task_id}", json.dumps(told))


class ShopError(Exception):
    """A failure of user code."""


@component
class ShopWorker:
    @task(Shop.place)
    async def place(self, order: Order, *, dry_run: bool = False) -> Receipt:
        total = sum((line.quantity * line.price for line in order.lines), Decimal(0))
        return Receipt(number=order.number, total=total, dry_run=dry_run)

    @task(Shop.cancel)
    async def cancel(self, number: int) -> None:
        note(f"cancel-{number}")

    @task("shop.price_list")
    async def price_list(self, order: Order) -> list[Line]:
        return order.lines

    @task(Shop.pay)
    async def pay(self, number: int, payment: Payment) -> Receipt | Refusal:
        if isinstance(payment, Card):
            return Refusal(reason=f"no cards, {payment.digits}")
        return Receipt(number=number, total=payment.given)

    @task(Shop.ship)
    async def ship(self, receipt: Receipt) -> str:
        assert isinstance(receipt, Receipt)
        return f"shipped {receipt.number} for {receipt.total}"

    @task(Shop.sum_up)
    async def sum_up(self, receipts: list[Receipt]) -> Decimal:
        return sum((receipt.total for receipt in receipts), Decimal(0))

    @task(Shop.remember)
    async def remember(self, moment: Moment) -> Moment:
        return moment

    @task(Shop.attach)
    async def attach(self, name: str, blob: bytes) -> bytes:
        return blob[::-1]


@component
class Pool:
    """A resource that works on the loop it was made on, and nowhere else."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None
        self.queue: asyncio.Queue[int] = asyncio.Queue()

    async def use(self) -> int:
        """Wait on the queue, which raises on any other loop than the first that waited."""
        running = asyncio.get_running_loop()
        self.loop = self.loop or running
        assert self.loop is running
        running.call_later(0.001, self.queue.put_nowait, 1)
        return await self.queue.get()

    @cleanup
    async def close(self) -> None:
        await asyncio.sleep(0)
        same = self.loop in {None, asyncio.get_running_loop()}
        note("pool-closed", f"{os.getpid()} {same}")


@component(scope="request")
class Unit:
    """Lives for one task."""

    def __init__(self) -> None:
        self.key = ""

    @cleanup
    def close(self) -> None:
        note(self.key, f"sync {id(self)}")


@component(scope="request")
class AsyncUnit:
    """Lives for one task; its clean-up is awaited."""

    def __init__(self) -> None:
        self.key = ""

    @cleanup
    async def close(self) -> None:
        await asyncio.sleep(0)
        note(self.key, f"async {id(asyncio.get_running_loop())}")


@component(scope="request")
class ScopedWorker:
    def __init__(self, unit: Unit, other: AsyncUnit) -> None:
        self.unit = unit
        self.other = other

    @task(Probe.scoped)
    async def scoped(self, key: str, outcome: Literal["succeed", "fail"]) -> int:
        assert (self.unit.key, self.other.key) == ("", "")
        self.unit.key = self.other.key = key
        note(key, "body")
        if outcome == "fail":
            raise ShopError(key)
        return id(self.unit)

    @task(Probe.overrun)
    async def overrun(self, key: str, catch: bool) -> str:
        self.unit.key = self.other.key = key
        note(key, "body")
        try:
            await asyncio.sleep(60)
        except SoftTimeLimitExceeded:
            if not catch:
                raise
            await asyncio.sleep(0)
            return "caught"
        return "slept"


@component
class ProbeWorker:
    def __init__(self, pool: Pool) -> None:
        self.pool = pool

    @task(Probe.note, autoretry_for=(Exception,), default_retry_delay=0)
    async def note(self, key: str, times: int = 1) -> int:
        return [note(key) for _ in range(times)][-1]

    @task(Probe.fail)
    async def fail(self, text: str) -> None:
        raise ShopError(text)

    @task(Probe.fail_often, autoretry_for=(ShopError,), default_retry_delay=0, max_retries=5)
    async def fail_often(self, key: str, times: int) -> int:
        if (count := note(key)) <= times:
            raise ShopError(key)
        return count

    @task(Probe.lie, autoretry_for=(Exception,), default_retry_delay=0)
    async def lie(self, number: int) -> Receipt:
        note(f"lie-{number}")
        return {"number": number, "total": "much"}  # type: ignore[return-value]  # the lie

    @task(Probe.where)
    async def where(self) -> Execution:
        await self.pool.use()
        return Execution(pid=os.getpid(), loop=id(asyncio.get_running_loop()), resource=id(self.pool))

    @task(Probe.current)
    async def current(self) -> str:
        await asyncio.sleep(0)
        return f"{current_task.name} {current_task.request.id}"

    @task(Probe.hold)
    async def hold(self, key: str, seconds: float = 30.0) -> str:
        note(f"{key}-started")
        await wait_for_note(key, seconds)
        return key

    @task(Probe.quietly)
    async def quietly(self, key: str) -> None:
        note(key)


@component
class VaultWorker:
    @task(Vault.open)
    async def open(self, login: Login) -> Session:
        key = f"{login.password.get_secret_value()}+{login.token.get_secret_value().decode()}"
        return Session(user=login.user, key=SecretStr(key), memo=login.memo)

    @task(Vault.echo)
    async def echo(self, secret: SecretStr) -> SecretStr:
        return secret

    @task(Vault.flaky, autoretry_for=(ShopError,), default_retry_delay=0, max_retries=3)
    async def flaky(self, key: str, secret: SecretStr) -> SecretStr:
        if note(key) == 1:
            raise ShopError("the first time")
        return secret

    @task(Vault.never, autoretry_for=(ShopError,), default_retry_delay=0, max_retries=1)
    async def never(self, secret: SecretStr) -> None:
        raise ShopError("every time")

    @task(Vault.hold)
    async def hold(self, key: str, secret: SecretStr) -> str:
        note(f"{key}-started")
        await wait_for_note(key, 30)
        return key

    @task(Vault.hide)
    async def hide(self, hidden: Hidden) -> Hidden:
        return hidden


container = init(modules=["pico_celery", sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)
