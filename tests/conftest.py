"""Servers for all tests, and which tests run in one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import rabbitmq_server, redis_server

POOLS = ("async", "processes", "threads", "solo")


@pytest.hookimpl(tryfirst=True)  # pytest-xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put each test into a group, whose tests run in one process: those of a shared worker, or of a file and a worker."""
    for item in items:
        if item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(_file_and_worker(item)))
    # The tests of a shared worker run one after the other in a single process, too.
    items.sort(key=lambda item: _group(item) if item.path.parent.name == "integration" else "")


def _group(item: pytest.Item) -> str:
    marker = item.get_closest_marker("xdist_group")
    return str(marker.args[0]) if marker else ""


def _file_and_worker(item: pytest.Item) -> str:
    """Return the path of a file, with pool and transport where a parameter chooses them."""
    parameters = vars(item).get("callspec")
    values = parameters.params.values() if parameters else ()
    pairs = ["-".join(value) for value in values if isinstance(value, tuple) and value and value[0] in POOLS]
    return " ".join([item.path.relative_to(item.config.rootpath).as_posix(), *pairs])


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a Redis server that others may use too."""
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """URL of a RabbitMQ server that others may use too."""
    return rabbitmq_server()
