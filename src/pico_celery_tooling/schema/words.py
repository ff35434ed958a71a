"""JSON values and JSON Schemas in words for people: in prose, and as the types that Python would write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeGuard

from pico_celery.contract.wire_schema import from_base64
from pico_celery.document.lock_schema import BASE64, DECIMAL, DEMANDS, KEYS, MISSING, STRICT
from pico_celery.document.records import REFERENCE, Document, JsonSchema

_SHOWN: Final = 60
_MANY: Final = 12
_FEW: Final = 6


# Values


def one_of(values: Iterable[object]) -> str:
    """Return values as text: ``one of "a", "b"``."""
    texts = [short(value) for value in values]
    return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"


def short(value: object) -> str:
    """Return a value as JSON that fits into a line."""
    try:
        text = json_text(value)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def json_text(value: object) -> str:
    """Return a value as JSON on one line."""
    return json.dumps(value, ensure_ascii=False)


def same_json(one: object, other: object) -> bool:
    """Return whether two values are the same JSON: `True` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def duration(seconds: float) -> str:
    """Return a duration for people: ``1 min 30 s``."""
    minutes, rest = divmod(seconds, 60)
    if not minutes:
        return f"{seconds:g} s"
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    return " ".join(f"{number:g} {unit}" for number, unit in parts if number)


def count(number: int, noun: str) -> str:
    """Return how many there are: ``1 task``, ``2 tasks``."""
    return f"1 {noun}" if number == 1 else f"{number} {noun}s"


# What a schema demands of a value, besides its type

_BOUNDS: Final = {
    "minimum": "at least",
    "exclusiveMinimum": "greater than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
    "multipleOf": "a multiple of",
    "contentEncoding": "encoded as",
}
_KEYWORDS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
"""pydantic's names of bounds, and JSON Schema's."""
_OTHERS: Final = {
    "max_digits": "at most {} digits",
    "decimal_places": "at most {} decimal places",
    "now_op": "in the {}",
    "tz_constraint": "time zone {}",
    MISSING: "or another value that the enumeration reads",
}
_AWARENESS: Final = {"aware": "with a time zone", "naive": "without a time zone"}
_LENGTHS: Final = (
    ("minLength", "maxLength", "character"),
    ("minItems", "maxItems", "item"),
    ("minProperties", "maxProperties", "key"),
)
_BASE64: Final = f"{from_base64.__module__}.{from_base64.__qualname__}"
_NO_DEMANDS: Final = frozenset({"functions", "keys", "aliases"})


class Demand(NamedTuple):
    """One thing that a schema demands of a value."""

    words: str
    code: str = ""
    """What follows the words and is code: a pattern, a function."""

    def __str__(self) -> str:
        return f"{self.words} {self.code}".rstrip()


def demands_of(schema: object) -> list[Demand]:
    """Return what a schema and the branches of a union demand."""
    if not _is_schema(schema):
        return []
    branches = [] if _decimal_branch(schema) is not None else _choices(schema)
    found = [demand for part in (schema, *branches) if _is_schema(part) for demand in _own_demands(part)]
    return list(dict.fromkeys(found))


def _own_demands(schema: JsonSchema) -> Iterator[Demand]:
    decimal = _decimal_branch(schema)
    limits = {**(decimal or {}), **schema}
    for keyword, words in _BOUNDS.items():
        if keyword in limits:
            yield Demand(f"{words} {_plain(limits[keyword])}")
    yield from _lengths(schema)
    if "pattern" in schema and schema.get("format") != DECIMAL:
        yield Demand("matching", str(schema["pattern"]))
    if schema.get(STRICT):
        yield Demand("not converted from another type")
    if schema.get("additionalProperties") is False:
        yield Demand("no other fields")
    more = schema.get(DEMANDS)
    if _is_schema(more):
        yield from _checks(more.get("functions") or ())
        yield from _beyond_json_schema(more, limits)


def _lengths(schema: JsonSchema) -> Iterator[Demand]:
    for least, most, unit in _LENGTHS:
        low, high = schema.get(least) or 0, schema.get(most)
        if "prefixItems" in schema and unit == "item":  # the length of a tuple is in its type
            continue
        if high is None:
            if low:
                yield Demand(f"at least {count(low, unit)}")
        elif low == high:
            yield Demand(f"exactly {count(high, unit)}")
        else:
            yield Demand(f"{low} to {count(high, unit)}" if low else f"at most {count(high, unit)}")


def _checks(functions: Iterable[str]) -> Iterator[Demand]:
    for function in functions:
        name = function.partition(":")[2] or function
        if name == _BASE64:
            yield Demand("base64 of bytes")
        elif not name.startswith("pico_celery."):  # how this library encodes is no check of a value
            yield Demand("checked by", name)


def _beyond_json_schema(demands: JsonSchema, limits: JsonSchema) -> Iterator[Demand]:
    """Iterate over what pydantic demands and JSON Schema has no keyword for."""
    for name, value in sorted(demands.items(), key=lambda item: item[0] not in _KEYWORDS):  # bounds first
        if name in _NO_DEMANDS or not isinstance(value, (str, int, float)) or _KEYWORDS.get(name) in limits:
            continue
        if name == "tz_constraint" and value in _AWARENESS:
            yield Demand(_AWARENESS[str(value)])
        elif name in _OTHERS:
            yield Demand(_OTHERS[name].format(value))
        elif name in _KEYWORDS:
            yield Demand(f"{_BOUNDS[_KEYWORDS[name]]} {_plain(value)}")
        elif (name, value) != ("type", BASE64):
            yield Demand(f"{name.replace('_', ' ')} {_plain(value)}")


# A schema in prose

_TYPES: Final = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "array": "list",
    "object": "mapping",
}
_FORMATS: Final = {
    "date-time": "date and time (ISO 8601)",
    "date": "date (ISO 8601)",
    "time": "time (ISO 8601)",
    "duration": "duration (ISO 8601, such as PT30S)",
    "uuid": "UUID",
    "email": "email address",
    "uri": "URL",
    "password": "secret text",
    "binary": "bytes as text",
    "base64url": "bytes as base64url text",
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    DECIMAL: "decimal number as text",
}


def in_words(document: Document, schema: JsonSchema) -> str:
    """Return a schema in words; of a model its name alone."""
    return ", ".join([_core(document, schema), *map(str, _own_demands(schema))])


def model_name(document: Document, reference: str) -> str:
    """Return the name of a model without the suffix of its direction."""
    base = reference.removesuffix("-Input").removesuffix("-Output")
    title = document.schemas[reference].get("title")
    return title if isinstance(title, str) else base


def _core(document: Document, schema: JsonSchema) -> str:  # noqa: PLR0911 - one line for each kind of schema
    if "$ref" in schema:
        return model_name(document, schema["$ref"].removeprefix(REFERENCE))
    if "const" in schema:
        return json_text(schema["const"])
    if "enum" in schema:
        values = [json_text(value) for value in schema["enum"]]
        return _listed(values) if len(values) <= _MANY else f"{', '.join(values[:_MANY])} or {len(values) - _MANY} more"
    if _choices(schema):
        return _union(document, schema)
    kind, form = schema.get("type"), schema.get("format")
    if kind == "array":
        return _array(document, schema)
    if kind == "object":
        return _mapping(document, schema)
    if not isinstance(kind, str):
        return "anything"
    if kind == "string" and form in _FORMATS:
        return _FORMATS[form]
    return f"{_TYPES.get(kind, kind)} ({form})" if form else _TYPES.get(kind, kind)


def _union(document: Document, schema: JsonSchema) -> str:
    choices = _choices(schema)
    if _decimal_branch(schema) is not None:
        others = [one for one in choices if one.get("type") != "number" and one.get("format") != DECIMAL]
        return _listed(["decimal number", *_each(document, others)])
    words = _listed(_each(document, choices))
    tag = schema.get("discriminator")
    return f"{words}, by {tag['propertyName']}" if isinstance(tag, Mapping) and "propertyName" in tag else words


def _each(document: Document, schemas: Iterable[JsonSchema]) -> list[str]:
    return list(dict.fromkeys(in_words(document, schema) for schema in schemas))


def _array(document: Document, schema: JsonSchema) -> str:
    if "prefixItems" in schema:
        return f"list of {_listed([in_words(document, item) for item in schema['prefixItems']], 'and')}, in this order"
    items = schema.get("items")
    kind = "set" if schema.get("uniqueItems") else "list"
    return f"{kind} of {in_words(document, items)}" if isinstance(items, Mapping) and items else kind


def _mapping(document: Document, schema: JsonSchema) -> str:
    values = schema.get("additionalProperties")
    keys = schema.get(KEYS)
    if not isinstance(values, Mapping) and keys is None:
        return "mapping"
    of_values = in_words(document, values) if isinstance(values, Mapping) else "anything"
    return f"mapping of {in_words(document, keys) if keys else 'text'} to {of_values}"


def _listed(words: Sequence[str], last: str = "or") -> str:
    """Join alternatives with commas, and a word before the last one."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}"


# A schema as a type of Python

_PYTHON_TYPES: Final = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "None"}
_PYTHON_FORMATS: Final = {
    "date-time": "datetime",
    "date": "date",
    "time": "time",
    "duration": "timedelta",
    "uuid": "UUID",
    "binary": "bytes",
    "base64url": "bytes",
    "password": "secret str",
    DECIMAL: "Decimal",
}


class ModelKey(NamedTuple):
    """The place of a model in a type."""

    key: str


TypeParts = tuple[str | ModelKey, ...]
"""A type in its parts, so that each model in it can become a link."""


def python_type(schema: object) -> TypeParts:  # noqa: C901, PLR0911 - one line for each kind of schema
    """Return the type of what a schema accepts."""
    if not _is_schema(schema):
        return ("Any" if schema in (None, True) else "nothing",)
    if "$ref" in schema:
        return (ModelKey(schema["$ref"].removeprefix(REFERENCE)),)
    choices = _choices(schema)
    if _decimal_branch(schema) is not None:
        return ("Decimal | None" if {"type": "null"} in choices else "Decimal",)
    if choices:
        return _separated(dict.fromkeys(map(python_type, choices)), " | ")
    if "const" in schema:
        return (json_text(schema["const"]),)
    if "enum" in schema:
        values = schema["enum"]
        more = f" | ... ({len(values)} values)" if len(values) > _FEW else ""
        return (" | ".join(map(json_text, values[:_FEW])) + more,)
    if len(schema.get("allOf") or ()) == 1:
        return python_type(schema["allOf"][0])
    kind = schema.get("type")
    if isinstance(kind, list):
        return _separated([python_type({"type": one}) for one in kind], " | ")
    if kind == "array":
        return _python_array(schema)
    if kind == "object":
        return _python_object(schema)
    if kind == "string":
        return (_PYTHON_FORMATS.get(schema.get("format", ""), "str"),)
    return (_PYTHON_TYPES.get(kind or "", "Any"),)


def python_value(value: object) -> str:
    """Return JSON as text: as Python writes it, where JSON has another word."""
    return str(value) if value is None or isinstance(value, bool) else json_text(value)


def _python_array(schema: JsonSchema) -> TypeParts:
    first = schema.get("prefixItems") or ()
    if first or schema.get("maxItems") == 0:
        return ("tuple[", *_separated(map(python_type, first), ", "), "]")
    return ("set[" if schema.get("uniqueItems") else "list[", *python_type(schema.get("items")), "]")


def _python_object(schema: JsonSchema) -> TypeParts:
    if schema.get("properties"):
        return ("object",)
    keys = schema.get(KEYS) or schema.get("propertyNames")
    key = python_type({"type": "string", **keys} if isinstance(keys, Mapping) else {"type": "string"})
    return ("dict[", *key, ", ", *python_type(schema.get("additionalProperties")), "]")


def _separated(types: Iterable[TypeParts], separator: str) -> TypeParts:
    parts: list[str | ModelKey] = []
    for number, one in enumerate(types):
        parts += [separator, *one] if number else one
    return tuple(parts)


# Shared


def _is_schema(schema: object) -> TypeGuard[JsonSchema]:
    return isinstance(schema, Mapping)


def _choices(schema: JsonSchema) -> list[JsonSchema]:
    return [one for one in schema.get("anyOf") or schema.get("oneOf") or () if isinstance(one, Mapping)]


def _decimal_branch(schema: JsonSchema) -> JsonSchema | None:
    """Return the branch with the limits of a Decimal, which is a number or its text; ``None`` of any other schema."""
    choices = _choices(schema)
    if not any(one.get("format") == DECIMAL for one in choices):
        return None
    return next((one for one in choices if one.get("type") == "number"), {})


def _plain(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return value if isinstance(value, str) else json_text(value)
