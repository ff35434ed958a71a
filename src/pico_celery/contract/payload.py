"""Payloads: a type compiled once to what validates, encodes and decodes its values.

Encoding is pydantic's JSON mode by alias, with three differences, each because a value would not survive otherwise:
secrets travel as they are (JSON mode masks them), ``bytes`` that stand outside a model travel as base64 (JSON mode takes
text only), and a value that does not fit its declared type is an error, not a warning.

Decoding always goes through pydantic's JSON mode: only there do strict models read a UUID or a datetime.
Source: https://docs.pydantic.dev/latest/concepts/conversion_table/
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from pydantic import (
    PydanticSchemaGenerationError,
    PydanticUserError,
    Secret,
    SecretBytes,
    SecretStr,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticUndefinedAnnotation
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaWarningKind
from pydantic_core import CoreConfig, SchemaSerializer, SchemaValidator, to_json, to_jsonable_python

from pico_celery.contract.inspection import BytesMode, inspect_schema

CONFIG: Final = CoreConfig(ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants")
_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_KOMBU_TYPES: Final = (str, int, float, bool, type(None), datetime, date, time, Decimal, UUID, bytes)


class UnusableTypeError(Exception):
    """A type cannot be a payload; the message says why, ``remedy`` what to do, ``code`` what kind of reason."""

    def __init__(self, reason: str, remedy: str, code: str) -> None:
        super().__init__(reason, remedy, code)
        self.reason = reason
        self.remedy = remedy
        self.code = code


class _WireSchema(GenerateJsonSchema):
    """JSON Schema of a payload; a member of a union that JSON cannot carry is an error, not left out."""

    ignored_warning_kinds: set[JsonSchemaWarningKind] = {"non-serializable-default"}  # noqa: RUF012 - pydantic's attribute

    def emit_warning(self, kind: JsonSchemaWarningKind, detail: str) -> None:
        if kind == "skipped-choice":
            raise PydanticInvalidForJsonSchema(detail)
        super().emit_warning(kind, detail)


class Payload:
    """A type compiled to validator and serializer.

    Args:
        annotation: Any type that pydantic turns into JSON and back.

    Raises:
        UnusableTypeError: If the type is none of those.

    Attributes:
        annotation: The type.
        accepted_schema: JSON Schema of what is accepted.
        sent_schema: JSON Schema of what is sent.
        secret: Whether a secret is declared in it.
        sensitive: Whether its values have parts that must stay out of logs: secrets, and fields with ``repr=False``.
        bytes_modes: How ``bytes`` in it are written in JSON.
    """

    __slots__ = (
        "_opaque",
        "_serializer",
        "_validator",
        "accepted_schema",
        "annotation",
        "bytes_modes",
        "secret",
        "sensitive",
        "sent_schema",
    )

    def __init__(self, annotation: Any) -> None:
        adapter = _adapter(annotation)
        schema = adapter.core_schema
        facts = inspect_schema(schema, CONFIG)
        if facts.unsendable:
            raise UnusableTypeError(
                f"JSON cannot carry {' or '.join(sorted(facts.unsendable))}",
                "use a type that pydantic turns into JSON and back",
                "not_json",
            )
        if facts.unreadable:
            model, name, expected, got = facts.unreadable[0]
            raise UnusableTypeError(
                f"{model} cannot read its own JSON: field {name!r} is {got}, the model expects {expected}",
                "give it one alias for both directions (alias=...)",
                "alias_asymmetry",
            )
        self.annotation = annotation
        self.secret = facts.secret
        self._opaque = facts.opaque
        self.sensitive = facts.secret or facts.hidden
        self.bytes_modes: frozenset[BytesMode] = frozenset(facts.bytes_modes)
        self._validator = SchemaValidator(schema, CONFIG)
        self._serializer = SchemaSerializer(schema, CONFIG)
        self.accepted_schema = _json_schema(adapter, "validation")
        self.sent_schema = _json_schema(adapter, "serialization")

    def validate(self, value: Any, *, strict: bool | None = None) -> Any:
        """Validate a Python value.

        Args:
            value: A value, or what pydantic converts to one (a mapping for a model).
            strict: Whether to convert nothing.

        Returns:
            The value as its type says.

        Raises:
            pydantic.ValidationError: If it does not fit.
        """
        return self._validator.validate_python(value, strict=strict)

    def encode(self, value: Any) -> Any:
        """Turn a validated value into JSON data.

        Args:
            value: What `validate` returned.

        Returns:
            Mappings, lists, strings, numbers, booleans and ``None``.

        Raises:
            pydantic_core.PydanticSerializationError: If a part of it is not of its declared type, or is no JSON.
            UnicodeDecodeError: If a model holds ``bytes`` that are no text, and does not say ``ser_json_bytes``.
        """
        data = self._serializer.to_python(value, mode="json", by_alias=True, warnings="error")
        # An Any may hold a secret too: its mask in the output is what gives it away, and costs little to look for.
        if self.secret or (self._opaque and _shows_mask(data)):
            native = self._serializer.to_python(value, mode="python", by_alias=True, warnings="error")
            data = _reveal(data, native, self._secret_bytes_mode())
        return data

    def decode(self, data: Any) -> Any:
        """Turn JSON data into a validated value.

        Args:
            data: What `encode` returned, or what a plain Celery peer sent (with kombu's datetimes, Decimals, UUIDs).

        Returns:
            The value as its type says.

        Raises:
            pydantic.ValidationError: If it does not fit.
            ValueError: If it is no JSON data at all.
        """
        return self._validator.validate_json(self._text(data))

    def _text(self, data: Any) -> bytes:
        return to_json(data, by_alias=True, inf_nan_mode="constants", bytes_mode=self._bytes_mode())

    def _bytes_mode(self) -> BytesMode:
        return next(iter(self.bytes_modes)) if len(self.bytes_modes) == 1 else "utf8"

    def _secret_bytes_mode(self) -> BytesMode:
        return "base64" if self.bytes_modes == {"base64"} else "utf8"


class NativePayload(Payload):
    """A payload of a name that no contract declares: datetimes, Decimals, UUIDs and bytes travel as kombu writes them.

    That is what callers and implementations without a contract had before, and what Celery does with such values.
    Source: https://github.com/celery/kombu/blob/main/kombu/utils/json.py
    """

    __slots__ = ()

    def encode(self, value: Any) -> Any:
        """Turn a validated value into what kombu's JSON carries.

        Args:
            value: What `validate` returned.

        Returns:
            JSON data, with the Python values in it that kombu's JSON knows.

        Raises:
            pydantic_core.PydanticSerializationError: If a part of it is nothing of that.
        """
        return _native(self._serializer.to_python(value, mode="python", by_alias=True))

    def decode(self, data: Any) -> Any:
        """Turn what kombu's JSON carried into a validated value.

        Args:
            data: JSON data, with kombu's Python values in it.

        Returns:
            The value as its type says.

        Raises:
            pydantic.ValidationError: If it does not fit.
        """
        try:
            return self.validate(data)
        except ValidationError:
            return super().decode(data)  # what only JSON mode reads, such as a strict model's UUID


def _native(value: Any) -> Any:
    if isinstance(value, _SECRETS):
        return _native(value.get_secret_value())
    if isinstance(value, Mapping):
        return {key: _native(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_native(item) for item in value]
    if isinstance(value, _KOMBU_TYPES) and not isinstance(value, Enum):
        return value
    return to_jsonable_python(value, by_alias=True)


def _shows_mask(data: Any) -> bool:
    if type(data) in {int, float, bool, type(None)}:
        return False
    return b"**********" in to_json(data, inf_nan_mode="constants")


def _reveal(data: Any, native: Any, bytes_mode: BytesMode) -> Any:
    """Return JSON-mode data with the secrets that Python-mode data still holds."""
    if isinstance(native, _SECRETS):
        return to_jsonable_python(native.get_secret_value(), bytes_mode=bytes_mode)
    if isinstance(native, Mapping) and isinstance(data, dict) and len(native) == len(data):
        return {
            _reveal_key(key, native_key): _reveal(value, native_value, bytes_mode)
            for (key, value), (native_key, native_value) in zip(data.items(), native.items(), strict=True)
        }
    if isinstance(native, (list, tuple, set, frozenset)) and isinstance(data, list) and len(native) == len(data):
        return [_reveal(value, inner, bytes_mode) for value, inner in zip(data, native, strict=True)]
    if any(True for _ in _secrets_in(native)):
        raise ValueError(
            "a custom serializer changes the shape of a value that holds a secret, which would arrive masked"
        )
    return data


def _reveal_key(key: str, native: Any) -> str:
    return str(native.get_secret_value()) if isinstance(native, _SECRETS) else key


def _secrets_in(native: Any) -> Iterator[object]:
    if isinstance(native, _SECRETS):
        yield native
    elif isinstance(native, Mapping):
        for key, value in native.items():
            yield from _secrets_in(key)
            yield from _secrets_in(value)
    elif isinstance(native, (list, tuple, set, frozenset)):
        for value in native:
            yield from _secrets_in(value)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            adapter: TypeAdapter[Any] = TypeAdapter(annotation)
            _ = adapter.core_schema["type"]  # a type that is not complete yet fails only when it is looked at
    except PydanticUndefinedAnnotation as error:
        raise UnusableTypeError(
            f"it refers to {error.name!r}, which is not defined",
            f"define or import {error.name!r} before the contract, where the module is loaded",
            "unresolved_annotation",
        ) from None
    except PydanticSchemaGenerationError as error:
        raise UnusableTypeError(
            _first_sentence(error), "use a type that pydantic has a schema for", "no_schema"
        ) from None
    except PydanticUserError as error:
        raise UnusableTypeError(
            _first_sentence(error), "complete the type before the contract", error.code or ""
        ) from None
    except Exception as error:  # noqa: BLE001 - a custom type's own schema hook may raise anything
        raise UnusableTypeError(
            f"pydantic cannot build a schema: {type(error).__name__}: {error}", "correct the type", "no_schema"
        ) from None
    return adapter


def _json_schema(adapter: TypeAdapter[Any], mode: JsonSchemaMode) -> dict[str, Any]:
    try:
        return adapter.json_schema(mode=mode, by_alias=True, schema_generator=_WireSchema)
    except PydanticUserError as error:
        raise UnusableTypeError(_first_sentence(error), "use a type that JSON can carry", "not_json") from None


def _first_sentence(error: Exception) -> str:
    return str(error).split("\n", 1)[0].split(". Set ", 1)[0].rstrip(".")
