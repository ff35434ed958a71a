"""Whether every value of one type is a value of another: the types of an implementation against those of a contract.

The relation is the static one as far as it reaches the wire: unions, literals, subclasses, ``int`` for ``float``,
containers by their members. It differs in one point: containers are covariant, since a message is a copy.
"""

from __future__ import annotations

import types
from collections.abc import Collection
from datetime import date, datetime
from typing import Annotated, Any, Final, Literal, NewType, Union, get_args, get_origin

from pydantic.fields import FieldInfo

_PROMOTIONS: Final = {(int, float), (bool, float), (int, complex), (bool, complex), (float, complex)}
# A datetime is a date to Python, but its JSON is none.
_UNRELATED: Final = {(datetime, date)}
_ANYTHING: Final = (Any, object)


def is_assignable(source: Any, target: Any) -> bool:
    """Tell whether every value of one type is a value of another.

    Args:
        source: The narrower type, or an equal one.
        target: The wider type.

    Returns:
        Whether it is so; ``Any`` and ``object`` are wider than everything and narrower than nothing else.
    """
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


def _same(source: Any, target: Any) -> bool:
    try:
        return bool(source == target)
    except Exception:  # noqa: BLE001 - metadata of Annotated may compare as it likes
        return False


def _is_member(source: Any, target: Any) -> bool:
    if get_origin(source) is Literal:
        return _literal_fits(get_args(source), target)
    if get_origin(target) is Literal:
        return False
    if isinstance(source, NewType):
        return is_assignable(source.__supertype__, target)
    return _class_fits(source, target)


def _literal_fits(values: tuple[Any, ...], target: Any) -> bool:
    if get_origin(target) is Literal:
        allowed = [(type(value), value) for value in get_args(target)]
        return all((type(value), value) in allowed for value in values)
    return all(is_assignable(type(value), target) for value in values)


def _class_fits(source: Any, target: Any) -> bool:
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


def _tuple_fits(given: tuple[Any, ...], wanted: tuple[Any, ...], *, fixed_target: bool) -> bool:
    if not fixed_target or wanted[-1:] == (Ellipsis,):
        members = [member for member in given if member is not Ellipsis]
        return all(is_assignable(member, wanted[0]) for member in members)
    if given[-1:] == (Ellipsis,) or len(given) != len(wanted):
        return False
    return all(is_assignable(one, other) for one, other in zip(given, wanted, strict=True))


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, types.UnionType}


def _plain(annotation: Any) -> tuple[Any, Collection[Any]]:
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


def _constraints(metadata: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in metadata:
        if isinstance(item, FieldInfo):
            found.extend(item.metadata)
        elif type(item).__name__ not in {"Doc", "str"} and not isinstance(item, str):
            found.append(item)
    return found
