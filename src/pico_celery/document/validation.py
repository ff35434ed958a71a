"""Whether a JSON value is what a schema of a document describes, as JSON Schema says and as a worker would."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pico_celery.document.keywords import BY_PYDANTIC, NOTHING, error_of, registry, validator_class, wanted, with_tags
from pico_celery.document.paths import path_text
from pico_celery.document.rebuilt import Rebuilt
from pico_celery.document.records import Document, JsonSchema, relocated
from pico_celery.document.words import one_of, short

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaError


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A place where a value is not what its schema describes.

    Attributes:
        path: Where, such as ``lines[0].price``; empty for the value itself.
        expected: What the schema describes there, for people.
        got: What is there, as short JSON.
    """

    path: str
    expected: str
    got: str


class Checker:
    """What finds the violations of one schema, for many values.

    Args:
        document: What holds the models that the schema refers to.
        schema: It: JSON Schema (Draft 2020-12) with the keywords of `pico_celery.document.telling`.
    """

    def __init__(self, document: Document, schema: JsonSchema) -> None:
        base = "#/$defs/"
        whole = document.standalone(schema)
        definitions = whole.pop("$defs", {})
        root: dict[str, Any] = relocated(with_tags(document, schema), base)
        root["$defs"] = {name: relocated(with_tags(document, document.schemas[name]), base) for name in definitions}
        self._validator = validator_class()(root, registry=registry())
        self._rebuilt = Rebuilt(document, schema)

    def violations(self, value: Any) -> list[Violation]:
        """Return what speaks against a value, one for each place, in the order of the schema."""
        return [violation for _, violation in self.located(value)]

    def located(self, value: Any) -> list[tuple[tuple[str | int, ...], Violation]]:
        """Return what `violations` returns, each with the steps of its path."""
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            return [((), Violation(path="", expected="JSON data", got=str(error)))]
        found: dict[tuple[str | int, ...], Violation] = {}
        faults = [leaf for fault in self._validator.iter_errors(value) for leaf in _deepest(fault)]
        for fault in sorted(faults, key=lambda fault: fault.validator == BY_PYDANTIC):
            steps, expected, got = _fault(fault)
            found.setdefault(steps, Violation(path=path_text(steps), expected=expected, got=got))
        if not found:  # such as a name that only an alias gives
            for detail in self._rebuilt.errors(value):
                steps, expected, got = _by_pydantic(detail, value)
                found.setdefault(steps, Violation(path=path_text(steps), expected=expected, got=got))
        return list(found.items())

    def is_valid(self, value: Any) -> bool:
        """Tell whether nothing speaks against a value."""
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            return False
        return self._validator.is_valid(value) and self._rebuilt.accepts(value)

    def is_taken(self, value: Any) -> bool:
        """Tell whether a worker would take a JSON value, which may have more or other parts than are described."""
        return self._rebuilt.accepts(value)


def violations(document: Document, schema: JsonSchema, value: Any) -> list[Violation]:
    """Find where a JSON value is not what a schema describes.

    Formats, patterns and the limits of dates and Decimals are checked by pydantic's own parsers, as the worker does it.
    What only the worker's models know, validators that are functions, is not checked.

    Args:
        document: What holds the models that the schema refers to.
        schema: It.
        value: JSON data.

    Returns:
        One violation for each place; empty where the value is valid.
    """
    return Checker(document, schema).violations(value)


def _deepest(error: SchemaError) -> Iterator[SchemaError]:
    """Go into a union: to the member that fits the value best, told by how deep its first fault lies."""
    if not error.context:
        yield error
        return
    members: dict[Any, list[SchemaError]] = {}
    for inner in error.context:
        members.setdefault(inner.schema_path[0], []).append(inner)
    here = len(error.absolute_path)
    nested = [
        [leaf for inner in errors for leaf in _deepest(inner)]
        for errors in members.values()
        if all(len(inner.absolute_path) > here or inner.validator not in {"type", "enum", "const"} for inner in errors)
    ]
    if len(nested) == 1:
        yield from nested[0]
        return
    expected = dict.fromkeys(_told_at(inner, here) for errors in members.values() for inner in errors[:1])
    yield error_of(" or ".join(expected), error.instance, validator=str(error.validator), path=error.absolute_path)


def _told_at(error: SchemaError, here: int) -> str:
    steps = list(error.absolute_path)[here:]
    return f"{_told(error)} at {path_text(steps)}" if steps else _told(error)


def _fault(error: SchemaError) -> tuple[tuple[str | int, ...], str, str]:
    path = tuple(error.absolute_path)
    got = "nothing" if error.instance is NOTHING else short(error.instance)
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        unknown = next((name for name in error.instance if name not in known), None)
        if unknown is not None:
            return (*path, unknown), "no such property", short(error.instance[unknown])
    return path, _told(error), got


def _told(error: SchemaError) -> str:
    """Say in words what a keyword of JSON Schema wants."""
    limit = error.validator_value
    told = {
        "const": f"{short(limit)}",
        "minimum": f"at least {limit}",
        "maximum": f"at most {limit}",
        "exclusiveMinimum": f"more than {limit}",
        "exclusiveMaximum": f"less than {limit}",
        "minLength": f"at least {limit} characters",
        "maxLength": f"at most {limit} characters",
        "minItems": f"at least {limit} items",
        "maxItems": f"at most {limit} items",
        "minProperties": f"at least {limit} properties",
        "maxProperties": f"at most {limit} properties",
        "uniqueItems": "no item twice",
        "multipleOf": f"a multiple of {limit}",
    }
    if error.validator == "enum" and isinstance(limit, list):
        return one_of(limit)
    return told.get(str(error.validator), error.message)


def _by_pydantic(detail: Any, value: Any) -> tuple[tuple[str | int, ...], str, str]:
    path: list[str | int] = []
    for step in detail["loc"]:  # between the names and indexes stand the members of unions
        if isinstance(value, Mapping) and isinstance(step, str) and (step in value or detail["type"] == "missing"):
            value = value.get(step, NOTHING)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        path.append(step)
    got = "nothing" if value is NOTHING else short(value)
    return tuple(path), wanted(detail["msg"], {}), got
