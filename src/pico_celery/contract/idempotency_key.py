"""``key=`` of a contract's method: which calls of a task count as the same call, by their arguments."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Any, Final

from pydantic import BaseModel, Secret, SecretBytes, SecretStr
from pydantic_core import PydanticSerializationError, to_jsonable_python

from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.signature import location_of
from pico_celery.errors import Fault, PayloadError

_KINDS: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def key_faults(definition: TaskDefinition, subject: str) -> list[Fault]:
    """Return the faults of the parameters of a task's ``key``."""
    key = definition.options.get("key")
    if key is None:
        return []
    where = (definition.where, location_of(key))
    try:
        parameters = inspect.signature(key).parameters.values()
    except (TypeError, ValueError):
        got, remedy = repr(key), "write a lambda or a function with the task's parameters"
        return [_fault(subject, "key", "a function whose parameters can be read", got, remedy, where)]
    known = [parameter.name for parameter in definition.parameters]
    faults = []
    for parameter in parameters:
        path = f"key.{parameter.name}"
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            continue
        if parameter.kind not in _KINDS:
            got = "one that can be given by position only"
            faults.append(_fault(subject, path, "a parameter given by name", got, "name the task's parameters", where))
        elif parameter.name not in known:
            remedy = did_you_mean(parameter.name, known)
            faults.append(_fault(subject, path, "a parameter of the task", "no such parameter", remedy, where))
    return faults


def key_of(definition: TaskDefinition, arguments: Mapping[str, object]) -> str | None:
    """Return the text that is equal for calls which are the same call."""
    key: Callable[..., Any] | None = definition.options.get("key")
    if key is None:
        return None
    defaults = {parameter.name: parameter.default for parameter in definition.parameters if not parameter.required}
    known = {**defaults, **arguments}
    parameters = inspect.signature(key).parameters.values()
    takes_all = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
    wanted = known if takes_all else {one.name: known[one.name] for one in parameters if one.name in known}
    try:
        value = key(**wanted)
    except Exception as error:
        got = f"{type(error).__name__}" if definition.arguments.sensitive else f"{type(error).__name__}: {error}"
        raise _refused(definition, "a key made of the arguments", got, "correct key= of the contract") from error
    return None if value is None else _text(definition, value)


def _text(definition: TaskDefinition, value: object) -> str:
    try:
        plain = _plain(value)
    except TypeError as error:
        remedy = "return a text, a number, or a list, mapping or model of them"
        raise _refused(definition, "a key that is JSON", str(error), remedy) from None
    text = plain if isinstance(plain, str) else json.dumps(plain, sort_keys=True, separators=(",", ":"))
    if not text:
        raise _refused(definition, "a key", "an empty text", "return None where a call is to have no key")
    return text


def _plain(value: object) -> object:
    """Return JSON data that is the same for equal values, in every process."""
    if isinstance(value, (SecretStr, SecretBytes, Secret)):
        raise TypeError("a secret, which shows the same for all values")
    if isinstance(value, BaseModel):
        return _plain(value.model_dump())
    if isinstance(value, Mapping):
        return {_json(_plain(name)): _plain(item) for name, item in value.items()}
    if isinstance(value, AbstractSet):  # its order is chance
        return sorted((_plain(item) for item in value), key=_json)
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    try:
        return to_jsonable_python(value)
    except (PydanticSerializationError, ValueError) as error:
        raise TypeError(f"a value of type {type(value).__name__}") from error


def _json(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _refused(definition: TaskDefinition, expected: str, got: str, remedy: str) -> PayloadError:
    fault = Fault(
        task=definition.name,
        path="key",
        expected=expected,
        got=got,
        remedy=remedy,
        where=(definition.where,),
        code="idempotency_key",
    )
    return PayloadError.of(definition.name, [fault])


def _fault(subject: str, path: str, expected: str, got: str, remedy: str, where: tuple[str, ...]) -> Fault:  # noqa: PLR0917
    return Fault(task=subject, path=path, expected=expected, got=got, remedy=remedy, where=where, code="key_parameter")
