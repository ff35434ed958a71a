"""Whether what one task returns can be given to another: a result's type against a parameter's, as they meet on the wire.

Two different models with compatible JSON are compatible. What cannot be known counts as incompatible: a validator that is
a function, a keyword of JSON Schema that is not compared here. `Any` fits everything; what it carries is checked when it
is there.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Union, get_args, get_origin

from pico_celery.contract.core_schema import TellingSchema, is_strict, may_send_nan, tells_all
from pico_celery.contract.payload import UnusableTypeError, payload_of

_ANNOTATIONS: Final = frozenset(
    {"title", "description", "examples", "default", "deprecated", "readOnly", "writeOnly", "$comment", "$defs"}
)
_COMPARED: Final = frozenset(
    {"type", "enum", "const", "anyOf", "oneOf", "$ref", "discriminator"}
    | {"properties", "required", "additionalProperties"}
    | {"items", "prefixItems", "minItems", "maxItems", "uniqueItems"}
    | {"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "minLength", "maxLength"}
)
_AT_LEAST: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")
_AT_MOST: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


@dataclass(frozen=True, slots=True)
class Schema:
    """A part of a JSON Schema, with the definitions that its references name."""

    node: Mapping[str, Any]
    definitions: Mapping[str, Any]

    @classmethod
    def of(cls, root: Mapping[str, Any]) -> Schema:
        """Return a whole schema."""
        return cls(root, root.get("$defs", {}))

    def at(self, node: object) -> Schema:
        """Return another part of the same schema; ``true`` and a missing one allow everything."""
        return Schema(node if isinstance(node, Mapping) else {}, self.definitions)

    def resolved(self) -> Schema:
        """Return what a reference refers to, or the part itself."""
        reference = self.node.get("$ref")
        return self if reference is None else self.at(self.definitions[reference.rsplit("/", 1)[-1]]).resolved()

    @property
    def choices(self) -> list[Schema]:
        """The members of a union; none where it is not one."""
        return [self.at(node) for node in (*self.node.get("anyOf", ()), *self.node.get("oneOf", ()))]


def schema_fits(source: Schema, target: Schema, *, strict: bool = False) -> bool:
    """Return whether every value that the source describes is accepted by the target."""
    return _SchemaComparison(strict=strict).fits(source, target)


class _SchemaComparison:
    def __init__(self, *, strict: bool) -> None:
        self._strict = strict
        self._assumed: set[tuple[int, int]] = set()

    def fits(self, source: Schema, target: Schema) -> bool:
        source, target = source.resolved(), target.resolved()
        pair = (id(source.node), id(target.node))
        # A type that refers to itself fits if nothing else speaks against it.
        if pair in self._assumed or not _said(source) or not _said(target):
            return True
        self._assumed.add(pair)
        return self._fits(source, target)

    def _fits(self, source: Schema, target: Schema) -> bool:
        if source.choices:
            return all(self.fits(choice, target) for choice in source.choices)
        if target.choices:
            tag = target.node.get("discriminator", {}).get("propertyName")
            if tag is not None and tag not in source.node.get("required", ()):
                return False
            return any(self._would_fit(source, choice) for choice in target.choices)
        if "enum" in source.node or "const" in source.node:
            return all(_value_fits(value, target.node) for value in _values(source.node))
        if "enum" in target.node or "const" in target.node:
            return False
        return self._type_fits(source, target)

    def _would_fit(self, source: Schema, target: Schema) -> bool:
        """Try one member of a union: what was assumed on the way holds only if it fits."""
        assumed = set(self._assumed)
        if self.fits(source, target):
            return True
        self._assumed = assumed
        return False

    def _type_fits(self, source: Schema, target: Schema) -> bool:
        one, other = source.node.get("type"), target.node.get("type")
        converted = (one, other) == ("integer", "number") or (
            not self._strict and one == "boolean" and other in {"integer", "number"}
        )
        if (one != other and not converted) or not _bounds_fit(source.node, target.node):
            return False
        if any(
            source.node.get(key) != value for key, value in target.node.items() if key not in _ANNOTATIONS | _COMPARED
        ):
            return False
        if one == "object":
            return self._object_fits(source, target)
        return one != "array" or self._array_fits(source, target)

    def _object_fits(self, source: Schema, target: Schema) -> bool:
        given: Mapping[str, Any] = source.node.get("properties", {})
        wanted: Mapping[str, Any] = target.node.get("properties", {})
        patterns = source.node.get("patternProperties")
        if patterns is not None and patterns != target.node.get("patternProperties"):
            return False
        if not set(target.node.get("required", ())) <= set(source.node.get("required", ())):
            return False
        if not all(self.fits(source.at(given[name]), target.at(wanted[name])) for name in wanted if name in given):
            return False
        more, others = source.node.get("additionalProperties", False), target.node.get("additionalProperties", True)
        unnamed = [source.at(given[name]) for name in given if name not in wanted]
        if more is not False:
            unnamed.append(source.at(more))
            # What is not named may have any of the names that the target knows.
            if not all(self.fits(source.at(more), target.at(wanted[name])) for name in wanted if name not in given):
                return False
        if others is False:
            return not unnamed
        return all(self.fits(schema, target.at(others)) for schema in unnamed)

    def _array_fits(self, source: Schema, target: Schema) -> bool:
        unique = target.node.get("uniqueItems") and not source.node.get("uniqueItems")
        if unique and target.node.get("minItems", 0) > 1:
            return False
        first, firsts = source.node.get("prefixItems", []), target.node.get("prefixItems", [])
        length = max(len(first), len(firsts))
        pairs = [(_item(source, at), _item(target, at)) for at in range(length)]
        pairs.append((_item(source, length), _item(target, length)))
        return all(one is None or (other is not None and self.fits(one, other)) for one, other in pairs)


def _said(schema: Schema) -> set[str]:
    """Return the keywords that say something; a schema without any is that of `Any`."""
    return set(schema.node) - _ANNOTATIONS


def _item(array: Schema, at: int) -> Schema | None:
    """Return what an array says of the item at an index; ``None`` where there is none."""
    first = array.node.get("prefixItems", [])
    if at < len(first):
        return array.at(first[at])
    ends = "maxItems" in array.node and array.node["maxItems"] <= at
    return None if ends or array.node.get("items") is False else array.at(array.node.get("items", {}))


def _values(node: Mapping[str, Any]) -> list[object]:
    return [node["const"]] if "const" in node else list(node["enum"])


def _value_fits(value: object, target: Mapping[str, object]) -> bool:
    if "enum" in target or "const" in target:
        return json.dumps(value) in [json.dumps(allowed) for allowed in _values(target)]
    if set(target) - _ANNOTATIONS != {"type"}:
        return False
    kinds = {bool: {"boolean"}, int: {"integer", "number"}, float: {"number"}, str: {"string"}, type(None): {"null"}}
    return target["type"] in kinds.get(type(value), set())


def _bounds_fit(source: Mapping[str, object], target: Mapping[str, Any]) -> bool:
    low = all(key in source and source[key] >= target[key] for key in _AT_LEAST if target.get(key) is not None)
    return low and all(key in source and source[key] <= target[key] for key in _AT_MOST if target.get(key) is not None)


_SEQUENCES: Final = (list, Sequence)
_MAPPINGS: Final = (dict, Mapping)


def is_compatible(result: Any, parameter: object) -> bool:  # noqa: ANN401 - an annotation
    """Return whether every value of a result's type, as it travels, is accepted for a parameter."""
    try:
        return _known(result, parameter)
    except TypeError:  # an annotation that has no hash, such as Annotated with a list in it
        return _is_compatible(result, parameter)


def _is_compatible(result: object, parameter: object) -> bool:
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


def _same(result: object, parameter: object) -> bool:
    return type(result) is type(parameter) and bool(result == parameter)


def _is_union(annotation: object) -> bool:
    return get_origin(annotation) in {Union, types.UnionType}


def _items(result: object, parameter: object) -> list[tuple[object, object]] | None:
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


def _by_schema(result: object, parameter: object) -> bool:
    try:
        sent, accepted = payload_of(result).core_schema, payload_of(parameter).core_schema
    except UnusableTypeError:
        return False
    if not tells_all(accepted) or may_send_nan(sent):
        return False
    source = Schema.of(TellingSchema(by_alias=True).generate(sent, mode="serialization"))
    target = Schema.of(TellingSchema(by_alias=True).generate(accepted, mode="validation"))
    return schema_fits(source, target, strict=is_strict(accepted))
