"""A digest of JSON Schemas that changes exactly when what they accept changes.

Titles, descriptions and examples are for readers; names and order of definitions, of properties and of the members of a
union are chance. What is left is hashed: each definition by its own content, its references by the hashes of what they
refer to, repeated until a difference anywhere has reached everything that refers to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment", "$schema"}
)
_UNORDERED: Final = frozenset({"anyOf", "oneOf", "allOf", "enum", "required", "type"})
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
_VALUES: Final = frozenset({"const", "default"})
DIGEST_LENGTH: Final = 16


def digest(value: Any) -> str:
    """Return the digest of JSON data.

    Args:
        value: JSON data; the order of mapping keys does not count.

    Returns:
        Hexadecimal digits, `DIGEST_LENGTH` of them.
    """
    return hashlib.sha256(_text(value).encode()).hexdigest()[:DIGEST_LENGTH]


def canonical_schema(schema: Mapping[str, Any]) -> Any:
    """Return a JSON Schema reduced to what it accepts, references replaced by digests of what they refer to.

    Args:
        schema: A JSON Schema as pydantic writes it, with its definitions in ``$defs``.

    Returns:
        JSON data that is equal for schemas that differ only in names, order and texts.
    """
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    hashes = dict.fromkeys(definitions, "")
    for _ in range(len(definitions) + 1):
        hashes = {name: digest(_canonical(body, hashes)) for name, body in definitions.items()}
    body = {key: value for key, value in schema.items() if key != "$defs"}
    return _canonical(body, hashes)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _canonical(node: Any, hashes: Mapping[str, str]) -> Any:
    if isinstance(node, list):
        return [_canonical(item, hashes) for item in node]
    if not isinstance(node, Mapping):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {"$ref": hashes.get(reference.rsplit("/", 1)[-1], reference), **_members(rest, hashes)}
    return _members(node, hashes)


def _members(node: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in _ANNOTATIONS or (key == "format" and value == "password"):
            continue
        if key in _VALUES:
            result[key] = value
        elif key in _NAMED and isinstance(value, Mapping):
            result[key] = {name: _canonical(inner, hashes) for name, inner in value.items()}
        elif key == "discriminator" and isinstance(value, Mapping):
            mapping = {
                tag: hashes.get(str(ref).rsplit("/", 1)[-1], ref) for tag, ref in value.get("mapping", {}).items()
            }
            result[key] = {"propertyName": value.get("propertyName"), "mapping": mapping}
        elif key in _UNORDERED and isinstance(value, list):
            result[key] = sorted((_canonical(item, hashes) for item in value), key=_text)
        else:
            result[key] = _canonical(value, hashes)
    return result
