"""Contracts of what the worker's engine promises: limits, revocation, isolation, tracing; and their clients."""

from __future__ import annotations

from typing import Literal, Protocol

from pydantic import BaseModel

from pico_celery import CeleryClient, celery, contract, send_task, task_options

SOFT_SECONDS = 1.0
HARD_SECONDS = 1.0
RATE = 10

Shape = Literal["sleep", "timeout", "gather", "group_child", "group_body", "wait_for", "shield", "nested"]
Misdeed = Literal[
    "system_exit",
    "keyboard_interrupt",
    "self_cancel",
    "group_exit",
    "gather_exit",
    "background_error",
    "background_exit",
    "background_interrupt",
    "callback_error",
    "callback_exit",
    "callback_interrupt",
]


class Place(BaseModel):
    """Where a task ran."""

    pid: int
    loop: int


@contract("limits")
class Limits(Protocol):
    """What is limited, and what is ended from outside."""

    async def overrun(self, shape: Shape, key: str, *, catch: bool) -> None: ...

    @task_options(soft_time_limit=SOFT_SECONDS)
    async def softly(self, key: str) -> None: ...

    @task_options(time_limit=HARD_SECONDS)
    async def hardly(self, key: str) -> None: ...

    async def persist(self, key: str) -> None: ...

    async def swallow(self, key: str) -> None: ...

    async def hold(self, key: str) -> str: ...

    async def mark(self, key: str, text: str) -> None: ...

    async def begin(self) -> float: ...

    @task_options(rate_limit=f"{RATE}/s")
    async def seldom(self) -> float: ...


@contract("isolation")
class Isolation(Protocol):
    """What executions on one loop see of each other."""

    async def where(self) -> Place: ...

    async def wait(self, key: str) -> Place: ...

    async def examine(self, expected: str, crowd: str, size: int) -> list[str]: ...

    async def leave(self, key: str) -> None: ...

    async def misbehave(self, misdeed: Misdeed) -> str: ...

    async def block(self, seconds: float) -> None: ...

    async def pause(self, seconds: float, crowd: str, size: int) -> None: ...


@contract("tracing")
class Tracing(Protocol):
    """Tasks that send tasks, traced."""

    async def outer(self, number: int, size: int) -> int: ...

    async def inner(self, number: int) -> int: ...

    async def fail(self, text: str) -> None: ...


@celery
class LimitsClient(CeleryClient):
    overrun = send_task(Limits.overrun)
    softly = send_task(Limits.softly)
    hardly = send_task(Limits.hardly)
    persist = send_task(Limits.persist)
    swallow = send_task(Limits.swallow)
    hold = send_task(Limits.hold)
    mark = send_task(Limits.mark)
    begin = send_task(Limits.begin)
    seldom = send_task(Limits.seldom)


@celery
class IsolationClient(CeleryClient):
    where = send_task(Isolation.where)
    wait = send_task(Isolation.wait)
    examine = send_task(Isolation.examine)
    leave = send_task(Isolation.leave)
    misbehave = send_task(Isolation.misbehave)
    block = send_task(Isolation.block)
    pause = send_task(Isolation.pause)


@celery
class TracingClient(CeleryClient):
    outer = send_task(Tracing.outer)
    inner = send_task(Tracing.inner)
    fail = send_task(Tracing.fail)
