"""Contracts about what a worker does with a task, and their clients."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from pydantic import BaseModel

from pico_celery import CeleryClient, celery, contract, send_task


class Seen(BaseModel):
    """What `TaskContext` tells of one execution."""

    id: str
    name: str
    retries: int
    max_retries: int | None
    root_id: str | None
    parent_id: str | None
    group_id: str | None
    correlation_id: str | None
    redelivered: bool
    routing_key: str
    headers: dict[str, Any]
    eta: datetime | None
    expires: datetime | None
    time_limit: timedelta | None
    soft_time_limit: timedelta | None
    deadline: datetime | None
    time_left: timedelta | None
    cancelled: bool


class Marks(BaseModel):
    """A context variable, as it is seen from the places where a task's code runs."""

    body: str
    child_task: str
    thread: str


class Call(BaseModel):
    """A task that called another one."""

    caller: Seen
    called: Seen


@contract("engine")
class Engine(Protocol):
    """Ends in every way a task can end."""

    async def succeed(self, number: int) -> int: ...

    async def fail(self, text: str) -> None: ...

    async def look(self) -> Seen: ...

    async def look_limited(self) -> Seen: ...

    async def look_patient(self) -> Seen: ...

    async def retry_by_context(self, key: str, countdown: timedelta) -> int: ...

    async def retry_by_celery(self, key: str, times: int) -> int: ...

    async def back_off(self, key: str) -> None: ...

    async def retry_anything(self, key: str, number: int) -> int: ...

    async def retry_then_fail(self, key: str) -> None: ...

    async def retry_at_most(self, key: str, limit: int, party: str, size: int) -> None: ...

    async def retry_or_auto(self, key: str, limit: int, party: str, size: int) -> None: ...

    async def ignore(self, key: str) -> None: ...

    async def reject(self, key: str) -> None: ...

    async def requeue(self, key: str) -> int: ...

    async def hold(self, key: str) -> str: ...

    async def hold_late(self, key: str) -> str: ...

    async def report(self, key: str) -> str: ...

    async def report_often(self, times: int, end: Literal["return", "raise"]) -> int: ...

    async def report_for_ever(self, key: str) -> None: ...

    async def report_at_once(self, times: int, end: Literal["return", "raise"]) -> None: ...

    async def report_afterwards(self, key: str, end: Literal["return", "raise"]) -> None: ...

    async def marks(self, party: str, size: int) -> Marks: ...


@contract("flow")
class Flow(Protocol):
    """Parts of workflows."""

    async def add(self, a: int, b: int) -> int: ...

    async def total(self, numbers: list[int]) -> int: ...

    async def total_nested(self, numbers: list[int | list[int]]) -> int: ...

    async def fail(self, text: str) -> int: ...

    async def finish(self, numbers: list[int], key: str) -> int: ...

    async def replace(self, a: int, b: int) -> int: ...

    async def replace_by_group(self, numbers: list[int]) -> list[int]: ...

    async def place(self) -> Seen: ...

    async def call(self) -> Call: ...

    async def get(self, how: Literal["ours", "celery"]) -> None: ...

    async def get_then_await(self, a: int, b: int) -> int: ...


@celery
class EngineClient(CeleryClient):
    succeed = send_task(Engine.succeed)
    fail = send_task(Engine.fail)
    look = send_task(Engine.look)
    look_limited = send_task(Engine.look_limited)
    look_patient = send_task(Engine.look_patient)
    retry_by_context = send_task(Engine.retry_by_context)
    retry_by_celery = send_task(Engine.retry_by_celery)
    back_off = send_task(Engine.back_off)
    retry_then_fail = send_task(Engine.retry_then_fail)
    retry_at_most = send_task(Engine.retry_at_most)
    retry_or_auto = send_task(Engine.retry_or_auto)
    ignore = send_task(Engine.ignore)
    reject = send_task(Engine.reject)
    requeue = send_task(Engine.requeue)
    hold = send_task(Engine.hold)
    hold_late = send_task(Engine.hold_late)
    report = send_task(Engine.report)
    report_often = send_task(Engine.report_often)
    report_for_ever = send_task(Engine.report_for_ever)
    report_at_once = send_task(Engine.report_at_once)
    report_afterwards = send_task(Engine.report_afterwards)
    marks = send_task(Engine.marks)


@celery
class FlowClient(CeleryClient):
    add = send_task(Flow.add)
    replace = send_task(Flow.replace)
    place = send_task(Flow.place)
    call = send_task(Flow.call)
    get = send_task(Flow.get)
    get_then_await = send_task(Flow.get_then_await)
