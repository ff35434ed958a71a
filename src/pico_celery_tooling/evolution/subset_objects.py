"""Find where objects and lists of one form are rejected by another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pico_celery.document.lock_schema import KEYS
from pico_celery_tooling.evolution.schema_forms import (
    ENTRY,
    ITEM,
    Compares,
    Form,
    Found,
    Issue,
    PathStep,
    Steps,
    always,
    described,
)
from pico_celery_tooling.schema.pydantic_validator import WorkerValidator, aliases

_ANY: Final[dict[str, Any]] = {}
_TEXT: Final[dict[str, Any]] = {"type": "string"}


def object_issues(comparison: Compares, source: Form, target: Form, steps: Steps) -> Iterator[Found]:
    """Iterate over where objects of one form are rejected by another."""
    given: Mapping[str, Any] = source.node.get("properties", {})
    wanted: Mapping[str, Any] = target.node.get("properties", {})
    taken = {name: _names(name, part) for name, part in wanted.items()}
    known = {alias for names in taken.values() for alias in names}
    for name, names in taken.items():
        yield from _property(comparison, source, target, steps, name=name, names=names)
    more, others = _values(source.node, missing=False), _values(target.node, missing=True)
    for name in given:
        if name in known:
            continue
        if others is False:
            yield Issue(
                rule="unknown_property", steps=(*steps, PathStep(source, name)), source=_any_form(comparison, given[name]),
                targets=(), sent=f"{described(source)} with {name}", accepted=f"{described(target)} without it",
            )  # fmt: skip
        else:
            yield from comparison.between(given[name], others, (*steps, PathStep(source, name)))
    if more is not False:
        yield from _entries(comparison, source, target, steps, more=more, others=others)
    yield from _name_issues(comparison, source, target, steps, known=known)
    yield from _count_issues(source, target, steps)


def _names(name: str, part: object) -> tuple[str, ...]:
    """Return the names under which a property is looked for; a path into another property counts as unknown."""
    paths = aliases(name, part)
    if paths is None:
        return (name,)
    return tuple(str(path[0]) for path in paths if len(path) == 1)


def _property(
    comparison: Compares, source: Form, target: Form, steps: Steps, *, name: str, names: tuple[str, ...]
) -> Iterator[Found]:
    given: Mapping[str, Any] = source.node.get("properties", {})
    required = always(source)
    part = target.node["properties"][name]
    for one in names:
        if one in given:
            yield from comparison.between(given[one], part, (*steps, PathStep(source, one)))
    if name in target.node.get("required", ()) and not any(one in required for one in names):
        paths = aliases(name, part)
        deep = paths is not None and any(len(path) > 1 for path in paths)
        yield Issue(
            rule="required_property", steps=(*steps, PathStep(source, name)), source=source, targets=(target,),
            sent=f"{described(source)} {'that may come ' if name in given else ''}without {name}",
            accepted=f"{described(target)} with {name}", certain=not deep,
        )  # fmt: skip


def _values(node: Mapping[str, Any], *, missing: bool) -> object:
    """Return the schema of properties that are not named; `False` where there are none."""
    patterns = node.get("patternProperties", {})
    found = next(iter(patterns.values())) if len(patterns) == 1 else node.get("additionalProperties", missing)
    return _ANY if found is True else found


def _entries(
    comparison: Compares, source: Form, target: Form, steps: Steps, *, more: object, others: object
) -> Iterator[Found]:
    entry = (*steps, PathStep(source, ENTRY))
    if others is False:
        yield Issue(
            rule="unknown_property", steps=entry, source=_any_form(comparison, more), targets=(),
            sent=f"{described(source)} with any properties", accepted=f"{described(target)} without more",
        )  # fmt: skip
    else:
        yield from comparison.between(more, others, entry)
    # What is not named may have any of the names that the target knows.
    given = source.node.get("properties", {})
    for name, part in target.node.get("properties", {}).items():
        if name not in given and _may_be_named(comparison, source, name):
            yield from comparison.between(more, part, (*steps, PathStep(source, name)))


def _any_form(comparison: Compares, node: object) -> Form:
    forms = comparison.source.of(node)
    return forms[0]


def _keys(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the schema of a mapping's keys."""
    if KEYS in node:
        found: Mapping[str, Any] = node[KEYS]
        return found
    patterns = node.get("patternProperties", {})
    if len(patterns) == 1:
        return {"type": "string", "pattern": next(iter(patterns))}
    names = node.get("propertyNames")
    return _TEXT if names is None else {**_TEXT, **names}


def _may_be_named(comparison: Compares, source: Form, name: str) -> bool:
    keys = _keys(source.node)
    if keys is _TEXT:
        return True
    return WorkerValidator(
        comparison.source.document, {"type": "object", "additionalProperties": {}, KEYS: keys}
    ).accepts({name: None})


def _name_issues(comparison: Compares, source: Form, target: Form, steps: Steps, *, known: set[str]) -> Iterator[Issue]:
    wanted = _keys(target.node)
    if wanted is _TEXT:
        return
    sent = f"{described(source)} with other names"
    accepted = f"names that are {_key_text(comparison, wanted)}"
    named = [name for name in source.node.get("properties", {}) if name not in known]
    if named:
        taker = WorkerValidator(
            comparison.target.document, {"type": "object", "additionalProperties": {}, KEYS: wanted}
        )
        if not all(taker.accepts({name: None}) for name in named):
            yield Issue(
                rule="property_names", steps=steps, source=source, targets=(target,), sent=sent, accepted=accepted
            )
    if _values(source.node, missing=False) is False:
        return
    given = _keys(source.node)
    same = given == wanted and "$ref" not in given
    if not same and next(comparison.between(given, wanted, ()), None) is not None:
        yield Issue(
            rule="property_names", steps=steps, source=source, targets=(target,), certain=None, sent=sent, accepted=accepted
        )  # fmt: skip


def _key_text(comparison: Compares, node: object) -> str:
    return " or ".join(dict.fromkeys(described(form) for form in comparison.target.of(node)))


def _count_issues(source: Form, target: Form, steps: Steps) -> Iterator[Issue]:
    least, most = target.node.get("minProperties", 0), target.node.get("maxProperties", math.inf)
    required = max(len(source.node.get("required", ())), source.node.get("minProperties", 0))
    others = _values(source.node, missing=False) is not False
    largest = source.node.get("maxProperties", math.inf if others else len(source.node.get("properties", {})))
    if required < least or largest > most:
        yield Issue(
            rule="length", steps=steps, source=source, targets=(target,), certain=None,
            sent=f"an object with {_span(required, largest)} properties",
            accepted=f"one with {_span(least, most)}",
        )  # fmt: skip


def _span(least: float, most: float) -> str:
    return f"{least} or more" if math.isinf(most) else f"{least} to {most}"


_NOTHING: Final = object()


def array_issues(comparison: Compares, source: Form, target: Form, steps: Steps) -> Iterator[Found]:
    """Iterate over where lists of one form are rejected by another."""
    least, most = _lengths(source.node)
    fewest, largest = _lengths(target.node)
    if least < fewest or most > largest:
        yield _issue("length", source, target, steps)
    elif target.node.get("uniqueItems") and not source.node.get("uniqueItems") and fewest > 1:
        # pydantic drops repeats, and counts what is left
        yield _issue("unique", source, target, steps)
    length = max(len(source.node.get("prefixItems", ())), len(target.node.get("prefixItems", ())))
    for at in range(length + 1):
        one, other = _item(source.node, at), _item(target.node, at)
        if one is _NOTHING or at >= most:
            continue
        if other is _NOTHING:
            if largest >= most:  # else it is reported above
                yield _issue("items", source, target, steps)
            continue
        rest = at == length
        plain = length == 0
        yield from comparison.between(one, other, (*steps, PathStep(source, ITEM if rest and plain else at)))


def _issue(rule: str, source: Form, target: Form, steps: Steps) -> Issue:
    sent, accepted = described(source), described(target)
    return Issue(rule=rule, steps=steps, source=source, targets=(target,), sent=sent, accepted=accepted)


def _lengths(node: Any) -> tuple[int, float]:
    most = node.get("maxItems", math.inf)
    first = node.get("prefixItems")
    if node.get("items") is False:
        most = min(most, len(first or ()))
    return int(node.get("minItems", 0)), most


def _item(node: Any, at: int) -> Any:
    """Return what a list says of the item at an index, or that there is none."""
    first = node.get("prefixItems", ())
    if at < len(first):
        return first[at]
    if node.get("items") is False or node.get("maxItems", math.inf) <= at:
        return _NOTHING
    return node.get("items", _ANY)
