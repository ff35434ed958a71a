"""Schemas where each part says all that holds for it, for those who read a part alone.

A model says once what holds for all its fields (``x-strict``, pydantic's ``str_*`` settings), and the limits of a Decimal
stand beside its two forms, number and text. Here each field and each form says so itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from pico_celery.document.lock_schema import DECIMAL, DEMANDS, STRICT
from pico_celery.document.records import JsonSchema

SCALARS: Final = frozenset({"integer", "number", "boolean", "string"})
ONLY_PATTERN: Final = "x-only-pattern"
"""The one pattern that all keys of a mapping match: pydantic takes no others, JSON Schema does."""

_HELD: Final = (STRICT, "str_strip_whitespace", "str_min_length", "str_max_length", "str_to_lower", "str_to_upper")
_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
_PARTS: Final = ("items", "additionalProperties", "propertyNames", "x-keys", "contentSchema")
_LIMITS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_CHECKED_AS_DECIMAL: Final = frozenset(
    {"ge", "gt", "le", "lt", "multiple_of", "max_digits", "decimal_places", "allow_inf_nan"}
)


def explicit(schema: JsonSchema, held: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a schema where each part says all that holds for it."""
    held = dict(held or {})
    demands = dict(schema.get(DEMANDS, {}))
    if "properties" in schema:  # what holds for a model holds for its fields, not for models in them
        own = {key: demands.pop(key) for key in _HELD if key in demands}
        held = {**own, **({STRICT: True} if schema.get(STRICT) else {})}
    decimal = _is_decimal(schema)
    for_forms = {key: demands.pop(key) for key in list(demands) if decimal and key in _CHECKED_AS_DECIMAL}
    result: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _LISTS:
            result[key] = [_part(part, held) for part in value]
        elif key in _PARTS:
            result[key] = _part(value, held)
        elif key in {"properties", "patternProperties"}:
            result[key] = {name: _part(part, held) for name, part in value.items()}
        else:
            result[key] = value
    if decimal:
        result.update(_forms(schema, result, for_forms))
    elif "anyOf" in result:
        result["anyOf"] = _marked(result["anyOf"])
    _say(result, demands, held)
    patterns = result.get("patternProperties", {})
    if len(patterns) == 1 and "properties" not in result and "additionalProperties" not in result:
        result[ONLY_PATTERN] = next(iter(patterns))
    return result


def is_scalar(kind: Any) -> bool:
    """Return whether a type of JSON Schema is that of a number, a truth value or a text; it may be a list of types."""
    return isinstance(kind, str) and kind in SCALARS


def _part(part: Any, held: Mapping[str, Any]) -> Any:
    return explicit(part, held) if isinstance(part, Mapping) else part


def _say(result: dict[str, Any], demands: dict[str, Any], held: Mapping[str, Any]) -> None:
    """Write down what is demanded here, and what holds here from outside."""
    kind = result.get("type")
    if is_scalar(kind) and held.get(STRICT):
        result.setdefault(STRICT, True)
    if kind == "string" and "format" not in result and "enum" not in result and "const" not in result:
        if held.get("str_strip_whitespace"):
            demands.setdefault("strip_whitespace", True)
        for key, limit in (("minLength", "str_min_length"), ("maxLength", "str_max_length")):
            if limit in held:
                result.setdefault(key, held[limit])
    if demands:
        result[DEMANDS] = demands
    else:
        result.pop(DEMANDS, None)


def _is_decimal(schema: JsonSchema) -> bool:
    forms = schema.get("anyOf", ())
    return len(forms) == 2 and forms[0].get("type") == "number" and forms[1].get("format") == DECIMAL  # noqa: PLR2004 - number and text


def _forms(schema: JsonSchema, result: Mapping[str, Any], demands: Mapping[str, Any]) -> dict[str, Any]:
    more = {STRICT: True} if schema.get(STRICT) else {}
    number, text = result["anyOf"]
    number = {key: value for key, value in number.items() if key not in _LIMITS}
    number[DEMANDS] = {**number.get(DEMANDS, {}), **demands, "decimal": True}
    told = {**text.get(DEMANDS, {}), **demands}
    return {"anyOf": [{**number, **more}, {**text, **more, **({DEMANDS: told} if told else {})}]}


def _marked(members: list[Any]) -> list[Any]:
    """Mark the number that stands for a Decimal in a union with more members."""
    result = list(members)
    for at, (one, other) in enumerate(pairwise(members)):
        if one.get("type") == "number" and other.get("format") == DECIMAL and "anyOf" not in one:
            result[at] = {**one, DEMANDS: {**one.get(DEMANDS, {}), "decimal": True}}
    return result


def parts(schema: Any) -> Iterator[Mapping[str, Any]]:
    """Iterate over a schema and the schemas in it, without following references."""
    if not isinstance(schema, Mapping):
        return
    yield schema
    for key in _LISTS:
        for part in schema.get(key, ()):
            yield from parts(part)
    for key in _PARTS:
        yield from parts(schema.get(key))
    for key in ("properties", "patternProperties"):
        for part in schema.get(key, {}).values():
            yield from parts(part)
