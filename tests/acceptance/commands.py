"""Commands as a user types them, with their output in a file, stopped by their id."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60.0
STOP_SECONDS = 15.0
RUN_SECONDS = 120.0
_USER = {"NAME": "You", "EMAIL": "you@example.org"}
# What a test does not look at, and what takes a worker a second each to find out.
QUIET = ("--without-mingle", "--without-gossip")

GIT_USER = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    **{f"GIT_{who}_{what}": value for who in ("AUTHOR", "COMMITTER") for what, value in _USER.items()},
}


def environment(changes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment of a new user: nothing of ours, nothing of the tests; a user whom git knows."""
    ours = ("CELERY_", "SHOP_", "PICO_", "PYTEST_", "GIT_")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(ours) and name != "PYTHONPATH"}
    return {**clean, **GIT_USER, "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", **(changes or {})}


def as_python(command: str) -> list[str]:
    """Return a command line with the programs of the tests' own interpreter: ``celery``, ``python``, ``pico-celery``."""
    program, *arguments = shlex.split(command)
    if program == "git":
        return [program, *arguments]
    if program == "pico-celery":
        return [str(Path(sys.executable).with_name(program)), *arguments]
    return [sys.executable, *([] if program == "python" else ["-m", program]), *arguments]


def run(command: Sequence[str], folder: Path, changes: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Run a command to its end, and return exit status and output."""
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment(changes),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=RUN_SECONDS,
    )
    return done.returncode, done.stdout


@dataclass(frozen=True)
class Background:
    """A process that goes on."""

    process: subprocess.Popen[bytes]
    log_path: Path

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


@contextmanager
def worker(command: Sequence[str], folder: Path, changes: Mapping[str, str] | None = None) -> Iterator[Background]:
    """Have a worker that is ready, until the end of the block."""
    log_path = folder / "worker.log"
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*command, *QUIET],
            cwd=folder,
            env=environment(changes),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    background = Background(process, log_path)
    try:
        eventually(lambda: " ready." in background.log or process.poll() is not None, READY_SECONDS)
        assert " ready." in background.log, f"the worker did not get ready:\n{background.log}"
        yield background
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
