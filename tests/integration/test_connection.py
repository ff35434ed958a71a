"""The connection to a Redis broker keeps its clients, and nothing else about it changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Connection
from redis import Redis

from pico_celery import CelerySettings, create_app
from pico_celery.client.publishing.redis_transport import BrokerConnection, keep_clients
from tests.support.sites import Site, close_app


@pytest.fixture
def site(redis_url: str) -> Iterator[Site]:
    site = Site(broker_url=redis_url, backend_url=redis_url)
    yield site
    site.remove()


@pytest.fixture
def app(site: Site) -> Iterator[Celery]:
    app = create_app(CelerySettings.of(site.settings()))
    yield app
    close_app(app)


def made_clients(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []
    original = Redis.__init__

    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        made.append(self)
        original(self, *args, **kwargs)

    monkeypatch.setattr(Redis, "__init__", init)
    return made


@pytest.mark.redis
def test_a_channel_makes_one_client_for_any_number_of_messages(
    app: Celery, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.send_task("some.task", ignore_result=True)  # the channel is there now
    made = made_clients(monkeypatch)
    for _ in range(20):
        app.send_task("some.task", ignore_result=True)
    assert made == []
    with app.connection_for_read() as connection:
        queue = connection.SimpleQueue(site.queue)
        for _ in range(21):
            queue.get(timeout=10).ack()
    # The channel that publishes, the one that consumes, and that one's BRPOP.
    assert len(made) <= 3


@pytest.mark.redis
def test_a_channel_that_lost_its_server_takes_a_new_client(app: Celery, site: Site) -> None:
    with app.connection_for_write() as connection:
        channel: Any = connection.default_channel
        with channel.conn_or_acquire() as client:
            assert client.ping()
        channel._disconnect_pools()
        with channel.conn_or_acquire() as other:
            assert other is not client
            assert other.ping()
        with channel.conn_or_acquire() as again, channel.conn_or_acquire(client) as given:
            assert again is other
            assert given is client


@pytest.mark.redis
def test_its_address_reads_as_before(app: Celery, redis_url: str) -> None:
    with app.connection_for_read() as ours, Connection(redis_url) as kombus:
        assert isinstance(ours, BrokerConnection)
        assert ours.as_uri() == kombus.as_uri()
        assert ours.transport.driver_type == "redis"
        assert isinstance(ours.transport, type(kombus.transport))
        assert isinstance(ours.clone(), BrokerConnection)


def test_other_transports_are_left_alone() -> None:
    for url in ("memory://", "amqp://guest@nowhere//", "filesystem://"):
        assert BrokerConnection(url).get_transport_cls() is Connection(url).get_transport_cls()


def test_an_application_with_a_connection_class_of_its_own_keeps_it() -> None:
    class Own(Connection):
        """A user's."""

    app = Celery("own", broker="memory://", set_as_current=False)
    amqp: Any = app.amqp
    amqp.Connection = Own
    keep_clients(app)
    assert amqp.Connection is Own
