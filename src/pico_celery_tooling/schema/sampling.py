"""Payloads that a schema of a document describes: one to look at, and many to test with.

They are written as pydantic writes values: an object has no property that its schema does not name, unless it allows others.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import SchemaValidator, to_json

from pico_celery.document.lock_schema import KEYS
from pico_celery.document.records import REFERENCE, Document, JsonSchema
from pico_celery_tooling.schema.normalize import SCALARS, explicit
from pico_celery_tooling.schema.pydantic_validator import scalar
from pico_celery_tooling.schema.sampling_scalars import scalars
from pico_celery_tooling.schema.validation import Checker


class Heights:
    """How deep the shallowest value of each schema is."""

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


_ATTEMPTS: Final = 30
_DEEP: Final = 5
_ANEW: Final = 0.1
"""How often the values of a scalar are drawn anew."""
_FREE: Final[tuple[Any, ...]] = ("text", 1, True, None, 1.5, [], {}, ["a"], {"key": "value"}, "", -1, "2026-03-14")
"""What may stand where anything may stand."""


def example(document: Document, schema: JsonSchema) -> Any:
    """Make one payload to look at and to start from, with optional properties filled in.

    What the schema gives as examples and defaults is used, then what the names of properties suggest.
    """
    return checked_example(document, schema)[0]


def checked_example(document: Document, schema: JsonSchema) -> tuple[Any, bool]:
    """Return what `example` does, and whether it is valid."""
    checker = Checker(document, schema)
    first = SchemaSampler(document, random.Random(0), pleasant=True).value(schema)  # noqa: S311 - no secret
    if checker.is_valid(first):
        return first, True
    for other in samples(document, schema, 1):
        return other, True
    return first, False


def samples(document: Document, schema: JsonSchema, count: int, seed: int = 0) -> Iterator[Any]:
    """Iterate over varied payloads, those at the limits of the schema among them."""
    checker = Checker(document, schema)
    sampler = SchemaSampler(document, random.Random(seed))  # noqa: S311 - no secret
    found = 0
    for _ in range(count + _ATTEMPTS + 2 * count):
        if found == count:
            return
        value = sampler.value(schema)
        if checker.is_valid(value):
            found += 1
            yield value


class SchemaSampler:
    """What makes values for schemas of one document."""

    def __init__(
        self, document: Document, chance: random.Random, *, pleasant: bool = False, lean: bool = False
    ) -> None:
        self._document = document
        self._chance = chance
        self._pleasant = pleasant
        self._lean = lean
        self._explicit: dict[str, dict[str, Any]] = {}
        self._heights = Heights(self.node)
        self._open: list[str] = []
        self._roots: dict[int, tuple[JsonSchema, dict[str, Any]]] = {}
        self._scalars: dict[int, tuple[JsonSchema, list[Any]]] = {}

    def value(self, schema: JsonSchema, hint: str = "") -> Any:
        """Make a value; it may violate what two keywords say together, so whoever asks checks it."""
        known = self._roots.get(id(schema))
        if known is None:
            known = self._roots[id(schema)] = (schema, explicit(schema))
        return self.make(known[1], hint)

    def make(self, node: Any, hint: str = "") -> Any:  # noqa: PLR0911 - one for each kind of schema
        """Make a value for an explicit schema."""
        if not isinstance(node, Mapping):
            return self._free()
        if self._pleasant and not self._lean:
            for given in self._given(node):
                return given
        reference = node.get("$ref")
        if reference is not None:
            return self._of_model(reference.removeprefix(REFERENCE), hint)
        if "const" in node:
            return node["const"]
        if "enum" in node:
            values = node["enum"] or [None]
            return values[0] if self._pleasant else self._chance.choice(values)
        members = [*node.get("anyOf", ()), *node.get("oneOf", ())]
        if members:
            return self.make(self._member(members), hint)
        return self._of_type(node, hint)

    def node(self, name: str) -> dict[str, Any]:
        """Return a model's schema, explicit."""
        if name not in self._explicit:
            self._explicit[name] = explicit(self._document.schemas[name])
        return self._explicit[name]

    def fitting(self, node: JsonSchema, hint: str = "", near: Sequence[JsonSchema] = ()) -> Iterator[Any]:
        """Iterate over scalars that a schema describes."""
        made = scalar(node)
        reader = None if made is None else SchemaValidator(made)
        for value in scalars(node, self._chance, hint, near):
            if reader is None or _reads(reader, value):
                yield value

    def _given(self, node: JsonSchema) -> Iterator[Any]:
        given = [*node.get("examples", ())] if isinstance(node.get("examples"), (list, tuple)) else []
        default = node.get("default")
        if default not in (None, "", [], {}):
            given.append(default)
        checker = None
        for value in given:
            checker = checker or Checker(self._document, {key: part for key, part in node.items() if key != "x-tags"})
            if checker.is_valid(value):
                yield value

    def _of_model(self, name: str, hint: str) -> Any:
        self._open.append(name)
        try:
            return self.make(self.node(name), hint)
        finally:
            self._open.pop()

    def _of_type(self, node: JsonSchema, hint: str) -> Any:  # noqa: PLR0911 - one for each kind of schema
        kind = node.get("type")
        if isinstance(kind, list):
            kind = kind[0] if self._pleasant else self._chance.choice(kind)
            node = {**node, "type": kind}
        if kind == "object":
            return self._object(node)
        if kind == "array":
            return self._array(node, hint)
        if kind == "null":
            return None
        if kind not in SCALARS:
            return self._free()
        if "contentSchema" in node:
            return to_json(self.make(node["contentSchema"], hint)).decode()
        if self._pleasant:
            return next(self.fitting(node, hint), "")
        values = self._drawn(node, hint)
        return self._chance.choice(values) if values else ""

    def _drawn(self, node: JsonSchema, hint: str) -> list[Any]:
        """Return values for a scalar; mostly those that were found before."""
        known = self._scalars.get(id(node))
        if known is None or self._chance.random() < _ANEW:
            known = self._scalars[id(node)] = (node, list(self.fitting(node, hint)))
        return known[1]

    def _free(self) -> Any:
        return _FREE[0] if self._pleasant else self._chance.choice(_FREE)

    def _member(self, members: Sequence[Any]) -> Any:
        heights = [self._heights.of(member) for member in members]
        if self._deep():
            return members[heights.index(min(heights))]
        if not self._pleasant:
            return self._chance.choice(members)
        told = [member for member in members if member.get("type") != "null"] or list(members)
        outside = [member for member in told if not self._leads_back(member)]
        decimals = [member for member in outside if member.get("format") == "decimal"]
        return (decimals or outside or members)[0 if decimals or outside else heights.index(min(heights))]

    def _deep(self) -> bool:
        return len(self._open) > _DEEP or (len(self._open) > 2 and self._open.count(self._open[-1]) > 2)  # noqa: PLR2004

    def _leads_back(self, node: Any) -> bool:
        return isinstance(node, Mapping) and any(name in self._open for name in held_directly(node))

    def _object(self, node: JsonSchema) -> dict[str, Any]:
        required = node.get("required", ())
        made: dict[str, Any] = {}
        for name, part in node.get("properties", {}).items():
            if name in required or self._wanted(part):
                made[name] = self.make(part, name)
        least, most = int(node.get("minProperties", 0)), int(node.get("maxProperties", 10**6))
        values = node.get("additionalProperties", False)
        patterns = node.get("patternProperties", {})
        if patterns:
            values = next(iter(patterns.values()))
        if values is False:
            return made
        wanted = max(least, min(most, self._how_many(values, mapping="properties" not in node)))
        for _ in range(wanted * 4):
            if len(made) >= wanted:
                break
            made.setdefault(self.key(node, len(made)), self.make(values))
        return made

    def _wanted(self, part: Any) -> bool:
        if self._lean:
            return False
        if self._pleasant:
            return not self._leads_back(part)
        return not self._deep() and self._chance.random() < 0.7  # noqa: PLR2004 - most of them

    def _how_many(self, part: Any, *, mapping: bool = True, least: int = 0) -> int:
        if self._lean or (self._leads_back(part) and (self._pleasant or self._deep())):
            return least
        if self._pleasant:
            return max(1 if mapping else 0, least)
        return least + self._chance.choice((0, 0, 1, 1, 2, 3) if mapping else (0, 0, 1))

    def key(self, node: JsonSchema, number: int) -> str:
        """Make a name for a mapping's value."""
        pattern = next(iter(node.get("patternProperties", {})), None)
        if KEYS in node:
            value = self.make(node[KEYS], "key")
        elif pattern is not None:
            value = self.make({"type": "string", "pattern": pattern}, "key")
        elif "propertyNames" in node:
            value = self.make({"type": "string", **node["propertyNames"]}, "key")
        elif self._pleasant:
            value = "key" if number == 0 else f"key{number + 1}"
        else:
            value = self._chance.choice(("a", "key", "Zoë", "", "x y", "0", "type", "extra")) + str(number)
        return value if isinstance(value, str) else to_json(value).decode()

    def _array(self, node: JsonSchema, hint: str) -> list[Any]:
        singular = hint.removesuffix("s")
        made = [self.make(part, singular) for part in node.get("prefixItems", ())]
        items = node.get("items", {})
        least, most = int(node.get("minItems", 0)), int(node.get("maxItems", 10**6))
        if items is False or ("prefixItems" in node and "items" not in node):
            return made
        wanted = min(most, self._how_many(items, least=max(0, least - len(made))) + len(made))
        if not self._pleasant and not self._leads_back(items) and "maxItems" in node and self._chance.random() < 0.2:  # noqa: PLR2004
            wanted = min(most, 50)
        return self._filled(made, wanted, lambda: self.make(items, singular), unique=bool(node.get("uniqueItems")))

    def _filled(self, made: list[Any], wanted: int, make: Callable[[], Any], *, unique: bool) -> list[Any]:
        for _ in range(wanted * 6):
            if len(made) >= wanted:
                break
            value = make()
            if not unique or value not in made:
                made.append(value)
            elif self._pleasant:
                made.extend(self._others(make, made, wanted))
        return made

    def _others(self, make: Callable[[], Any], made: list[Any], wanted: int) -> list[Any]:
        """Return more items of a set, where the pleasant one is in it."""
        self._pleasant = False
        try:
            found: list[Any] = []
            for _ in range(wanted * 10):
                value = make()
                if len(made) + len(found) < wanted and value not in made and value not in found:
                    found.append(value)
            return found
        finally:
            self._pleasant = True


def _reads(reader: SchemaValidator, value: Any) -> bool:
    try:
        reader.validate_json(to_json(value, inf_nan_mode="constants"))
    except ValidationError:
        return False
    return True
