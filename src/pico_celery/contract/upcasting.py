"""``@upcast``: a function that turns the arguments of an older contract into those of the current one."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Concatenate, Final, TypeVar

from pico_celery.contract.catalog import declared
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.signature import location_of
from pico_celery.contract.typenames import type_name
from pico_celery.errors import DecoratorError, Fault, PayloadError

_Function = TypeVar("_Function", bound=Callable[[dict[str, Any]], Mapping[str, object]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Upcaster:
    """A function under `upcast`."""

    name: str
    """Its name, with its module."""
    function: Callable[[dict[str, Any]], Mapping[str, object]]
    where: str


_upcasters: Final[weakref.WeakKeyDictionary[TaskDefinition, tuple[Upcaster, ...]]] = weakref.WeakKeyDictionary()


def upcast(task: Callable[Concatenate[Any, ...], Coroutine[Any, Any, Any]], /) -> Callable[[_Function], _Function]:
    """Turn the arguments of older messages into what the contract says now, before they are validated.

    It stands over a plain function of the module that declares the contract, so that every worker and tool has it. The
    function takes the arguments of a message by name, as JSON data, and returns them as they are to be. The dict that it
    gets is its own and may be changed.

    It is asked on the worker, for each message that was not made from the very contract of the worker: older and newer
    ones, and all of plain Celery clients, which say nothing of their contract. So it must return arguments that are not
    of the form that it knows, the current form above all, as they are. Arguments that came by position have the names of
    the contract's parameters. Several functions of one task are asked one after the other, in the order of their
    declaration: the oldest form first.

    Args:
        task: The contract's method.

    Returns:
        A decorator that returns the function itself.

    Raises:
        DecoratorError: If the method belongs to no contract, or the function is none that takes one mapping and returns
            one, or is declared twice.
    """
    definition = declared(task, "upcast")

    def decorate(function: _Function) -> _Function:
        fault = _function_fault(definition, function)
        if fault is not None:
            raise DecoratorError.of("upcast", [fault])
        made = Upcaster(
            name=f"{function.__module__}.{function.__qualname__}", function=function, where=location_of(function)
        )
        known = upcasters_of(definition)
        twin = next((one for one in known if one.name == made.name), None)
        if twin is None:
            _upcasters[definition] = (*known, made)
        elif twin.where == made.where and twin.function is not function:  # its module was loaded again
            _upcasters[definition] = tuple(made if one is twin else one for one in known)
        else:
            raise DecoratorError.of("upcast", [_twice(definition, twin, made)])
        return function

    return decorate


def upcasters_of(definition: TaskDefinition) -> tuple[Upcaster, ...]:
    """Return the upcasters of a task."""
    return _upcasters.get(definition, ())


def upcast_arguments(
    definition: TaskDefinition, upcasters: Sequence[Upcaster], arguments: Mapping[str, object]
) -> dict[str, object]:
    """Ask upcasters, one after the other."""
    current: Any = arguments
    for upcaster in upcasters:
        try:
            current = upcaster.function(_copy(current))
        except Exception as error:
            got = type(error).__name__
            if definition.arguments.sensitive:
                raise _failed(definition, upcaster, got) from None
            raise _failed(definition, upcaster, f"{got}: {error}") from error
        if not isinstance(current, Mapping) or not all(isinstance(name, str) for name in current):
            raise _failed(definition, upcaster, _shape_of(current))
    return dict(current)


def names_of(upcasters: Sequence[Upcaster]) -> str:
    """Return how to call the upcasters of a task, at least one, in messages."""
    kind = "the upcaster" if len(upcasters) == 1 else "the upcasters"
    return f"{kind} {' and '.join(upcaster.name for upcaster in upcasters)}"


def _copy(value: object) -> Any:  # noqa: ANN401 - JSON of any shape
    """Copy JSON data: what the function changes in it is nobody else's, a retry's above all."""
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_copy(item) for item in value]
    return value


def _shape_of(value: object) -> str:
    if value is None:
        return "None"
    return "a mapping with other keys" if isinstance(value, Mapping) else f"a value of type {type(value).__name__}"


def _failed(definition: TaskDefinition, upcaster: Upcaster, got: str) -> PayloadError:
    fault = Fault(
        task=definition.name,
        expected=f"the arguments by name from the upcaster {upcaster.name}",
        got=got,
        remedy="correct it: it must return a mapping, and arguments of a form that it does not know as they are",
        where=(upcaster.where,),
        code="upcast",
    )
    return PayloadError.of(definition.name, [fault])


def _function_fault(definition: TaskDefinition, function: object) -> Fault | None:
    def fault(got: str, remedy: str, code: str) -> Fault:
        return Fault(
            task=definition.name,
            path=getattr(function, "__qualname__", repr(function)),
            expected="a function that takes the arguments as a dict and returns them: "
            "def place_before_2(payload: dict[str, Any]) -> dict[str, Any]",
            got=got,
            remedy=remedy,
            where=(definition.where, location_of(function)) if inspect.isfunction(function) else (definition.where,),
            code=code,
        )

    if not inspect.isfunction(function):
        kind = f"a {type(function).__name__}" if not isinstance(function, type) else "a class"
        return fault(kind, "decorate a function of the contract's module", "not_a_function")
    for is_kind, name in _WRONG_KINDS.items():
        if is_kind(function):
            return fault(name, "write a plain def: it computes, and waits for nothing", "not_plain")
    signature = inspect.signature(function)
    try:
        signature.bind({})
    except TypeError:
        return fault(f"{function.__name__}{signature}", "give it one parameter, the arguments as a dict", "signature")
    returned = signature.return_annotation
    if returned is None or returned == "None":
        return fault(f"a result of type {type_name(type(None))}", "return the arguments, changed or not", "result")
    return None


_WRONG_KINDS: Final[Mapping[Callable[[Any], bool], str]] = {
    inspect.iscoroutinefunction: "async def",
    inspect.isasyncgenfunction: "an async generator",
    inspect.isgeneratorfunction: "a generator",
}


def _twice(definition: TaskDefinition, first: Upcaster, second: Upcaster) -> Fault:
    return Fault(
        task=definition.name,
        path=second.name,
        expected="one declaration",
        got="two",
        remedy="remove one of them, or give it another name",
        where=tuple(dict.fromkeys((first.where, second.where))),
        code="declared_twice",
    )
