"""The client's side: concurrent and sequential awaited calls, batches, what an idle client leaves behind.

`python -m benchmarks.client [--only PART] [--quick]`. What is compared alternates in one run; the worker, Redis and this
client share the machine's cores. Absolute figures depend on the machine and the hour; ratios are what to read. Needs no
server: it starts a private Redis, unless BENCH_REDIS_URL names one with empty databases 0 and 1, which it fills and flushes.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

from benchmarks.engine import Bench, Subject, _redis

TICK_SECONDS = 0.001
SLEEP_SECONDS = 0.1


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the work, to see that it runs")
    arguments.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory, _redis(Path(directory)):
        bench = Bench(Path(directory), 10 if given.quick else 1)
        for name in given.only or PARTS:
            PARTS[name](bench)


class LoopWatch:
    """How late an event loop wakes what sleeps on it, and how many threads there are at most."""

    def __init__(self) -> None:
        self.lags: list[float] = []
        self.threads = 0
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._tick())
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _tick(self) -> None:
        while True:
            begun = time.perf_counter()
            await asyncio.sleep(TICK_SECONDS)
            self.lags.append((time.perf_counter() - begun - TICK_SECONDS) * 1000)
            self.threads = max(self.threads, threading.active_count())


def concurrent(bench: Bench) -> None:
    """1000 awaited calls of a 0.1 s task at once, from one process."""
    from benchmarks import engine_apps as apps

    client, plain = _client(), _plain()
    count = 1000 // bench.scale
    doze = plain.signature("bench.doze", kwargs={"seconds": SLEEP_SECONDS}, queue=apps.CONTRACT_QUEUE)

    async def awaited() -> None:
        await asyncio.gather(*[_value(client.doze, SLEEP_SECONDS) for _ in range(count)])

    async def in_threads() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(32) as threads:
            await asyncio.gather(
                *[loop.run_in_executor(threads, lambda: doze.apply_async().get()) for _ in range(count)]
            )

    print(f"\n{count} concurrent awaited calls of a {SLEEP_SECONDS} s task")
    subjects = {"awaited": awaited, "plain, 32 threads with get()": in_threads}
    found: dict[str, list[tuple[float, float, float, int]]] = {name: [] for name in subjects}
    with bench.worker(Subject("pool", "contracted", ["-c", "1000"])):
        asyncio.run(awaited())
        for _ in range(5):
            for name in random.sample(list(subjects), len(subjects)):
                found[name].append(asyncio.run(_watched(subjects[name])))
    bench.flush()
    for name, rows in found.items():
        seconds, p99, worst, threads = (statistics.median(column) for column in zip(*rows, strict=True))
        best = min(row[0] for row in rows)
        print(
            f"  {name:30} {seconds:6.2f} s (min {best:.2f}), loop lag p99 {p99:6.1f} ms, worst {worst:6.1f} ms, {threads:.0f} threads"
        )


async def _watched(call: Callable[[], Any]) -> tuple[float, float, float, int]:
    async with LoopWatch() as watch:
        begun = time.perf_counter()
        await call()
        seconds = time.perf_counter() - begun
        await asyncio.sleep(0)
    lags = sorted(watch.lags)
    return seconds, lags[int(len(lags) * 0.99)] if lags else 0.0, lags[-1] if lags else 0.0, watch.threads


async def _value(call: Any, *args: Any) -> Any:
    return await call(*args)


def sequential(bench: Bench) -> None:
    """One call after the other, each awaited."""
    from benchmarks import engine_apps as apps

    client, plain = _client(), _plain()
    calls, rounds = 100 // bench.scale, 20
    plain_task = plain.signature("plain.nothing", queue=apps.PLAIN_QUEUE)
    contract_task = plain.signature("bench.nothing", queue=apps.CONTRACT_QUEUE)
    times: dict[str, list[float]] = {}

    def measure(name: str, call: Callable[[], Any]) -> None:
        for _ in range(calls):
            begun = time.perf_counter()
            call()
            times.setdefault(name, []).append((time.perf_counter() - begun) * 1e3)

    async def awaited() -> None:
        for _ in range(calls):
            begun = time.perf_counter()
            await client.nothing()
            times.setdefault("awaited, pool", []).append((time.perf_counter() - begun) * 1e3)

    for name, options in (("prefork", []), ("solo", ["-P", "solo"])):
        times.clear()
        with (
            bench.worker(Subject("contract", "contracted", [])),
            bench.worker(Subject("plain", "plain", options)),
        ):
            subjects: dict[str, Callable[[], Any]] = {
                "plain": lambda: measure("plain", lambda: plain_task.apply_async().get()),
                "plain client, pool": lambda: measure("plain client, pool", lambda: contract_task.apply_async().get()),
                "get(), pool": lambda: measure("get(), pool", lambda: client.nothing().get()),
                "awaited, pool": lambda: asyncio.run(awaited()),
            }
            for call in subjects.values():
                call()
            times.clear()
            for _ in range(rounds):
                for subject in random.sample(list(subjects), len(subjects)):
                    subjects[subject]()
        bench.flush()
        print(f"\nsequential round trips of a no-op, ms; plain Celery's worker is {name}")
        base = sorted(times["plain"])
        for subject, taken in times.items():
            found = sorted(taken)
            p50, p99 = _quantile(found, 0.5), _quantile(found, 0.99)
            print(
                f"  {subject:20} p50 {p50:5.2f} (ratio {p50 / _quantile(base, 0.5):.2f})   "
                f"p99 {p99:5.2f} (ratio {p99 / _quantile(base, 0.99):.2f})"
            )


def _quantile(ordered: list[float], part: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def many(bench: Bench) -> None:
    """A batch beside a loop over delay()."""
    from benchmarks import engine_apps as apps

    client, plain = _client(), _plain()
    count = 10_000 // bench.scale
    plain.conf.task_default_queue = apps.CONTRACT_QUEUE

    @plain.task(name="bench.echo", shared=False)
    def echo(text: str) -> str:
        return text

    def loop() -> None:
        for number in range(count):
            echo.delay(str(number))

    def batch() -> None:
        client.echo.send_many([str(number) for number in range(count)])

    found: dict[str, list[float]] = {"loop of delay()": [], "send_many": []}
    for _ in range(3):
        for name, call in random.sample([("loop of delay()", loop), ("send_many", batch)], 2):
            begun = time.perf_counter()
            call()
            found[name].append((time.perf_counter() - begun) / count * 1e6)
            gc.collect()
            bench.flush()
    print(f"\nsending {count} messages, us each")
    base = statistics.median(found["loop of delay()"])
    for name, times in found.items():
        print(f"  {name:20} {statistics.median(times):6.0f}   {base / statistics.median(times):.1f} times as fast")


def idle(bench: Bench) -> None:
    """What a client leaves behind after many calls, half of them cancelled or timed out."""
    client = _client()
    count = 50_000 // bench.scale  # twice: what grows shows in the second half

    async def call_all() -> None:
        for first in range(0, count, 500):
            await asyncio.gather(*[_call(client, number) for number in range(first, first + 500)])

    with bench.worker(Subject("pool", "contracted", [])):
        patterns = bench.results.pubsub_numpat()  # the worker's own
        asyncio.run(call_all())
        gc.collect()
        before = _rss()  # as warm as it gets
        asyncio.run(call_all())
        end = time.monotonic() + 10
        while threading.active_count() > 1 and time.monotonic() < end:
            time.sleep(0.05)
        gc.collect()
        print(f"\nafter {2 * count} calls, half of them cancelled or timed out")
        print(f"  memory grew from {before:.1f} to {_rss():.1f} MB in the second half")
        left = bench.results.pubsub_numpat() - patterns
        print(f"  threads: {threading.active_count()}, patterns subscribed to by the client: {left}")
        print(f"  channels: {len(bench.results.pubsub_channels('celery-task-meta-*'))}")
    bench.flush()


async def _call(client: Any, number: int) -> None:
    try:
        async with asyncio.timeout(None if number % 2 else 0.0005 * (number % 7)):
            await client.nothing()
    except TimeoutError:
        return


def _rss() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _client() -> Any:
    from benchmarks import engine_apps as apps

    return apps.WorkClient(apps.contracted)


def _plain() -> Any:
    from celery import Celery

    from benchmarks import engine_apps as apps

    app = Celery("bench-plain-client", broker=apps.BROKER_URL, backend=apps.RESULTS_URL, set_as_current=False)
    app.conf.task_track_started = False
    return app


PARTS: dict[str, Callable[[Bench], None]] = {
    "concurrent": concurrent,
    "sequential": sequential,
    "many": many,
    "idle": idle,
}

if __name__ == "__main__":
    main()
