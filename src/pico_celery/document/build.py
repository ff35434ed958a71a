"""Build a document from the contracts that are imported in this process."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from functools import partial
from typing import Any, Final

from pydantic.json_schema import JsonSchemaMode

from pico_celery.contract.definition import ContractDefinition, ParameterDefinition, TaskDefinition
from pico_celery.contract.digest import digest
from pico_celery.contract.naming import prefix_of
from pico_celery.contract.payload import Payload
from pico_celery.contract.retry_policy import RetryPolicy
from pico_celery.contract.typenames import type_name
from pico_celery.contract.upcasting import upcasters_of
from pico_celery.document.lock_schema import LockSchema
from pico_celery.document.records import (
    ContractRecord,
    Document,
    ErrorRecord,
    JsonSchema,
    ParameterRecord,
    ResultRecord,
    TaskRecord,
)

_NO_OPTIONS: Final = frozenset({"errors", "since", "deprecated", "aliases"})
"""Options that are fields of their own in a record."""


def document_of(contracts: Iterable[ContractDefinition]) -> Document:
    """Describe contracts as data."""
    ordered = sorted(contracts, key=lambda contract: (contract.name, contract.version, contract.cls.__qualname__))
    schemas = _Schemas(task for contract in ordered for task in contract.tasks.values())
    given = {prefix_of(contract.name, contract.version) for contract in ordered}
    records: dict[str, ContractRecord] = {}
    for contract in ordered:
        record = _contract(contract, given, schemas)
        known = records.get(record.key)
        records[record.key] = record if known is None else _merged(known, record)
    return Document(contracts=records, schemas=schemas.shared)


class _Schemas:
    """The JSON Schemas of all payloads, made in one go so that each model is described once."""

    def __init__(self, tasks: Iterable[TaskDefinition]) -> None:
        self._keys: dict[int, int] = {}
        payloads = [payload for task in tasks for payload in _payloads(task)]
        by_type: dict[Any, int] = {}
        inputs: list[tuple[int, JsonSchemaMode, Any]] = []
        self._kept = payloads  # whose ids are keys
        for number, payload in enumerate(payloads):
            first = by_type.setdefault(_hashable(payload.annotation, number), number)
            self._keys[id(payload)] = first
            if first == number:
                inputs.extend(
                    [(number, "validation", payload.core_schema), (number, "serialization", payload.core_schema)]
                )
        found: tuple[Any, Any] = LockSchema().generate_definitions(inputs)
        self._schemas: Mapping[tuple[int, str], dict[str, Any]] = found[0]
        self.shared: Mapping[str, JsonSchema] = dict(sorted(found[1].items()))

    def of(self, payload: Payload, mode: JsonSchemaMode) -> dict[str, object]:
        return self._schemas[self._keys[id(payload)], mode]


def _payloads(task: TaskDefinition) -> list[Payload]:
    return [
        *(parameter.payload for parameter in task.parameters),
        task.result,
        *(error.payload for error in task.errors),
    ]


def _hashable(annotation: object, number: int) -> object:
    try:
        hash(annotation)
    except TypeError:  # Annotated with a list in it
        return number
    # 1 and True are equal, and so are Literal[1] and Literal[True].
    return annotation, repr(annotation)


def _contract(contract: ContractDefinition, given: Collection[str], schemas: _Schemas) -> ContractRecord:
    own = prefix_of(contract.name, contract.version)
    # An inherited task is recorded once, by the contract that declares it.
    own_tasks = [task for task in contract.tasks.values() if task.contract == own or task.contract not in given]
    tasks = sorted(own_tasks, key=lambda task: task.name)
    return ContractRecord(
        name=contract.name,
        version=contract.version,
        type=contract.cls.__qualname__,
        doc=contract.doc,
        digest=contract.digest,
        tasks={task.name: _task(task, schemas) for task in tasks},
    )


def _merged(one: ContractRecord, other: ContractRecord) -> ContractRecord:
    """Return one record of two classes that declare tasks of one domain."""
    tasks = dict(sorted({**one.tasks, **other.tasks}.items()))
    return one.model_copy(
        update={
            "type": ", ".join(filter(None, [one.type, other.type])),
            "doc": "\n\n".join(filter(None, [one.doc, other.doc])),
            "digest": digest([one.digest, other.digest]),
            "tasks": tasks,
        }
    )


def _task(task: TaskDefinition, schemas: _Schemas) -> TaskRecord:
    return TaskRecord(
        name=task.name,
        method=task.method,
        doc=task.doc,
        digest=task.digest,
        since=task.since,
        deprecated=task.deprecated,
        aliases=task.aliases,
        upcast=bool(upcasters_of(task)),
        parameters=tuple(_parameter(parameter, schemas) for parameter in task.parameters),
        result=_result(task.result, schemas),
        errors=tuple(
            ErrorRecord(
                code=error.code,
                type=error.cls.__qualname__,
                retryable=error.retryable,
                doc=error.doc,
                sends=schemas.of(error.payload, "serialization"),
                accepts=_other(schemas, error.payload, "validation"),
            )
            for error in sorted(task.errors, key=lambda error: error.code)
        ),
        options={name: _plain(value) for name, value in sorted(task.options.items()) if name not in _NO_OPTIONS},
    )


def _parameter(parameter: ParameterDefinition, schemas: _Schemas) -> ParameterRecord:
    return ParameterRecord(
        name=parameter.name,
        keyword_only=parameter.kind is inspect.Parameter.KEYWORD_ONLY,
        type=type_name(parameter.annotation),
        required=parameter.required,
        sensitive=parameter.payload.sensitive,
        default="(not shown)" if parameter.payload.sensitive and not parameter.required else parameter.default_data,
        accepts=schemas.of(parameter.payload, "validation"),
        sends=_other(schemas, parameter.payload, "serialization"),
    )


def _result(payload: Payload, schemas: _Schemas) -> ResultRecord:
    return ResultRecord(
        type=type_name(payload.annotation),
        sends=schemas.of(payload, "serialization"),
        accepts=_other(schemas, payload, "validation"),
    )


def _other(schemas: _Schemas, payload: Payload, mode: JsonSchemaMode) -> dict[str, Any] | None:
    """Return the schema of one direction where it is not that of the other one."""
    other: JsonSchemaMode = "validation" if mode == "serialization" else "serialization"
    found = schemas.of(payload, mode)
    return None if found == schemas.of(payload, other) else found


def _plain(value: object) -> object:
    """Return an option as JSON data."""
    if isinstance(value, RetryPolicy):
        return {
            "max_attempts": value.max_attempts,
            "delay": value.delay.total_seconds(),
            "backoff": value.backoff,
            "max_delay": value.max_delay.total_seconds(),
            "jitter": float(value.jitter),
            "retry_on": sorted(cls.__qualname__ for cls in value.retry_on),
        }
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return _plain(value.value)
    if callable(value):
        function = value.func if isinstance(value, partial) else value
        return getattr(function, "__qualname__", type(function).__qualname__)
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
