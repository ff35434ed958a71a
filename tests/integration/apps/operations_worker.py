"""A worker with synchronous tasks beside those of its contract, and components that start and stop with it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from time import perf_counter

from celery import Celery
from celery.exceptions import SoftTimeLimitExceeded
from pico_ioc import EnvSource, cleanup, component, configuration, init

from pico_celery import task
from tests.integration.apps.notes import NOTES_VARIABLE, note, wait_for_note
from tests.integration.apps.operations_contracts import (
    BROKEN_VARIABLE,
    HOLD_SECONDS,
    Lag,
    Line,
    Operations,
    OperationsClient,
)

TICK_SECONDS = 0.005


@component(lazy=True)
class Connection:
    """Bound to the loop on which it was made."""

    async def __ainit__(self) -> None:
        await asyncio.sleep(0)
        self.loop = asyncio.get_running_loop()
        note("opened", f"{os.getpid()} {id(self.loop)}")

    @cleanup
    async def close(self) -> None:
        await asyncio.sleep(0)
        note("closed", f"{os.getpid()} {id(asyncio.get_running_loop())}")


@component(lazy=True)
class Fragile:
    async def __ainit__(self) -> None:
        await asyncio.sleep(0)
        if BROKEN_VARIABLE in os.environ:
            raise OSError("no route to the host")


@component
class OperationsWorker:
    def __init__(self, connection: Connection, fragile: Fragile) -> None:
        self.connection = connection
        self.fragile = fragile

    @task(Operations.double)
    async def double(self, number: int) -> int:
        await asyncio.sleep(0)
        return 2 * number

    @task(Operations.nap)
    async def nap(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @task(Operations.hold)
    async def hold(self, key: str, number: int, seconds: float = HOLD_SECONDS) -> int:
        note(f"{key}-started", str(number))
        await wait_for_note(key, seconds)
        return number

    @task(Operations.hold_late)
    async def hold_late(self, key: str, number: int, seconds: float = HOLD_SECONDS) -> int:
        return await self.hold(key, number, seconds)

    @task(Operations.swallow)
    async def swallow(self, key: str, number: int) -> int:
        note(f"{key}-started", str(number))
        while not noted(key):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0.05)
        return number

    @task(Operations.overrun)
    async def overrun(self) -> str:
        try:
            await asyncio.sleep(60)
        except SoftTimeLimitExceeded:
            return "caught"
        return "slept"

    @task(Operations.lag)
    async def lag(self, key: str, seconds: float = HOLD_SECONDS) -> Lag:
        late: list[float] = []
        note(f"{key}-started")
        async with asyncio.timeout(seconds):
            while not noted(key):
                begun = perf_counter()
                await asyncio.sleep(TICK_SECONDS)
                late.append(max(0.0, perf_counter() - begun - TICK_SECONDS))
        late.sort()
        return Lag(samples=len(late), p99_seconds=late[int(len(late) * 0.99)], worst_seconds=late[-1])

    @task(Operations.line)
    async def line(self) -> Line:
        assert self.connection.loop is asyncio.get_running_loop()
        return Line(pid=os.getpid(), loop=id(self.connection.loop))


def noted(key: str) -> bool:
    return Path(os.environ[NOTES_VARIABLE], key).exists()


container = init(modules=["pico_celery", sys.modules[__name__]], config=configuration(EnvSource(prefix="")))
celery_app = container.get(Celery)


@celery_app.task(name="operations.add")
def add(first: int, second: int) -> int:
    """Add, synchronously."""
    return first + second


@celery_app.task(name="operations.total")
def total(numbers: list[int]) -> int:
    """Add all, synchronously."""
    return sum(numbers)


@celery_app.task(name="operations.block", time_limit=600)
def block(key: str, number: int) -> int:
    """Hold a thread until the test has noted the key."""
    note(f"{key}-started", str(number))
    while not noted(key):
        time.sleep(0.02)
    return number


@celery_app.task(name="operations.freeze")
def freeze(key: str, seconds: float) -> None:
    """Hold a thread, whatever happens."""
    note(f"{key}-started")
    time.sleep(seconds)


if __name__ == "__main__":
    from celery.contrib.testing.worker import start_worker

    with start_worker(celery_app, pool=sys.argv[1], concurrency=4, perform_ping_check=False):
        results = [OperationsClient(celery_app).double(number) for number in range(20)]
        print([result.get(timeout=20, interval=0.02) for result in results])
        print(add.delay(3, 4).get(timeout=20, interval=0.02))
