"""Real Celery processes, started and stopped by the tests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.support.sites import Site
from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60.0
STOP_SECONDS = 20.0
NOTES_VARIABLE = "PICO_TEST_NOTES"


class CeleryProcess:
    """``python -m celery`` in a process group of its own, with its output in a file.

    Args:
        arguments: What stands after ``celery``.
        folder: Working directory, and place of the log.
        environment: Variables beside those of the tests.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.log_path = folder / f"{arguments[2]}.log"
        own = {name: value for name, value in os.environ.items() if not name.startswith(("CELERY_", "PYTEST_"))}
        paths = os.pathsep.join([str(ROOT), str(ROOT / "contracts"), own.get("PYTHONPATH", "")]).rstrip(os.pathsep)
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "celery", *arguments],
                cwd=folder,
                env={**own, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def wait_for_log(self, text: str, timeout_seconds: float = START_SECONDS) -> None:
        """Wait until the log says something."""
        eventually(lambda: text in self.log or not self.alive, timeout_seconds)
        assert text in self.log, f"the process never said {text!r} (exit code {self.process.poll()}):\n{self.log}"

    def stop(self) -> int:
        """Ask the process to end, wait for it, and kill what is left of its group."""
        if self.alive:
            self.process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.wait(STOP_SECONDS)


class Worker(CeleryProcess):
    """A worker of one site.

    Args:
        module: The application module in ``tests.integration.apps``.
        pool: ``async`` for that of the library, which is the default, or ``processes``, ``threads``, ``solo``.
        site: Its queues and keys.
        folder: Working directory, place of log and notes.
        concurrency: Number of tasks in flight, processes or threads.
        options: Other options of the command line.
        environment: Variables beside those of the site.
    """

    def __init__(
        self,
        module: str,
        pool: str,
        site: Site,
        folder: Path,
        *,
        concurrency: int = 2,
        environment: Mapping[str, str] | None = None,
        options: Sequence[str] = (),
    ) -> None:
        self.module = module
        self.pool = pool
        self.site = site
        self.node = f"{site.prefix}@test"
        self.notes = folder / "notes"
        self.notes.mkdir()
        quiet = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
        arguments = ["-A", f"tests.integration.apps.{module}:celery_app", "worker", "-c", str(concurrency)]
        arguments += [] if pool == "async" else ["-P", pool]
        arguments += ["-n", self.node, "-l", "DEBUG", "-E", *quiet, *options]
        variables = {**site.environment(), NOTES_VARIABLE: str(self.notes), **(environment or {})}
        super().__init__(arguments, folder, variables)

    def wait_until_ready(self) -> None:
        self.wait_for_log(f"{self.node} ready.")

    def noted(self, key: str) -> list[str]:
        """Return the lines that tasks of the worker noted under a key."""
        path = self.notes / key
        return path.read_text().splitlines() if path.exists() else []

    def note(self, key: str, text: str = "") -> None:
        """Note a line that tasks of the worker wait for."""
        with (self.notes / key).open("a") as file:
            file.write(f"{text}\n")
