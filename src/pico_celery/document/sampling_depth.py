"""How deep the values of schemas are that refer to themselves, so that making one ends."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pico_celery.document.records import REFERENCE, JsonSchema


class Heights:
    """How deep the shallowest value of each schema is.

    Args:
        model: What returns the explicit schema of a model by its name.
    """

    def __init__(self, model: Callable[[str], JsonSchema]) -> None:
        self._model = model
        self._known: dict[str, float] = {}

    def of(self, node: Any) -> float:
        """Return the height of an explicit schema; infinite where it has no finite value."""
        if not isinstance(node, Mapping):
            return 0
        if "$ref" in node:
            name = node["$ref"].removeprefix(REFERENCE)
            if name not in self._known:
                self._settle(name)
            return self._known[name] + 1
        return self._shape(node)

    def _shape(self, node: JsonSchema) -> float:
        members = [*node.get("anyOf", ()), *node.get("oneOf", ())]
        if members:
            return min(self.of(member) for member in members)
        parts = [part for name, part in node.get("properties", {}).items() if name in node.get("required", ())]
        if node.get("minItems", 0) > 0:
            parts += [*node.get("prefixItems", ()), *([node["items"]] if "items" in node else [])]
        if node.get("minProperties", 0) > 0:
            parts.append(node.get("additionalProperties"))
        return 1 + max((self.of(part) for part in parts), default=-1)

    def _settle(self, name: str) -> None:
        """Find the heights of a model and of all that it holds, from infinite downwards."""
        reached, waiting = {name}, [name]
        while waiting:
            for other in _all_held(self._model(waiting.pop())):
                if other not in reached and other not in self._known:
                    reached.add(other)
                    waiting.append(other)
        self._known.update(dict.fromkeys(reached, math.inf))
        changed = True
        while changed:
            changed = False
            for other in reached:
                height = self.of(self._model(other))
                changed = changed or height < self._known[other]
                self._known[other] = height


def held_directly(node: JsonSchema) -> Iterator[str]:
    """Iterate over the models that a value of a schema has in it directly, within lists and unions too."""
    if "$ref" in node:
        yield node["$ref"].removeprefix(REFERENCE)
    for part in _inner(node):
        yield from held_directly(part)


def _all_held(node: JsonSchema) -> Iterator[str]:
    yield from held_directly(node)
    for part in (*node.get("properties", {}).values(), *_inner(node)):
        if isinstance(part, Mapping):
            yield from _all_held(part)


def _inner(node: JsonSchema) -> Iterator[JsonSchema]:
    for key in ("anyOf", "oneOf", "prefixItems"):
        yield from (part for part in node.get(key, ()) if isinstance(part, Mapping))
    for key in ("items", "additionalProperties"):
        if isinstance(node.get(key), Mapping):
            yield node[key]
    yield from (part for part in node.get("patternProperties", {}).values() if isinstance(part, Mapping))
