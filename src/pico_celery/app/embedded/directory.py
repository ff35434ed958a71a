"""The data directory of an embedded broker: read it from a URL, make it private, place its socket."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shlex
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from pico_celery.errors import EmbeddedBrokerError

DEFAULT_DIRECTORY = ".pico-celery"
SOCKET_PATH_MAX_BYTES = 100  # the kernel's limit is 107 on Linux and 103 on macOS

_SCHEME = "embedded"
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH


def is_embedded(url: str) -> bool:
    """Return whether a broker URL asks for the embedded broker."""
    return url.partition(":")[0] == _SCHEME


def directory_of(url: str) -> Path:
    """Return the data directory that a URL of the embedded broker names."""
    rest = url.partition(":")[2]
    if not is_embedded(url) or (rest and not rest.startswith("//")) or any(mark in rest for mark in "?#"):
        raise EmbeddedBrokerError(
            f"{url!r} is not a URL of the embedded broker: expected 'embedded', 'embedded:///absolute/path' or "
            "'embedded://relative/path' without a query; write %3F for a question mark and %23 for a hash in the path",
            {"url": url},
        )
    return absolute(unquote(rest.removeprefix("//")) or DEFAULT_DIRECTORY)


def absolute(directory: str | os.PathLike[str]) -> Path:
    """Return the one absolute path of a directory, without links, so that all its names share a server."""
    return Path(directory).expanduser().resolve()


def socket_of(directory: Path) -> Path:
    """Return the socket of a directory: inside it, or below the temporary directory if the path would be too long."""
    key = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    shelter = Path(tempfile.gettempdir()).resolve() / f"pico-celery-{os.geteuid()}-{key}"
    for home in (directory, shelter):
        path = home / "redis.sock"
        if len(os.fsencode(path)) <= SOCKET_PATH_MAX_BYTES:
            return path
    raise EmbeddedBrokerError(
        f"the paths of {directory} and of the temporary directory are too long for a Unix socket "
        f"({SOCKET_PATH_MAX_BYTES} bytes); choose a shorter directory, or set TMPDIR to a shorter one",
        {"directory": str(directory)},
    )


def make_private(directory: Path) -> None:
    """Make a directory for its owner alone; one that exists must be owned by this user and closed to other writers."""
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


def hide_from_git(directory: Path) -> None:
    """Keep the data out of the repository in which the directory may lie."""
    with contextlib.suppress(FileExistsError), (directory / ".gitignore").open("x") as file:
        file.write("*\n")


@contextlib.contextmanager
def os_errors_explained(directory: Path) -> Iterator[None]:
    """Turn an `OSError` about the directory into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise EmbeddedBrokerError(
            f"the directory {directory} of the embedded broker cannot be used: {error}; "
            "choose one on a local file system that you may write to",
            {"directory": str(directory), "errno": error.errno},
        ) from error
