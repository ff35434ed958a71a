"""JSON Schemas of a document in the words that AsyncAPI 3.0 has: those of draft 07, and places in ``components``.

pydantic writes draft 2020-12. What draft 07 says in another way is said so; what it has no words for is kept under a name
that begins with ``x-``.
Sources: https://www.asyncapi.com/docs/reference/specification/v3.0.0#schemaObject,
https://json-schema.org/draft-07/draft-handrews-json-schema-01
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pico_celery.document.records import REFERENCE

COMPONENTS: Final = "#/components/schemas/"

_ONE: Final = frozenset(
    {
        "items",
        "additionalItems",
        "additionalProperties",
        "not",
        "if",
        "then",
        "else",
        "contains",
        "propertyNames",
        "x-keys",
    }
)
_LISTS: Final = frozenset({"allOf", "anyOf", "oneOf"})
_MAPS: Final = frozenset({"properties", "patternProperties", "definitions", "$defs"})
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")


def component_name(name: str) -> str:
    """Return a name as AsyncAPI allows it for a component."""
    return _NO_NAME.sub("_", name)


def draft7(schema: Any) -> Any:
    """Return a schema in the dialect of AsyncAPI."""
    if not isinstance(schema, Mapping):
        return schema  # True or False
    told = {key: _part(key, value) for key, value in schema.items() if key not in _ELSEWHERE}
    told.update(_tuple(schema))
    if "discriminator" in schema:
        told["x-discriminator"] = _relocated(schema["discriminator"])
    if isinstance(schema.get("examples"), (list, tuple)):
        told["examples"] = strict(schema["examples"])
    if "$ref" not in schema:
        return told
    reference = {"$ref": _relocated(schema["$ref"])}
    # What stands beside a reference is ignored in draft 07.
    return {"allOf": [reference], **told} if told else reference


def strict(value: Any) -> Any:
    """Return data as JSON proper: infinite and undefined numbers, which Python's JSON has, become text."""
    if isinstance(value, Mapping):
        return {key: strict(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


_ELSEWHERE: Final = frozenset({"$ref", "prefixItems", "discriminator", "examples"})


def _part(key: str, value: Any) -> Any:
    if key in _ONE and not isinstance(value, list):
        return draft7(value)
    if key in _LISTS and isinstance(value, (list, tuple)):
        return [draft7(item) for item in value]
    if key in _MAPS and isinstance(value, Mapping):
        return {name: draft7(item) for name, item in value.items()}
    return strict(value)


def _tuple(schema: Mapping[str, Any]) -> dict[str, Any]:
    first = schema.get("prefixItems")
    if not first:
        return {}
    rest = {"additionalItems": draft7(schema["items"])} if "items" in schema else {}
    return {"items": [draft7(item) for item in first], **rest}


def _relocated(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _relocated(item) for key, item in value.items()}
    if isinstance(value, str) and value.startswith(REFERENCE):
        return COMPONENTS + value.removeprefix(REFERENCE)
    return value
