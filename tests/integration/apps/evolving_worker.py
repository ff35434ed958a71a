"""A worker of the contract as it is now; its settings come from the environment."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from celery import Celery, current_task, signals
from pico_ioc import EnvSource, component, configuration, init

from pico_celery import TaskContext, task
from tests.integration.apps.evolving_contracts import Booked, Order, Orders, OrdersV2, Refused
from tests.integration.apps.notes import note


@component
class OrdersWorker:
    def __init__(self, context: TaskContext) -> None:
        self.context = context

    @task(Orders.place)
    async def place(self, order: Order, *, tries: int = 0) -> Booked:
        await asyncio.sleep(0)
        if self.context.retries < tries:
            if order.lines[-1:] == ["change"]:
                raise current_task.retry(countdown=0, kwargs={"order": {"id": order.id, "lines": ["changed"]}})
            await self.context.retry(countdown=0)
        if not order.lines:
            raise Refused(reason="no lines")
        return Booked(id=order.id, lines=order.lines, named=self.context.request.task)

    @task(Orders.hold)
    async def hold(self, key: str) -> None:
        note(key)
        await asyncio.sleep(60)

    @task(Orders.count)
    async def count(self, numbers: list[int]) -> int:
        return sum(numbers)

    @task(OrdersV2.count)
    async def count_v2(self, numbers: list[int], *, start: int) -> str:
        return str(sum(numbers, start))


container = init(modules=["pico_celery", sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)


@signals.before_task_publish.connect(weak=False)
def note_message(headers: Any, body: Any, **_: Any) -> None:
    """Tell what the message of a retry says."""
    if headers.get("retries"):
        told = {"task": headers["task"], "digest": headers.get("pico_digest"), "kwargs": body[1]}
        note(headers["id"], json.dumps(told))
