"""A site: one application's own corner of shared servers, with queues and keys that nobody else uses."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu import Connection
from redis import Redis

from pico_celery.client.publishing.runtime import close_runtime

_SCALARS = (str, int, float, bool)


def _prefix() -> str:
    return f"pico-test-{uuid4().hex[:12]}"


@dataclass(frozen=True, kw_only=True)
class Site:
    """URLs, and names of its own.

    Attributes:
        broker_url: URL of the broker.
        backend_url: URL of the result backend; none for an embedded broker, which is its own.
        prefix: Begins every queue, exchange and key.
        extra: Other Celery settings.
    """

    broker_url: str
    backend_url: str = ""
    prefix: str = field(default_factory=_prefix)
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def queue(self) -> str:
        return f"{self.prefix}.tasks"

    @property
    def transport(self) -> str:
        return self.broker_url.partition(":")[0].partition("+")[0]

    def settings(self) -> dict[str, Any]:
        """Return the Celery settings, by their own names."""
        chosen: dict[str, Any] = {
            "broker_url": self.broker_url,
            "task_default_queue": self.queue,
            "control_exchange": f"{self.prefix}.control",
            "event_exchange": f"{self.prefix}.events",
            "event_queue_prefix": f"{self.prefix}.event",
            "result_expires": 600,
            "worker_prefetch_multiplier": 1,
            "broker_connection_retry_on_startup": True,
        }
        if self.backend_url:
            chosen["result_backend"] = self.backend_url
        if self.transport == "redis":
            chosen["broker_transport_options"] = {"global_keyprefix": self.prefix}
        if self.transport == "amqp":
            # A worker whose hub sleeps between heartbeats notices a signal only at the next one: one a second.
            chosen.update(broker_heartbeat=20, broker_heartbeat_checkrate=20)
        if self.backend_url.startswith("redis"):
            chosen["result_backend_transport_options"] = {"global_keyprefix": self.prefix}
        return {**chosen, **self.extra}

    def environment(self) -> dict[str, str]:
        """Return the settings as pico-ioc's `EnvSource` reads them, and as JSON for plain applications."""
        variables = {
            f"CELERY_{name.upper()}": str(value) if isinstance(value, _SCALARS) else json.dumps(value)
            for name, value in self.settings().items()
        }
        return {**variables, "PLAIN_CELERY_SETTINGS": json.dumps(self.settings())}

    @contextlib.contextmanager
    def connection(self) -> Iterator[Connection]:
        """Give a raw connection to the broker."""
        options = self.settings().get("broker_transport_options")
        if self.transport == "amqp":
            # Without a confirmation, a message sent later through another connection may come first.
            options = {"confirm_publish": True}
        with Connection(self.broker_url, transport_options=options) as connection:
            yield connection

    def waiting_messages(self) -> int:
        """Return how many messages stand in the queue; on Redis also those that a worker holds unacknowledged."""
        with self.connection() as connection:
            channel: Any = connection.default_channel
            if self.transport == "redis":
                return int(channel._size(self.queue)) + int(channel.client.hlen("unacked"))
            return int(channel.queue_declare(self.queue, passive=True).message_count)

    def remove(self) -> None:
        """Delete what the site left on the servers."""
        for url in {self.broker_url, self.backend_url}:
            if url.startswith("redis"):
                _remove_keys(url, self.prefix)
        if self.transport == "amqp":
            self._remove_queues()

    def _remove_queues(self) -> None:
        exchanges = [self.queue, f"{self.prefix}.events"]
        exchanges += [f"{self.prefix}.control.pidbox", f"reply.{self.prefix}.control.pidbox"]
        with self.connection() as connection:
            channel: Any = connection.default_channel
            channel.queue_delete(self.queue)
            for exchange in exchanges:
                channel.exchange_delete(exchange)


def _remove_keys(url: str, prefix: str) -> None:
    with Connection(url) as connection:
        channel: Any = connection.default_channel
        client: Redis = channel.client
        keys = list(client.scan_iter(f"{prefix}*", count=1000))
        if keys:
            client.delete(*keys)
        client.connection_pool.disconnect()


def close_app(app: Celery) -> None:
    """Close the connections of an application."""
    close_runtime(app)
    close_backend(app)
    app.close()


def close_backend(app: Celery) -> None:
    """Close the connections of this thread's result backend."""
    backend: Any = app.backend
    with contextlib.suppress(AttributeError):  # rpc:// has no consumer before it is used
        backend.result_consumer.stop()
    client = vars(backend).get("client")
    if client is not None:
        client.close()
