"""pydantic's validator of a number, a truth value or a text, from the JSON Schema that pydantic made of it.

So what a worker would say of a value is known without the worker's models: pydantic itself parses dates, durations,
Decimals, UUIDs and patterns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from pydantic_core import CoreSchema, SchemaError, SchemaValidator, core_schema

from pico_celery.contract.wire import from_base64
from pico_celery.document.records import JsonSchema
from pico_celery.document.telling import BASE64, DECIMAL, DEMANDS, STRICT

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
    """Return pydantic's schema of a scalar.

    Args:
        node: An explicit JSON Schema (`pico_celery.document.explicit`).

    Returns:
        A core schema; ``None`` where the node describes no scalar, or pydantic cannot read what it says.
    """
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
