"""AsyncAPI 3.0: contracts as a document that other tools read.

A channel for each queue, an operation for each task with its reply, a message for each call, result and error.
Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from pico_celery.document.records import ContractRecord, Document, JsonSchema, TaskRecord
from pico_celery_tooling.asyncapi import messages
from pico_celery_tooling.asyncapi.messages import View, component_name, draft7, strict
from pico_celery_tooling.describe.docstrings import read_docstring

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
    binding: dict[str, Any] = {"deliveryMode": 1 if transient else 2}
    if "priority" in options:
        binding["priority"] = options["priority"]
    return {"amqp": {**binding, **_version()}}


def _version() -> dict[str, str]:
    return {"bindingVersion": _AMQP_BINDING}


Example = Callable[[JsonSchema], Any]
"""Makes a value that a schema accepts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerServer:
    """A broker."""

    host: str
    """Host, and port where it is given."""
    protocol: str
    """``redis``, ``amqp`` or ``amqps``."""
    pathname: str = ""
    """Number of the database, or virtual host."""
    tls: bool = False
    """Whether the connection is encrypted."""

    @classmethod
    def of(cls, url: str) -> BrokerServer:
        """Read a broker's URL."""
        parts = urlsplit(url)
        scheme = _SCHEMES.get(parts.scheme)
        if scheme is None or not parts.hostname:
            raise ValueError("expected redis://host:6379/0, rediss://..., amqp://host/vhost or amqps://...")
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        port = "" if parts.port is None else f":{parts.port}"
        return cls(host=host + port, protocol=scheme, pathname=parts.path.rstrip("/"), tls=parts.scheme in _TLS)

    @property
    def family(self) -> Protocol:
        """How messages are carried."""
        return "redis" if self.protocol == "redis" else "amqp"


_SCHEMES: Final = {"redis": "redis", "rediss": "redis", "amqp": "amqp", "pyamqp": "amqp", "amqps": "amqps"}
_TLS: Final = frozenset({"rediss", "amqps"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a document says beside the contracts."""

    title: str
    """Title of the API."""
    version: str
    view: View = "worker"
    """Whose operations they are: a worker receives calls, a client sends them."""
    protocol: Protocol = "redis"
    """How messages are carried."""
    server: BrokerServer | None = None
    """The broker, where it is given."""
    default_queue: str = "celery"
    """Queue of tasks whose contract names none; Celery's ``task_default_queue``."""
    example: Example


ASYNCAPI: Final = "3.0.0"
REPLIES: Final = "results"


def asyncapi_of(document: Document, settings: Settings) -> dict[str, Any]:
    """Describe contracts as AsyncAPI does."""
    building = _Building(document, settings)
    for contract in document.contracts.values():
        for task in contract.tasks.values():
            building.add(contract, task)
    return building.finish()


@dataclass(slots=True)
class _Names:
    """Unique names for components, even if two are equal once unsupported characters are replaced."""

    taken: dict[str, Any] = field(default_factory=dict)

    def of(self, name: str, thing: object) -> str:
        wanted = component_name(name)
        found, number = wanted, 1
        while found in self.taken and self.taken[found] != thing:
            number += 1
            found = f"{wanted}-{number}"
        self.taken[found] = thing
        return found


@dataclass(slots=True)
class _Building:
    document: Document
    settings: Settings
    channels: dict[str, dict[str, Any]] = field(default_factory=dict)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, dict[str, Any]] = field(default_factory=dict)
    names: _Names = field(default_factory=_Names)
    channel_names: _Names = field(default_factory=_Names)
    operation_names: _Names = field(default_factory=_Names)

    def __post_init__(self) -> None:
        self.channel_names.taken[REPLIES] = REPLIES

    def add(self, contract: ContractRecord, task: TaskRecord) -> None:
        destination = Destination.of(task.options, self.settings.default_queue)
        channel = self.channel_names.of(destination.name, destination)
        if channel not in self.channels:
            self.channels[channel] = {**call_channel(destination, self.settings.protocol), "messages": {}}
        sent = self._message(channel, task.name, self._call(contract, task))
        operation: dict[str, Any] = {
            "action": "receive" if self.settings.view == "worker" else "send",
            "channel": {"$ref": f"#/channels/{channel}"},
            "title": task.name,
            **_texts(task),
            "tags": _tags(contract, task),
            "bindings": operation_bindings(task.options, self.settings.protocol),
            "messages": [sent],
            **_extensions(task),
        }
        if not task.options.get("ignore_result"):
            operation["reply"] = self._reply(contract, task)
        self.operations[self.operation_names.of(task.name, task.name)] = operation

    def finish(self) -> dict[str, Any]:
        server = self.settings.server
        servers = {} if server is None else {"servers": {"broker": _server(server)}}
        return {
            "asyncapi": ASYNCAPI,
            "info": {
                "title": self.settings.title,
                "version": self.settings.version,
                "description": _DESCRIPTIONS[self.settings.view],
                "tags": [_tag(contract) for contract in self.document.contracts.values()],
            },
            "defaultContentType": "application/json",
            **servers,
            "channels": dict(sorted(self.channels.items())),
            "operations": dict(sorted(self.operations.items())),
            "components": {
                "schemas": self._schemas(),
                "messages": dict(sorted(self.messages.items())),
                "correlationIds": {
                    "call": {"location": "$message.header#/id", "description": "Id of the call."},
                    "reply": {"location": "$message.payload#/task_id", "description": "Id of the call."},
                },
            },
        }

    def _schemas(self) -> dict[str, Any]:
        return {**messages.COMMON, **{name: draft7(schema) for name, schema in sorted(self.document.schemas.items())}}

    def _call(self, contract: ContractRecord, task: TaskRecord) -> dict[str, Any]:
        view = self.settings.view
        required = {
            parameter.name: self.settings.example(parameter.accepts if view == "worker" else parameter.sent)
            for parameter in task.parameters
            if parameter.required
        }
        return {
            "name": task.name,
            "title": f"{task.name}: call",
            **_texts(task),
            "tags": _tags(contract, task),
            "contentType": "application/json",
            "correlationId": {"$ref": "#/components/correlationIds/call"},
            "headers": messages.call_headers(task),
            "payload": messages.call_payload(task, view),
            **({"deprecated": True} if task.deprecated else {}),
            **_examples(messages.call_example(task, contract.key, required)),
        }

    def _reply(self, contract: ContractRecord, task: TaskRecord) -> dict[str, Any]:
        if REPLIES not in self.channels:
            self.channels[REPLIES] = {**reply_channel(self.settings.protocol), "messages": {}}
        view = self.settings.view
        doc = read_docstring(task.doc)
        result = self.settings.example(task.result.sends if view == "worker" else task.result.accepted)
        parts: list[tuple[str, dict[str, Any]]] = [
            (
                f"{task.name}.result",
                {
                    "title": f"{task.name}: result",
                    "summary": doc.returns or f"What {task.name} returns: {task.result.type}.",
                    "payload": messages.result_payload(task, view),
                    **_examples(messages.reply_example(result)),
                },
            )
        ]
        for error in task.errors:
            fields = self.settings.example(error.sends if view == "worker" else error.accepted)
            part = {
                "title": f"{error.type} ({error.code})",
                **_summary(error.doc),
                "payload": messages.error_payload(error, view),
                **_examples(messages.error_example(error, task.name, fields)),
                "x-retryable": error.retryable,
            }
            parts.append((f"{task.name}.{error.code}", part))
        failure = {
            "title": f"{task.name}: failure",
            "summary": "A failure that the contract does not declare, arguments that do not fit among them.",
            "payload": messages.failure_payload(task),
        }
        parts.append((f"{task.name}.failure", failure))
        common = {
            "contentType": "application/json",
            "correlationId": {"$ref": "#/components/correlationIds/reply"},
            "tags": _tags(contract, task),
        }
        sent = [self._message(REPLIES, name, {"name": name, **part, **common}) for name, part in parts]
        sent.append(self._message(REPLIES, "progress", messages.PROGRESS))
        reply: dict[str, Any] = {"channel": {"$ref": f"#/channels/{REPLIES}"}, "messages": sent}
        if self.settings.protocol == "amqp":
            about = "Celery puts it into the property reply_to of the AMQP message."
            reply["address"] = {"location": "$message.header#/reply_to", "description": about}
        return reply

    def _message(self, channel: str, name: str, message: Mapping[str, Any]) -> dict[str, str]:
        key = self.names.of(name, message)
        self.messages[key] = dict(message)
        self.channels[channel]["messages"][key] = {"$ref": f"#/components/messages/{key}"}
        return {"$ref": f"#/channels/{channel}/messages/{key}"}


_DESCRIPTIONS: Final = {
    "worker": "The tasks that a worker serves: it receives calls and sends replies, by Celery's protocol 2.",
    "client": "The tasks that a client calls: it sends calls and receives replies, by Celery's protocol 2.",
}


def _examples(example: dict[str, Any]) -> dict[str, Any]:
    # Python's JSON has infinite numbers, that of a document has not.
    return {"examples": [example]} if strict(example) == example else {}


def _texts(task: TaskRecord) -> dict[str, str]:
    doc = read_docstring(task.doc)
    parts = [f"**Deprecated**: {task.deprecated}" if task.deprecated else "", doc.text]
    description = "\n\n".join(part for part in parts if part)
    return {**_summary(task.doc), **({"description": description} if description else {})}


def _summary(doc: str) -> dict[str, str]:
    summary = read_docstring(doc).summary
    return {"summary": summary} if summary else {}


def _tag(contract: ContractRecord) -> dict[str, str]:
    return {"name": contract.key, **({"description": contract.doc} if contract.doc else {})}


def _tags(contract: ContractRecord, task: TaskRecord) -> list[dict[str, str]]:
    return [{"name": contract.key}, *([{"name": "deprecated"}] if task.deprecated else [])]


def _extensions(task: TaskRecord) -> dict[str, Any]:
    extensions: dict[str, Any] = {
        "x-digest": task.digest,
        "x-since": task.since,
        "x-deprecated": task.deprecated,
        "x-aliases": list(task.aliases),
        "x-celery": strict(task.options),
    }
    return {name: value for name, value in extensions.items() if value}


def _server(server: BrokerServer) -> dict[str, Any]:
    described: dict[str, Any] = {"host": server.host, "protocol": server.protocol}
    if server.pathname:
        described["pathname"] = server.pathname
    return {**described, **({"x-tls": True} if server.tls else {})}
