"""Check a JSON value against a schema of a document, and list where it does not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, SchemaValidator, core_schema

from pico_celery.document.lock_schema import KEYS
from pico_celery.document.records import Document, JsonSchema
from pico_celery_tooling.schema.pydantic_validator import Builder, WorkerValidator, scalar, tags_of
from pico_celery_tooling.schema.words import one_of, same_json, short

WRONG_TYPE: Final = "json_type"
WRONG_VALUE: Final = "json_value"
REPEATED: Final = "json_repeated"
EXPECTED: Final = "expected"
"""The key under which an error's context has its words."""

_LABEL: Final = "\0"
_MEMBER: Final = "\0member "
_CHOICE: Final = "\0choice "
_OTHER: Final = "\0other"
_PYTHON_TYPES: Final[Mapping[str, tuple[type[Any], ...]]] = {
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

        def choose(value: object) -> str:
            if not isinstance(value, Mapping) or tag not in value:
                return _OTHER
            return next((choice for known, choice in tags if same_json(known, value[tag])), _OTHER)

        field = core_schema.typed_dict_field(self._literal([value for value, _ in tags]), required=True)
        other = core_schema.typed_dict_schema({tag: field}, extra_behavior="ignore")
        choices = {f"{_CHOICE}{at}": self._of(member) for at, member in enumerate(members)}
        return core_schema.tagged_union_schema({**choices, _OTHER: other}, choose)

    def _literal(self, values: list[Any]) -> CoreSchema:
        def check(value: object) -> object:
            if not any(same_json(known, value) for known in values):
                raise _refusal(WRONG_VALUE, one_of(values) if values else "nothing, since no value is allowed")
            return value

        return core_schema.no_info_plain_validator_function(check)

    def _scalar(self, node: JsonSchema) -> CoreSchema:
        kind = node.get("type")
        if kind not in _PYTHON_TYPES:
            return core_schema.any_schema()
        said = {key: value for key, value in node.items() if key not in _TEXTS}
        return core_schema.no_info_plain_validator_function(_reader(json.dumps(said, sort_keys=True, default=repr)))

    def _keys(self, node: JsonSchema) -> CoreSchema:
        said = {key: node[key] for key in (KEYS, "propertyNames") if key in node}
        patterns: dict[str, Any] = {pattern: {} for pattern in node.get("patternProperties", {})}
        if not said and len(patterns) != 1:
            return core_schema.str_schema()
        values: dict[str, Any] = {"additionalProperties": {}} if said else {"patternProperties": patterns}
        # A key is a string, whatever type is read from it.
        keys = WorkerValidator(self._document, {"type": "object", **said, **values})
        listed = self._document.resolve(node.get("propertyNames", {})).get("enum")

        def check(key: object) -> object:
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


def _without_repeats(value: Any, validate: Callable[[Any], Any]) -> object:
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

    def check(value: object) -> object:
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


def _is_of(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _PYTHON_TYPES[kind]) or (
        kind == "integer" and isinstance(value, float) and value.is_integer()
    )


_NOTHING: Final = object()
_TYPES: Final[Mapping[str, str]] = {
    "list_type": "array",
    "tuple_type": "array",
    "dict_type": "object",
    "none_required": "null",
    "string_type": "string",
}
_WORDS: Final[Mapping[str, str]] = {**_TYPES, "missing": "a value", "extra_forbidden": "no such property"}
_COUNTED: Final[Mapping[str, str]] = {"Dictionary": "properties"}
_KEY: Final = "[key]"


_PLAIN: Final = re.compile(r"[A-Za-z_][\w-]*\Z")


def path_text(steps: Iterable[str | int]) -> str:
    """Return a path as text."""
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
    """A place where a value is not what its schema describes."""

    path: str
    """Where, such as ``lines[0].price``; empty for the value itself."""
    expected: str
    """What the schema describes there, for people."""
    got: str
    """What is there, as short JSON."""


class Checker:
    """What finds the violations of one schema, for many values."""

    def __init__(self, document: Document, schema: JsonSchema) -> None:
        self._exact = ExactValidator(document, schema)
        self._converting = WorkerValidator(document, schema)

    def violations(self, value: object) -> list[Violation]:
        """Return where a value does not fit, one violation for each place."""
        return [violation for _, violation in self.located(value)]

    def located(self, value: object) -> list[tuple[tuple[str | int, ...], Violation]]:
        """Return what `violations` returns, each with the steps of its path."""
        try:
            json.dumps(value)
        except (TypeError, ValueError) as error:
            return [((), Violation(path="", expected="JSON data", got=str(error)))]
        found: dict[tuple[str | int, ...], Violation] = {}
        faults = list(_deepest(self._exact.errors(value), value))
        if not faults:  # what conversion alone refuses, such as items of a set that are equal once they are read
            faults = [_converted(detail, value) for detail in self._converting.errors(value)]
        for fault in faults:
            violation = Violation(path=path_text(fault.steps), expected=fault.expected, got=fault.got)
            found.setdefault(fault.steps, violation)
        return list(found.items())

    def is_valid(self, value: object) -> bool:
        """Return whether a value fits."""
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            return False
        return self._exact.accepts(value) and self._converting.accepts(value)

    def is_taken(self, value: object) -> bool:
        """Return whether a worker would take a JSON value, which may have more or other parts than are described."""
        return self._converting.accepts(value)


def violations(document: Document, schema: JsonSchema, value: object) -> list[Violation]:
    """Find where a JSON value is not what a schema describes.

    Formats, patterns and the limits of dates and Decimals are checked by pydantic's own parsers, as the worker does it.
    What only the worker's models know, validators that are functions, is not checked.
    """
    return Checker(document, schema).violations(value)


@dataclass(frozen=True, slots=True)
class _Misfit:
    steps: tuple[str | int, ...]
    expected: str
    got: str
    is_shallow: bool
    """Whether the value is of another kind, which says nothing for the member of a union that finds it so."""


def _deepest(details: Sequence[ErrorDetails], value: object, start: int = 0) -> Iterator[_Misfit]:
    """Go into unions: to the member that fits the value best, judged by how deep its first fault lies."""
    unions: dict[tuple[str | int, ...], list[ErrorDetails]] = {}
    for detail in details:
        location = detail["loc"]
        at = next((at for at, step in enumerate(location) if at >= start and is_member(step)), None)
        if at is None:
            yield _misfit(detail, value)
        else:
            unions.setdefault(location[:at], []).append(detail)
    for prefix, inner in unions.items():
        yield from _of_union(inner, value, prefix)


def _of_union(details: Sequence[ErrorDetails], value: object, prefix: tuple[str | int, ...]) -> Iterator[_Misfit]:
    members: dict[str | int, list[ErrorDetails]] = {}
    for detail in details:
        members.setdefault(detail["loc"][len(prefix)], []).append(detail)
    found = [list(_deepest(inner, value, len(prefix) + 1)) for inner in members.values()]
    here, there = _walked(prefix, value)
    nested = [misfits for misfits in found if all(len(one.steps) > len(here) or not one.is_shallow for one in misfits)]
    if len(nested) == 1:
        yield from nested[0]
        return
    expected = dict.fromkeys(_expected_at(misfits[0], len(here)) for misfits in found)
    yield _Misfit(here, " or ".join(expected), _shown(there), is_shallow=False)


def _expected_at(misfit: _Misfit, here: int) -> str:
    steps = misfit.steps[here:]
    return f"{misfit.expected} at {path_text(steps)}" if steps else misfit.expected


def _misfit(detail: ErrorDetails, value: object) -> _Misfit:
    steps, there = _walked(detail["loc"], value)
    kind, context = detail["type"], detail.get("ctx", {})
    if steps and steps[-1] == _KEY and there is _NOTHING:
        steps, there = steps[:-1], steps[-2]
        if kind == WRONG_VALUE:
            steps = steps[:-1]
    if kind == "missing" and steps and isinstance(steps[-1], int):
        steps, there = _walked(steps[:-1], value)
        return _Misfit(steps, "more items", _shown(there), is_shallow=False)
    is_shallow = kind in {WRONG_TYPE, WRONG_VALUE} or kind in _TYPES
    return _Misfit(steps, _expected(kind, context, detail["msg"]), _shown(there), is_shallow=is_shallow)


def _converted(detail: ErrorDetails, value: Any) -> _Misfit:
    """Return a misfit for an error whose location has unlabelled members of unions between the steps."""
    steps: list[str | int] = []
    for step in detail["loc"]:
        if _is_in(step, value) or (
            isinstance(step, str) and isinstance(value, Mapping) and detail["type"] == "missing"
        ):
            value = value[step] if _is_in(step, value) else _NOTHING
            steps.append(step)
    expected = _expected(detail["type"], detail.get("ctx", {}), detail["msg"])
    return _Misfit(tuple(steps), expected, _shown(value), is_shallow=False)


def _is_in(step: str | int, value: object) -> bool:
    if isinstance(value, Mapping):
        return step in value
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _expected(kind: str, context: Mapping[str, Any], message: str) -> str:
    if EXPECTED in context:
        return str(context[EXPECTED])
    if kind in _WORDS:
        return _WORDS[kind]
    if kind in {"too_short", "too_long"}:
        limit = f"at least {context['min_length']}" if kind == "too_short" else f"at most {context['max_length']}"
        return f"{limit} {_COUNTED.get(context['field_type'], 'items')}"
    return wanted(message, {})


def _shown(value: object) -> str:
    return "nothing" if value is _NOTHING else short(value)


def _walked(location: Iterable[str | int], value: Any) -> tuple[tuple[str | int, ...], Any]:
    """Return the steps into a value of an error's location, and what is there."""
    steps: list[str | int] = []
    for step in location:
        if is_label(step):
            continue
        steps.append(step)
        value = value[step] if _is_in(step, value) else _NOTHING
    return tuple(steps), value
