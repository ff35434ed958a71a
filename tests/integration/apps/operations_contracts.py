"""The contract by which the tests see the engine in operation, and its client."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel

from pico_celery import CeleryClient, celery, contract, send_task, task_options

HOLD_SECONDS = 120.0
BROKEN_VARIABLE = "PICO_TEST_BROKEN"  # set: a component of the worker does not start


class Lag(BaseModel):
    """How late the event loop was for a coroutine that wants to run every few milliseconds."""

    samples: int
    p99_seconds: float
    worst_seconds: float


class Line(BaseModel):
    """A connection of the process."""

    pid: int
    loop: int


@contract("operations")
class Operations(Protocol):
    """Looks into a worker while it runs, ends, or breaks."""

    async def double(self, number: int) -> int: ...

    async def nap(self, seconds: float) -> None: ...

    async def hold(self, key: str, number: int, seconds: float = HOLD_SECONDS) -> int:
        """Wait until the test has noted the key."""
        ...

    @task_options(idempotent=True)
    async def hold_late(self, key: str, number: int, seconds: float = HOLD_SECONDS) -> int:
        """Wait as `hold` does; acknowledged when it has ended."""
        ...

    @task_options(idempotent=True)
    async def swallow(self, key: str, number: int) -> int:
        """Wait as `hold` does, whatever cancels it."""
        ...

    @task_options(soft_time_limit=1)
    async def overrun(self) -> str: ...

    async def lag(self, key: str, seconds: float = HOLD_SECONDS) -> Lag:
        """Measure the loop until the test has noted the key."""
        ...

    async def line(self) -> Line: ...


@celery
class OperationsClient(CeleryClient):
    double = send_task(Operations.double)
    nap = send_task(Operations.nap)
    hold = send_task(Operations.hold)
    hold_late = send_task(Operations.hold_late)
    swallow = send_task(Operations.swallow)
    overrun = send_task(Operations.overrun)
    lag = send_task(Operations.lag)
    line = send_task(Operations.line)
