"""Whether a JSON value is what a schema of a document describes, and what speaks against it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pydantic_core import ErrorDetails

from pico_celery.document.records import Document, JsonSchema
from pico_celery_tooling.schema.exact_validator import (
    EXPECTED,
    WRONG_TYPE,
    WRONG_VALUE,
    ExactValidator,
    is_label,
    is_member,
    wanted,
)
from pico_celery_tooling.schema.pydantic_validator import WorkerValidator
from pico_celery_tooling.schema.words import short

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

    def violations(self, value: Any) -> list[Violation]:
        """Return what speaks against a value, one violation for each place."""
        return [violation for _, violation in self.located(value)]

    def located(self, value: Any) -> list[tuple[tuple[str | int, ...], Violation]]:
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

    def is_valid(self, value: Any) -> bool:
        """Return whether nothing speaks against a value."""
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            return False
        return self._exact.accepts(value) and self._converting.accepts(value)

    def is_taken(self, value: Any) -> bool:
        """Return whether a worker would take a JSON value, which may have more or other parts than are described."""
        return self._converting.accepts(value)


def violations(document: Document, schema: JsonSchema, value: Any) -> list[Violation]:
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


def _deepest(details: Sequence[ErrorDetails], value: Any, start: int = 0) -> Iterator[_Misfit]:
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


def _of_union(details: Sequence[ErrorDetails], value: Any, prefix: tuple[str | int, ...]) -> Iterator[_Misfit]:
    members: dict[str | int, list[ErrorDetails]] = {}
    for detail in details:
        members.setdefault(detail["loc"][len(prefix)], []).append(detail)
    found = [list(_deepest(inner, value, len(prefix) + 1)) for inner in members.values()]
    here, there = _walked(prefix, value)
    nested = [misfits for misfits in found if all(len(one.steps) > len(here) or not one.is_shallow for one in misfits)]
    if len(nested) == 1:
        yield from nested[0]
        return
    expected = dict.fromkeys(_told_at(misfits[0], len(here)) for misfits in found)
    yield _Misfit(here, " or ".join(expected), _shown(there), is_shallow=False)


def _told_at(misfit: _Misfit, here: int) -> str:
    steps = misfit.steps[here:]
    return f"{misfit.expected} at {path_text(steps)}" if steps else misfit.expected


def _misfit(detail: ErrorDetails, value: Any) -> _Misfit:
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


def _is_in(step: str | int, value: Any) -> bool:
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


def _shown(value: Any) -> str:
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
