"""Where messages go: queues as channels, and what AsyncAPI's bindings say of them for Redis and AMQP.

Sources: https://github.com/asyncapi/bindings/blob/master/amqp/README.md (0.3.0),
https://docs.celeryq.dev/en/stable/userguide/routing.html, ``celery.app.amqp.AMQP._create_task_sender``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

Protocol = Literal["redis", "amqp"]
_AMQP_BINDING: Final = "0.3.0"
_REPLY_KEY: Final = "celery-task-meta-"  # celery.backends.base.KeyValueStoreBackend.task_keyprefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where the calls of a task are sent."""

    queue: str
    """Name of the queue; empty where exchange and routing key decide it."""
    exchange: str
    """Name of the exchange; empty for the broker's default one, which leads to the queue of that name."""
    routing_key: str

    @classmethod
    def of(cls, options: Mapping[str, Any], default_queue: str) -> Destination:
        """Read it from the options of a task, as Celery does."""
        queue, exchange = options.get("queue"), options.get("exchange")
        routing_key = options.get("routing_key")
        if exchange and routing_key:
            return cls(queue=queue or "", exchange=exchange, routing_key=routing_key)
        # Without both of them Celery sends directly to the queue.
        queue = queue or default_queue
        return cls(queue=queue, exchange="", routing_key=queue)

    @property
    def name(self) -> str:
        """A name for people."""
        return self.queue or f"{self.exchange}.{self.routing_key}"


def call_channel(destination: Destination, protocol: Protocol) -> dict[str, Any]:
    """Return the channel of a destination, without its messages."""
    address = destination.routing_key if destination.exchange else destination.queue
    channel: dict[str, Any] = {"address": address, "title": f"queue {destination.name}"}
    if protocol == "redis":
        return {
            **channel,
            "description": "A list in Redis. An entry is the JSON of kombu's envelope: the body in base64, headers and "
            "properties beside it. Messages with a priority wait in lists of their own, whose names begin with this one.",
            "bindings": {"redis": {}},
        }
    if destination.exchange:
        exchange = {"name": destination.exchange, "type": "direct", "durable": True, "autoDelete": False}
        return {**channel, "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, **_version()}}}
    queue = {"name": destination.queue, "durable": True, "exclusive": False, "autoDelete": False}
    return {
        **channel,
        "description": "A queue, to which calls are sent by the default exchange; its name is the routing key.",
        "bindings": {"amqp": {"is": "queue", "queue": queue, **_version()}},
    }


def reply_channel(protocol: Protocol) -> dict[str, Any]:
    """Return the channel of replies, without its messages."""
    if protocol == "redis":
        return {
            "address": f"{_REPLY_KEY}{{task_id}}",
            "title": "results",
            "description": "Celery's result backend on Redis: the reply is stored under this key and published on the channel "
            "of the same name.",
            "parameters": {"task_id": {"description": "Id of the call.", "location": "$message.payload#/task_id"}},
            "bindings": {"redis": {}},
        }
    return {
        "address": None,
        "title": "results",
        "description": "Celery's result backend rpc://: a queue of the caller, which its call names in reply_to. The reply "
        "carries the id of the call as correlation_id too.",
        "bindings": {
            "amqp": {"is": "queue", "queue": {"exclusive": False, "autoDelete": True, "durable": False}, **_version()}
        },
    }


def operation_bindings(options: Mapping[str, Any], protocol: Protocol) -> dict[str, Any]:
    """Return the bindings of the operation of a task."""
    if protocol == "redis":
        return {"redis": {}}
    transient = options.get("delivery_mode") in {1, "transient"}
    told: dict[str, Any] = {"deliveryMode": 1 if transient else 2}
    if "priority" in options:
        told["priority"] = options["priority"]
    return {"amqp": {**told, **_version()}}


def _version() -> dict[str, str]:
    return {"bindingVersion": _AMQP_BINDING}
