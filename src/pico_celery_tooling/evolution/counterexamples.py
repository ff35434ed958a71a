"""Payloads that show a refusal: described by the source, refused by the target, and for the reason that is told."""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from pico_celery.document.lock_schema import DEMANDS
from pico_celery.document.records import Document, JsonSchema
from pico_celery_tooling.evolution.findings import NOTHING
from pico_celery_tooling.evolution.schema_forms import ANYTHING, ITEM, Entry, Form, Issue, Steps, always
from pico_celery_tooling.evolution.task_pairs import Memory, TaskVersion
from pico_celery_tooling.schema.pydantic_validator import WorkerValidator
from pico_celery_tooling.schema.sampling import SchemaSampler, samples
from pico_celery_tooling.schema.validation import Checker

_TRIED: Final = 80
_DRAWN: Final = 120
_MANY: Final = 12
_FREE: Final[tuple[Any, ...]] = ("text", 1, None, True, 1.5, [], {}, [None], {"key": None}, "2026-03-14", -1)


class Witnesses:
    """What finds payloads for the issues of one comparison."""

    def __init__(
        self,
        source: Document,
        sent: JsonSchema,
        target: Document,
        accepted: JsonSchema,
        *,
        read: JsonSchema | None = None,
    ) -> None:
        self._source, self._sent, self._target = source, sent, target
        self._describes = Checker(source, sent)
        self._expects = Checker(target, accepted)
        self._reads = None if read is None else WorkerValidator(source, read)
        self._doubted: set[int] = set()
        self._lean = SchemaSampler(source, random.Random(1), pleasant=True, lean=True)  # noqa: S311 - no secret
        self._full = SchemaSampler(source, random.Random(1), pleasant=True)  # noqa: S311 - no secret
        self._varied = SchemaSampler(source, random.Random(1))  # noqa: S311 - no secret
        self._drawn: list[Any] | None = None

    def find(self, issue: Issue) -> Any:
        """Find a payload that shows an issue."""
        seen: list[Any] = []
        for payload in itertools.islice(self._built(issue), _TRIED):
            if payload not in seen and self._shows(payload, issue):
                return payload
            seen.append(payload)
        if self._drawn is None:
            drawn = samples(self._source, self._sent, _DRAWN)
            self._drawn = [value for value in drawn if not self._expects.is_taken(value)]
        return next((payload for payload in self._drawn if self._shows(payload, issue)), NOTHING)

    def doubts(self, issue: Issue) -> bool:
        """Return whether all that was found to show an issue is nothing that the source itself reads, so that it hardly sends it."""
        return id(issue) in self._doubted

    def _shows(self, payload: Any, issue: Issue) -> bool:
        if self._expects.is_taken(payload) or not self._describes.is_valid(payload):
            return False
        if not any(_meets(place, issue.steps) for place, _ in self._expects.located(payload)):
            return False
        if self._reads is None or self._reads.accepts(payload):
            return True
        self._doubted.add(id(issue))
        return False

    def _built(self, issue: Issue) -> Iterator[Any]:
        steps = issue.steps
        if issue.rule == "required_property":
            name = steps[-1].key
            for value in self._objects(issue.source):
                yield self._within(steps[:-1], {key: part for key, part in value.items() if key != name})
            return
        for value in self._values(issue):
            yield self._within(steps, value)

    def _within(self, steps: Steps, value: Any) -> Any:
        """Put a value at its place into a payload that has little else."""
        if not steps:
            return value
        step, inner = steps[0], self._within(steps[1:], value)
        if step.form.kind == "array":
            return self._list_with(step.form, step.key if isinstance(step.key, int) else ITEM, inner)
        made = self._tagged(step.form)
        name = self._full.key(step.form.node, 0) if isinstance(step.key, Entry) else str(step.key)
        made.pop(name, None)
        if isinstance(step.key, Entry) and len(made) > int(step.form.node.get("minProperties", 0)) - 1 >= 0:
            made.pop(next(iter(made)), None)
        return {**made, name: inner}

    def _list_with(self, form: Form, at: int, inner: Any) -> list[Any]:
        made: list[Any] = self._lean.make(form.node)
        index = 0 if at == ITEM else at
        while len(made) <= index:
            first = form.node.get("prefixItems", ())
            made.append(self._lean.make(first[len(made)] if len(made) < len(first) else form.node.get("items")))
        made[index] = inner
        return made

    def _tagged(self, form: Form) -> dict[str, Any]:
        made: dict[str, Any] = self._lean.make(form.node)
        for name in always(form):
            if name not in made and name in form.node.get("properties", {}):
                made[name] = self._lean.make(form.node["properties"][name], name)
        return made

    def _objects(self, form: Form) -> Iterator[dict[str, Any]]:
        yield self._tagged(form)
        for sampler, times in ((self._full, 1), (self._varied, 20)):
            for _ in range(times):
                made = sampler.make(form.node)
                if isinstance(made, dict):
                    yield made

    def _values(self, issue: Issue) -> Iterator[Any]:
        form, near = issue.source, [target.node for target in issue.targets]
        yield from issue.values
        if form.values is not None:
            yield from form.values
        elif form.kind == ANYTHING:
            yield from _FREE
        elif form.kind == "array":
            yield from self._lists(issue)
        elif form.kind == "object":
            yield from self._mappings(issue)
        elif form.kind == "null":
            yield None
        else:
            yield from self._full.fitting(form.node, near=near)
            yield from (self._varied.make(form.node) for _ in range(_MANY))

    def _lists(self, issue: Issue) -> Iterator[list[Any]]:
        form = issue.source
        yield self._lean.make(form.node)
        yield self._full.make(form.node)
        wanted = [int(target.node.get("minItems", 0)) for target in issue.targets]
        wanted += [int(target.node["maxItems"]) + 1 for target in issue.targets if "maxItems" in target.node]
        wanted += [len(target.node.get("prefixItems", ())) + 1 for target in issue.targets]
        for length in dict.fromkeys([int(form.node.get("minItems", 0)), *wanted, *(one - 1 for one in wanted)]):
            same = self._lean.make(form.node.get("items", {}))
            if length >= 0 and "prefixItems" not in form.node:
                yield [same] * length
            least = {
                **form.node,
                "minItems": max(length, int(form.node.get("minItems", 0))),
                "maxItems": max(length, 0),
            }
            yield self._lean.make(least)
            yield self._varied.make(least)
        yield from (self._varied.make(form.node) for _ in range(_MANY))

    def _mappings(self, issue: Issue) -> Iterator[Any]:
        form = issue.source
        for value in self._objects(form):
            yield value
            if form.node.get("additionalProperties", False) is not False or "patternProperties" in form.node:
                for number in range(3):
                    yield {
                        **value,
                        self._varied.key(form.node, number): self._lean.make(form.node.get("additionalProperties")),
                    }
        for target in issue.targets:
            count = int(target.node.get("maxProperties", 0)) + 1
            yield self._lean.make({**form.node, "minProperties": min(count, 100)})


def _meets(place: Sequence[str | int], steps: Steps) -> bool:
    """Return whether one of two places is the other or lies around it: a union is refused as a whole."""
    return all(
        isinstance(step.key, Entry) or step.key == found or (step.key == ITEM and isinstance(found, int))
        for found, step in zip(place, steps, strict=False)
    )


_NONE: Final[Mapping[str, Any]] = {}


def arguments_of(
    version: TaskVersion,
    memory: Memory,
    also: Collection[str] = (),
    *,
    without: str = "",
    given: Mapping[str, Any] = _NONE,
) -> Any:
    """Make arguments that a version of a task accepts."""
    payload: dict[str, Any] = {}
    for parameter in version.task.parameters:
        name = parameter.name
        if name == without:
            continue
        if name in given:
            payload[name] = given[name]
        elif parameter.required or name in also:
            payload[name] = memory.of(_value, (version.document, parameter.accepts))
    return NOTHING if any(value is NOTHING for value in payload.values()) else payload


def _value(_: Memory, described: tuple[Document, JsonSchema]) -> Any:
    from pico_celery_tooling.schema.sampling import checked_example  # noqa: PLC0415 - only where something is found

    document, schema = described
    whole = document.standalone(schema)
    if _is_checked_by_functions(whole):
        return NOTHING
    value, is_valid = checked_example(document, schema)
    return value if is_valid else NOTHING


def _is_checked_by_functions(node: Any) -> bool:
    """Return whether code that nobody here can run has a say in what is accepted."""
    if isinstance(node, Mapping):
        demands = node.get(DEMANDS)
        if isinstance(demands, Mapping) and not _FUNCTIONS.isdisjoint(demands):
            return True
        return any(_is_checked_by_functions(value) for value in node.values())
    return isinstance(node, list) and any(map(_is_checked_by_functions, node))


_FUNCTIONS: Final = frozenset({"functions", "custom_init", "post_init"})
