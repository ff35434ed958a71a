"""Where lists of one form are not accepted by another."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Final

from pico_celery.evolution.schema_forms import Form, described
from pico_celery.evolution.schema_issues import ITEM, Compares, Found, Issue, Step, Steps

_NOTHING: Final = object()


def array_issues(comparison: Compares, source: Form, target: Form, steps: Steps) -> Iterator[Found]:
    """Iterate over what speaks against lists of one form where another is accepted."""
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
            if largest >= most:  # else it is told above
                yield _issue("items", source, target, steps)
            continue
        rest = at == length
        plain = length == 0
        yield from comparison.between(one, other, (*steps, Step(source, ITEM if rest and plain else at)))


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


_ANY: Final[dict[str, Any]] = {}
