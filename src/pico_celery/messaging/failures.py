"""A failure as a result backend keeps it, and back. No I/O, and nothing imported because a message names it.

What is stored is an ordinary failure of Celery: class name, module and ``args`` of the exception. A declared error's args
are its text and its fields, which its contract decodes; every other failure is a `RemoteError`, but for the errors of this
library and of Celery, each from a fixed table.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from pico_celery import errors
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.error_definition import ErrorDefinition
from pico_celery.contract.error_fields import ErrorFields, safe_text
from pico_celery.contract.task_error import TaskError, fields_of, restored, stored_form, values_of
from pico_celery.errors import CallError, DeadlineExceeded, Fault, PicoCeleryError, RemoteError

_OWN: Final[Mapping[str, type[PicoCeleryError]]] = {
    f"{cls.__module__}.{cls.__qualname__}": cls
    for cls in vars(errors).values()
    # A RemoteError that a task let pass is about another task: it is one more failure that the contract does not declare.
    if isinstance(cls, type) and issubclass(cls, PicoCeleryError) and cls is not RemoteError
}
_STORED_LENGTH: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFailure:
    """What a result backend knows of a failure."""

    type_name: str
    """Name of the exception's class."""
    module: str
    """Its module; empty where it is not known."""
    args: tuple[Any, ...]
    """What the exception was built with."""
    text: str
    traceback: str
    """Text of the traceback; empty where none was stored."""
    original: BaseException | None = None
    """The exception, where Celery has built it already, or it never left the process."""

    @classmethod
    def of(cls, stored: object, traceback: object = None) -> StoredFailure:
        """Read a failure."""
        trace = "" if traceback is None else str(traceback)
        if isinstance(stored, BaseException):
            return _of_exception(stored, trace)
        if not isinstance(stored, Mapping):
            return cls(type_name="Exception", module="", args=(stored,), text=str(stored), traceback=trace)
        message = stored.get("exc_message", "")
        args = tuple(message) if isinstance(message, (list, tuple)) else (message,)
        return cls(
            type_name=str(stored.get("exc_type", "Exception")),
            module=str(stored.get("exc_module") or ""),
            args=args,
            text=_text_of(args),
            traceback=trace,
        )

    @property
    def full_name(self) -> str:
        """Name of the class with its module, where it is known."""
        return f"{self.module}.{self.type_name}" if self.module else self.type_name

    @property
    def data(self) -> Mapping[str, object] | None:
        """The data of an error of this library, or of one that looks like it: the second argument, after the text."""
        return self.args[1] if _is_of_data(self.args) else None


def encode_failure(definition: TaskDefinition, error: Exception) -> Exception:
    """Return what is to be stored of an error that a task raised."""
    declared = declared_error(definition, error)
    if declared is None or not isinstance(error, TaskError):
        return error
    text, data = stored_form(error, declared.cls, definition.name)
    data["code"] = declared.code
    if type(error) is not declared.cls:
        return restored(declared.cls, text, data)
    error.data, error.args = data, (text, data)
    return error


def declared_error(definition: TaskDefinition, error: BaseException) -> ErrorDefinition | None:
    """Return the definition by which a task declares an error: that of its class, or of its nearest base."""
    if not definition.errors or not isinstance(error, TaskError) or values_of(error) is None:
        return None
    by_class = {declared.cls: declared for declared in definition.errors}
    return next((by_class[cls] for cls in type(error).__mro__ if cls in by_class), None)


def decode_failure(
    definitions: Sequence[TaskDefinition],
    task_id: str,
    failure: StoredFailure,
    controls: Mapping[str, type[Exception]] | None = None,
) -> Exception:
    """Return the exception that a stored failure is to a caller."""
    data = failure.data
    found = _find(definitions, data)
    if found is not None and data is not None:
        return _decode_declared(*found, task_id, failure, data)
    known = _OWN.get(failure.full_name)
    if known is not None and data is not None and _is_about(definitions, known, data):
        own = failure.original
        return own if isinstance(own, known) else known(failure.text, data)
    control = (controls or {}).get(failure.full_name)
    if control is not None:
        rebuilt = _rebuilt(control, failure)
        if rebuilt is not None:
            return rebuilt
    return _remote(definitions[0].name, task_id, failure)


def _is_about(definitions: Sequence[TaskDefinition], cls: type[PicoCeleryError], data: Mapping[str, object]) -> bool:
    """Return whether an error of this library is about the call itself, not about one that the task made in its turn.

    A caller must not take the wrong arguments of that one for its own.
    """
    names = {definition.name for definition in definitions}
    if issubclass(cls, DeadlineExceeded):
        return data.get("task", definitions[0].name) in names
    return not issubclass(cls, CallError) or data.get("subject") in names


def _find(
    definitions: Sequence[TaskDefinition], data: Mapping[str, Any] | None
) -> tuple[TaskDefinition, ErrorDefinition] | None:
    if data is None or not isinstance(data.get("code"), str):
        return None
    raised_by = sorted(definitions, key=lambda definition: definition.name != data.get("task"))
    for definition in raised_by:
        declared = definition.error(data["code"])
        if declared is not None:
            return definition, declared
    return None


def _decode_declared(
    definition: TaskDefinition,
    declared: ErrorDefinition,
    task_id: str,
    failure: StoredFailure,
    data: Mapping[str, object],
) -> Exception:
    original = failure.original
    if isinstance(original, TaskError) and type(original) is declared.cls and values_of(original) is not None:
        return original
    error = restored(declared.cls, failure.text, data)
    if values_of(error) is not None:
        return error
    fields = fields_of(declared.cls)
    return _remote(definition.name, task_id, failure, _misfits(fields, declared.code, data.get("fields")))


def _misfits(fields: ErrorFields, code: str, data: object) -> list[Fault]:
    try:
        fields.payload.decode(data)
    except ValidationError as error:
        return fields.faults(code, error)
    except (ValueError, TypeError, RecursionError) as error:
        got = type(error).__name__
        return [Fault(task=code, expected="fields that are JSON", got=got, where=(fields.where,), code="not_json")]
    return [Fault(task=code, expected="a mapping of fields", got=type(data).__name__, code="not_json")]


def _rebuilt(control: type[Exception], failure: StoredFailure) -> Exception | None:
    if type(failure.original) is control:
        return failure.original
    try:
        return control(*failure.args)
    except Exception:  # noqa: BLE001 - of another release, whose arguments differ
        return None


def _remote(task: str, task_id: str, failure: StoredFailure, faults: Sequence[Fault] = ()) -> RemoteError:
    return RemoteError.of(task, task_id, failure.full_name, failure.text, failure.traceback, faults)


def _of_exception(error: BaseException, traceback: str) -> StoredFailure:
    cls = type(error)
    return StoredFailure(
        type_name=cls.__qualname__,
        module=cls.__module__ if _is_genuine(cls) else "",
        args=error.args,
        text=_text_of(error.args) if _is_of_data(error.args) else safe_text(error),
        traceback=traceback,
        original=error,
    )


def _is_genuine(cls: type[BaseException]) -> bool:
    """Return whether a class is the one of its name; Celery makes one where it finds none, and gives it a module of its own."""
    found: Any = sys.modules.get(cls.__module__)
    for name in cls.__qualname__.split("."):
        if name == "<locals>":
            return True
        found = getattr(found, name, None)
    return found is cls


def _is_of_data(args: tuple[object, ...]) -> bool:
    return len(args) == _STORED_LENGTH and isinstance(args[0], str) and isinstance(args[1], Mapping)


def _text_of(args: tuple[object, ...]) -> str:
    """Return the text of an exception with these arguments; of text and data, the text alone: data may hold secrets."""
    if _is_of_data(args) or len(args) == 1:
        return str(args[0])
    return str(args) if args else ""
