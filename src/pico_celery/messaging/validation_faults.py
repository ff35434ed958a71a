"""Turn pydantic's errors into faults: task, argument path, what is wrong, what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.payload import Payload
from pico_celery.contract.typenames import type_name
from pico_celery.contract.validation_messages import validation_message
from pico_celery.errors import Fault

SHOWN: Final = 20
_FIELD_NAME: Final = re.compile(r"field_name='([^']*)'")


def argument_faults(definition: TaskDefinition, error: ValidationError, remedy: str = "") -> list[Fault]:
    """Return the faults of the arguments of a call."""
    details = _details(error)
    return [_argument_fault(definition, detail, remedy) for detail in details[:SHOWN]]


def parameter_faults(definition: TaskDefinition, name: str, error: ValidationError) -> list[Fault]:
    """Return the faults of one argument that was validated alone."""
    details: list[Any] = [{**detail, "loc": (name, *detail["loc"])} for detail in _details(error)]
    return [_argument_fault(definition, detail, "") for detail in details[:SHOWN]]


def result_faults(definition: TaskDefinition, error: ValidationError, remedy: str = "") -> list[Fault]:
    """Return the faults of a result."""
    return [
        Fault(
            task=definition.name,
            path=_path(("return", *detail["loc"])),
            remedy=remedy,
            code=detail["type"],
            **validation_message(
                detail,
                sensitive=definition.result.sensitive,
                declared="" if detail["loc"] else type_name(definition.result.annotation),
            )._asdict(),
        )
        for detail in _details(error)[:SHOWN]
    ]


def unencodable(task: str, path: str, payload: Payload, error: Exception) -> Fault:
    """Return the fault of a value that passed validation and cannot be encoded as JSON."""
    field = _FIELD_NAME.search(str(error))
    where = f"{path}.{field.group(1)}" if field else path
    if isinstance(error, UnicodeDecodeError):
        remedy = "give the model ConfigDict(ser_json_bytes='base64', val_json_bytes='base64')"
        return Fault(task=task, path=where, expected="bytes that are text", got="binary", remedy=remedy, code="bytes")
    text = "a part of another type" if payload.sensitive else str(error).replace("\n", " ").strip()
    return Fault(task=task, path=where, expected=type_name(payload.annotation), got=text, code="not_serializable")


def _details(error: ValidationError) -> list[ErrorDetails]:
    return error.errors(include_url=False)


def unexpected_argument(task: str, name: str, remedy: str) -> Fault:
    """Return the fault of an argument that a task does not have."""
    return Fault(
        task=task, path=name, remedy=remedy, code="unexpected_argument", sentence=f"unexpected argument {name!r}"
    )


def _argument_fault(definition: TaskDefinition, detail: ErrorDetails, remedy: str) -> Fault:
    location = detail["loc"]
    name = str(location[0]) if location else ""
    top = len(location) == 1
    parameter = definition.parameter(name)
    if top and detail["type"] == "extra_forbidden":
        known = [known.name for known in definition.parameters]
        advice = remedy or did_you_mean(name, known) if known else "the task takes no arguments"
        return unexpected_argument(definition.name, name, advice)
    if top and detail["type"] == "missing" and parameter:
        expected = f"a value of type {type_name(parameter.annotation)}"
        return Fault(
            task=definition.name,
            path=name,
            expected=expected,
            got="nothing",
            remedy=remedy or "pass it",
            code="missing_argument",
        )
    declared = type_name(parameter.annotation) if parameter and top else ""
    message = validation_message(detail, sensitive=definition.arguments.sensitive, declared=declared)
    return Fault(
        task=definition.name,
        path=_path(location),
        remedy=remedy,
        code=detail["type"],
        **message._asdict(),
    )


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)


def failing_argument(definition: TaskDefinition, values: Mapping[str, object]) -> tuple[str, Payload, Exception]:
    """Find the argument that does not encode."""
    for parameter in definition.parameters:
        if parameter.name in values:
            try:
                parameter.payload.encode(values[parameter.name])
            except (ValueError, TypeError, RecursionError) as error:
                return parameter.name, parameter.payload, error
    return "", definition.arguments, ValueError("the arguments are not JSON")
