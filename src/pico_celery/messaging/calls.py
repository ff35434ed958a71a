"""A call as a message's arguments, and back: bind, validate, encode; bind, decode. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic import ValidationError

from pico_celery.contract.definition import ParameterDefinition, TaskDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.typenames import safe_repr, type_name
from pico_celery.contract.upcasting import Upcaster, names_of, upcast_arguments, upcasters_of
from pico_celery.errors import CompositionError, Fault, PayloadError
from pico_celery.messaging.headers import is_current, mismatch_note
from pico_celery.messaging.validation_faults import (
    argument_faults,
    failing_argument,
    parameter_faults,
    unencodable,
    unexpected_argument,
)

REPR_LIMIT: Final = 1024  # as Celery's own argsrepr_maxsize and kwargsrepr_maxsize
UNSHOWN: Final = "(not shown)"


@dataclass(frozen=True, slots=True)
class EncodedCall:
    """The arguments of a call, ready for a message."""

    args: tuple[Any, ...]
    """Positional arguments; empty but for implied contracts with ``*args``."""
    kwargs: dict[str, Any]
    """JSON data by argument name, only of what the caller passed."""
    argsrepr: str
    """What logs and events show of ``args``."""
    kwargsrepr: str
    """What logs and events show of ``kwargs``: pydantic's repr, without secrets."""


def encode_call(definition: TaskDefinition, args: Sequence[object], kwargs: Mapping[str, object]) -> EncodedCall:
    """Bind, validate and encode the arguments of a call."""
    extra, bound = _bind(definition, args, kwargs)
    if extra:
        return EncodedCall(extra, dict(bound), shown(extra), shown(dict(bound)))
    payload = definition.arguments
    try:
        values = payload.validate(bound)
    except ValidationError as error:
        raise PayloadError.of(definition.name, argument_faults(definition, error)) from None
    try:
        encoded = payload.encode(values)
    except (ValueError, TypeError, RecursionError):
        path, part, reason = failing_argument(definition, values)
        raise PayloadError.of(definition.name, [unencodable(definition.name, path, part, reason)]) from None
    return EncodedCall((), encoded, "()", _shown_values(definition, values))


def decode_call(
    definition: TaskDefinition, args: object, kwargs: object, headers: Mapping[str, object] | None = None
) -> tuple[tuple[object, ...], dict[str, object]]:
    """Bind and decode the arguments of a message, whoever sent it."""
    remedy = mismatch_note(definition, headers)
    if not isinstance(args, (list, tuple)) or not isinstance(kwargs, Mapping):
        raise PayloadError.of(definition.name, _shape_faults(definition.name, args, kwargs, remedy))
    upcasters = () if is_current(definition, headers) else upcasters_of(definition)
    if upcasters:
        bound, remedy = _upcast(definition, upcasters, args, kwargs)
    else:
        extra, bound = _bind(definition, args, kwargs, remedy)
        if extra:
            return extra, dict(bound)
    try:
        return (), definition.arguments.decode(bound)
    except ValidationError as error:
        raise PayloadError.of(definition.name, argument_faults(definition, error, remedy)) from None
    except (ValueError, TypeError, RecursionError) as error:
        got = type(error).__name__ if definition.arguments.sensitive else f"{type(error).__name__}: {error}"
        fault = Fault(task=definition.name, expected="arguments that are JSON", got=got, remedy=remedy, code="not_json")
        raise PayloadError.of(definition.name, [fault]) from None


def _upcast(
    definition: TaskDefinition, upcasters: Sequence[Upcaster], args: Sequence[object], kwargs: Mapping[str, object]
) -> tuple[Mapping[str, object], str]:
    """Ask the upcasters, and return the arguments with what to do if they still do not fit."""
    names = names_of(upcasters)
    by_name = (
        f"send older arguments by name: {names} could not tell them apart, for the contract has names for "
        f"{_counted(len(definition.positional))} only"
    )
    _, bound = _bind(definition, args, kwargs, by_name)
    arguments = upcast_arguments(definition, upcasters, bound)
    done = "returned these arguments" if arguments != bound else "left these arguments as they were"
    return arguments, f"correct {names}, which {done}, or the sender"


def shown_call(
    definition: TaskDefinition, args: object, kwargs: object, headers: Mapping[str, object] | None = None
) -> tuple[str, str]:
    """Return what logs and events may show of a message's arguments."""
    if not definition.arguments.sensitive:
        return shown(args), shown(kwargs)
    try:
        extra, values = decode_call(definition, args, kwargs, headers)
    except PayloadError:
        return UNSHOWN, UNSHOWN
    return shown(extra), _shown_values(definition, values)


def shown(value: object) -> str:
    """Return a value's repr, cut to what Celery keeps of one."""
    text = safe_repr(value)
    return text if len(text) <= REPR_LIMIT else text[: REPR_LIMIT - 3] + "..."


class _Unshown:
    def __repr__(self) -> str:
        return UNSHOWN


def _shown_values(definition: TaskDefinition, values: Mapping[str, object]) -> str:
    if not definition.arguments.veiled:
        return shown(values)
    veiled = {parameter.name for parameter in definition.parameters if parameter.payload.veiled}
    return shown({name: _Unshown() if name in veiled else value for name, value in values.items()})


def _bind(
    definition: TaskDefinition, args: Sequence[object], kwargs: Mapping[str, object], remedy: str = ""
) -> tuple[tuple[object, ...], Mapping[str, object]]:
    if not args:
        return (), kwargs
    names = definition.positional
    extra = tuple(args[len(names) :])
    bound = dict(zip(names, args, strict=False))
    faults = [_given_twice(definition.name, name, remedy) for name in bound if name in kwargs]
    if extra and not definition.open_positional:
        faults.append(_too_many(definition.name, len(names), len(args), remedy))
    if faults:
        raise PayloadError.of(definition.name, faults)
    if extra:
        # Only an implied contract with *args gets here: what no contract describes is passed on as it came.
        return tuple(args), kwargs
    bound.update(kwargs)
    return (), bound


def _given_twice(task: str, name: str, remedy: str) -> Fault:
    return Fault(
        task=task,
        path=name,
        sentence="given twice, by position and by keyword",
        remedy=remedy or "leave one out",
        code="given_twice",
    )


def _too_many(task: str, allowed: int, given: int, remedy: str) -> Fault:
    return Fault(
        task=task,
        expected=f"at most {_counted(allowed)}",
        got=str(given),
        remedy=remedy or "pass the others by name",
        code="too_many_arguments",
    )


def _counted(number: int) -> str:
    return f"{number} positional argument{'' if number == 1 else 's'}"


def _shape_faults(task: str, args: object, kwargs: object, remedy: str) -> list[Fault]:
    faults = []
    if not isinstance(args, (list, tuple)):
        faults.append(
            Fault(
                task=task, path="args", expected="a list", got=type(args).__name__, remedy=remedy, code="message_shape"
            )
        )
    if not isinstance(kwargs, Mapping):
        faults.append(
            Fault(
                task=task,
                path="kwargs",
                expected="a mapping",
                got=type(kwargs).__name__,
                remedy=remedy,
                code="message_shape",
            )
        )
    return faults


def first_parameter(definition: TaskDefinition) -> ParameterDefinition | None:
    """Return the parameter that gets the result of the task before it."""
    return definition.parameter(definition.positional[0]) if definition.positional else None


def encode_rest(definition: TaskDefinition, args: Sequence[object], kwargs: Mapping[str, object]) -> EncodedCall:
    """Bind, validate and encode all arguments but the first."""
    first = first_parameter(definition)
    if first is None:
        raise CompositionError.of(definition.name, [_takes_nothing(definition)])
    names = definition.positional[1:]
    bound = dict(zip(names, args, strict=False))
    faults = [_given_twice(definition.name, name, "") for name in bound if name in kwargs]
    if len(args) > len(names):
        text = f"at most {len(names)} positional argument{'' if len(names) == 1 else 's'} after {first.name!r}"
        faults.append(_fault(definition, "", text, str(len(args)), "pass the others by name", "too_many_arguments"))
    bound.update(kwargs)
    faults.extend(_name_faults(definition, first, bound))
    values: dict[str, Any] = {}
    for name, value in bound.items():
        parameter = definition.parameter(name)
        if parameter is None:
            values[name] = value  # passed on unchecked, where an implied contract has **kwargs; a fault elsewhere
            continue
        try:
            values[name] = parameter.payload.validate(value)
        except ValidationError as error:
            faults.extend(parameter_faults(definition, name, error))
    if faults:
        raise PayloadError.of(definition.name, faults)
    return EncodedCall((), _encoded(definition, values), UNSHOWN, _shown(definition, values))


def encode_first(definition: TaskDefinition, value: object) -> object:
    """Validate and encode the first argument alone."""
    first = first_parameter(definition)
    if first is None:
        raise CompositionError.of(definition.name, [_takes_nothing(definition)])
    try:
        valid = first.payload.validate(value)
    except ValidationError as error:
        raise PayloadError.of(definition.name, parameter_faults(definition, first.name, error)) from None
    return _encoded(definition, {first.name: valid})[first.name]


def _name_faults(definition: TaskDefinition, first: ParameterDefinition, bound: Mapping[str, object]) -> list[Fault]:
    faults = []
    if first.name in bound:
        remedy = "leave it out; to give all arguments use .si(...)"
        got = "a value of its own"
        faults.append(_fault(definition, first.name, "the result of the task before it", got, remedy, "first_given"))
    known = [parameter.name for parameter in definition.parameters]
    if not definition.open_keywords:
        unknown = (name for name in bound if name not in known)
        faults.extend(unexpected_argument(definition.name, name, did_you_mean(name, known)) for name in unknown)
    for parameter in definition.parameters:
        if parameter.required and parameter.name not in bound and parameter is not first:
            expected = f"a value of type {type_name(parameter.annotation)}"
            faults.append(_fault(definition, parameter.name, expected, "nothing", "pass it", "missing_argument"))
    return faults


def _encoded(definition: TaskDefinition, values: Mapping[str, object]) -> dict[str, object]:
    encoded = {}
    for name, value in values.items():
        parameter = definition.parameter(name)
        if parameter is None:
            encoded[name] = value
            continue
        try:
            encoded[name] = parameter.payload.encode(value)
        except (ValueError, TypeError, RecursionError) as error:
            raise PayloadError.of(
                definition.name, [unencodable(definition.name, name, parameter.payload, error)]
            ) from None
    return encoded


def _shown(definition: TaskDefinition, values: Mapping[str, object]) -> str:
    return UNSHOWN if definition.arguments.veiled else shown(dict(values))


def _takes_nothing(definition: TaskDefinition) -> Fault:
    return Fault(
        task=definition.name,
        expected="a parameter that the result of the task before it can be given to by position",
        got="none",
        remedy="give the task all its arguments with .si(...), which ignores that result",
        where=(definition.where,),
        code="takes_nothing",
    )


def _fault(  # noqa: PLR0917 - as a fault has attributes
    definition: TaskDefinition, path: str, expected: str, got: str, remedy: str, code: str
) -> Fault:
    return Fault(task=definition.name, path=path, expected=expected, got=got, remedy=remedy, code=code)
