"""Payloads: a type compiled once to what validates, encodes and decodes its values.

Encoding is pydantic's JSON mode by alias, with what `pico_celery.contract.wire_schema` adds, and two more differences, each
because a value would not survive otherwise: secrets inside models travel as they are (JSON mode masks them), and a value
that does not fit its declared type is an error, not a warning.

Decoding always goes through pydantic's JSON mode: only there do strict models read a UUID or a datetime.
Source: https://docs.pydantic.dev/latest/concepts/conversion_table/
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final, get_args
from uuid import UUID
from weakref import WeakValueDictionary

from pydantic import (
    BaseModel,
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
from pydantic_core import CoreConfig, CoreSchema, SchemaSerializer, SchemaValidator, to_json, to_jsonable_python

from pico_celery.contract.core_schema import BytesMode, SchemaFacts, Unreadable, inspect_schema
from pico_celery.contract.digest import canonical_core_schema, canonical_schema, digest
from pico_celery.contract.wire_schema import is_veiled, wire_schema

_SECRETS: Final = (SecretStr, SecretBytes, Secret)
_MASK: Final = b"**********"
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

    Attributes:
        annotation: The type.
        core_schema: pydantic's schema of it, as it travels.
        veiled: Whether no repr of its values may be shown at all.
        sensitive: Whether its values have parts that must stay out of logs: secrets, and fields with ``repr=False``.
    """

    __slots__ = (
        "__weakref__",
        "_digest",
        "_facts",
        "_schemas",
        "_serializer",
        "_validator",
        "annotation",
        "core_schema",
        "sensitive",
        "veiled",
    )

    def __init__(self, annotation: object, *, parts_known: bool = False) -> None:
        self.annotation = annotation
        self.core_schema = wire_schema(_core_schema(annotation))
        self._facts = inspect_schema(self.core_schema)
        _require_usable(self._facts)
        self.veiled = is_veiled(annotation)
        self.sensitive = self.veiled or self._facts.secret or self._facts.hidden
        self._validator = SchemaValidator(self.core_schema)
        self._serializer = SchemaSerializer(self.core_schema, CoreConfig(ser_json_inf_nan="constants"))
        self._schemas: dict[JsonSchemaMode, dict[str, Any]] = {}
        self._digest = ""
        if not parts_known:
            _ = self.accepted_schema, self.sent_schema  # fails where JSON cannot carry a part of the type

    @property
    def accepted_schema(self) -> dict[str, object]:
        """JSON Schema of what is accepted."""
        return self._schema("validation")

    @property
    def sent_schema(self) -> dict[str, object]:
        """JSON Schema of what is sent."""
        return self._schema("serialization")

    @property
    def digest(self) -> str:
        """What changes exactly when what is accepted or sent changes."""
        if not self._digest:
            self._digest = digest(
                {
                    "accepted": canonical_schema(self.accepted_schema),
                    "sent": canonical_schema(self.sent_schema),
                    # JSON Schema has no words for a Decimal's places, an aware datetime or a strict int.
                    "validated": canonical_core_schema(self.core_schema),
                }
            )
        return self._digest

    def _schema(self, mode: JsonSchemaMode) -> dict[str, object]:
        if mode not in self._schemas:
            self._schemas[mode] = _json_schema(self.core_schema, mode)
        return self._schemas[mode]

    def validate(self, value: object, *, strict: bool | None = None) -> Any:  # noqa: ANN401 - of the annotated type, or its JSON
        """Validate a Python value."""
        return self._validator.validate_python(value, strict=strict)

    def encode(self, value: object) -> Any:  # noqa: ANN401 - of the annotated type, or its JSON
        """Turn a validated value into JSON data."""
        data = self._serializer.to_python(value, mode="json", by_alias=True, warnings="error")
        if self._facts.masked:
            data = self._revealed(data, value)
        text = to_json(data, inf_nan_mode="constants")  # text that is no Unicode fails here, not in the worker
        if b'"__type__"' in text and _is_kombus(data):
            raise ValueError("a mapping of __type__ and __value__ alone, which kombu takes for a value of its own")
        # An Any may hold a secret too: its mask in the output is what gives it away, and costs little to look for.
        if self._facts.opaque and not self._facts.masked and _MASK in text and _holds_secret(value):
            data = self._revealed(data, value)
        if self._facts.uncertain:
            self._check_readable(data)
        return data

    def _revealed(self, data: object, value: object) -> object:
        native = self._serializer.to_python(value, mode="python", by_alias=True, warnings="error")
        return _reveal(data, native, self._bytes_mode())

    def _check_readable(self, data: object) -> None:
        try:
            self.decode(data)
        except ValidationError as error:
            detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
            path = ".".join(str(part) for part in detail["loc"])
            raise ValueError(f"its JSON cannot be read back: {path}: {detail['msg']}") from None

    def decode(self, data: object) -> Any:  # noqa: ANN401 - of the annotated type, or its JSON
        """Turn JSON data into a validated value."""
        return self._validator.validate_json(self._text(data))

    def _text(self, data: object) -> bytes:
        return to_json(data, by_alias=True, inf_nan_mode="constants", bytes_mode=self._bytes_mode())

    def _bytes_mode(self) -> BytesMode:
        modes = self._facts.bytes_modes
        return next(iter(modes)) if len(modes) == 1 else "utf8"


def _require_usable(facts: SchemaFacts) -> None:
    if facts.unsendable:
        raise UnusableTypeError(
            f"JSON cannot carry {' or '.join(sorted(facts.unsendable))}",
            "use a type that pydantic turns into JSON and back",
            "not_json",
        )
    if facts.unreadable:
        by_model: dict[str, list[Unreadable]] = {}
        for field in dict.fromkeys(facts.unreadable):
            by_model.setdefault(field.model, []).append(field)
        reasons = [f"{model} cannot read its own JSON: {_told(fields)}" for model, fields in by_model.items()]
        remedies = dict.fromkeys(field.remedy for field in facts.unreadable)
        raise UnusableTypeError("; ".join(reasons), "; ".join(remedies), "alias_asymmetry")


def _told(fields: list[Unreadable]) -> str:
    return "; ".join(f"field {one.field!r} is {one.got}, the model expects {one.expected}" for one in fields)


class NativePayload(Payload):
    """A payload of a name that no contract declares: datetimes, Decimals, UUIDs and bytes travel as kombu writes them.

    That is what callers and implementations without a contract had before, and what Celery does with such values.
    Source: https://github.com/celery/kombu/blob/main/kombu/utils/json.py
    """

    __slots__ = ()

    def encode(self, value: object) -> object:
        """Turn a validated value into what kombu's JSON carries."""
        return _native(self._serializer.to_python(value, mode="python", by_alias=True))

    def decode(self, data: object) -> object:
        """Turn what kombu's JSON carried into a validated value."""
        try:
            return self.validate(data)
        except ValidationError:
            return super().decode(data)  # what only JSON mode reads, such as a strict model's UUID


_payloads: WeakValueDictionary[tuple[Any, str, type[Payload]], Payload] = WeakValueDictionary()


def payload_of(annotation: object, kind: type[Payload] = Payload) -> Payload:
    """Compile a type, once for all tasks that name it."""
    # What is equal need not be the same: int | str and str | int try their members in another order.
    key = (annotation, repr(annotation), kind)
    try:
        payload = _payloads.get(key)
    except TypeError:  # Annotated with a list in it has no hash
        return kind(annotation)
    if payload is None:
        payload = _payloads[key] = kind(annotation)
    return payload


def _native(value: object) -> object:
    if isinstance(value, _SECRETS):
        return _native(value.get_secret_value())
    if isinstance(value, Mapping):
        return {key: _native(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_native(item) for item in value]
    if isinstance(value, _KOMBU_TYPES) and not isinstance(value, Enum):
        return value
    return to_jsonable_python(value, by_alias=True)


def _is_kombus(data: object) -> bool:
    if isinstance(data, dict):
        return data.keys() == {"__type__", "__value__"} or any(_is_kombus(value) for value in data.values())
    return isinstance(data, list) and any(_is_kombus(value) for value in data)


def _holds_secret(value: object) -> bool:
    if isinstance(value, _SECRETS):
        return True
    if isinstance(value, BaseModel):
        return any(_holds_secret(item) for _, item in value)
    if is_dataclass(value):
        return any(_holds_secret(getattr(value, info.name, None)) for info in fields(value))
    if isinstance(value, Mapping):
        return any(_holds_secret(item) for pair in value.items() for item in pair)
    return isinstance(value, (list, tuple, set, frozenset)) and any(_holds_secret(item) for item in value)


def _reveal(data: object, native: object, bytes_mode: BytesMode) -> object:
    """Return JSON-mode data with the secrets that Python-mode data still holds."""
    if isinstance(native, _SECRETS):
        return to_jsonable_python(native.get_secret_value(), bytes_mode=bytes_mode)
    if isinstance(native, Mapping) and isinstance(data, dict) and len(native) == len(data):
        return {
            _reveal_key(key, native_key): _reveal(value, native_value, bytes_mode)
            for (key, value), (native_key, native_value) in zip(data.items(), native.items(), strict=True)
        }
    if isinstance(native, (list, tuple)) and isinstance(data, list) and len(native) == len(data):
        return [_reveal(value, inner, bytes_mode) for value, inner in zip(data, native, strict=True)]
    if _holds_secret(native):
        raise ValueError("a secret in a set, or below a custom serializer that changes its shape, would arrive masked")
    return data


def _reveal_key(key: str, native: object) -> str:
    return str(native.get_secret_value()) if isinstance(native, _SECRETS) else key


def _core_schema(annotation: Any) -> CoreSchema:  # noqa: ANN401 - of the annotated type, or its JSON
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            schema = TypeAdapter(annotation).core_schema
            _ = schema["type"]  # a type that is not complete yet fails only when it is looked at
    except PydanticUndefinedAnnotation as error:
        raise _undefined(str(error.name)) from None
    except PydanticSchemaGenerationError as error:
        raise UnusableTypeError(
            _first_sentence(error), "use a type that pydantic has a schema for", "no_schema"
        ) from None
    except PydanticUserError as error:
        lost = _undefined_name(annotation)
        if lost:
            raise _undefined(lost) from None
        raise UnusableTypeError(
            _first_sentence(error), "complete the type before the contract", error.code or ""
        ) from None
    except Exception as error:  # noqa: BLE001 - a custom type's own schema hook may raise anything
        raise UnusableTypeError(
            f"pydantic cannot build a schema: {type(error).__name__}: {error}", "correct the type", "no_schema"
        ) from None
    return schema


def _undefined(name: str) -> UnusableTypeError:
    return UnusableTypeError(
        f"it refers to {name!r}, which is not defined",
        f"define or import {name!r} before the contract, where the module is loaded",
        "unresolved_annotation",
    )


def _undefined_name(annotation: object) -> str:
    """Return the name that keeps a model in a type from being complete."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        try:
            annotation.model_rebuild(raise_errors=True)
        except PydanticUndefinedAnnotation as error:
            return str(error.name)
        except PydanticUserError:
            return ""
    return next((name for item in get_args(annotation) if (name := _undefined_name(item))), "")


def _json_schema(schema: CoreSchema, mode: JsonSchemaMode) -> dict[str, object]:
    try:
        return _WireSchema(by_alias=True).generate(schema, mode=mode)
    except PydanticUserError as error:
        raise UnusableTypeError(_first_sentence(error), "use a type that JSON can carry", "not_json") from None


def _first_sentence(error: Exception) -> str:
    return str(error).split("\n", 1)[0].split(". Set ", 1)[0].rstrip(".")
