"""The messages of a task as AsyncAPI describes them: the call, and what comes back.

They say what Celery's protocol 2 puts on the wire, and what its result backends store.
Sources: https://docs.celeryq.dev/en/stable/internals/protocol.html#version-2,
``celery.backends.base.Backend._get_result_meta`` and ``prepare_exception``
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from pico_celery.document.records import ErrorRecord, ParameterRecord, TaskRecord
from pico_celery_tooling.asyncapi.dialect import draft7, strict
from pico_celery_tooling.describe.docstrings import read_docstring

View = Literal["worker", "client"]

# No model has a dot in its name: pydantic writes two underscores for it.
HEADERS: Final = "celery.headers"
EMBED: Final = "celery.embed"
REPLY: Final = "celery.reply"
_TEXT_OR_NONE: Final[dict[str, Any]] = {"type": ["string", "null"]}
_TIME_OR_NONE: Final[dict[str, Any]] = {"type": ["string", "null"], "format": "date-time"}
_SIGNATURES: Final[dict[str, Any]] = {"type": ["array", "null"]}
_NO_EMBED: Final[dict[str, Any]] = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
_ID: Final = "3d4c8f0e-8a52-4f55-9a8e-6f2f0b8f3a10"

COMMON: Final[Mapping[str, Any]] = {
    HEADERS: {
        "type": "object",
        "description": "Headers of Celery's protocol 2; those that begin with `pico_` are optional, and plain peers skip them.",
        "required": ["id", "task"],
        "properties": {
            "lang": {"type": "string", "description": "Language of the sender."},
            "task": {"type": "string", "description": "Name of the task."},
            "id": {"type": "string", "description": "Id of the call, which its reply carries too."},
            "shadow": _TEXT_OR_NONE,
            "eta": {**_TIME_OR_NONE, "description": "Not to be run before."},
            "expires": {**_TIME_OR_NONE, "description": "Not to be run after."},
            "group": _TEXT_OR_NONE,
            "group_index": {"type": ["integer", "null"]},
            "retries": {"type": ["integer", "null"], "minimum": 0, "description": "How often it was retried."},
            "timelimit": {
                "type": ["array", "null"],
                "items": {"type": ["number", "null"]},
                "minItems": 2,
                "maxItems": 2,
                "description": "Hard and soft time limit, in seconds.",
            },
            "root_id": _TEXT_OR_NONE,
            "parent_id": _TEXT_OR_NONE,
            "argsrepr": {"type": "string", "description": "For logs."},
            "kwargsrepr": {"type": "string", "description": "For logs, without secrets."},
            "origin": {"type": "string", "description": "Name of the sending node."},
            "ignore_result": {"type": ["boolean", "null"], "description": "Whether nobody wants a reply."},
            "replaced_task_nesting": {"type": "integer"},
            "stamped_headers": {"type": ["array", "null"], "items": {"type": "string"}},
            "stamps": {"type": ["object", "null"]},
            "pico_contract": {"type": "string", "description": "Contract that the sender has."},
            "pico_digest": {"type": "string", "description": "Digest of the task in it."},
            "pico_deadline": {**_TIME_OR_NONE, "description": "When the call has to have ended, ISO 8601 in UTC."},
        },
    },
    EMBED: {
        "type": ["object", "null"],
        "description": "What is sent when the task has ended: signatures of Celery's canvas.",
        "properties": {
            "callbacks": _SIGNATURES,
            "errbacks": _SIGNATURES,
            "chain": _SIGNATURES,
            "chord": {"type": ["object", "null"]},
        },
    },
    REPLY: {
        "type": "object",
        "description": "What Celery's result backends keep of a call, and send to who waits for it.",
        "required": ["task_id", "status", "result"],
        "properties": {
            "task_id": {"type": "string", "description": "Id of the call."},
            "status": {"type": "string"},
            "traceback": _TEXT_OR_NONE,
            "children": {"type": ["array", "null"]},
            "date_done": _TIME_OR_NONE,
            "parent_id": _TEXT_OR_NONE,
            "group_id": _TEXT_OR_NONE,
        },
    },
}
"""Schemas that all tasks share."""

PROGRESS: Final[Mapping[str, Any]] = {
    "name": "progress",
    "title": "Progress",
    "summary": "A call has started, or will be retried; its reply is yet to come.",
    "contentType": "application/json",
    "correlationId": {"$ref": "#/components/correlationIds/reply"},
    "payload": {
        "allOf": [{"$ref": f"#/components/schemas/{REPLY}"}],
        "properties": {"status": {"not": {"enum": ["SUCCESS", "FAILURE", "REVOKED"]}}},
    },
}


def call_payload(task: TaskRecord, view: View) -> dict[str, Any]:
    """Return the schema of the body of a call: positional arguments, arguments by name, and what follows."""
    required = [parameter.name for parameter in task.parameters if parameter.required]
    kwargs: dict[str, Any] = {
        "type": "object",
        "description": "The arguments, by name; defaults are the worker's.",
        "properties": {parameter.name: _argument(parameter, task, view) for parameter in task.parameters},
        **({"required": required} if required else {}),
        "additionalProperties": False,
    }
    args = {
        "type": "array",
        "maxItems": 0,
        "description": "Arguments are sent by name. Workers take them by position too, from plain Celery clients.",
    }
    body = [args, kwargs, {"$ref": f"#/components/schemas/{EMBED}"}]
    return {"type": "array", "items": body, "minItems": 3, "maxItems": 3}


def call_headers(task: TaskRecord) -> dict[str, Any]:
    """Return the schema of the headers of a call."""
    names = [task.name, *task.aliases]
    name = {"const": task.name} if len(names) == 1 else {"enum": names}
    return {
        "type": "object",
        "allOf": [{"$ref": f"#/components/schemas/{HEADERS}"}],
        "properties": {"task": {"type": "string", **name}},
    }


def call_example(task: TaskRecord, contract: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return an example of a call."""
    headers = {
        "lang": "py",
        "task": task.name,
        "id": _ID,
        "retries": 0,
        "timelimit": [None, None],
        "root_id": _ID,
        "ignore_result": bool(task.options.get("ignore_result", False)),
        "pico_contract": contract,
        "pico_digest": task.digest,
    }
    return {"name": "call", "headers": headers, "payload": [[], dict(arguments), dict(_NO_EMBED)]}


def result_payload(task: TaskRecord, view: View) -> dict[str, Any]:
    """Return the schema of a reply with the result of a task, as the worker sends it or as the client takes it."""
    result = task.result.sends if view == "worker" else task.result.accepted
    return _reply("SUCCESS", draft7(result))


def reply_example(result: Any) -> dict[str, Any]:
    """Return an example of a reply with a result."""
    payload = {"task_id": _ID, "status": "SUCCESS", "result": result, "traceback": None, "children": []}
    return {"name": "result", "payload": payload}


def error_payload(error: ErrorRecord, view: View) -> dict[str, Any]:
    """Return the schema of a reply with a declared error, as the worker sends it or as the client takes it."""
    fields = error.sends if view == "worker" else error.accepted
    return _reply("FAILURE", _failure(_stored(error.code, draft7(fields))))


def error_example(error: ErrorRecord, task: str, fields: Any, module: str = "contracts") -> dict[str, Any]:
    """Return an example of a reply with a declared error."""
    data = {"code": error.code, "task": task, "fields": fields}
    failure = {"exc_type": error.type, "exc_message": ["what str() says of it", data], "exc_module": module}
    payload = {"task_id": _ID, "status": "FAILURE", "result": failure, "traceback": "Traceback ...", "children": []}
    return {"name": "error", "payload": payload}


def failure_payload(task: TaskRecord) -> dict[str, Any]:
    """Return the schema of a reply with a failure that the contract does not declare."""
    other: dict[str, Any] = {}
    if task.errors:
        other = {"not": {"anyOf": [_stored(error.code) for error in task.errors]}}
    return _reply(["FAILURE", "REVOKED"], _failure(other))


def _argument(parameter: ParameterRecord, task: TaskRecord, view: View) -> Any:
    schema = draft7(parameter.accepts if view == "worker" else parameter.sent)
    more: dict[str, Any] = {}
    text = read_docstring(task.doc).arguments.get(parameter.name)
    if text and "description" not in schema:
        more["description"] = text
    if not parameter.required:
        more["default"] = strict(parameter.default)
    if not more:
        return schema
    return {"allOf": [schema], **more} if "$ref" in schema else {**schema, **more}


def _reply(status: str | list[str], result: Any) -> dict[str, Any]:
    told = {"const": status} if isinstance(status, str) else {"enum": status}
    return {
        "type": "object",
        "allOf": [{"$ref": f"#/components/schemas/{REPLY}"}],
        "properties": {"status": {"type": "string", **told}, "result": result},
    }


def _failure(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "required": ["exc_type", "exc_message"],
        "properties": {
            "exc_type": {"type": "string", "description": "Name of the exception's class."},
            "exc_module": {"type": ["string", "null"], "description": "Its module, which nobody has to import."},
            "exc_message": {"description": "What it was built with.", **message},
        },
    }


def _stored(code: str, fields: Any = None) -> dict[str, Any]:
    data = {
        "type": "object",
        "required": ["code", "fields"],
        "properties": {
            "code": {"type": "string", "const": code},
            "task": {"type": "string", "description": "Name of the task that raised it."},
            **({} if fields is None else {"fields": fields}),
        },
    }
    return {
        "type": "array",
        "items": [{"type": "string", "description": "Its text."}, data],
        "minItems": 2,
        "maxItems": 2,
    }
