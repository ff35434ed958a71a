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

from pico_celery.contract.payload import Payload, UnusableTypeError
from pico_celery.contract.schemas import Schema, schema_fits

_SEQUENCES: Final = (list, Sequence)
_FUNCTIONS: Final = frozenset({"function-before", "function-after", "function-wrap", "function-plain", "custom-error"})
_OWN_MODULE: Final = "pico_celery.contract.wire"


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
    """Return the pairs of types that meet in two sequences, or ``None`` where the two are something else."""
    given, wanted = get_args(result), get_args(parameter)
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
        sent, accepted = Payload(result), Payload(parameter)
    except UnusableTypeError:
        return False
    if _has_functions(accepted.core_schema):
        return False
    strict = _has(accepted.core_schema, lambda node: node.get("strict") is True)
    return schema_fits(Schema.of(sent.sent_schema), Schema.of(accepted.accepted_schema), strict=strict)


def _has_functions(schema: Any) -> bool:
    return _has(schema, lambda node: node.get("type") in _FUNCTIONS and not _is_own(node.get("function")))


def _is_own(function: Any) -> bool:
    """Tell whether a function is one that this library or pydantic itself puts around a type of the standard library."""
    if isinstance(function, Mapping):
        function = function.get("function")
    module = str(getattr(function, "__module__", None))
    return module == _OWN_MODULE or module.startswith("pydantic.")


def _has(node: Any, is_it: Callable[[Mapping[str, Any]], bool], seen: set[int] | None = None) -> bool:
    seen = set() if seen is None else seen
    if id(node) in seen:
        return False
    seen.add(id(node))
    if isinstance(node, Mapping):
        inner = (value for key, value in node.items() if key not in {"metadata", "serialization"})
        return is_it(node) or any(_has(value, is_it, seen) for value in inner)
    return isinstance(node, (list, tuple)) and any(_has(value, is_it, seen) for value in node)
