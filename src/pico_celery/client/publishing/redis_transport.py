"""Connections to a Redis broker that keep one client for each channel, and whose batches are sent whole or not at all.

kombu's Redis channel makes a new `redis.Redis` object for every message that it sends, takes or acknowledges, over the one
connection pool that it has anyway. Making it takes about as long as the command itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final
from uuid import uuid4

from celery import Celery
from kombu import Connection
from kombu.connection import ConnectionPool, PooledConnection
from kombu.exceptions import BatchPublishError  # type: ignore[attr-defined]  # kombu's types lack it

from pico_celery.celery_port import redis_transport

_MARK_SECONDS: Final = 300


class NotPublishedError(BatchPublishError):  # type: ignore[misc]  # as above
    """A batch was not sent, and never will be by itself."""


@cache
def certain_batch() -> Any:  # noqa: ANN401, C901 - a class whose base is known only here
    """Return the class of batches, which needs kombu's transport for Redis."""
    base: Any = redis_transport().PublishBatch

    class CertainBatch(base):  # type: ignore[misc]  # kombu has no types
        """As kombu's, in one transaction with a mark."""

        def __init__(self, channel: object, max_size: int) -> None:
            super().__init__(channel, max_size)
            self._mark = f"pico-celery.batch.{uuid4()}"
            self._is_watched = False

        def flush(self) -> None:
            """Execute what is buffered, all of it or nothing."""
            if self._is_watched:
                self.pipeline.set(self._mark, 1, ex=_MARK_SECONDS)
            try:
                super().flush()
            except BatchPublishError as error:
                if not self._is_watched or not self._was_executed(error):
                    raise
            self._is_watched = False

        def publish(self, message: object, **kwargs: object) -> object:
            """Buffer a message."""
            if not self._is_watched:
                self.pipeline.watch(self._mark)
                self.pipeline.multi()
                self._is_watched = True
            return super().publish(message, **kwargs)

        def _was_executed(self, error: BaseException) -> bool:
            try:
                with self.channel.conn_or_acquire() as client:
                    is_mine = client.set(self._mark, 0, nx=True, ex=_MARK_SECONDS)
            except Exception:  # noqa: BLE001 - then nobody knows
                raise error from None
            if is_mine:
                raise NotPublishedError("the batch was not sent") from error
            return True

    return CertainBatch


class BrokerConnection(Connection):
    """As kombu's, but for the client of Redis channels; every other transport is left alone."""

    def get_transport_cls(self) -> Any:  # noqa: ANN401 - classes of kombu's, which have no types
        """Return the class of the transport."""
        transport: Any = super().get_transport_cls()
        if transport.__module__ == "kombu.transport.redis" and transport.__name__ == "Transport":
            return _redis_transport()
        return transport

    def Pool(self, limit: int | None = None, **options: object) -> ConnectionPool:  # noqa: N802 - kombu's name
        """Return a pool of such connections."""
        return _BrokerConnectionPool(self, limit, **options)


class _PooledBrokerConnection(BrokerConnection, PooledConnection):
    """As kombu's pooled connections, which are of a class of their own."""


class _BrokerConnectionPool(ConnectionPool):
    """Makes pooled connections of this library's class."""

    def new(self) -> Any:  # noqa: ANN401 - classes of kombu's, which have no types
        """Make one."""
        pool: Any = self  # its own subclass takes the pool first
        return _PooledBrokerConnection(pool, **self.connection.info())


@cache
def _redis_transport() -> Any:  # noqa: ANN401 - classes of kombu's, which have no types
    base: Any = redis_transport().Channel

    class Channel(base):  # type: ignore[misc]  # kombu has no types
        """As kombu's, with a client that it keeps."""

        _held: Any = None

        @contextmanager
        def conn_or_acquire(self, client: Any = None) -> Iterator[object]:  # noqa: ANN401 - classes of kombu's, which have no types
            """Give a client: that of the caller, or the channel's own, which any thread may use."""
            if client is None:
                client = self._held
                # A channel that lost its server throws its pool away.
                if client is None or client.connection_pool is not self.pool:
                    with super().conn_or_acquire() as made:
                        client = self._held = made
            yield client

        def create_publish_batch(self, max_size: int) -> object:
            """Make a batch whose outcome can be verified after a lost connection."""
            return certain_batch()(self, max_size)

    transport: Any = redis_transport().Transport
    return type("Transport", (transport,), {"Channel": Channel, "__module__": __name__, "__doc__": transport.__doc__})


def keep_clients(app: Celery) -> None:
    """Let an application connect to its broker by `BrokerConnection`, unless it has a connection class of its own."""
    amqp: Any = app.amqp
    if amqp.Connection is Connection:
        amqp.Connection = BrokerConnection
