"""The arguments of a call as a user gives them on the command line: read, and held against the contract."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.document.records import Document, ParameterRecord, TaskRecord, references
from pico_celery.errors import Fault, PayloadError
from pico_celery.messaging.calls import UNSHOWN, decode_call, shown, shown_call
from pico_celery.messaging.headers import DIGEST_HEADER
from pico_celery.messaging.validation_faults import unexpected_argument
from pico_celery_tooling.output import ToolError

_KOMBUS: Final = {"__type__", "__value__"}


def read_data(text: str) -> dict[str, Any]:
    """Read the arguments of a call."""
    origin, content = _content(text)
    try:
        data = json.loads(content)
    except ValueError as error:
        where = f"line {error.lineno}, column {error.colno}: " if isinstance(error, json.JSONDecodeError) else ""
        said = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise ToolError(
            f"{origin} is no JSON: {where}{said}",
            """write names and texts in double quotes, such as '{"order_id": 1}'; in a shell, the whole in single quotes""",
        ) from None
    if not isinstance(data, dict):
        raise ToolError(
            f"{origin}: expected a JSON object of arguments by name, got {_kind(data)}",
            "start from --example, which prints one",
        )
    return data


def _content(text: str) -> tuple[str, str]:
    if text in {"-", "@-"}:
        return "the standard input", sys.stdin.read()
    if not text.startswith("@"):
        return "--data", text
    path = Path(text[1:])
    try:
        return str(path), path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ToolError(
            f"--data: {path} cannot be read: {reason}", "@file names a file, @- the standard input"
        ) from None


def _kind(data: Any) -> str:
    names = {list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(data), "a number")


def check_arguments(
    task: TaskRecord, document: Document, data: Mapping[str, Any], definition: TaskDefinition | None
) -> None:
    """Hold arguments against a contract."""
    faults = [*_name_faults(task, data), *_value_faults(task, document, data)]
    if faults:
        raise PayloadError.of(task.name, faults)
    if definition is not None:
        decode_call(definition, (), data, _current(task))


def _name_faults(task: TaskRecord, data: Mapping[str, Any]) -> list[Fault]:
    known = [parameter.name for parameter in task.parameters]
    faults = []
    for name in data:
        if name not in known:
            remedy = did_you_mean(name, known) if known else "the task takes no arguments"
            faults.append(unexpected_argument(task.name, name, remedy))
    for parameter in task.parameters:
        if parameter.required and parameter.name not in data:
            expected = f"a value of type {parameter.type}"
            faults.append(_fault(task, parameter.name, expected, "nothing", "pass it", "missing_argument"))
    return faults


def _value_faults(task: TaskRecord, document: Document, data: Mapping[str, Any]) -> list[Fault]:
    from pico_celery_tooling.schema.validation import violations  # noqa: PLC0415 - most calls check no value

    faults = []
    for parameter in task.parameters:
        if parameter.name not in data:
            continue
        value = data[parameter.name]
        hides = is_sensitive(document, parameter)
        for found in violations(document, parameter.accepts, value):
            path = joined(parameter.name, found.path)
            got = "a value that is not shown" if hides and found.got != "nothing" else found.got
            faults.append(_fault(task, path, found.expected, got, "", "schema"))
        if _is_kombus(value):
            expected = "no object of __type__ and __value__ alone"
            faults.append(
                _fault(task, parameter.name, expected, "one", "Celery takes it for a value of its own", "kombu")
            )
    return faults


def joined(name: str, path: str) -> str:
    """Return the path of a part of a value: ``order`` and ``lines[0].sku`` are ``order.lines[0].sku``."""
    return f"{name}{path}" if path.startswith("[") or not path else f"{name}.{path}"


def _is_kombus(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_kombus(item) for item in value)
    if not isinstance(value, dict):
        return False
    return value.keys() == _KOMBUS or any(_is_kombus(item) for item in value.values())


def shown_arguments(
    task: TaskRecord, document: Document, data: Mapping[str, Any], definition: TaskDefinition | None
) -> str:
    """Return what logs and events may show of arguments."""
    if definition is not None:
        return shown_call(definition, (), data, _current(task))[1]
    sensitive = {parameter.name for parameter in task.parameters if is_sensitive(document, parameter)}
    return shown({name: _Hidden() if name in sensitive else value for name, value in data.items()})


def _current(task: TaskRecord) -> Mapping[str, str]:
    """Return headers by which arguments are those of this very contract, which nothing has to make new ones of."""
    return {DIGEST_HEADER: task.digest}


class _Hidden:
    def __repr__(self) -> str:
        return UNSHOWN


def is_sensitive(document: Document, parameter: ParameterRecord) -> bool:
    """Return whether a parameter's values must stay out of logs: its contract says so, or a schema marks a secret."""
    if parameter.sensitive or _marks_secret(parameter.accepts):
        return True
    reached: set[str] = set()
    names = set(references(parameter.accepts))
    while names:
        name = names.pop()
        if name not in reached:
            reached.add(name)
            names.update(references(document.schemas[name]))
    return any(_marks_secret(document.schemas[name]) for name in reached)


def _marks_secret(node: Any) -> bool:
    if isinstance(node, (list, tuple)):
        return any(_marks_secret(item) for item in node)
    if not isinstance(node, Mapping):
        return False
    if node.get("writeOnly") is True or node.get("format") == "password":
        return True
    return any(_marks_secret(value) for value in node.values())


def _fault(task: TaskRecord, path: str, expected: str, got: str, remedy: str, code: str) -> Fault:  # noqa: PLR0917 - as a fault has attributes
    return Fault(task=task.name, path=path, expected=expected, got=got, remedy=remedy, code=code)
