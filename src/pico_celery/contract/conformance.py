"""Conformance: an implementation, or a client's declaration, against the contract.

Parameters of an implementation may take more than the contract says, its result may be narrower; for a client it is the
other way round.
"""

from __future__ import annotations

import types
from collections.abc import Collection, Iterable
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from pico_celery.contract.definition import ParameterDefinition, TaskDefinition
from pico_celery.contract.naming import did_you_mean
from pico_celery.contract.signature import KINDS, MISSING, VARIADIC, MethodParameter, MethodSignature
from pico_celery.contract.typenames import type_name
from pico_celery.errors import ConformanceError, Fault, UnknownTaskError

_PROMOTIONS: Final = {(int, float), (bool, float), (int, complex), (bool, complex), (float, complex)}
# A datetime is a date to Python, but its JSON is none.
_UNRELATED: Final = {(datetime, date)}
_ANYTHING: Final = (Any, object)


def is_assignable(source: object, target: object) -> bool:
    """Return whether every value of one type is a value of another."""
    source, source_constraints = _plain(source)
    target, target_constraints = _plain(target)
    if any(constraint not in source_constraints for constraint in target_constraints):
        return False
    if _same(source, target) or target in _ANYTHING:
        return True
    if source in _ANYTHING:
        return False
    if _is_union(source):
        return all(is_assignable(member, target) for member in get_args(source))
    if _is_union(target):
        return any(is_assignable(source, member) for member in get_args(target))
    return _is_member(source, target)


def _same(source: object, target: object) -> bool:
    try:
        return bool(source == target)
    except Exception:  # noqa: BLE001 - metadata of Annotated may compare as it likes
        return False


def _is_member(source: object, target: object) -> bool:
    if get_origin(source) is Literal:
        return _literal_fits(get_args(source), target)
    if get_origin(target) is Literal:
        return False
    if isinstance(source, NewType):
        return is_assignable(source.__supertype__, target)
    return _class_fits(source, target)


def _literal_fits(values: tuple[object, ...], target: object) -> bool:
    if get_origin(target) is Literal:
        allowed = [(type(value), value) for value in get_args(target)]
        return all((type(value), value) in allowed for value in values)
    return all(is_assignable(type(value), target) for value in values)


def _class_fits(source: object, target: object) -> bool:
    source_class, target_class = get_origin(source) or source, get_origin(target) or target
    if not isinstance(source_class, type) or not isinstance(target_class, type):
        return False
    if (source_class, target_class) in _PROMOTIONS:
        return True
    if not _is_subclass(source_class, target_class) or (source_class, target_class) in _UNRELATED:
        return False
    wanted = get_args(target)
    if tuple in {source_class, target_class} and (wanted or target != target_class):
        given = get_args(source) if get_origin(source) is tuple else (Any, ...)
        return _tuple_fits(given, wanted, fixed_target=target_class is tuple)
    if not wanted:
        return True
    given = get_args(source) or (Any,) * len(wanted)
    return all(is_assignable(one, other) for one, other in zip(given, wanted, strict=False))


def _is_subclass(source: type, target: type) -> bool:
    try:
        return issubclass(source, target)
    except TypeError:
        return False


def _tuple_fits(given: tuple[object, ...], wanted: tuple[object, ...], *, fixed_target: bool) -> bool:
    if not fixed_target or wanted[-1:] == (Ellipsis,):
        members = [member for member in given if member is not Ellipsis]
        return all(is_assignable(member, wanted[0]) for member in members)
    if given[-1:] == (Ellipsis,) or len(given) != len(wanted):
        return False
    return all(is_assignable(one, other) for one, other in zip(given, wanted, strict=True))


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) in {Union, types.UnionType}


def _plain(annotation: object) -> tuple[object, Collection[object]]:
    constraints: list[Any] = []
    while True:
        if annotation is None:
            return type(None), constraints
        if get_origin(annotation) is Annotated:
            annotation, *metadata = get_args(annotation)
            constraints.extend(_constraints(metadata))
        elif hasattr(annotation, "__value__"):  # PEP 695: type Name = ...
            alias, arguments = get_origin(annotation) or annotation, get_args(annotation)
            annotation = alias.__value__[arguments] if arguments else alias.__value__
        else:
            return annotation, constraints


def _constraints(metadata: list[object]) -> list[object]:
    found: list[Any] = []
    for item in metadata:
        if isinstance(item, FieldInfo):
            found.extend(item.metadata)
        elif type(item).__name__ not in {"Doc", "str"} and not isinstance(item, str):
            found.append(item)
    return found


Side = Literal["implementation", "client"]


def conformance_error(subject: str, faults: Iterable[Fault]) -> ConformanceError:
    """Return the error that lists faults of conformance."""
    found = list(faults)
    only_names = all(fault.code == "unknown_task" for fault in found)
    return (UnknownTaskError if only_names else ConformanceError).of(subject, found)


def compare_signature(definition: TaskDefinition, signature: MethodSignature, side: Side) -> list[Fault]:
    """Compare a method with the contract."""
    comparison = _Comparison(definition, signature, side)
    return [*signature.faults, *comparison.faults()]


class _Comparison:
    def __init__(self, definition: TaskDefinition, signature: MethodSignature, side: Side) -> None:
        self.definition = definition
        self.signature = signature
        self.side = side
        self.unresolved = {fault.path for fault in signature.faults}

    def faults(self) -> list[Fault]:
        found: list[Fault] = []
        if self.side == "implementation" and not self.signature.is_async:
            found.append(self._fault("", "async def", "def", "write async def", "not_async"))
        given = {parameter.name: parameter for parameter in self.signature.parameters}
        for wanted in self.definition.parameters:
            parameter = given.pop(wanted.name, None)
            if parameter is None:
                found.append(self._missing(wanted))
            else:
                found.extend(self._differences(wanted, parameter))
        found.extend(self._extra(parameter) for parameter in given.values())
        found.extend(self._order())
        if self.side == "implementation":
            found.extend(self._result())
        return found

    def _fault(self, path: str, expected: str, got: str, remedy: str, code: str) -> Fault:
        return Fault(
            task=self.definition.name,
            path=path,
            expected=expected,
            got=got,
            remedy=remedy,
            where=(self.definition.where, self.signature.where),
            code=code,
        )

    def _missing(self, wanted: ParameterDefinition) -> Fault:
        known = {parameter.name for parameter in self.definition.parameters}
        strangers = [parameter.name for parameter in self.signature.parameters if parameter.name not in known]
        remedy = f"add it, or rename {strangers[0]!r} to it" if len(strangers) == 1 else "add it"
        return self._fault(wanted.name, f"the parameter {wanted}", "no such parameter", remedy, "missing_parameter")

    def _extra(self, parameter: MethodParameter) -> Fault:
        if parameter.kind in VARIADIC:
            got, remedy = KINDS[parameter.kind], "name the contract's parameters"
        else:
            got = f"an additional parameter ({KINDS[parameter.kind]})"
            names = [wanted.name for wanted in self.definition.parameters]
            remedy = f"remove it, or add it to the contract ({did_you_mean(parameter.name, names)})"
        return self._fault(parameter.name, "no such parameter", got, remedy, "extra_parameter")

    def _differences(self, wanted: ParameterDefinition, given: MethodParameter) -> list[Fault]:
        found = []
        if given.kind != wanted.kind:
            found.append(
                self._fault(wanted.name, KINDS[wanted.kind], KINDS[given.kind], "use the contract's kind", "kind")
            )
        if not self._type_fits(wanted, given):
            expected = f"{type_name(wanted.annotation)} or {'wider' if self.side == 'implementation' else 'narrower'}"
            found.append(
                self._fault(wanted.name, expected, type_name(given.annotation), "use the contract's type", "type")
            )
        if not _same_default(wanted.default, given.default):
            found.append(
                self._fault(
                    wanted.name,
                    _default_text(wanted.default),
                    _default_text(given.default),
                    "use the contract's default",
                    "default",
                )
            )
        return found

    def _type_fits(self, wanted: ParameterDefinition, given: MethodParameter) -> bool:
        if wanted.name in self.unresolved:
            return True
        if given.annotation is MISSING:
            return self.side == "client" or not self.definition.declared
        if self.side == "implementation":
            return is_assignable(wanted.annotation, given.annotation)
        return is_assignable(given.annotation, wanted.annotation)

    def _order(self) -> list[Fault]:
        positional = [parameter.name for parameter in self.signature.parameters if parameter.kind.value <= 1]
        wanted = [name for name in self.definition.positional if name in positional]
        given = [name for name in positional if name in wanted]
        if wanted == given:
            return []
        return [
            self._fault(
                "", f"the order ({', '.join(wanted)})", f"({', '.join(given)})", "use the contract's order", "order"
            )
        ]

    def _result(self) -> list[Fault]:
        wanted, given = self.definition.result.annotation, self.signature.result
        if "return" in self.unresolved:
            return []
        if given is not MISSING and is_assignable(given, wanted):
            return []
        if given is MISSING and not self.definition.declared:
            return []
        return [
            self._fault(
                "return", f"{type_name(wanted)} or narrower", type_name(given), "use the contract's result", "result"
            )
        ]


def _same_default(wanted: object, given: object) -> bool:
    if (wanted is MISSING) != (given is MISSING):
        return False
    try:
        if wanted is given or (wanted != wanted and given != given):  # noqa: PLR0124 - nan is not equal to itself
            return True
        return bool(type(wanted) is type(given) and wanted == given)
    except Exception:  # noqa: BLE001 - a default may compare as it likes
        return repr(wanted) == repr(given)


def _default_text(default: object) -> str:
    return "no default" if default is MISSING else f"the default {default!r}"
