"""A call without its first argument, which the result of the task before it will be. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from pico_celery.contract.definition import ParameterDefinition, TaskDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.typenames import type_name
from pico_celery.errors import CompositionError, Fault, PayloadError
from pico_celery.messaging.calls import UNSHOWN, EncodedCall, shown
from pico_celery.messaging.faults import parameter_faults, unencodable


def first_parameter(definition: TaskDefinition) -> ParameterDefinition | None:
    """Return the parameter that gets the result of the task before it.

    Args:
        definition: The task.

    Returns:
        The first that can be given by position, or ``None`` where there is none.
    """
    return definition.parameter(definition.positional[0]) if definition.positional else None


def encode_rest(definition: TaskDefinition, args: Sequence[Any], kwargs: Mapping[str, Any]) -> EncodedCall:
    """Bind, validate and encode all arguments but the first.

    Args:
        definition: The task.
        args: Positional arguments from the second parameter on.
        kwargs: Keyword arguments.

    Returns:
        What the signature carries; each worker adds the first argument by position.

    Raises:
        PayloadError: If the arguments do not fit the contract.
        CompositionError: If the task has no parameter that a result can be given to.
    """
    first = first_parameter(definition)
    if first is None:
        raise CompositionError.of(definition.name, [_takes_nothing(definition)])
    names = definition.positional[1:]
    bound = dict(zip(names, args, strict=False))
    faults = [_fault(definition, name, "one value", "two, by position and by name", "leave one out", "given_twice")
              for name in bound if name in kwargs]  # fmt: skip
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


def encode_first(definition: TaskDefinition, value: Any) -> Any:
    """Validate and encode the first argument alone.

    Args:
        definition: A task that takes one.
        value: The argument.

    Returns:
        JSON data, to be given by position.

    Raises:
        PayloadError: If it does not fit the contract.
        CompositionError: If the task has no parameter that a result can be given to.
    """
    first = first_parameter(definition)
    if first is None:
        raise CompositionError.of(definition.name, [_takes_nothing(definition)])
    try:
        valid = first.payload.validate(value)
    except ValidationError as error:
        raise PayloadError.of(definition.name, parameter_faults(definition, first.name, error)) from None
    return _encoded(definition, {first.name: valid})[first.name]


def _name_faults(definition: TaskDefinition, first: ParameterDefinition, bound: Mapping[str, Any]) -> list[Fault]:
    faults = []
    if first.name in bound:
        remedy = "leave it out; to give all arguments use .si(...)"
        got = "a value of its own"
        faults.append(_fault(definition, first.name, "the result of the task before it", got, remedy, "first_given"))
    known = [parameter.name for parameter in definition.parameters]
    for name in bound:
        if name not in known and not definition.open_keywords:
            remedy = did_you_mean(name, known)
            faults.append(_fault(definition, name, "no such argument", "one", remedy, "unexpected_argument"))
    for parameter in definition.parameters:
        if parameter.required and parameter.name not in bound and parameter is not first:
            expected = f"a value of type {type_name(parameter.annotation)}"
            faults.append(_fault(definition, parameter.name, expected, "nothing", "pass it", "missing_argument"))
    return faults


def _encoded(definition: TaskDefinition, values: Mapping[str, Any]) -> dict[str, Any]:
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


def _shown(definition: TaskDefinition, values: Mapping[str, Any]) -> str:
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
