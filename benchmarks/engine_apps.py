"""What benchmarks.engine runs: tasks of a contract on the library's pool, and plain Celery tasks beside them.

Applications that worker processes serve (`celery -A benchmarks.engine_apps:contracted`), and ways to fill their queues.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from typing import Any, Protocol

from celery import Celery, signals
from pico_ioc import DictSource, cleanup, component, configuration, configure, init

from pico_celery import CeleryClient, TaskContext, celery, contract, send_task, task

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/{database}")
BROKER_URL = REDIS_URL.format(database=0)
RESULTS_URL = os.environ.get("BENCH_RESULTS_URL", REDIS_URL.format(database=1))
CONTRACT_QUEUE = "bench-contract"
PLAIN_QUEUE = "bench-plain"
STAGED_QUEUE = "bench-staged"
TICK_SECONDS = 0.01
TEXT = "x" * 2000

plain = Celery("plain", broker=BROKER_URL, backend=RESULTS_URL)
plain.conf.update(
    task_default_queue=PLAIN_QUEUE,
    task_track_started=False,
    broker_connection_retry_on_startup=True,
)


@plain.task(name="plain.nothing")
def plain_nothing() -> None:
    return None


class ExpectedError(Exception):
    """A failure that the worker does not log as an error."""


@contract("bench")
class Work(Protocol):
    async def nothing(self) -> None: ...

    async def doze(self, seconds: float) -> None: ...

    async def echo(self, text: str) -> str: ...

    async def fail(self) -> None: ...

    async def retry(self) -> int: ...

    async def relay(self) -> None: ...


@celery
class WorkClient(CeleryClient):
    nothing = send_task(Work.nothing)
    doze = send_task(Work.doze)
    echo = send_task(Work.echo)
    fail = send_task(Work.fail)
    retry = send_task(Work.retry)
    relay = send_task(Work.relay)


@component(lazy=True)  # an eager one would be made where there is no loop yet
class Ticker:
    """Notes how late the loop wakes it, and writes that down when the worker ends."""

    def __init__(self) -> None:
        self._lags: list[tuple[float, float]] = []
        self._ticking: asyncio.Task[None] | None = None

    @configure
    async def start(self) -> None:
        if "BENCH_LAGS" in os.environ:
            self._ticking = asyncio.create_task(self._tick())

    @cleanup
    async def write(self) -> None:
        if self._ticking is not None:
            self._ticking.cancel()
            _write("BENCH_LAGS", json.dumps(self._lags))

    async def _tick(self) -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            self._lags.append((time.time(), time.perf_counter() - begun - TICK_SECONDS))


@component
class Worker:
    def __init__(self, client: WorkClient, context: TaskContext) -> None:
        self._client = client
        self._context = context

    @task(Work.nothing)
    async def nothing(self) -> None:
        return None

    @task(Work.doze)
    async def doze(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    @task(Work.echo)
    async def echo(self, text: str) -> str:
        return text

    @task(Work.fail, throws=(ExpectedError,))
    async def fail(self) -> None:
        raise ExpectedError("as it should")

    @task(Work.retry)
    async def retry(self) -> int:
        if self._context.retries == 0:
            await self._context.retry(countdown=0.1)
        return self._context.retries

    @task(Work.relay)
    async def relay(self) -> None:
        await (await self._client.nothing.asend())


_container = init(
    modules=["pico_celery", "benchmarks.engine_apps"],
    config=configuration(
        DictSource(
            {
                "celery": {
                    "broker_url": BROKER_URL,
                    "backend_url": RESULTS_URL,
                    "task_track_started": False,
                    "task_default_queue": CONTRACT_QUEUE,
                }
            }
        )
    ),
)
contracted = _container.get(Celery)


@contracted.task(name="bench.synchronous")
def synchronous() -> None:
    time.sleep(0.001)


# It keeps no results, so that it subscribes to none: the client costs the same for all that is compared.
_sender = Celery("sender", broker=BROKER_URL, set_as_current=False)
_sender.conf.update(task_default_queue=CONTRACT_QUEUE)
client = WorkClient(_sender)


def send_plain_nothing() -> None:
    _sender.send_task("plain.nothing", queue=PLAIN_QUEUE)


def send_synchronous() -> None:
    _sender.send_task("bench.synchronous", queue=CONTRACT_QUEUE)


# How to send each, and how many results are stored for it.
MIXED: list[tuple[Any, int]] = [
    (client.nothing, 1),
    (lambda: client.doze(0.02), 1),
    (lambda: client.echo(TEXT), 1),
    (client.fail, 1),
    (send_synchronous, 1),
    (client.retry, 1),
    (client.relay, 2),
]


def _write(variable: str, text: str) -> None:
    path = Path(os.environ[variable])
    unfinished = path.with_suffix(".part")
    unfinished.write_text(text)
    unfinished.rename(path)


@signals.worker_ready.connect
def _tell_ready(**_: Any) -> None:
    _write("BENCH_READY", repr(time.time()))
