"""Contracts of deadlines, cancellation and idempotency; and their client."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal, Protocol

from pico_celery import CeleryClient, celery, contract, send_task, task_options

Way = Literal["client", "await", "thread", "detached", "delay", "chain", "group", "chord", "link", "replace"]


@contract("time")
class Times(Protocol):
    """What has its time."""

    async def hold(self, key: str) -> str: ...

    async def swallow(self, key: str) -> None: ...

    async def mark(self, key: str, text: str) -> None: ...

    @task_options(timeout=timedelta(minutes=5))
    async def limited(self) -> datetime | None: ...

    async def tell(self, key: str) -> datetime | None: ...

    async def send(self, way: Way, key: str) -> datetime | None: ...

    async def insist(self, key: str, times: int) -> datetime | None: ...

    async def fail_slowly(self, key: str) -> None: ...

    @task_options(key=lambda order: order, idempotency_ttl=timedelta(minutes=5))
    async def once(self, order: int, key: str = "") -> int: ...

    @task_options(key=lambda order: order)
    async def once_held(self, order: int, key: str) -> int: ...

    async def relay(self, order: int) -> str: ...

    @task_options(idempotent=True)
    async def survive(self, key: str) -> str: ...


@celery
class TimesClient(CeleryClient):
    hold = send_task(Times.hold)
    swallow = send_task(Times.swallow)
    mark = send_task(Times.mark)
    limited = send_task(Times.limited)
    tell = send_task(Times.tell)
    send = send_task(Times.send)
    insist = send_task(Times.insist)
    fail_slowly = send_task(Times.fail_slowly)
    once = send_task(Times.once)
    once_held = send_task(Times.once_held)
    relay = send_task(Times.relay)
    survive = send_task(Times.survive)
