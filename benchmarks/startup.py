"""What it costs to start: the import of a client module, and a worker until it is ready, beside plain Celery with pydantic.

`python -m benchmarks.startup [--rounds N] [--src DIRECTORY]`. CPU seconds of fresh processes, medians, each kind in turn. The
modules are written to a temporary directory. `--src` measures another checkout's `src` in the same run, for a comparison
before and after a change. The workers need Redis at BENCH_REDIS_URL.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

REDIS_URL = os.environ.get("BENCH_REDIS_URL", "redis://127.0.0.1:6379/{database}").format(database=9)

READY = """
import os, time
from celery.signals import worker_ready

@worker_ready.connect
def _ready(**_):
    os.write(1, f"took {time.process_time()}\\n".encode())  # Celery redirects sys.stdout
    os._exit(0)
"""

PLAIN = f"""
from celery import Celery
from pydantic import BaseModel

class Order(BaseModel):
    id: int

class Receipt(BaseModel):
    id: int

app = Celery("startup_plain", broker="{REDIS_URL}", backend="{REDIS_URL}")
app.conf.task_default_queue = "bench-startup-plain"

@app.task(name="startup.place", pydantic=True)
def place(order: Order) -> Receipt:
    return Receipt(id=order.id)
"""

CONTRACT = """
from typing import Protocol
from pydantic import BaseModel
from pico_celery import contract

class Order(BaseModel):
    id: int

class Receipt(BaseModel):
    id: int

@contract("startup")
class Startup(Protocol):
    async def place(self, order: Order) -> Receipt: ...
"""

CLIENT = """
from startup_contract import Startup
from pico_celery import CeleryClient, celery, send_task

@celery
class StartupClient(CeleryClient):
    place = send_task(Startup.place)
"""

WORKER = f"""
from pico_ioc import DictSource, component, configuration, init
from startup_contract import Order, Receipt, Startup
from celery import Celery
from pico_celery import task

@component
class Worker:
    @task(Startup.place)
    async def place(self, order: Order) -> Receipt:
        return Receipt(id=order.id)

settings = {{"celery": {{"broker_url": "{REDIS_URL}", "backend_url": "{REDIS_URL}", "task_default_queue": "bench-startup-contract"}}}}
app = init(modules=["pico_celery", "startup_worker"], config=configuration(DictSource(settings))).get(Celery)
"""

IMPORT = "import time, {module}; print('took', time.process_time())"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--src", type=Path, help="the src directory of another checkout, measured in the same run")
    arguments = parser.parse_args()
    versions = {
        "contract": Path(__file__).parents[1] / "src",
        **({"other src": arguments.src} if arguments.src else {}),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for module, text in {
            "startup_plain": PLAIN + READY,
            "startup_contract": CONTRACT,
            "startup_client": CLIENT,
        }.items():
            (folder / f"{module}.py").write_text(text)
        (folder / "startup_worker.py").write_text(WORKER + READY)
        importing = {"plain Celery": ([sys.executable, "-c", IMPORT.format(module="startup_plain")], None)}
        serving = {"plain Celery": (_worker("startup_plain", "solo"), None)}
        for label, src in versions.items():
            importing[label] = ([sys.executable, "-c", IMPORT.format(module="startup_client")], src)
            serving[label] = (_worker("startup_worker"), src)
        _report("CPU ms to import a client module", importing, folder, arguments.rounds)
        _report("CPU ms until a worker is ready", serving, folder, arguments.rounds)


def _worker(module: str, pool: str | None = None) -> list[str]:
    command = [sys.executable, "-m", "celery", "-A", module, "worker", "-n", f"{module}@bench", "--without-mingle"]
    return [*command, *(["-P", pool] if pool else [])]


def _report(title: str, subjects: dict[str, tuple[list[str], Path | None]], folder: Path, rounds: int) -> None:
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, (command, src) in subjects.items():
            found[name].append(_cpu_seconds(command, folder, src))
    base = statistics.median(found["plain Celery"])
    print(f"\n{title}, {rounds} rounds")
    for name, times in found.items():
        middle = statistics.median(times)
        print(f"  {name:15} median {middle * 1e3:7.0f}   min {min(times) * 1e3:7.0f}   ratio {middle / base:5.2f}")


def _cpu_seconds(command: list[str], folder: Path, src: Path | None) -> float:
    path = os.pathsep.join(str(part) for part in (src, folder) if part is not None)
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    took = [line for line in done.stdout.splitlines() if line.startswith("took ")]
    if not took:
        raise SystemExit(f"{' '.join(command)} did not get ready:\n{done.stdout}\n{done.stderr}")
    return float(took[0].split()[1])


if __name__ == "__main__":
    main()
