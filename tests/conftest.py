"""Servers for all tests, and which tests run in one process."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support.servers import rabbitmq_server, redis_server

PLACE = re.compile(r"(?:\w+_worker-)?(?:async|processes|threads|solo)-(?:redis|rabbitmq-rpc|rabbitmq|embedded)")
ALONE = "test_every_block_of_the_page"


def group_of(nodeid: str) -> str:
    """Return what a test shares with others: a worker that serves several files, a file and a worker, or a file."""
    file, _, test = nodeid.partition("::")
    if test.startswith(ALONE):
        return nodeid
    place = PLACE.search(test)
    if place is None:
        return file
    return place[0] if "_worker-" in place[0] else f"{file} {place[0]}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Have pytest-xdist run a group in one process; its own groups do not work with the node ids of pytest 9.2."""
    scheduler: Any = LoadScopeScheduling(config, log)
    scheduler._split_scope = group_of
    return scheduler


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the tests of a shared worker one after the other without pytest-xdist, too."""
    items.sort(key=lambda item: group_of(item.nodeid) if item.path.parent.name == "integration" else "")


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a Redis server that others may use too."""
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """URL of a RabbitMQ server that others may use too."""
    return rabbitmq_server()
