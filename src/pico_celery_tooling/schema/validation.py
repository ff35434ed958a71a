"""Whether a JSON value is what a schema of a document describes, as JSON Schema says and as a worker would."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from pico_celery.document.records import Document, JsonSchema, relocated
from pico_celery_tooling.schema.normalize import ONLY_PATTERN, explicit, is_scalar, parts
from pico_celery_tooling.schema.pydantic_validator import Rebuilt, aliases, scalar, tags_of
from pico_celery_tooling.schema.words import one_of, same_json, short

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaError
    from jsonschema.protocols import Validator


BY_PYDANTIC: Final = "pydantic"
"""The keyword of what pydantic alone has found."""
NOTHING: Final = object()
"""What is there where a value is missing."""
_TAGS: Final = "x-tags"


@cache
def validator_class() -> Any:
    """Return `jsonschema`'s class of validators of Draft 2020-12, with the keywords of this module."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - commands that check no value start faster
    from jsonschema.validators import extend  # noqa: PLC0415 - as above

    standard = Draft202012Validator.VALIDATORS

    def unless_scalar(name: str) -> Any:
        def check(validator: Validator, expected: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
            if not is_scalar(node.get("type")):
                yield from standard[name](validator, expected, value, node) or ()

        return check

    def tagged(validator: Validator, members: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
        tag = node.get("discriminator", {}).get("propertyName")
        if tag is None:
            yield from standard["anyOf"](validator, members, value, node) or ()
        else:
            yield from _tagged(validator, members, value, node)

    make: Any = extend  # which has no types
    return make(
        Draft202012Validator,
        {
            "type": _type,
            "pattern": unless_scalar("pattern"),
            "multipleOf": unless_scalar("multipleOf"),
            "required": _required,
            "oneOf": tagged,
            ONLY_PATTERN: _only_pattern,
        },
    )


@cache
def registry() -> Any:
    """Return a registry of schemas that looks nothing up anywhere."""
    from referencing import Registry  # noqa: PLC0415 - jsonschema's own, as late as it

    return Registry()


def error_of(message: str, value: Any, *, validator: str, path: Iterable[str | int] = ()) -> SchemaError:
    """Return an error of `jsonschema`'s."""
    from jsonschema.exceptions import ValidationError as Error  # noqa: PLC0415 - as above

    return Error(message, validator=validator, instance=value, path=path)


def _type(validator: Validator, expected: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
    kinds = expected if isinstance(expected, list) else [expected]
    if not any(validator.is_type(value, kind) for kind in kinds):
        yield error_of(" or ".join(kinds), value, validator="type")
        return
    reader = _reader(node) if is_scalar(expected) else None
    if reader is None:
        return
    try:
        reader.validate_json(json.dumps(value))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
        yield error_of(wanted(detail["msg"], node), value, validator=BY_PYDANTIC)


def _reader(node: JsonSchema) -> SchemaValidator | None:
    text = json.dumps({key: value for key, value in node.items() if key not in _TEXTS}, sort_keys=True, default=repr)
    return _read(text)


_TEXTS: Final = frozenset({"title", "description", "default", "examples", "deprecated", "enum", "const"})


@cache
def _read(text: str) -> SchemaValidator | None:
    made = scalar(json.loads(text))
    return None if made is None else SchemaValidator(made)


def wanted(message: str, node: JsonSchema) -> str:
    """Return what pydantic's message says is expected."""
    if node.get("pattern") and "pattern" in message:
        return f"text that matches {node['pattern']}"
    if node.get("format") and "should" not in message:
        return f"{node['format']} ({message})"
    return (
        message.removeprefix("Input should be ").removeprefix("Input should have ").removeprefix("Value should have ")
    )


def _required(validator: Validator, required: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
    if not validator.is_type(value, "object"):
        return
    for name in required:
        if name not in value and not aliases(name, node.get("properties", {}).get(name)):
            yield error_of("a value", NOTHING, validator="required", path=[name])


def _tagged(validator: Any, members: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
    tag = node["discriminator"]["propertyName"]
    if not isinstance(value, Mapping):
        yield error_of("object", value, validator="type")
        return
    if tag not in value:
        yield error_of("a value", NOTHING, validator="required", path=[tag])
        return
    for at, (member, values) in enumerate(zip(members, node[_TAGS], strict=True)):
        if values is None or any(same_json(value[tag], one) for one in values):
            yield from validator.descend(value, member, schema_path=at)
            return
    known = [one for values in node[_TAGS] for one in values or ()]
    yield error_of(one_of(known), value[tag], validator=_TAGS, path=[tag])


def _only_pattern(validator: Validator, pattern: str, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
    del node
    if not validator.is_type(value, "object"):
        return
    reader = _read(json.dumps({"type": "string", "pattern": pattern}))
    for name in value:
        if reader is not None and not _reads(reader, name):
            yield error_of(f"a name that matches {pattern}", name, validator=ONLY_PATTERN, path=[name])


def _reads(reader: SchemaValidator, value: Any) -> bool:
    try:
        reader.validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


def with_tags(document: Document, schema: JsonSchema) -> dict[str, Any]:
    """Return a schema as `explicit` does, where unions say with which values of their tag each member is meant."""
    root = explicit(schema)
    for part in parts(root):
        if "oneOf" in part and "discriminator" in part and isinstance(part, dict):
            tag = part["discriminator"]["propertyName"]
            part[_TAGS] = [tags_of(document, member, tag) for member in part["oneOf"]]
    return root


_PLAIN: Final = re.compile(r"[A-Za-z_][\w-]*\Z")


def path_text(steps: Iterable[str | int]) -> str:
    """Return a path as text.

    Args:
        steps: Names of properties and indexes of items.

    Returns:
        The path; empty for the payload itself.
    """
    text = ""
    for step in steps:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN.match(step):
            text += f".{step}" if text else step
        else:
            text += f'["{step}"]'
    return text


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
        schema: It: JSON Schema (Draft 2020-12) with the keywords of `pico_celery.document.lock_schema`.
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
