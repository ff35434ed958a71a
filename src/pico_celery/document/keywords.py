"""The keywords of JSON Schema as `jsonschema` checks them, where a worker's types say more or something else.

Numbers and texts are read by pydantic, members of a union are chosen by their tag, and names may have aliases.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import SchemaValidator

from pico_celery.document.explicit import ONLY_PATTERN, explicit, is_scalar, parts
from pico_celery.document.rebuilt import aliases, tags_of
from pico_celery.document.records import Document, JsonSchema
from pico_celery.document.scalars import scalar
from pico_celery.document.words import one_of, same_json

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
