"""JSON Schemas in words: the type of a value as Python would write it, and what else is asked of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from pico_celery.document.lock_schema import DECIMAL, DEMANDS, KEYS, STRICT
from pico_celery.document.records import REFERENCE, JsonSchema
from pico_celery_tooling.site.html import Child, Html, code, join, separated

Link = Callable[[str], Html]
"""Makes the link to a model, by its key."""

_PLAIN: Final = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}
_FORMATS: Final = {
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
    "binary": "bytes",
    "password": "secret str",
    DECIMAL: "Decimal",
}
_DECIMAL: Final = "^(?!^[-+.]*$)[+-]?"  # as pydantic begins the pattern of a decimal number
_FEW: Final = 6


def type_of(schema: Any, link: Link) -> Html:  # noqa: C901, PLR0911 - one line for each kind of schema
    """Return the type of what a schema accepts."""
    if not isinstance(schema, Mapping):
        return join("Any" if schema in (None, True) else "nothing")
    if isinstance(schema.get("$ref"), str):
        return link(schema["$ref"].removeprefix(REFERENCE))
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        if not is_decimal(choices):
            return _union(choices, link)
        return join("Decimal | None" if {"type": "null"} in choices else "Decimal")
    if "const" in schema:
        return join(_literal(schema["const"]))
    if "enum" in schema:
        return _enumerated(schema["enum"])
    if isinstance(schema.get("allOf"), list) and len(schema["allOf"]) == 1:
        return type_of(schema["allOf"][0], link)
    kind = schema.get("type")
    if isinstance(kind, list):
        return _union([{"type": one} for one in kind], link)
    if kind == "array":
        return _array(schema, link)
    if kind == "object":
        return _object(schema, link)
    if kind == "string":
        return join("Decimal" if _is_text_of_decimal(schema) else _FORMATS.get(schema.get("format", ""), "str"))
    return join(_PLAIN.get(kind or "", "Any"))


def is_decimal(choices: list[Any]) -> bool:
    """Return whether the branches of a union are those by which pydantic describes a decimal number."""
    told = [choice for choice in choices if isinstance(choice, Mapping)]
    kinds = sorted(str(choice.get("type")) for choice in told)
    return kinds in (["number", "string"], ["null", "number", "string"]) and any(map(_is_text_of_decimal, told))


def _is_text_of_decimal(schema: JsonSchema) -> bool:
    return schema.get("format") == DECIMAL or str(schema.get("pattern", "")).startswith(_DECIMAL)


def value_text(value: Any) -> str:
    """Return a default as text: as Python writes it, where JSON has another word."""
    return (
        {None: "None", True: "True", False: "False"}[value]
        if value is None or isinstance(value, bool)
        else _literal(value)
    )


def demands_of(schema: Any) -> list[Html]:
    """Return what a schema demands besides the type, a short text for each demand."""
    if not isinstance(schema, Mapping):
        return []
    found = list(_demands(schema))
    choices = schema.get("anyOf") or []
    for choice in [] if is_decimal(choices) else choices:
        if isinstance(choice, Mapping) and choice.get("type") != "null":
            found.extend(one for one in _demands(choice) if one not in found)
    return found


def _union(choices: list[Any], link: Link) -> Html:
    parts: list[Child] = []
    for choice in choices:
        part = type_of(choice, link)
        if part not in parts:
            parts.append(part)
    return separated(parts, " | ")


def _array(schema: JsonSchema, link: Link) -> Html:
    first = schema.get("prefixItems")
    if first or schema.get("maxItems") == 0:
        return join("tuple[", separated([type_of(item, link) for item in first or ()], ", "), "]")
    name = "set[" if schema.get("uniqueItems") else "list["
    return join(name, type_of(schema.get("items"), link), "]")


def _object(schema: JsonSchema, link: Link) -> Html:
    if schema.get("properties"):
        return join("object")
    keys = schema.get(KEYS) or schema.get("propertyNames")
    key = type_of({"type": "string", **keys} if isinstance(keys, Mapping) else {"type": "string"}, link)
    return join("dict[", key, ", ", type_of(schema.get("additionalProperties"), link), "]")


def _enumerated(values: list[Any]) -> Html:
    more = f" | ... ({len(values)} values)" if len(values) > _FEW else ""
    return join(" | ".join(_literal(value) for value in values[:_FEW]), more)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _demands(schema: Mapping[str, Any]) -> Iterator[Html]:
    for key, words in _WORDS.items():
        if key in schema and not isinstance(schema[key], (dict, list)):
            yield join(words, _literal(schema[key]) if not isinstance(schema[key], str) else schema[key])
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not pattern.startswith(_DECIMAL):
        yield join("matches ", code(pattern))
    is_tuple = "prefixItems" in schema
    for low, high, unit in (
        ("minLength", "maxLength", "characters"),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "entries"),
    ):
        if (low in schema or high in schema) and not (is_tuple and unit == "items"):
            yield join(_range(schema.get(low), schema.get(high), unit))
    if schema.get(STRICT):
        yield join("not converted from another type")
    if schema.get("additionalProperties") is False:
        yield join("no other fields")
    yield from _told(schema.get(DEMANDS))


_WORDS: Final = {
    "minimum": "at least ",
    "exclusiveMinimum": "greater than ",
    "maximum": "at most ",
    "exclusiveMaximum": "less than ",
    "multipleOf": "a multiple of ",
    "contentEncoding": "encoded as ",
}


def _range(low: int | None, high: int | None, unit: str) -> str:
    if low is None:
        return f"at most {high} {unit}"
    if high is None:
        one = {"characters": "character", "items": "item", "entries": "entry"}[unit]
        return f"at least {low} {one if low == 1 else unit}"
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"


def _told(demands: Any) -> Iterator[Html]:
    if not isinstance(demands, Mapping):
        return
    functions = demands.get("functions")
    for function in functions if isinstance(functions, list) else ():
        name = str(function).partition(":")[2] or str(function)
        if not name.startswith("pico_celery."):
            yield join("checked by ", code(name))
    for name, value in demands.items():
        if name == "tz_constraint":
            yield join(_ZONES.get(str(value), str(value)))
        elif name == "now_op":
            yield join(f"in the {value}")
        elif name not in {"functions", "keys"} and isinstance(value, (str, int, float)):
            yield join(
                _TOLD.get(name, f"{name.replace('_', ' ')} "), value if isinstance(value, str) else _literal(value)
            )


_TOLD: Final = {
    "ge": "at least ",
    "gt": "greater than ",
    "le": "at most ",
    "lt": "less than ",
    "multiple_of": "a multiple of ",
    "max_digits": "digits: at most ",
    "decimal_places": "decimal places: at most ",
}
_ZONES: Final = {"aware": "with a time zone", "naive": "without a time zone"}
