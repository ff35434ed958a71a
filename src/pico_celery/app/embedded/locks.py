"""Lock files, and waiting for a condition that another process brings about."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

POLL_SECONDS = 0.01


class LockFile:
    """An open file whose lock shows that a process uses it: the kernel drops it with the last such process."""

    def __init__(self, path: Path, descriptor: int | None = None) -> None:
        self._path = path
        if descriptor is None:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        self.descriptor = descriptor

    def close(self) -> None:
        """Close the file; the lock stays with those who inherited the descriptor."""
        os.close(self.descriptor)

    def try_lock(self, kind: int) -> bool:
        """Take the lock (``LOCK_SH`` or ``LOCK_EX``), or return False if other processes are in the way."""
        try:
            fcntl.flock(self.descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def unlock(self) -> None:
        """Drop the lock for everyone who shares this open file, forked children included."""
        fcntl.flock(self.descriptor, fcntl.LOCK_UN)

    def is_held(self, kind: int) -> bool:
        """Return whether others hold the lock in a way that excludes a kind; a lock of this process is dropped."""
        if not self.try_lock(kind):
            return True
        self.unlock()
        return False

    def is_at_its_path(self) -> bool:
        """Return whether the path still leads to this file, and was not removed or replaced."""
        try:
            return os.path.samestat(self._path.stat(), os.fstat(self.descriptor))
        except FileNotFoundError:
            return False

    def read(self) -> dict[str, Any]:
        """Return the record in the file, empty if there is none."""
        text = os.pread(self.descriptor, os.fstat(self.descriptor).st_size, 0)
        record: dict[str, Any] = json.loads(text) if text else {}
        return record

    def write(self, record: dict[str, Any]) -> None:
        """Replace the record in the file."""
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, json.dumps(record).encode(), 0)


def wait_for(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Wait until a condition holds; return False if it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True
