"""Send, round trip and throughput of one payload over plain Celery and over a contract, alternating in one run.

`make bench`, or `python -m benchmarks.compare [--quick]`. Absolute figures depend on the machine and the hour; the ratios
to plain Celery with dicts are what to read. Needs no server: it starts a private Redis, unless BENCH_REDIS_URL names one.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true", help="a tenth of the work, to see that it runs")
    scale = 10 if arguments.parse_args().quick else 1
    with _redis():
        from benchmarks.subjects import APPS, SUBJECTS

        senders = {name: call for name, (_, call, _) in SUBJECTS.items()}
        silent = {name: call for name, (_, _, call) in SUBJECTS.items()}
        _report("send with a result, us", _alternate(senders, rounds=40, calls=max(5, 50 // scale)))
        _flush(APPS)
        _report("send without a result, us", _alternate(silent, rounds=40, calls=max(5, 50 // scale)))
        _flush(APPS)
        with _workers([app for app, _, _ in SUBJECTS.values()]):
            trips = {name: (lambda call=call: call().get(timeout=30)) for name, call in senders.items()}
            _report("round trip, us", _alternate(trips, rounds=30, calls=max(2, 20 // scale)))
        _flush(APPS)
        _report("us a task, one worker process", _throughput(SUBJECTS, APPS, messages=2000 // scale, rounds=5))


@contextmanager
def _redis() -> Iterator[None]:
    if "BENCH_REDIS_URL" in os.environ:
        yield
        return
    from pico_celery import EmbeddedBroker

    with tempfile.TemporaryDirectory() as directory, EmbeddedBroker(Path(directory) / "redis") as broker:
        os.environ["BENCH_REDIS_URL"] = broker.url(0).replace("virtual_host=0", "virtual_host={database}")
        yield


def _alternate(subjects: dict[str, Callable[[], Any]], *, rounds: int, calls: int) -> dict[str, list[float]]:
    for call in subjects.values():
        for _ in range(calls):
            call()
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        order = list(subjects.items())
        random.shuffle(order)
        for name, call in order:
            begin = time.perf_counter()
            for _ in range(calls):
                call()
            found[name].append((time.perf_counter() - begin) / calls * 1e6)
    return found


@contextmanager
def _workers(apps: list[str]) -> Iterator[None]:
    processes = [_start_worker(app) for app in apps]
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait(30)


def _start_worker(app: str) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "celery",
        "-A",
        f"benchmarks.subjects:{app}",
        "worker",
        "-l",
        "error",
        *([] if app == "contracted" else ["-P", "solo"]),  # each as its user would start it: one process
    ]
    return subprocess.Popen(
        [*command, "-n", f"{app}@bench", "--without-gossip", "--without-mingle"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _throughput(subjects: Any, apps: Any, *, messages: int, rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        order = list(subjects.items())
        random.shuffle(order)
        for name, (app, call, _) in order:
            for _ in range(messages):
                call().forget()
            with _workers([app]):
                found[name].append(_drain_time(apps[app], messages) / messages * 1e6)
            _flush(apps)
    return found


def _drain_time(app: Any, messages: int) -> float:
    store = app.backend.client
    first = messages // 10
    while store.dbsize() < first:
        time.sleep(0.001)
    begun, done = time.perf_counter(), store.dbsize()
    while store.dbsize() < messages:
        time.sleep(0.002)
    return (time.perf_counter() - begun) * messages / (messages - done)


def _flush(apps: Any) -> None:
    for app in apps.values():
        app.control.purge()
        app.backend.client.flushdb()


def _report(title: str, found: dict[str, list[float]]) -> None:
    base = found["plain dicts"]
    print(f"\n{title}")
    for name, times in found.items():
        ratios = [time_ / other for time_, other in zip(times, base, strict=True)]
        print(
            f"  {name:15} median {statistics.median(times):8.0f}   min {min(times):8.0f}   "
            f"ratio to plain {statistics.median(times) / statistics.median(base):.2f}"
            f"  (pairwise {statistics.median(ratios):.2f})"
        )


if __name__ == "__main__":
    main()
