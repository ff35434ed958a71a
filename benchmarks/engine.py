"""The worker's engine beside Celery's own pools: sleepers, tasks in flight, no-ops, loop lag, memory, processes.

`python -m benchmarks.engine [--only PART] [--quick]`. What is compared alternates in one run, each worker is a process of
its own, and this one is the client. Absolute figures depend on the machine and the hour; ratios are what to read. Needs no
server: it starts a private Redis, unless BENCH_REDIS_URL names one with empty databases 0 and 1, which it fills and flushes.
Memory and threads are read from /proc, so that this runs on Linux.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import multiprocessing
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PATIENCE_SECONDS = 120.0  # without a new result
DELAY_SECONDS = 0.01
MIB = 1024.0  # /proc counts in KiB


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the work, to see that it runs")
    arguments.add_argument("--only", action="append", choices=PARTS, metavar="PART", help=", ".join(PARTS))
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory, _redis(Path(directory)):
        bench = Bench(Path(directory), 10 if given.quick else 1)
        uvloop = f"uvloop {version('uvloop')}" if find_spec("uvloop") else "asyncio's loop"
        print(
            f"Celery {version('celery')}, Python {platform.python_version()}, {uvloop}, {_cores()} cores for Redis, client "
            f"and workers; task_track_started=False{', a tenth of the work' if given.quick else ''}"
        )
        for name in given.only or PARTS:
            PARTS[name](bench)


def _cores() -> int:
    return len(os.sched_getaffinity(0))


@contextmanager
def _redis(directory: Path) -> Iterator[None]:
    with ExitStack() as stack:
        if "BENCH_REDIS_URL" not in os.environ:
            from pico_celery import EmbeddedBroker

            broker = stack.enter_context(EmbeddedBroker(directory / "redis"))
            os.environ["BENCH_REDIS_URL"] = broker.url(0).replace("virtual_host=0", "virtual_host={database}")
        yield


class Bench:
    """The client's side: fills queues, runs workers, counts results."""

    def __init__(self, directory: Path, scale: int) -> None:
        from celery import Celery

        from benchmarks import engine_apps

        self.apps = engine_apps
        self.directory = directory
        self.scale = scale
        # Celery's own client, for it takes Celery's URLs; celery-types knows no backend that has one.
        broker: Any = Celery(backend=engine_apps.BROKER_URL, set_as_current=False).backend
        results: Any = Celery(backend=engine_apps.RESULTS_URL, set_as_current=False).backend
        self.broker, self.results = broker.client, results.client
        if self.broker.dbsize() or self.results.dbsize():
            raise SystemExit("databases 0 and 1 of BENCH_REDIS_URL are not empty, and this would flush them")

    def flush(self) -> None:
        self.broker.flushdb()
        self.results.flushdb()

    @contextmanager
    def worker(self, subject: Subject, **environment: str) -> Iterator[Worker]:
        worker = Worker(self.directory, subject, environment)
        try:
            worker.wait_until_ready()
            yield worker
            worker.complain()
        finally:
            worker.stop()

    def wait_for(self, count: int, *workers: Worker, watch: Callable[[], None] = lambda: None) -> float:
        """Wait for so many results, and return when they were there."""
        done, progress = -1, time.time()
        while True:
            found, now = self.results.dbsize(), time.time()
            if found >= count:
                return now
            if found != done:
                done, progress = found, now
            if now - progress > PATIENCE_SECONDS or not all(worker.alive for worker in workers):
                said = "".join(worker.log for worker in workers)[-4000:]
                raise SystemExit(f"{found} of {count} results, and no more come:\n{said}")
            watch()
            time.sleep(0.005)

    def consume(self, subject: Subject, count: int) -> Run:
        """Fill the queue, start a worker, and wait until all is stored."""
        for _ in range(count):
            subject.send()
        with self.worker(subject) as worker:
            first = count // 10
            warm = self.wait_for(first, worker)
            warm_count = self.results.dbsize()
            end = self.wait_for(count, worker)
        self.flush()
        return Run(end - worker.ready_at, (count - warm_count) / (end - warm))

    def alternate(self, subjects: Sequence[Subject], count: int, rounds: int) -> dict[str, list[Run]]:
        found: dict[str, list[Run]] = {subject.name: [] for subject in subjects}
        for _ in range(rounds):
            for subject in random.sample(subjects, len(subjects)):
                found[subject.name].append(self.consume(subject, count))
        return found


@dataclass(frozen=True)
class Run:
    """One worker's consumption of a queue: from ready to the last result, and the rate after the first tenth."""

    seconds: float
    rate: float


@dataclass(frozen=True)
class Subject:
    """What a worker serves, how it is started, and how one message for it is sent."""

    name: str
    app: str
    options: Sequence[str]
    send: Callable[[], Any] = field(default=lambda: None)


class Worker:
    """A worker process with its output in a file."""

    _numbers = iter(range(1_000_000))

    def __init__(self, directory: Path, subject: Subject, environment: dict[str, str]) -> None:
        number = next(self._numbers)
        self.subject = subject
        self.ready_at = math.nan
        self.peak_threads = 0
        self._ready = directory / f"{number}.ready"
        self._log = directory / f"{number}.log"
        command = [sys.executable, "-m", "celery", "-A", f"benchmarks.engine_apps:{subject.app}", "worker"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *command,
                    "-l",
                    "error",
                    "-n",
                    f"{number}@bench",
                    "--without-gossip",
                    "--without-mingle",
                    *subject.options,
                ],
                env={**os.environ, "BENCH_READY": str(self._ready), **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def wait_until_ready(self) -> None:
        end = time.time() + PATIENCE_SECONDS
        while not self._ready.exists():
            if not self.alive or time.time() > end:
                raise SystemExit(f"the worker of {self.subject.name} does not start:\n{self.log[-4000:]}")
            time.sleep(0.005)
        self.ready_at = float(self._ready.read_text())

    def status(self, name: str) -> int:
        """Return a number of the process, as Linux knows it: Threads, VmRSS and VmHWM in KiB."""
        text = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(text.partition(f"{name}:")[2].split()[0])

    def watch(self) -> None:
        self.peak_threads = max(self.peak_threads, self.status("Threads"))

    def complain(self) -> None:
        """Tell what the worker logged as an error: one that nobody reads makes the figures wrong."""
        errors = [line for line in self.log.splitlines() if ": ERROR/" in line or ": CRITICAL/" in line]
        if errors:
            print(f"  ! {self.subject.name}: {len(errors)} errors, the last: {errors[-1][:160]}")

    def stop(self) -> None:
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(30)
        if self.alive:
            self._process.kill()
        self._process.wait(30)


def sleepers(bench: Bench) -> None:
    apps, count = bench.apps, 1000 // bench.scale
    baseline = Subject("plain Celery solo, no-op", "plain", ["-P", "solo"], apps.send_plain_nothing)

    def doze() -> None:
        apps.client.doze(0.1)

    subjects = [
        baseline,
        Subject("pool -c 1000", "contracted", ["-c", "1000"], doze),
        Subject("pool, default -c", "contracted", [], doze),
        Subject("contract on -P threads -c 100", "contracted", ["-P", "threads", "-c", "100"], doze),
    ]
    found = bench.alternate(subjects, count, rounds=5 if bench.scale == 1 else 2)
    floor = _median(run.seconds for run in found[baseline.name])
    limit = 1.2 * (floor + 0.1)
    _table(
        f"{count} tasks of sleep(0.1), seconds from ready to the last result",
        ["median", "min", "to plain + 0.1 s"],
        {
            name: [f"{_median(times):.2f}", f"{min(times):.2f}", f"{_median(times) / (floor + 0.1):.2f}"]
            for name, times in ((name, [run.seconds for run in runs]) for name, runs in found.items())
        },
        f"at most 1.2 x (plain + 0.1 s) = {limit:.2f} s, and 1.5 s",
    )


def inflight(bench: Bench) -> None:
    count, seconds = 8000 // bench.scale, 20.0 / bench.scale
    subject = Subject("pool -c 8000", "contracted", ["-c", "8000"])
    for _ in range(count):
        bench.apps.client.doze(seconds)
    with bench.worker(subject) as worker:
        idle = worker.status("VmRSS")
        end = bench.wait_for(count, worker, watch=worker.watch)
        peak, wall = worker.status("VmHWM"), end - worker.ready_at
    bench.flush()
    _table(
        f"{count} tasks of sleep({seconds:g}) in flight at once",
        ["wall s", "RSS idle MB", "RSS peak MB", "threads"],
        {subject.name: [f"{wall:.1f}", f"{idle / MIB:.0f}", f"{peak / MIB:.0f}", str(worker.peak_threads)]},
        "31 s, 200 MB, at most 24 threads, for 8000 of sleep(20)",
    )


def noop(bench: Bench) -> None:
    apps, count = bench.apps, 2000 // bench.scale
    baseline = Subject("plain Celery solo", "plain", ["-P", "solo"], apps.send_plain_nothing)
    subjects = [
        baseline,
        Subject("plain Celery threads -c 100", "plain", ["-P", "threads", "-c", "100"], apps.send_plain_nothing),
        Subject("contract on the pool", "contracted", [], apps.client.nothing),
    ]
    found = bench.alternate(subjects, count, rounds=5 if bench.scale == 1 else 2)
    base = [run.rate for run in found[baseline.name]]
    rows = {}
    for name, runs in found.items():
        rates = [run.rate for run in runs]
        pairs = _median(rate / other for rate, other in zip(rates, base, strict=True))
        ratio = _median(rates) / _median(base)
        rows[name] = [f"{_median(rates):.0f}", f"{max(rates):.0f}", f"{ratio:.2f}", f"{pairs:.2f}"]
    _table(
        f"{count} no-ops, tasks/s of one process",
        ["median", "max", "ratio to solo", "pairwise"],
        rows,
        "1.0 x plain solo or better",
    )


def lag(bench: Bench) -> None:
    count = 1000 // bench.scale
    rows = {}
    for name, delay in (("backend as it is", None), (f"backend + {DELAY_SECONDS * 1000:.0f} ms", DELAY_SECONDS)):
        worst, late, walls = [], [], []
        for number in range(3 if bench.scale == 1 else 1):
            lags, wall = _lags(bench, count, delay, bench.directory / f"{name}-{number}.json")
            worst.append(max(lags) * 1000)
            late.append(sorted(lags)[int(len(lags) * 0.99)] * 1000)
            walls.append(wall)
        rows[name] = [
            f"{_median(walls):.2f}",
            *(f"{value:.1f}" for value in (max(worst), _median(worst), _median(late))),
        ]
    _table(
        f"loop lag in ms, {count} tasks of sleep(0.1), pool -c 1000",
        ["wall s", "worst", "median worst", "median p99"],
        rows,
        f"worst 50, p99 20, with {DELAY_SECONDS * 1000:.0f} ms",
    )


def _lags(bench: Bench, count: int, delay: float | None, path: Path) -> tuple[list[float], float]:
    for _ in range(count):
        bench.apps.client.doze(0.1)
    environment = {"BENCH_LAGS": str(path)}
    with ExitStack() as stack:
        if delay is not None:
            environment["BENCH_RESULTS_URL"] = stack.enter_context(_delayed(bench, delay))
        with bench.worker(Subject("pool -c 1000", "contracted", ["-c", "1000"]), **environment) as worker:
            end = bench.wait_for(count, worker)
    bench.flush()
    lags = [late for at, late in json.loads(path.read_text()) if worker.ready_at <= at <= end]
    return lags, end - worker.ready_at


def memory(bench: Bench) -> None:
    apps, batch = bench.apps, 50
    points = [count // bench.scale for count in (10_000, 50_000, 100_000)]
    rows, sent, begun = {}, 0, 0.0
    first = 0
    with bench.worker(Subject("pool", "contracted", [])) as worker:
        for point in points:
            begun = time.time()
            before = sent
            while sent < point:
                # A relay waits for a task that it sends: were the queue longer, relays could take every slot.
                for send, results in apps.MIXED:
                    for _ in range(batch):
                        send()
                    sent += results * batch
                bench.wait_for(sent - 2 * 8 * batch, worker)
            end = bench.wait_for(sent, worker)
            rss = worker.status("VmRSS")
            first = first or rss
            rows[f"after {sent}"] = [
                f"{rss / MIB:.1f}",
                f"{rss / first:.3f}",
                f"{(sent - before) / (end - begun):.0f}",
                str(worker.status("Threads")),
            ]
    bench.flush()
    _table(
        "memory of one worker: no-op, sleep, 2 kB echo, failure, synchronous task, retry, task that awaits a task",
        ["RSS MB", "to the first", "tasks/s", "threads"],
        rows,
        "at most 1.05 after 100000, of that after 10000",
    )


def scaling(bench: Bench) -> None:
    apps, count = bench.apps, 3000 // bench.scale
    staged = {
        "no-op": apps.client.nothing.with_options(queue=apps.STAGED_QUEUE),
        "sleep(0.1)": lambda: apps.client.doze.with_options(queue=apps.STAGED_QUEUE)(0.1),
    }
    found: dict[tuple[int, str], list[float]] = {}
    for _ in range(3 if bench.scale == 1 else 1):
        for processes in random.sample([1, 2, 4], 3):
            with ExitStack() as stack:
                subject = Subject(f"{processes} processes", "contracted", [])
                workers = [stack.enter_context(bench.worker(subject)) for _ in range(processes)]
                for name, send in staged.items():
                    for _ in range(count):
                        send()
                    begun = time.time()
                    bench.broker.rename(apps.STAGED_QUEUE, apps.CONTRACT_QUEUE)  # all workers find it at once
                    rate = count / (bench.wait_for(count, *workers) - begun)
                    found.setdefault((processes, name), []).append(rate)
                    bench.results.flushdb()
            bench.flush()
    rows = {}
    for processes in (1, 2, 4):
        cells = []
        for name in staged:
            rate, one = _median(found[processes, name]), _median(found[1, name])
            cells += [f"{rate:.0f}", f"{rate / one:.2f}"]
        rows[f"{processes} worker process{'es' * (processes > 1)}"] = cells
    header = [cell for name in staged for cell in (name, "to one")]
    _table(f"{count} tasks over several processes, tasks/s on {_cores()} cores", header, rows)


@contextmanager
def _delayed(bench: Bench, seconds: float) -> Iterator[str]:
    """Serve the result database with a delay, from a process of its own; its URL."""
    given = bench.results.connection_pool.connection_kwargs
    target = given.get("path") or (given["host"], given["port"])
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=serve_delayed, args=(target, seconds, theirs), daemon=True)
    process.start()
    try:
        with closing(ours):
            if not ours.poll(PATIENCE_SECONDS):
                raise SystemExit("the delaying proxy does not start")
            port = ours.recv()
        credentials = urlsplit(bench.apps.RESULTS_URL).netloc.rpartition("@")[0]
        yield f"redis://{credentials}{'@' * bool(credentials)}127.0.0.1:{port}/{given.get('db') or 0}"
    finally:
        process.terminate()
        process.join(10)


def serve_delayed(target: Any, seconds: float, told: Any) -> None:
    """Pass connections on, what the client says so much later."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opening = asyncio.open_unix_connection(target) if isinstance(target, str) else asyncio.open_connection(*target)
        behind, before = await opening
        await asyncio.gather(_pass_on(reader, before, seconds), _pass_on(behind, writer, 0))

    async def run() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    read: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    async def write() -> None:
        while True:
            due, data = await read.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                return
            writer.write(data)
            await writer.drain()

    writing = asyncio.create_task(write())
    with suppress(OSError):
        while data := await reader.read(65536):
            read.put_nowait((loop.time() + seconds, data))
    read.put_nowait((loop.time() + seconds, b""))
    with suppress(OSError):
        await writing
    writer.close()


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _table(title: str, header: Sequence[str], rows: dict[str, list[str]], goal: str = "") -> None:
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows.values(), strict=True)]
    first = max(map(len, rows))
    print(f"\n{title}")
    for name, cells in {"": list(header), **rows}.items():
        print(f"  {name:{first}}", *(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True)), sep="   ")
    if goal:
        print(f"  goal: {goal}")
    sys.stdout.flush()


PARTS: dict[str, Callable[[Bench], None]] = {
    "sleepers": sleepers,
    "inflight": inflight,
    "noop": noop,
    "lag": lag,
    "scaling": scaling,
    "memory": memory,
}


if __name__ == "__main__":
    main()
