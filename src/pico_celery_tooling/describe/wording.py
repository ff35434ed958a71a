"""JSON Schemas in words, for people who read what a task takes and gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from pico_celery.contract.wire_schema import from_base64
from pico_celery.document.lock_schema import DECIMAL, DEMANDS, KEYS, STRICT
from pico_celery.document.records import Document, JsonSchema

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
_TYPES: Final = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
    "array": "list",
    "object": "mapping",
}
_BOUNDS: Final = {
    "exclusiveMinimum": "above",
    "minimum": "at least",
    "exclusiveMaximum": "below",
    "maximum": "at most",
    "multipleOf": "a multiple of",
}
_DEMANDED: Final = {
    "ge": "at least",
    "gt": "above",
    "le": "at most",
    "lt": "below",
    "multiple_of": "a multiple of",
    "max_digits": "digits at most",
    "decimal_places": "decimal places at most",
    "now_op": "in the",
}
_AWARENESS: Final = {"aware": "with a time zone", "naive": "without a time zone"}
_NAMES_OF_BOUNDS: Final = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
_BASE64: Final = f"{from_base64.__module__}.{from_base64.__qualname__}"
_MANY: Final = 12


def in_words(document: Document, schema: JsonSchema) -> str:
    """Return a schema in words; of a model its name alone."""
    return _limited(schema, _core(document, schema))


def model_name(document: Document, reference: str) -> str:
    """Return the name of a model for people: without what tells its two directions apart."""
    base = reference.removesuffix("-Input").removesuffix("-Output")
    title = document.schemas[reference].get("title")
    return title if isinstance(title, str) else base


def _core(document: Document, schema: JsonSchema) -> str:  # noqa: PLR0911 - one line for each kind of schema
    if "$ref" in schema:
        return model_name(document, schema["$ref"].rpartition("/")[2])
    if "const" in schema:
        return _json(schema["const"])
    if "enum" in schema:
        values = [_json(value) for value in schema["enum"]]
        return _joined(values) if len(values) <= _MANY else f"{', '.join(values[:_MANY])} or {len(values) - _MANY} more"
    for union in ("anyOf", "oneOf"):
        if union in schema:
            return _union(document, schema, schema[union])
    kind = schema.get("type")
    if kind == "array":
        return _array(document, schema)
    if kind == "object":
        return _mapping(document, schema)
    if kind == "string" and schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    if isinstance(kind, str):
        unknown = schema.get("format")
        return f"{_TYPES.get(kind, kind)} ({unknown})" if unknown else _TYPES.get(kind, kind)
    return "anything"


def _union(document: Document, schema: JsonSchema, choices: list[JsonSchema]) -> str:
    if any(choice.get("format") == DECIMAL for choice in choices):
        # The number and the text of one Decimal; its limits stand at the number.
        numbers = [choice for choice in choices if choice.get("type") == "number"]
        others = [choice for choice in choices if choice.get("type") != "number" and choice.get("format") != DECIMAL]
        limits = dict(numbers[0]) if numbers else {}
        return _joined([_limited(limits, "decimal number"), *_each(document, others)])
    words = _joined(_each(document, choices))
    tag = schema.get("discriminator")
    return f"{words}, by {tag['propertyName']}" if isinstance(tag, Mapping) and "propertyName" in tag else words


def _each(document: Document, schemas: list[JsonSchema]) -> list[str]:
    return list(dict.fromkeys(in_words(document, schema) for schema in schemas))


def _array(document: Document, schema: JsonSchema) -> str:
    if "prefixItems" in schema:
        return f"list of {_joined([in_words(document, item) for item in schema['prefixItems']], 'and')}, in this order"
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


def _limited(schema: JsonSchema, words: str) -> str:
    limits = [f"{word} {_json(schema[key])}" for key, word in _BOUNDS.items() if key in schema]
    limits.extend(_lengths(schema))
    if "pattern" in schema:
        limits.append(f"matching {schema['pattern']}")
    limits.extend(_demands(schema))
    return ", ".join([words, *limits])


def _lengths(schema: JsonSchema) -> list[str]:
    found: list[str] = []
    for least, most, unit in (
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", ""),
        ("minProperties", "maxProperties", ""),
    ):
        if least in schema and most in schema:
            if "prefixItems" not in schema:
                low, high = schema[least], schema[most]
                found.append(f"exactly {low}{unit}" if low == high else f"{low} to {high}{unit}")
        elif schema.get(least):
            found.append(f"at least {schema[least]}{unit}")
        elif most in schema:
            found.append(f"at most {schema[most]}{unit}")
    return found


def _demands(schema: JsonSchema) -> list[str]:
    """Return what JSON Schema has no words for."""
    demands = schema.get(DEMANDS, {})
    said = [*schema.get("anyOf", ()), schema]
    found: list[str] = []
    for name, value in demands.items():
        if name == "functions":
            names = [function.partition(":")[2] or function for function in value]
            found.extend("base64 of bytes" if name == _BASE64 else f"checked by {name}" for name in names)
        elif name == "tz_constraint":
            found.append(_AWARENESS.get(value, f"time zone {value}"))
        elif name in _DEMANDED and not any(_NAMES_OF_BOUNDS.get(name) in one for one in said):
            found.append(f"{_DEMANDED[name]} {value}")
    return [*found, "not converted"] if schema.get(STRICT) else found


def _joined(words: list[str], last: str = "or") -> str:
    """Join alternatives with commas, and a word before the last one."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {last} {words[-1]}".strip()


def _json(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False)
