"""Which processes use the server of a directory.

Three locked files in the directory say so, so that a process that is killed leaves no wrong entry behind:

- ``start.lock`` is held by the process that joins, leaves, starts or stops, for that moment;
- ``users.lock`` is shared by the processes that use the server; the process that can lock it exclusively is the last one;
- ``server.lock`` is inherited by the server and free when it is dead; it also records the server's process and socket.
"""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator, Sequence
from pathlib import Path

from pico_celery.app.embedded.locks import LockFile, wait_for
from pico_celery.app.embedded.server import Server
from pico_celery.errors import EmbeddedBrokerError

START_LOCK_SECONDS = 30.0

_LOCK_NAMES = ("start.lock", "users.lock", "server.lock")


class Place:
    """The lock files of one directory, opened by this process, and the server behind them.

    The files stay open while the directory is used: through them the server is known, and can be stopped, even after
    somebody has removed the directory.
    """

    def __init__(self, directory: Path, descriptors: Sequence[int | None] = (None, None, None)) -> None:
        self.directory = directory
        self.holders: set[object] = set()  # the uses that make this process a user
        with contextlib.ExitStack() as stack:
            self._start, self._users, self._server = (
                stack.enter_context(contextlib.closing(LockFile(directory / name, descriptor)))
                for name, descriptor in zip(_LOCK_NAMES, descriptors, strict=True)
            )
            self.close = stack.pop_all().close
        self.server = Server(directory, self._server)

    @staticmethod
    def exists(directory: Path) -> bool:
        """Return whether the directory has ever had a server."""
        return (directory / "server.lock").exists()

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """The open lock files, for another process that inherits them."""
        return self._start.descriptor, self._users.descriptor, self._server.descriptor

    def is_current(self) -> bool:
        """Return whether the directory is still the one that was opened."""
        return self._server.is_at_its_path()

    def is_unused(self) -> bool:
        """Return whether no process uses the server; call it inside `alone`."""
        return not self._users.is_held(fcntl.LOCK_EX)

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all other processes from joining, leaving, starting and stopping."""
        if not wait_for(lambda: self._start.try_lock(fcntl.LOCK_EX), START_LOCK_SECONDS):
            raise EmbeddedBrokerError(
                f"another process has been starting or stopping the embedded broker of {self.directory} for more than "
                f"{START_LOCK_SECONDS:g} s; end the process that holds {self.directory / 'start.lock'}, then try again",
                {"directory": str(self.directory)},
            )
        try:
            yield
        finally:
            self._start.unlock()

    def join(self) -> Path:
        """Make this process a user of the server, which is started if it is not alive."""
        with self.alone():
            self.server.ensure_ready()
            self._users.try_lock(fcntl.LOCK_SH)
            return self.server.socket

    def leave(self) -> None:
        """Stop using the server, close the files, and stop the server if this was its last user."""
        with self.leaving() as is_last:
            if is_last:
                self.server.stop()

    @contextlib.contextmanager
    def leaving(self) -> Iterator[bool]:
        """Stop using the server; yield whether this was its last user, and close the files in the end."""
        with contextlib.closing(self):
            self._users.unlock()
            with self.alone():
                yield self.is_unused()
