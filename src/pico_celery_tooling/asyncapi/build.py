"""AsyncAPI 3.0: contracts as a document that other tools read.

A channel for each queue, an operation for each task with its reply, a message for each call, result and error.
Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pico_celery.document.records import ContractRecord, Document, TaskRecord
from pico_celery_tooling.asyncapi import messages
from pico_celery_tooling.asyncapi.bindings import Destination, call_channel, operation_bindings, reply_channel
from pico_celery_tooling.asyncapi.dialect import component_name, draft7, strict
from pico_celery_tooling.asyncapi.settings import BrokerServer, Settings
from pico_celery_tooling.describe.docstrings import read_docstring

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
    """Names for components: one for each thing, though two be the same when written as AsyncAPI allows."""

    taken: dict[str, Any] = field(default_factory=dict)

    def of(self, name: str, thing: Any) -> str:
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
            told = {
                "title": f"{error.type} ({error.code})",
                **_summary(error.doc),
                "payload": messages.error_payload(error, view),
                **_examples(messages.error_example(error, task.name, fields)),
                "x-retryable": error.retryable,
            }
            parts.append((f"{task.name}.{error.code}", told))
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
        sent = [self._message(REPLIES, name, {"name": name, **told, **common}) for name, told in parts]
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
    told: dict[str, Any] = {
        "x-digest": task.digest,
        "x-since": task.since,
        "x-deprecated": task.deprecated,
        "x-aliases": list(task.aliases),
        "x-celery": strict(task.options),
    }
    return {name: value for name, value in told.items() if value}


def _server(server: BrokerServer) -> dict[str, Any]:
    told: dict[str, Any] = {"host": server.host, "protocol": server.protocol}
    if server.pathname:
        told["pathname"] = server.pathname
    return {**told, **({"x-tls": True} if server.tls else {})}
