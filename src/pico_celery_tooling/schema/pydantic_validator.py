"""pydantic's validator of a whole payload, built again from the JSON Schema that pydantic made of a type.

It accepts what a worker accepts that has the models: it converts, ignores unknown properties, and tries the members of a
union as pydantic does. What a schema does not tell, such as a validator that is a function, it takes as accepted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import cache
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from typing import Any, Final

from pydantic import IPvAnyAddress, IPvAnyInterface, IPvAnyNetwork, TypeAdapter, ValidationError
from pydantic_core import CoreSchema, ErrorDetails, SchemaError, SchemaValidator, core_schema

from pico_celery.contract.wire_schema import from_base64
from pico_celery.document.lock_schema import BASE64, DECIMAL, DEMANDS, KEYS, STRICT
from pico_celery.document.records import REFERENCE, Document, JsonSchema
from pico_celery_tooling.schema.normalize import explicit

_BOUNDS: Final = {"minimum": "ge", "exclusiveMinimum": "gt", "maximum": "le", "exclusiveMaximum": "lt"}
_COMPARED: Final = ("ge", "gt", "le", "lt")
_ADDRESSES: Final[Mapping[str, Any]] = {
    "ipv4": IPv4Address,
    "ipv6": IPv6Address,
    "ipv4network": IPv4Network,
    "ipv6network": IPv6Network,
    "ipv4interface": IPv4Interface,
    "ipv6interface": IPv6Interface,
    "ipvanyaddress": IPvAnyAddress,
    "ipvanynetwork": IPvAnyNetwork,
    "ipvanyinterface": IPvAnyInterface,
}
_TEMPORAL: Final[Mapping[str, type[Any]]] = {"date-time": datetime, "date": date, "time": time, "duration": timedelta}


def scalar(node: JsonSchema) -> CoreSchema | None:
    """Return pydantic's schema of a scalar."""
    make = _MAKERS.get(str(node.get("type")))
    if make is None or "enum" in node or "const" in node:
        return None
    try:
        made = make(node, node.get(DEMANDS, {}))
        SchemaValidator(made)
    except (SchemaError, ValidationError, ValueError, TypeError):
        return None
    return made


def _strict(node: JsonSchema) -> bool | None:
    return True if node.get(STRICT) else None


def _integer(node: JsonSchema, demands: Mapping[str, Any]) -> CoreSchema:
    del demands
    return core_schema.int_schema(strict=_strict(node), multiple_of=node.get("multipleOf"), **_range(node, int))


def _number(node: JsonSchema, demands: Mapping[str, Any]) -> CoreSchema:
    if demands.get("decimal"):
        return _decimal(node, demands)
    multiple, finite = node.get("multipleOf"), demands.get("allow_inf_nan")
    return core_schema.float_schema(
        strict=_strict(node), multiple_of=multiple, allow_inf_nan=finite, **_range(node, float)
    )


def _range(node: JsonSchema, kind: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: kind(node[key]) for key, name in _BOUNDS.items() if key in node}


def _decimal(node: JsonSchema, demands: Mapping[str, Any]) -> CoreSchema:
    numbers: dict[str, Any] = {key: Decimal(str(demands[key])) for key in (*_COMPARED, "multiple_of") if key in demands}
    more = {key: demands[key] for key in ("max_digits", "decimal_places", "allow_inf_nan") if key in demands}
    return core_schema.decimal_schema(strict=_strict(node), **numbers, **more)


def _boolean(node: JsonSchema, demands: Mapping[str, Any]) -> CoreSchema:
    del demands
    return core_schema.bool_schema(strict=_strict(node))


def _null(node: JsonSchema, demands: Mapping[str, Any]) -> CoreSchema:
    del node, demands
    return core_schema.none_schema()


def _string(node: JsonSchema, demands: Mapping[str, Any]) -> CoreSchema:  # noqa: PLR0911 - one for each format
    kind = str(node.get("format", ""))
    if kind == DECIMAL:
        return _decimal(node, demands)
    if kind in _TEMPORAL:
        return _temporal(kind, node, demands)
    if kind.startswith("uuid"):
        return core_schema.uuid_schema(version=demands.get("version"), strict=_strict(node))
    if kind in _ADDRESSES:
        return TypeAdapter(_ADDRESSES[kind]).core_schema
    if kind == "uri" and node.get("minLength") == 1:  # as pydantic's own types of URLs are told
        return core_schema.url_schema(max_length=node.get("maxLength"))
    if node.get("contentMediaType") == "application/json":
        return core_schema.json_schema()
    if demands.get("type") in {"bytes", BASE64}:
        made = core_schema.bytes_schema(min_length=demands.get("min_length"), max_length=demands.get("max_length"))
        is_text = demands["type"] == "bytes"
        return made if is_text else core_schema.no_info_before_validator_function(from_base64, made)
    return core_schema.str_schema(
        min_length=node.get("minLength"),
        max_length=node.get("maxLength"),
        pattern=node.get("pattern"),
        regex_engine=_engine(node.get("pattern")),
        strip_whitespace=demands.get("strip_whitespace"),
        ascii_only=demands.get("ascii_only"),
    )


@cache
def _engine(pattern: str | None) -> Any:
    """Return what can read a pattern: pydantic's own engine has no look-around, Python's has."""
    if pattern is None:
        return None
    try:
        SchemaValidator(core_schema.str_schema(pattern=pattern))
    except SchemaError:
        return "python-re"
    return "rust-regex"


def _temporal(kind: str, node: JsonSchema, demands: Mapping[str, Any]) -> CoreSchema:
    read = _readers()[kind]
    more: dict[str, Any] = {key: read(demands[key]) for key in _COMPARED if key in demands}
    more.update({key: demands[key] for key in ("tz_constraint", "now_op", "microseconds_precision") if key in demands})
    makers: Mapping[str, Callable[..., Any]] = {
        "date-time": core_schema.datetime_schema,
        "date": core_schema.date_schema,
        "time": core_schema.time_schema,
        "duration": core_schema.timedelta_schema,
    }
    made: CoreSchema = makers[kind](strict=_strict(node), **more)
    return made


@cache
def _readers() -> Mapping[str, Callable[[Any], Any]]:
    """Return what reads the limits of temporal types, which stand in a document as Python writes them."""
    return {kind: TypeAdapter(cls).validate_python for kind, cls in _TEMPORAL.items()}


_MAKERS: Final[Mapping[str, Callable[[JsonSchema, Mapping[str, Any]], CoreSchema]]] = {
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "string": _string,
    "null": _null,
}


_HASHABLE: Final = frozenset(
    {
        "int",
        "float",
        "str",
        "bool",
        "none",
        "decimal",
        "date",
        "time",
        "datetime",
        "timedelta",
        "uuid",
        "bytes",
        "literal",
    }
)


class WorkerValidator:
    """A validator of what a schema of a document describes."""

    def __init__(self, document: Document, schema: JsonSchema) -> None:
        self._validator = SchemaValidator(Builder(document).whole(schema))

    def accepts(self, value: Any) -> bool:
        """Return whether a worker with the models would take a JSON value, as far as the schema tells."""
        return not self.errors(value)

    def errors(self, value: Any) -> list[ErrorDetails]:
        """Return what pydantic says against a JSON value."""
        try:
            self._validator.validate_json(json.dumps(value))
        except ValidationError as error:
            return error.errors(include_url=False)
        return []


class Builder:
    """What builds pydantic's schema of a JSON Schema, with the conversions that a worker does."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._made: dict[str, CoreSchema | None] = {}

    def whole(self, schema: JsonSchema) -> CoreSchema:
        """Return pydantic's schema of a JSON Schema, with the definitions that it needs."""
        root = self._of(explicit(schema))
        definitions = [made for made in self._made.values() if made is not None]
        return core_schema.definitions_schema(root, definitions) if definitions else root

    def _of(self, node: Any) -> CoreSchema:  # noqa: PLR0911 - one for each kind of schema
        if not isinstance(node, Mapping):
            return core_schema.any_schema()
        if "$ref" in node:
            return self._reference(str(node["$ref"]))
        members = [*node.get("anyOf", ()), *node.get("oneOf", ())]
        if members:
            return self._tagged(node, members) or self._union(members)
        if "enum" in node or "const" in node:
            return self._literal([node["const"]] if "const" in node else list(node["enum"]))
        if isinstance(node.get("type"), list):
            return self._union({**node, "type": kind} for kind in node["type"])
        if node.get("type") == "object":
            return self._object(node)
        if node.get("type") == "array":
            return self._array(node)
        return self._scalar(node)

    def _union(self, members: Iterable[Any]) -> CoreSchema:
        return core_schema.union_schema([self._of(member) for member in members])

    def _scalar(self, node: JsonSchema) -> CoreSchema:
        if "contentSchema" in node:
            return core_schema.json_schema(self._of(node["contentSchema"]))
        return scalar(node) or core_schema.any_schema()

    def _literal(self, values: list[Any]) -> CoreSchema:
        if not values:
            return core_schema.no_info_plain_validator_function(_refuse)
        if all(isinstance(value, (str, int, bool)) or value is None for value in values):
            return core_schema.literal_schema(values)
        return core_schema.any_schema()

    def _reference(self, reference: str) -> CoreSchema:
        name = reference.removeprefix(REFERENCE)
        if name not in self._made:
            self._made[name] = None  # it may refer to itself
            self._made[name] = _named(self._of(explicit(self._document.schemas[name])), name)
        return core_schema.definition_reference_schema(name)

    def _tagged(self, node: JsonSchema, members: list[Any]) -> CoreSchema | None:
        tag = node.get("discriminator", {}).get("propertyName")
        if tag is None:
            return None
        choices: dict[Any, CoreSchema] = {}
        for member in members:
            values = tags_of(self._document, member, tag)
            if values is None:
                return None
            choices.update(dict.fromkeys(values, self._of(member)))
        return core_schema.tagged_union_schema(choices, tag)

    def _object(self, node: JsonSchema) -> CoreSchema:
        more = node.get("additionalProperties")
        is_mapping = "properties" not in node and (more is not None or "patternProperties" in node)
        return self._mapping(node) if is_mapping else self._model(node, more)

    def _model(self, node: JsonSchema, more: Any) -> CoreSchema:
        required = node.get("required", ())
        fields = {}
        for name, part in node.get("properties", {}).items():
            alias = aliases(name, part)
            fields[name] = core_schema.typed_dict_field(
                self._of(part), required=name in required, validation_alias=alias or name
            )
        if more is False:
            return core_schema.typed_dict_schema(fields, extra_behavior="forbid")
        if more is None or more is True or not more:
            return core_schema.typed_dict_schema(fields, extra_behavior="ignore")
        return core_schema.typed_dict_schema(fields, extra_behavior="allow", extras_schema=self._of(more))

    def _mapping(self, node: JsonSchema) -> CoreSchema:
        patterns = node.get("patternProperties", {})
        values: Any = node.get("additionalProperties", {})
        if patterns:
            values = next(iter(patterns.values())) if len(patterns) == 1 else {}
        if values is False:
            return core_schema.typed_dict_schema({}, extra_behavior="forbid")
        return core_schema.dict_schema(
            self._keys(node),
            self._of(values),
            min_length=node.get("minProperties"),
            max_length=node.get("maxProperties"),
        )

    def _keys(self, node: JsonSchema) -> CoreSchema:
        patterns = node.get("patternProperties", {})
        if KEYS in node:
            return self._of(node[KEYS])
        if "propertyNames" in node:
            return self._of({"type": "string", **node["propertyNames"]})
        if len(patterns) == 1:
            return self._of({"type": "string", "pattern": next(iter(patterns))})
        return core_schema.str_schema()

    def _array(self, node: JsonSchema) -> CoreSchema:
        lengths = {"min_length": node.get("minItems"), "max_length": node.get("maxItems")}
        first, items = node.get("prefixItems"), node.get("items", {})
        if first is not None:
            made = [self._of(part) for part in first]
            bounded = items is False or node.get("maxItems") == len(first)
            if bounded:
                return self._tuple(node, made)
            return core_schema.tuple_schema([*made, self._of(items)], variadic_item_index=len(made), **lengths)
        if items is False:
            return core_schema.list_schema(max_length=0)
        item = self._of(items)
        return (
            self._unique(node, item, lengths) if node.get("uniqueItems") else core_schema.list_schema(item, **lengths)
        )

    def _tuple(self, node: JsonSchema, parts: list[CoreSchema]) -> CoreSchema:
        return core_schema.tuple_schema(parts) if node.get("minItems") == len(parts) else core_schema.any_schema()

    def _unique(self, node: JsonSchema, item: CoreSchema, lengths: dict[str, Any]) -> CoreSchema:
        if _is_hashable(item):
            return core_schema.set_schema(item, **lengths)
        return core_schema.list_schema(
            item, min_length=min(node.get("minItems", 0), 1)
        )  # repeats count, unlike in a set


def _is_hashable(made: CoreSchema) -> bool:
    choices: Any = made.get("choices", ()) if made["type"] == "union" else ()
    return made["type"] in _HASHABLE or (bool(choices) and all(_is_hashable(choice) for choice in choices))


def aliases(name: str, part: Any) -> list[Any] | None:
    """Return the paths at which a property is looked for besides its name; ``None`` where it is sent, or has none."""
    found = part.get(DEMANDS, {}).get("aliases") if isinstance(part, Mapping) else None
    if not found:
        return None
    paths = [path if isinstance(path, list) else [path] for path in found]
    return paths if any(path[0] == name for path in paths) else None


def tags_of(document: Document, member: Any, tag: str) -> list[Any] | None:
    """Return the values of a tag with which a member of a union is meant."""
    node = document.resolve(member)
    members = [*node.get("anyOf", ()), *node.get("oneOf", ())]
    if members:
        found = [tags_of(document, inner, tag) for inner in members]
        return None if None in found else [value for values in found for value in values or ()]
    part = node.get("properties", {}).get(tag)
    if not isinstance(part, Mapping):
        return None
    part = document.resolve(part)
    if "const" in part:
        return [part["const"]]
    return list(part["enum"]) if "enum" in part else None


def _refuse(value: Any) -> Any:
    raise ValueError(f"nothing is accepted here, not even {value!r}")


def _named(made: CoreSchema, name: str) -> CoreSchema:
    if made["type"] == "definition-ref":
        return core_schema.union_schema([made], ref=name)
    named: Any = {**made, "ref": name}
    return named  # type: ignore[no-any-return]  # a core schema as before, with a name
