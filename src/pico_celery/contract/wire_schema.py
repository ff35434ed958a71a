"""Payloads as they travel where nothing else says how: ``bytes`` as base64, secrets as they are.

JSON mode of pydantic takes ``bytes`` for text and masks secrets. Inside a model that is the model's own matter, and its
``model_config`` may say otherwise; parameters, results, containers, TypedDicts and plain dataclasses have no such place.
There the core schema is changed before validator and serializer are built from it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Final, get_args, get_type_hints

from pydantic import SecretBytes, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema
from typing_extensions import is_typeddict

_TO_STANDARD: Final = str.maketrans("-_", "+/")
_NESTED: Final = frozenset(
    {"schema", "items_schema", "keys_schema", "values_schema", "choices", "fields", "definitions", "steps"}
    | {"json_schema", "python_schema", "lax_schema", "strict_schema", "extras_schema"}
)
# What a function does with the JSON before the type sees it cannot be known.
_OPAQUE: Final = frozenset({"model", "function-before", "function-wrap", "function-plain"})


def from_base64(value: object) -> object:
    """Decode what JSON carries for ``bytes``: base64 in either alphabet."""
    if not isinstance(value, str):
        return value
    try:
        return base64.b64decode(value.translate(_TO_STANDARD), validate=True)
    except (binascii.Error, ValueError):
        raise PydanticCustomError("base64", "Input should be base64") from None


def _to_base64(value: Any) -> str:  # noqa: ANN401 - pydantic's core schemas
    raw = value.get_secret_value() if isinstance(value, SecretBytes) else value
    return base64.urlsafe_b64encode(raw).decode("ascii")


def _revealed(value: SecretStr) -> str:
    return value.get_secret_value()


OWN_SERIALIZERS: Final = (_to_base64, _revealed)


def wire_schema(schema: CoreSchema) -> CoreSchema:
    """Return a core schema whose ``bytes`` and secrets travel."""
    travelling: CoreSchema = _changed(schema)
    return travelling


def _changed(node: object) -> Any:  # noqa: ANN401 - pydantic's core schemas
    if isinstance(node, (list, tuple)):
        return type(node)(_changed(item) for item in node)
    return _changed_node(node) if isinstance(node, Mapping) else node


def _changed_node(node: Mapping[str, object]) -> object:
    kind = node.get("type")
    secret = _secret_of(node) if kind == "lax-or-strict" else None
    if secret is SecretStr:
        return {**node, "serialization": _serialized_by(_revealed)}
    if kind == "bytes" or secret is SecretBytes:
        return _in_base64(node)
    own = kind == "dataclass" and "__pydantic_serializer__" in vars(node["cls"])
    if own or kind in _OPAQUE or "serialization" in node:
        return node
    every = not isinstance(kind, str)  # fields by name, choices by tag
    return {key: _changed(value) if every or key in _NESTED else value for key, value in node.items()}


def _in_base64(node: Any) -> object:  # noqa: ANN401 - pydantic's core schemas
    return core_schema.json_or_python_schema(
        json_schema=core_schema.no_info_before_validator_function(
            from_base64, node, json_schema_input_schema=core_schema.str_schema()
        ),
        python_schema=node,
        serialization=_serialized_by(_to_base64),
    )


def _serialized_by(function: Any) -> Any:  # noqa: ANN401 - pydantic's core schemas
    return core_schema.plain_serializer_function_ser_schema(
        function, return_schema=core_schema.str_schema(), when_used="json"
    )


def _secret_of(node: object) -> type | None:
    if node is SecretStr or node is SecretBytes:
        return SecretStr if node is SecretStr else SecretBytes
    values = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    return next((found for value in values if (found := _secret_of(value)) is not None), None)


def is_veiled(annotation: object) -> bool:
    """Return whether a part of a type that has no repr of its own must not be shown (``Field(repr=False)``)."""
    return _is_veiled(annotation, set())


def _is_veiled(annotation: object, seen: set[int]) -> bool:
    if isinstance(annotation, FieldInfo):
        return not annotation.repr
    if id(annotation) in seen:
        return False
    if is_typeddict(annotation):
        seen.add(id(annotation))
        try:
            hints = get_type_hints(annotation, include_extras=True)
        except NameError:
            return False  # pydantic has resolved it where this cannot; nobody reports what it hides
        return any(_is_veiled(hint, seen) for hint in hints.values())
    metadata = getattr(annotation, "__metadata__", ())
    return any(_is_veiled(item, seen) for item in (*get_args(annotation), *metadata))
