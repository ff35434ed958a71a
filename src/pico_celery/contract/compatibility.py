"""Whether what one task returns can be given to another: a result's type against a parameter's, as they meet on the wire.

Two different models with compatible JSON are compatible. What cannot be known counts as incompatible: a validator that is
a function, a keyword of JSON Schema that is not compared here. `Any` fits everything; what it carries is checked when it
is there.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Union, get_args, get_origin

from pico_celery.contract.knowable import TellingSchema, is_strict, may_send_nan, tells_all
from pico_celery.contract.payload import UnusableTypeError, payload_of
from pico_celery.contract.schemas import Schema, schema_fits

_SEQUENCES: Final = (list, Sequence)
_MAPPINGS: Final = (dict, Mapping)


def is_compatible(result: Any, parameter: Any) -> bool:
    """Tell whether every value of a result's type, as it travels, is accepted for a parameter.

    Args:
        result: Annotation of the result.
        parameter: Annotation of the parameter.

    Returns:
        Whether it is so; `False` where it cannot be known.
    """
    try:
        return _known(result, parameter)
    except TypeError:  # an annotation that has no hash, such as Annotated with a list in it
        return _is_compatible(result, parameter)


def _is_compatible(result: Any, parameter: Any) -> bool:
    if _same(result, parameter) or result is Any or parameter in {Any, object}:
        return True
    if result is object:
        return False
    if _is_union(result):
        return all(is_compatible(member, parameter) for member in get_args(result))
    if _is_union(parameter):
        return any(is_compatible(result, member) for member in get_args(parameter)) or _by_schema(result, parameter)
    items = _items(result, parameter)
    if items is not None:
        return all(is_compatible(one, other) for one, other in items)
    return _by_schema(result, parameter)


_known: Final[Callable[[Any, Any], bool]] = lru_cache(maxsize=4096)(_is_compatible)


def _same(result: Any, parameter: Any) -> bool:
    return type(result) is type(parameter) and bool(result == parameter)


def _is_union(annotation: Any) -> bool:
    return get_origin(annotation) in {Union, types.UnionType}


def _items(result: Any, parameter: Any) -> list[tuple[Any, Any]] | None:
    """Return the pairs of types that meet in two containers, or ``None`` where the two are something else."""
    given, wanted = get_args(result), get_args(parameter)
    if get_origin(result) in _MAPPINGS and get_origin(parameter) in _MAPPINGS and given[:1] == wanted[:1]:
        return [(given[1], wanted[1])]
    if not given or not wanted or get_origin(result) not in {*_SEQUENCES, tuple}:
        return None
    fixed = get_origin(result) is tuple and given[-1] is not Ellipsis
    members = list(given) if fixed else [given[0]]
    if get_origin(parameter) in _SEQUENCES or (get_origin(parameter) is tuple and wanted[-1] is Ellipsis):
        return [(member, wanted[0]) for member in members]
    if get_origin(parameter) is tuple and fixed and len(given) == len(wanted):
        return list(zip(given, wanted, strict=True))
    return None


def _by_schema(result: Any, parameter: Any) -> bool:
    try:
        sent, accepted = payload_of(result).core_schema, payload_of(parameter).core_schema
    except UnusableTypeError:
        return False
    if not tells_all(accepted) or may_send_nan(sent):
        return False
    source = Schema.of(TellingSchema(by_alias=True).generate(sent, mode="serialization"))
    target = Schema.of(TellingSchema(by_alias=True).generate(accepted, mode="validation"))
    return schema_fits(source, target, strict=is_strict(accepted))
