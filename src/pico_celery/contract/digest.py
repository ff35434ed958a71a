"""A digest of JSON Schemas that changes exactly when what they accept changes.

Titles, descriptions and examples are for readers; names and order of definitions, of properties and of the members of a
union are chance. What is left is hashed: each definition by its own content, its references by the hashes of what they
refer to, repeated until a difference anywhere has reached everything that refers to it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any, Final

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "examples", "example", "deprecated", "readOnly", "writeOnly", "$comment", "$schema"}
)
_UNORDERED: Final = frozenset({"anyOf", "oneOf", "allOf", "enum", "required", "type"})
_NAMED: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
_VALUES: Final = frozenset({"const", "default"})
DIGEST_LENGTH: Final = 16


def digest(value: object) -> str:
    """Return the digest of JSON data."""
    return hashlib.sha256(_text(value).encode()).hexdigest()[:DIGEST_LENGTH]


def canonical_schema(schema: Mapping[str, Any]) -> object:
    """Return a JSON Schema reduced to what it accepts, references replaced by digests of what they refer to."""
    definitions: Mapping[str, Any] = schema.get("$defs", {})
    hashes = _hashes(definitions, _references, _canonical)
    body = {key: value for key, value in schema.items() if key != "$defs"}
    return _canonical(body, hashes)


_CORE_KEPT: Final = frozenset(
    {
        "type", "gt", "ge", "lt", "le", "multiple_of", "max_digits", "decimal_places", "min_length", "max_length", "pattern",
        "tz_constraint", "now_op", "microseconds_precision", "schema", "items_schema", "keys_schema", "values_schema",
        "choices", "members", "expected", "fields", "required", "validation_alias", "serialization_alias",
        "serialization_exclude", "extra_behavior", "extras_schema", "variadic_item_index", "steps", "sub_type", "version",
        "allowed_schemes", "strip_whitespace", "to_lower", "to_upper", "discriminator", "val_json_bytes", "ser_json_bytes",
        "validate_by_name", "populate_by_name", "validate_by_alias",
    }
)  # fmt: skip
_CORE_TRANSPARENT: Final = {
    "model": "schema",
    "dataclass": "schema",
    "default": "schema",
    "function-before": "schema",
    "function-after": "schema",
    "function-wrap": "schema",
    "json-or-python": "json_schema",
    "lax-or-strict": "lax_schema",
    "definitions": "schema",
}
_CORE_SKIPPED: Final = frozenset({"metadata", "serialization", "config"})
_CORE_OBJECTS: Final = frozenset({"model-fields", "typed-dict", "dataclass-args"})
_CORE_UNORDERED: Final = frozenset({"choices", "members", "expected"})


def canonical_core_schema(schema: Mapping[str, object]) -> object:
    """Return a core schema reduced to what it accepts, as `canonical_schema` does for JSON Schema."""
    definitions = {str(body["ref"]): body for body in _core_definitions(schema)}
    return _core(schema, _hashes(definitions, _core_references, _core))


def _hashes(
    definitions: Mapping[str, object],
    references: Callable[[object], Iterator[str]],
    canonical: Callable[[object, Mapping[str, str]], object],
) -> dict[str, str]:
    """Hash definitions, those that others refer to first; those that refer to each other again and again."""
    known = {name: [other for other in references(body) if other in definitions] for name, body in definitions.items()}
    hashes: dict[str, str] = {}
    for members in _components(known):
        hashes.update(dict.fromkeys(members, ""))
        is_cycle = len(members) > 1 or members[0] in known[members[0]]
        for _ in range(len(members) + 1 if is_cycle else 1):
            hashes.update({name: digest(canonical(definitions[name], hashes)) for name in members})
    return hashes


def _components(references: Mapping[str, list[str]]) -> Iterator[list[str]]:
    """Iterate over what refers to each other, each after all that it refers to.

    Source: R. Tarjan, Depth-first search and linear graph algorithms, SIAM J. Comput. 1 (1972), 146-160.
    """
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    on_stack: set[str] = set()
    for root in references:
        work = [] if root in order else [(root, iter(references[root]))]
        while work:
            name, left = work[-1]
            if name not in order:
                order[name] = lowest[name] = len(order)
                stack.append(name)
                on_stack.add(name)
            for other in left:
                if other not in order:
                    work.append((other, iter(references[other])))
                    break
                if other in on_stack:
                    lowest[name] = min(lowest[name], order[other])
            else:
                work.pop()
                if work:
                    lowest[work[-1][0]] = min(lowest[work[-1][0]], lowest[name])
                if lowest[name] == order[name]:
                    at = stack.index(name)
                    members, stack[at:] = stack[at:], []
                    on_stack.difference_update(members)
                    yield members


def _references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "$ref" and isinstance(value, str):
                yield value.rsplit("/", 1)[-1]
            elif key == "mapping" and isinstance(value, Mapping):  # of a discriminator
                yield from (str(reference).rsplit("/", 1)[-1] for reference in value.values())
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def _core_references(node: object) -> Iterator[str]:
    if isinstance(node, Mapping):
        if node.get("type") == "definition-ref":
            yield str(node["schema_ref"])
        for key, value in node.items():
            if key not in _CORE_SKIPPED:
                yield from _core_references(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _core_references(value)


def _core_definitions(node: object) -> Iterator[Mapping[str, object]]:
    if isinstance(node, Mapping):
        if node.get("type") == "definitions":
            yield from node["definitions"]
        for key, value in node.items():
            if key not in _CORE_SKIPPED:
                yield from _core_definitions(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _core_definitions(value)


def _core(node: object, hashes: Mapping[str, str]) -> object:
    if isinstance(node, (list, tuple)):
        return [_core(item, hashes) for item in node]
    if isinstance(node, Enum):
        return _core(node.value, hashes)
    if not isinstance(node, Mapping):
        return repr(node) if not isinstance(node, (str, int, float, bool, type(None))) else node
    kind = node.get("type")
    if kind == "definition-ref":
        return {"ref": hashes.get(str(node["schema_ref"]), "")}
    if kind in _CORE_TRANSPARENT:
        inner = _core(node[_CORE_TRANSPARENT[kind]], hashes)
        config = _core_members(node.get("config") or {}, hashes)
        return {"of": inner, **config} if config else inner
    members = _core_members(node, hashes)
    if node.get("strict") is True:
        members["strict"] = True
    if node.get("allow_inf_nan") is False:
        members["finite"] = True
    if kind in _CORE_OBJECTS:
        members["type"] = "object"
    return members


def _core_members(node: Mapping[str, Any], hashes: Mapping[str, str]) -> dict[str, object]:
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key not in _CORE_KEPT:
            continue
        if key == "fields":
            result[key] = _core_fields(value, hashes)
        elif key in _CORE_UNORDERED:
            items = list(value.items()) if isinstance(value, Mapping) else list(value)
            result[key] = sorted((_core(item, hashes) for item in items), key=_text)
        else:
            result[key] = _core(value, hashes)
    return result


def _core_fields(fields: Any, hashes: Mapping[str, str]) -> dict[str, Any]:  # noqa: ANN401 - pydantic's core schemas
    named = fields.items() if isinstance(fields, Mapping) else ((info["name"], info) for info in fields)
    result = {}
    for name, info in named:
        members = _core_members(info, hashes)
        members.pop("type", None)
        members.pop("required", None)  # JSON Schema says it, in one way for all kinds of objects
        written = str(members.pop("serialization_alias", name))
        if members.get("validation_alias") == written:
            del members["validation_alias"]
        result[written] = members
    return result


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def _canonical(node: object, hashes: Mapping[str, str]) -> object:
    if isinstance(node, list):
        return [_canonical(item, hashes) for item in node]
    if not isinstance(node, Mapping):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        rest = {key: value for key, value in node.items() if key != "$ref"}
        return {"$ref": hashes.get(reference.rsplit("/", 1)[-1], reference), **_members(rest, hashes)}
    return _members(node, hashes)


def _members(node: Mapping[str, object], hashes: Mapping[str, str]) -> dict[str, object]:
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key in _ANNOTATIONS or (key == "format" and value == "password"):
            continue
        if key in _VALUES:
            result[key] = sorted(value, key=_text) if isinstance(value, list) and node.get("uniqueItems") else value
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
