"""A result as stored JSON, and back. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from pico_celery.contract.definition import TaskDefinition
from pico_celery.errors import Fault, ResultError
from pico_celery.messaging.calls import UNSHOWN, shown
from pico_celery.messaging.headers import mismatch_note
from pico_celery.messaging.validation_faults import result_faults, unencodable


class SealedResult:
    """An encoded result that shows in logs and events only what its type shows.

    kombu's JSON asks for ``__json__``, Celery's logs and events for ``repr``.
    Source: https://github.com/celery/kombu/blob/main/kombu/utils/json.py
    """

    __slots__ = ("data", "shown")

    def __init__(self, data: object, shown: str) -> None:
        self.data = data
        self.shown = shown

    def __json__(self) -> object:
        """Return the JSON data."""
        return self.data

    def __repr__(self) -> str:
        """Return what may be shown."""
        return self.shown


def encode_result(definition: TaskDefinition, value: object, headers: Mapping[str, object] | None = None) -> object:
    """Validate and encode what an implementation returned."""
    payload = definition.result
    remedy = mismatch_note(definition, headers) or "correct the implementation, or widen the contract's result"
    try:
        valid = payload.validate(value)
    except ValidationError as error:
        raise ResultError.of(definition.name, result_faults(definition, error, remedy)) from None
    try:
        data = payload.encode(valid)
    except (ValueError, TypeError, RecursionError) as error:
        raise ResultError.of(definition.name, [unencodable(definition.name, "return", payload, error)]) from None
    return SealedResult(data, UNSHOWN if payload.veiled else shown(valid)) if payload.sensitive else data


def decode_result(definition: TaskDefinition, data: object) -> object:
    """Decode a stored result, whoever stored it."""
    try:
        return definition.result.decode(data.data if isinstance(data, SealedResult) else data)
    except ValidationError as error:
        remedy = "the worker's contract differs: deploy the same version of the contract on both sides"
        raise ResultError.of(definition.name, result_faults(definition, error, remedy)) from None
    except (ValueError, TypeError, RecursionError) as error:
        got = type(error).__name__ if definition.result.sensitive else f"{type(error).__name__}: {error}"
        fault = Fault(task=definition.name, path="return", expected="JSON", got=got, code="not_json")
        raise ResultError.of(definition.name, [fault]) from None
