"""`EmbeddedBroker`: join, leave and inspect the server of a directory, also when the process ends or forks."""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import quote

from pico_celery.app.embedded.after_exit import leave_at_exit
from pico_celery.app.embedded.directory import absolute, hide_from_git, make_private, os_errors_explained, socket_of
from pico_celery.app.embedded.launch import DATABASES
from pico_celery.app.embedded.place import Place
from pico_celery.app.embedded.probe import require_redis_package
from pico_celery.errors import EmbeddedBrokerError

_PLACES: dict[Path, Place] = {}
# Held while this process forks, too: a child must not be born in the middle of a start.
_PROCESS_LOCK = threading.RLock()

_logger = logging.getLogger(__name__)


class EmbeddedBroker:
    """This process's use of the Redis server of one directory.

    A process may have any number of these for one directory: it is one user until the last of them has left.

    Args:
        directory: The data directory; it is made, for its owner alone, when the broker starts.
    """

    def __init__(self, directory: str | os.PathLike[str]) -> None:
        self.directory = absolute(directory)
        self._socket = socket_of(self.directory)

    def start(self) -> Self:
        """Join the running server of the directory, or start it; also recovers a server that has died.

        Returns:
            The broker itself.

        Raises:
            EmbeddedBrokerError: There is no ``redis-server`` or no ``redis`` package, the directory cannot be used,
                or the server does not start or does not answer in time.
        """
        require_redis_package()
        _register_hooks()
        with _PROCESS_LOCK, os_errors_explained(self.directory):
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
        if not 0 <= database < DATABASES:
            raise EmbeddedBrokerError(
                f"the embedded broker has no database {database}; use a number from 0 to {DATABASES - 1}",
                {"database": database},
            )
        return f"redis+socket://{quote(str(self._socket))}?virtual_host={database}"

    def leave(self) -> None:
        """Give up this use, and stop the server if no other use is left in any process; may be repeated.

        Raises:
            EmbeddedBrokerError: The server was to be stopped and cannot be.
        """
        with _PROCESS_LOCK, os_errors_explained(self.directory):
            place = _PLACES.get(self.directory)
            if place is None or self not in place.holders:
                return
            place.holders.remove(self)
            if not place.holders:
                del _PLACES[self.directory]
                place.leave()

    def shutdown(self, *, only_unused: bool = False) -> bool:
        """Stop the server of the directory, even while it is used; its data stays.

        Args:
            only_unused: Stop it only if no process uses it, such as one whose last user was killed.

        Returns:
            True if a server was running and has been stopped.

        Raises:
            EmbeddedBrokerError: The server cannot be stopped.
        """
        with self._visit() as place:
            return place is not None and (place.is_unused() or not only_unused) and place.server.stop()

    def server_pid(self) -> int | None:
        """Return the process id of the directory's server, or None if there is none that answers.

        Raises:
            EmbeddedBrokerError: The directory cannot be read, or another server answers on its socket.
        """
        with self._visit() as place:
            return None if place is None else place.server.answering_pid()

    @contextlib.contextmanager
    def _visit(self) -> Iterator[Place | None]:
        """Open the directory exclusively, without becoming a user; None if it never had a server."""
        require_redis_package()
        with _PROCESS_LOCK, os_errors_explained(self.directory):
            if not Place.exists(self.directory):
                yield None
                return
            with contextlib.closing(Place(self.directory)) as place, place.alone():
                yield place

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.leave()


def _place_in_use(directory: Path) -> Place:
    """Return the place that this process uses, opened now if it is new or the directory was replaced."""
    place = _PLACES.get(directory)
    if place is not None and not place.is_current():
        del _PLACES[directory]
        place.leave()
        place = None
    if place is None:
        make_private(directory)
        hide_from_git(directory)
        place = _PLACES[directory] = Place(directory)
    return place


def _forget_if_unused(place: Place) -> None:
    """Close a place that could not be joined and has no other use in this process."""
    if not place.holders:
        del _PLACES[place.directory]
        place.close()


@functools.cache
def _register_hooks() -> None:
    """Leave when this process ends, and let its forked children forget what is not theirs; once."""
    os.register_at_fork(
        before=_PROCESS_LOCK.acquire,
        after_in_parent=_PROCESS_LOCK.release,
        after_in_child=_forget_after_fork,
    )
    atexit.register(_leave_all)


def _forget_after_fork() -> None:
    """Close the inherited files: a child is not a user, and must not look like one when its parent was killed."""
    for place in _PLACES.values():
        place.close()
    _PLACES.clear()
    _PROCESS_LOCK.release()


def _leave_all() -> None:
    """Leave all directories at exit, where nothing would catch an error."""
    with _PROCESS_LOCK:
        for place in list(_PLACES.values()):
            try:
                leave_at_exit(place)
            except (EmbeddedBrokerError, OSError) as error:
                _logger.warning("the embedded broker was not left in order: %s", error)
        _PLACES.clear()
