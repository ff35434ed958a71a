"""Stop the server after its last user has ended.

What Python tears down after the exit handlers, such as Celery's pending results, still talks to the server; it would
try to reach a stopped one for many seconds, and complain. So another process waits for the end of this one. It
inherits the open lock files, because the directory may be removed as soon as this process has ended.
"""

from __future__ import annotations

import contextlib
import math
import os
import sys
from pathlib import Path

from pico_celery.app.embedded.locks import wait_for
from pico_celery.app.embedded.place import Place

_STOPPER = """\
import sys
from pathlib import Path
from pico_celery.app.embedded.after_exit import stop_abandoned
stop_abandoned(Path(sys.argv[1]), *map(int, sys.argv[2:]))
"""


def leave_at_exit(place: Place) -> None:
    """Stop using the server; if this is its last user, the server stops when the process has ended."""
    with place.leaving() as is_last:
        if not is_last:
            return
        if not place.is_current() or not sys.executable:
            place.server.stop()
        elif place.server.is_alive():
            spawn_stopper(place)


def spawn_stopper(place: Place) -> None:
    """Run :func:`stop_abandoned` in another process and session, so that signals to this one do not reach it."""
    for descriptor in place.descriptors:
        os.set_inheritable(descriptor, True)
    os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", _STOPPER, str(place.directory), *map(str, (os.getpid(), *place.descriptors))],
        {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(place.server.log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def stop_abandoned(directory: Path, parent_pid: int, *descriptors: int) -> None:
    """Wait for the end of the parent process, then stop the server if it is unused."""
    wait_for(lambda: os.getppid() != parent_pid, math.inf)
    with contextlib.closing(Place(directory, descriptors)) as place, place.alone():
        if place.is_unused():
            place.server.stop()
