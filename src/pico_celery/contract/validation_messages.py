"""pydantic's validation errors in this library's words: one table by error type, for arguments, results, fields, options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from pydantic_core import ErrorDetails, PydanticKnownError

from pico_celery.contract.typenames import value_text


class ValidationMessage(NamedTuple):
    """What a fault says of one of pydantic's errors: `expected` and `got`, or a `sentence` that says it all."""

    expected: str = ""
    got: str = ""
    sentence: str = ""


# What a value of another type, or a text that cannot be parsed, should have been.
_TYPES: Final[Mapping[str, str]] = {
    "string_type": "str",
    "bytes_type": "bytes",
    "bool_type": "bool",
    "bool_parsing": "bool",
    "int_type": "int",
    "int_parsing": "int",
    "int_parsing_size": "int",
    "int_from_float": "int",
    "float_type": "float",
    "float_parsing": "float",
    "decimal_type": "Decimal",
    "decimal_parsing": "Decimal",
    "date_type": "date",
    "date_parsing": "date",
    "date_from_datetime_parsing": "date",
    "time_type": "time",
    "time_parsing": "time",
    "datetime_type": "datetime",
    "datetime_parsing": "datetime",
    "datetime_from_date_parsing": "datetime",
    "time_delta_type": "timedelta",
    "time_delta_parsing": "timedelta",
    "uuid_type": "UUID",
    "uuid_parsing": "UUID",
    "url_type": "URL",
    "url_parsing": "URL",
    "list_type": "list",
    "tuple_type": "tuple",
    "set_type": "set",
    "frozen_set_type": "frozenset",
    "dict_type": "dict",
    "model_type": "{class_name}",
    "dataclass_type": "{class_name}",
    "is_instance_of": "{class}",
    "none_required": "None",
}
# What a value of the right type should have been.
_LIMITS: Final[Mapping[str, str]] = {
    "missing": "a value",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "a value greater than {gt}",
    "greater_than_equal": "a value of at least {ge}",
    "less_than": "a value less than {lt}",
    "less_than_equal": "a value of at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "finite_number": "a finite number",
    "string_too_short": "a minimum length of {min_length}",
    "string_too_long": "a maximum length of {max_length}",
    "string_pattern_mismatch": "a str that matches '{pattern}'",
    "too_short": "a minimum length of {min_length}",
    "too_long": "a maximum length of {max_length}",
    "timezone_aware": "a time with a time zone",
    "timezone_naive": "a time without a time zone",
    "decimal_max_digits": "at most {max_digits} digits",
    "decimal_max_places": "at most {decimal_places} decimal places",
}
_FROM_VALIDATORS: Final = {"value_error": "Value error, ", "assertion_error": "Assertion failed, "}


def validation_message(detail: ErrorDetails, *, sensitive: bool, declared: str = "") -> ValidationMessage:
    """Return what a fault says of one of pydantic's errors."""
    kind, context = detail["type"], detail.get("ctx", {})
    if not _is_pydantics_own(detail):
        return ValidationMessage(sentence=_invalid(kind, detail["msg"], sensitive=sensitive))
    if kind in _TYPES:
        return ValidationMessage(declared or _TYPES[kind].format_map(context), _got(detail, sensitive=sensitive))
    if kind in _LIMITS:
        return ValidationMessage(_LIMITS[kind].format_map(context), _got(detail, sensitive=sensitive))
    return ValidationMessage(sentence=_sentence(kind, context, detail["msg"], sensitive=sensitive))


def _sentence(kind: str, context: Mapping[str, object], message: str, *, sensitive: bool) -> str:
    if kind == "extra_forbidden":
        return "unexpected field"
    if kind == "union_tag_invalid":
        tag = "(not shown)" if sensitive else repr(context["tag"])
        return f"unknown tag {tag}; expected one of {context['expected_tags']}"
    if kind == "union_tag_not_found":
        return f"missing tag {context['discriminator']}"
    return _invalid(kind, message, sensitive=sensitive)


def _invalid(kind: str, message: str, *, sensitive: bool) -> str:
    # A validator's own text, and a message that is not known here, may quote the value.
    return "invalid (not shown)" if sensitive else f"invalid: {message.removeprefix(_FROM_VALIDATORS.get(kind, ''))}"


def _is_pydantics_own(detail: ErrorDetails) -> bool:
    """Return whether pydantic wrote the message; a `PydanticCustomError` may have the same type with a text of its own."""
    kind: Any = detail["type"]
    try:
        known = PydanticKnownError(kind, detail.get("ctx")).message()
    except (KeyError, TypeError):  # no such type, or not the context that it has
        return False
    # What is read from JSON is called otherwise: an array, an object, a duration.
    return detail["msg"] == known or (kind in _TYPES and detail["msg"].startswith("Input should be "))


def _got(detail: ErrorDetails, *, sensitive: bool) -> str:
    if detail["type"] == "missing":
        return "nothing"
    value = detail["input"]
    return f"a value of type {type(value).__name__}, not shown" if sensitive else value_text(value)
