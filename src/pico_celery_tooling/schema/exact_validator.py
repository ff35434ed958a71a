"""pydantic's validator of what a schema describes: as a worker reads it, but without conversion between JSON types.

Unions are labelled in the errors (`is_label`), so that their parts can be told from the names of properties.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Final

from pydantic_core import CoreSchema, PydanticCustomError, SchemaValidator, core_schema

from pico_celery.document.lock_schema import KEYS
from pico_celery.document.records import Document, JsonSchema
from pico_celery_tooling.schema.pydantic_validator import Builder, WorkerValidator, scalar, tags_of
from pico_celery_tooling.schema.words import one_of, same_json

WRONG_TYPE: Final = "json_type"
WRONG_VALUE: Final = "json_value"
REPEATED: Final = "json_repeated"
EXPECTED: Final = "expected"
"""The key under which an error's context has its words."""

_LABEL: Final = "\0"
_MEMBER: Final = "\0member "
_CHOICE: Final = "\0choice "
_OTHER: Final = "\0other"
_TYPES: Final[Mapping[str, tuple[type[Any], ...]]] = {
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
}
_TEXTS: Final = frozenset({"title", "description", "default", "examples", "deprecated"})
_LIMITS: Final[Mapping[str, str]] = {
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "at least {min_length} characters",
    "string_too_long": "at most {max_length} characters",
}
_WORDED: Final = frozenset({"int", "float", "str"})
_PREFIXES: Final = ("Input should be ", "Input should have ", "Value should have ")


class ExactValidator(WorkerValidator):
    """A validator of what a schema describes, where `WorkerValidator` is one of what a worker takes."""

    def __init__(self, document: Document, schema: JsonSchema) -> None:
        self._validator = SchemaValidator(_ExactBuilder(document).whole(schema))


def is_label(step: str | int) -> bool:
    """Return whether a step of an error's location stands for a part of the schema, not of the value."""
    return isinstance(step, str) and step.startswith(_LABEL)


def is_member(step: str | int) -> bool:
    """Return whether a step of an error's location is a member of a union without a tag."""
    return isinstance(step, str) and step.startswith(_MEMBER)


def wanted(message: str, node: JsonSchema) -> str:
    """Return what pydantic's message says is expected."""
    if node.get("pattern") and "pattern" in message:
        return f"text that matches {node['pattern']}"
    if node.get("format") and "should" not in message:
        return f"{node['format']} ({message})"
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    return message


class _ExactBuilder(Builder):
    def _union(self, members: Iterable[Any]) -> CoreSchema:
        labelled: list[CoreSchema | tuple[CoreSchema, str]] = [
            (self._of(member), f"{_MEMBER}{at}") for at, member in enumerate(members)
        ]
        return core_schema.union_schema(labelled, mode="left_to_right") if labelled else core_schema.any_schema()

    def _tagged(self, node: JsonSchema, members: list[Any]) -> CoreSchema | None:
        tag = node.get("discriminator", {}).get("propertyName")
        values = [tags_of(self._document, member, tag) for member in members] if tag is not None else [None]
        tags = [(value, f"{_CHOICE}{at}") for at, known in enumerate(values) for value in known or ()]
        if None in values:
            return None

        def choose(value: Any) -> str:
            if not isinstance(value, Mapping) or tag not in value:
                return _OTHER
            return next((choice for known, choice in tags if same_json(known, value[tag])), _OTHER)

        field = core_schema.typed_dict_field(self._literal([value for value, _ in tags]), required=True)
        other = core_schema.typed_dict_schema({tag: field}, extra_behavior="ignore")
        choices = {f"{_CHOICE}{at}": self._of(member) for at, member in enumerate(members)}
        return core_schema.tagged_union_schema({**choices, _OTHER: other}, choose)

    def _literal(self, values: list[Any]) -> CoreSchema:
        def check(value: Any) -> Any:
            if not any(same_json(known, value) for known in values):
                raise _refusal(WRONG_VALUE, one_of(values) if values else "nothing, since no value is allowed")
            return value

        return core_schema.no_info_plain_validator_function(check)

    def _scalar(self, node: JsonSchema) -> CoreSchema:
        kind = node.get("type")
        if kind not in _TYPES:
            return core_schema.any_schema()
        said = {key: value for key, value in node.items() if key not in _TEXTS}
        return core_schema.no_info_plain_validator_function(_reader(json.dumps(said, sort_keys=True, default=repr)))

    def _keys(self, node: JsonSchema) -> CoreSchema:
        said = {key: node[key] for key in (KEYS, "propertyNames") if key in node}
        patterns: dict[str, Any] = {pattern: {} for pattern in node.get("patternProperties", {})}
        if not said and len(patterns) != 1:
            return core_schema.str_schema()
        values: dict[str, Any] = {"additionalProperties": {}} if said else {"patternProperties": patterns}
        keys = WorkerValidator(
            self._document, {"type": "object", **said, **values}
        )  # a key is text, whatever it stands for
        listed = self._document.resolve(node.get("propertyNames", {})).get("enum")

        def check(key: Any) -> Any:
            for detail in keys.errors({key: None}):
                if listed:
                    raise _refusal(WRONG_VALUE, one_of(listed))
                pattern = next(iter(patterns), None)
                raise _refusal(
                    detail["type"], f"a name that matches {pattern}" if pattern else wanted(detail["msg"], {})
                )
            return key

        return core_schema.no_info_plain_validator_function(check)

    def _tuple(self, node: JsonSchema, parts: list[CoreSchema]) -> CoreSchema:
        fewest = node.get("minItems", 0)

        def choose(value: Any) -> str:
            fits = isinstance(value, list) and fewest <= len(value) <= len(parts)
            return f"{_CHOICE}{len(value)}" if fits else _OTHER

        choices: dict[str, CoreSchema] = {
            f"{_CHOICE}{length}": core_schema.tuple_schema(parts[:length]) for length in range(fewest, len(parts) + 1)
        }
        other = core_schema.list_schema(min_length=fewest, max_length=len(parts))
        return core_schema.tagged_union_schema({**choices, _OTHER: other}, choose)

    def _unique(self, node: JsonSchema, item: CoreSchema, lengths: dict[str, Any]) -> CoreSchema:
        del node
        return core_schema.no_info_wrap_validator_function(_without_repeats, core_schema.list_schema(item, **lengths))


def _without_repeats(value: Any, validate: Callable[[Any], Any]) -> Any:
    result = validate(value)
    if len({json.dumps(item, sort_keys=True) for item in value}) < len(value):
        raise _refusal(REPEATED, "no item twice")
    return result


def _refusal(code: Any, expected: str) -> PydanticCustomError:
    return PydanticCustomError(code, "{expected}", {EXPECTED: expected})


@cache
def _reader(text: str) -> Callable[[Any], Any]:
    """Return what checks a scalar: its JSON type, then all that pydantic's own parser knows."""
    node = json.loads(text)
    kind = node["type"]
    made = scalar(node) or scalar({key: value for key, value in node.items() if key != "pattern"})
    inner = None if made is None else SchemaValidator(made)
    is_worded = made is not None and made["type"] in _WORDED

    def check(value: Any) -> Any:
        if not _is_of(value, kind):
            raise _refusal(WRONG_TYPE, kind)
        if inner is None:
            return value
        try:
            inner.validate_json(json.dumps(value))
        except ValueError as error:
            detail = error.errors(include_url=False, include_input=False)[0]  # type: ignore[attr-defined]
            limit = _LIMITS.get(detail["type"]) if is_worded else None
            said = limit.format(**_plain(node, detail["ctx"])) if limit else wanted(detail["msg"], node)
            raise _refusal(detail["type"], said) from None
        return value

    return check


def _plain(node: JsonSchema, context: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return limits as the schema writes them: 0 rather than 0.0."""
    written = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}
    return {name: node.get(written.get(name, ""), value) for name, value in context.items()}


def _is_of(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _TYPES[kind]) or (kind == "integer" and isinstance(value, float) and value.is_integer())
