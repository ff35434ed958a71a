"""A worker of `calling_contracts`; its settings come from the environment."""

from __future__ import annotations

import asyncio
import sys
from decimal import Decimal

from celery import Celery, current_task
from pico_ioc import EnvSource, component, configuration, init

from pico_celery import task
from tests.integration.apps.calling_contracts import Desk, Login, SoldOut
from tests.integration.apps.notes import note, wait_for_note
from tests.support.models import Order, Receipt


class StrangerError(Exception):
    """What no contract declares."""


@component
class DeskWorker:
    @task(Desk.book)
    async def book(self, order: Order, *, dry_run: bool = False) -> Receipt:
        gone = [line for line in order.lines if line.sku == "nothing"]
        if gone:
            raise SoldOut(sku=gone[0].sku, left=0)
        total = sum((line.quantity * line.price for line in order.lines), Decimal(0))
        return Receipt(number=order.number, total=total, dry_run=dry_run)

    @task(Desk.enter)
    async def enter(self, login: Login, door: int) -> str:
        return f"{login.user} at {door}, {len(login.password.get_secret_value())}"

    @task(Desk.stumble)
    async def stumble(self, text: str) -> None:
        raise StrangerError(text)

    @task(Desk.hold)
    async def hold(self, key: str) -> str:
        note(f"{key}-started")
        await wait_for_note(key, 30)
        return key

    @task(Desk.hurry)
    async def hurry(self, key: str) -> str:
        await asyncio.sleep(30)
        return key

    @task(Desk.note)
    async def note(self, key: str) -> None:
        note(key)

    @task(Desk.once)
    async def once(self, number: int) -> int:
        return note(f"once-{number}")

    @task(Desk.request)
    async def request(self) -> dict[str, str]:
        request = current_task.request
        headers = {name: str(value) for name, value in (request.headers or {}).items()}
        delivery = request.delivery_info or {}
        return {**headers, "priority": str(delivery.get("priority")), "shadow": str(request.shadow)}


container = init(modules=["pico_celery", sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)
