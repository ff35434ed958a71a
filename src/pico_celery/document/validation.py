"""Whether a JSON value is what a schema of a document describes, as JSON Schema says and as a worker would."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from pico_celery.document.explicit import ONLY_PATTERN, SCALARS, explicit, parts
from pico_celery.document.paths import path_text
from pico_celery.document.rebuilt import Rebuilt, aliases, tags_of
from pico_celery.document.records import Document, JsonSchema, relocated
from pico_celery.document.scalars import scalar

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError as SchemaError
    from jsonschema.protocols import Validator

_SHOWN: Final = 60
_OWN: Final = "pydantic"
_TAGS: Final = "x-tags"


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
        root: dict[str, Any] = relocated(_with_tags(document, schema), base)
        root["$defs"] = {name: relocated(_with_tags(document, document.schemas[name]), base) for name in definitions}
        self._validator = _validator_class()(root, registry=_registry())
        self._rebuilt = Rebuilt(document, schema)

    def violations(self, value: Any) -> list[Violation]:
        """Return what speaks against a value, one for each place, in the order of the schema."""
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            return [Violation(path="", expected="JSON data", got=str(error))]
        found: dict[str, Violation] = {}
        faults = [leaf for fault in self._validator.iter_errors(value) for leaf in _deepest(fault)]
        for fault in sorted(faults, key=lambda fault: fault.validator == _OWN):
            violation = _violation(fault)
            found.setdefault(violation.path, violation)
        if not found:  # such as a name that only an alias gives
            for detail in self._rebuilt.errors(value):
                violation = _by_pydantic(detail, value)
                found.setdefault(violation.path, violation)
        return list(found.values())

    def is_valid(self, value: Any) -> bool:
        """Tell whether nothing speaks against a value."""
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            return False
        return self._validator.is_valid(value) and self._rebuilt.accepts(value)


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


@cache
def _validator_class() -> Any:
    from jsonschema import Draft202012Validator  # noqa: PLC0415 - commands that check no value start faster
    from jsonschema.validators import extend  # noqa: PLC0415 - as above

    standard = Draft202012Validator.VALIDATORS

    def unless_scalar(name: str) -> Any:
        def check(validator: Validator, expected: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
            if node.get("type") not in SCALARS:
                yield from standard[name](validator, expected, value, node) or ()

        return check

    def one_of(validator: Validator, members: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
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
            "oneOf": one_of,
            ONLY_PATTERN: _only_pattern,
        },
    )


@cache
def _registry() -> Any:
    from referencing import Registry  # noqa: PLC0415 - jsonschema's own, as late as it

    return Registry()


def _error(message: str, value: Any, *, validator: str, path: Iterable[str | int] = ()) -> SchemaError:
    from jsonschema.exceptions import ValidationError as Error  # noqa: PLC0415 - as above

    return Error(message, validator=validator, instance=value, path=path)


def _type(validator: Validator, expected: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
    kinds = expected if isinstance(expected, list) else [expected]
    if not any(validator.is_type(value, kind) for kind in kinds):
        yield _error(" or ".join(kinds), value, validator="type")
        return
    reader = _reader(node) if expected in SCALARS else None
    if reader is None:
        return
    try:
        reader.validate_json(json.dumps(value))
    except ValidationError as error:
        detail = error.errors(include_url=False, include_context=False, include_input=False)[0]
        yield _error(_wanted(detail["msg"], node), value, validator=_OWN)


def _reader(node: JsonSchema) -> SchemaValidator | None:
    text = json.dumps({key: value for key, value in node.items() if key not in _TEXTS}, sort_keys=True, default=repr)
    return _read(text)


_TEXTS: Final = frozenset({"title", "description", "default", "examples", "deprecated", "enum", "const"})


@cache
def _read(text: str) -> SchemaValidator | None:
    made = scalar(json.loads(text))
    return None if made is None else SchemaValidator(made)


def _wanted(message: str, node: JsonSchema) -> str:
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
            yield _error("a value", _NOTHING, validator="required", path=[name])


_NOTHING: Final = object()


def _tagged(validator: Any, members: Any, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
    tag = node["discriminator"]["propertyName"]
    if not isinstance(value, Mapping):
        yield _error("object", value, validator="type")
        return
    if tag not in value:
        yield _error("a value", _NOTHING, validator="required", path=[tag])
        return
    for at, (member, values) in enumerate(zip(members, node[_TAGS], strict=True)):
        if values is None or any(same_json(value[tag], one) for one in values):
            yield from validator.descend(value, member, schema_path=at)
            return
    known = [one for values in node[_TAGS] for one in values or ()]
    yield _error(one_of(known), value[tag], validator=_TAGS, path=[tag])


def _only_pattern(validator: Validator, pattern: str, value: Any, node: JsonSchema) -> Iterator[SchemaError]:
    del node
    if not validator.is_type(value, "object"):
        return
    reader = _read(json.dumps({"type": "string", "pattern": pattern}))
    for name in value:
        if reader is not None and not _reads(reader, name):
            yield _error(f"a name that matches {pattern}", name, validator=ONLY_PATTERN, path=[name])


def _reads(reader: SchemaValidator, value: Any) -> bool:
    try:
        reader.validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


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
    wanted = dict.fromkeys(_told_at(inner, here) for errors in members.values() for inner in errors[:1])
    yield _error(" or ".join(wanted), error.instance, validator=str(error.validator), path=error.absolute_path)


def _told_at(error: SchemaError, here: int) -> str:
    steps = list(error.absolute_path)[here:]
    return f"{_told(error)} at {path_text(steps)}" if steps else _told(error)


def _violation(error: SchemaError) -> Violation:
    path: list[str | int] = list(error.absolute_path)
    got = "nothing" if error.instance is _NOTHING else short(error.instance)
    if error.validator == "additionalProperties" and isinstance(error.instance, Mapping):
        known = error.schema.get("properties", {}) if isinstance(error.schema, Mapping) else {}
        unknown = next((name for name in error.instance if name not in known), None)
        if unknown is not None:
            return Violation(
                path=path_text([*path, unknown]), expected="no such property", got=short(error.instance[unknown])
            )
    return Violation(path=path_text(path), expected=_told(error), got=got)


def _told(error: SchemaError) -> str:
    """Say in words what a keyword of JSON Schema wants."""
    wanted = error.validator_value
    told = {
        "const": f"{short(wanted)}",
        "minimum": f"at least {wanted}",
        "maximum": f"at most {wanted}",
        "exclusiveMinimum": f"more than {wanted}",
        "exclusiveMaximum": f"less than {wanted}",
        "minLength": f"at least {wanted} characters",
        "maxLength": f"at most {wanted} characters",
        "minItems": f"at least {wanted} items",
        "maxItems": f"at most {wanted} items",
        "minProperties": f"at least {wanted} properties",
        "maxProperties": f"at most {wanted} properties",
        "uniqueItems": "no item twice",
        "multipleOf": f"a multiple of {wanted}",
    }
    if error.validator == "enum" and isinstance(wanted, list):
        return one_of(wanted)
    return told.get(str(error.validator), error.message)


def _by_pydantic(detail: Any, value: Any) -> Violation:
    path: list[str | int] = []
    for step in detail["loc"]:  # between the names and indexes stand the members of unions
        if isinstance(value, Mapping) and isinstance(step, str) and (step in value or detail["type"] == "missing"):
            value = value.get(step, _NOTHING)
        elif isinstance(value, list) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            continue
        path.append(step)
    got = "nothing" if value is _NOTHING else short(value)
    return Violation(path=path_text(path), expected=_wanted(detail["msg"], {}), got=got)


def one_of(values: Iterable[Any]) -> str:
    """Return values as text: ``one of "a", "b"``."""
    texts = [short(value) for value in values]
    return texts[0] if len(texts) == 1 else f"one of {', '.join(texts)}"


def short(value: Any) -> str:
    """Return a value as JSON that fits into a line."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError):
        text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."


def same_json(one: Any, other: Any) -> bool:
    """Tell whether two values are the same JSON: `True` is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _with_tags(document: Document, schema: JsonSchema) -> dict[str, Any]:
    """Return a schema as `explicit` does, where unions say with which values of their tag each member is meant."""
    root = explicit(schema)
    for part in parts(root):
        if "oneOf" in part and "discriminator" in part and isinstance(part, dict):
            tag = part["discriminator"]["propertyName"]
            part[_TAGS] = [tags_of(document, member, tag) for member in part["oneOf"]]
    return root
