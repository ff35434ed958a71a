"""A contract of steps that tell their deadlines, and its client."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from pico_celery import CeleryClient, celery, contract, send_task, task_options

Dues = list[str | None]
LIMIT = timedelta(seconds=60)


@contract("steps")
class Steps(Protocol):
    async def due(self, dues: Dues) -> Dues: ...

    @task_options(timeout=LIMIT)
    async def due_limited(self, dues: Dues) -> Dues: ...

    async def relay(self, dues: Dues) -> Dues: ...

    async def join(self, many: list[Dues]) -> Dues: ...

    async def hold(self, dues: Dues, key: str) -> Dues: ...

    async def nest(self, detached: bool) -> Dues: ...

    async def tell(self, task_id: str, key: str) -> None: ...

    @task_options(timeout=LIMIT)
    async def limited_tell(self, task_id: str, key: str) -> None: ...


@celery
class StepsClient(CeleryClient):
    due = send_task(Steps.due)
    due_limited = send_task(Steps.due_limited)
    relay = send_task(Steps.relay)
    join = send_task(Steps.join)
    hold = send_task(Steps.hold)
    nest = send_task(Steps.nest)
    tell = send_task(Steps.tell)
    limited_tell = send_task(Steps.limited_tell)
