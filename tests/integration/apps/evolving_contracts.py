"""A contract whose tasks were renamed, changed and deprecated, as workers and new clients have it."""

from __future__ import annotations

from typing import Any, Protocol

from pydantic import BaseModel

from pico_celery import CeleryClient, TaskError, celery, contract, send_task, task_options, upcast


class Order(BaseModel):
    id: int
    lines: list[str]


class Booked(BaseModel):
    id: int
    lines: list[str]
    named: str


class Refused(TaskError):
    reason: str


@contract("evolved")
class Orders(Protocol):
    @task_options(since="1.0", aliases=["evolved.submit"], errors=[Refused])
    async def place(self, order: Order, *, tries: int = 0) -> Booked: ...

    @task_options(aliases=["evolved.wait"], soft_time_limit=1)
    async def hold(self, key: str) -> None: ...

    @task_options(deprecated="use evolved.v2.count")
    async def count(self, numbers: list[int]) -> int: ...


@upcast(Orders.place)
def place_before_2(payload: dict[str, Any]) -> dict[str, Any]:
    """Version 1, evolved.submit, took the order's parts."""
    if "number" in payload:
        payload["order"] = {"id": payload.pop("number"), "lines": payload.pop("lines", [])}
    return payload


@contract("evolved", version=2)
class OrdersV2(Protocol):
    async def count(self, numbers: list[int], *, start: int) -> str: ...


@celery
class EvolvedClient(CeleryClient):
    place = send_task(Orders.place)
    hold = send_task(Orders.hold)
    count = send_task(Orders.count)
    count_v2 = send_task(OrdersV2.count)
