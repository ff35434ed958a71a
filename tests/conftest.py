"""Fixtures for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import rabbitmq_server, redis_server


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """URL of a Redis server that others may use too."""
    with redis_server() as url:
        yield url


@pytest.fixture(scope="session")
def rabbitmq_url() -> str:
    """URL of a RabbitMQ server that others may use too."""
    return rabbitmq_server()
