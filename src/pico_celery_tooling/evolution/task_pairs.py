"""Which new task takes the messages of which old one, and findings about such a pair."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Final, TypeVar

from pico_celery.document.records import Document, JsonSchema, TaskRecord, references
from pico_celery_tooling.evolution.findings import NOTHING, Category, Finding, Level
from pico_celery_tooling.evolution.rules import NEW_CLIENTS, NEW_WORKERS, OLD_CLIENTS, OLD_WORKERS, RULES, WORKERS_FIRST

_Found = TypeVar("_Found")
SHOWN_CHARACTERS: Final = 600
SHOWN_PAYLOADS: Final = 50
_SHOWN_AS: Final = {
    OLD_CLIENTS: "this payload, valid before, is refused now",
    NEW_CLIENTS: "this payload, valid now, is refused by old workers",
    NEW_WORKERS: "this, valid now, is refused by old clients",
    OLD_WORKERS: "this, valid before, is refused by new clients",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskVersion:
    """A task in one of the two documents."""

    task: TaskRecord
    document: Document


class Memory:
    """What was found out about schemas of documents that live as long as it does."""

    def __init__(self) -> None:
        self._known: dict[object, Any] = {}
        self._shown = 0

    @property
    def payloads(self) -> bool:
        """Whether to look for one more payload: who gets so many findings is not helped by another one."""
        return self._shown < SHOWN_PAYLOADS

    def show(self) -> None:
        """Count a schema whose refusals are shown with payloads."""
        self._shown += 1

    def of(self, function: Callable[..., _Found], *described: tuple[Document, JsonSchema]) -> _Found:
        """Return what a function finds out about schemas, asking it once."""
        key = (function, *((id(document), json.dumps(schema, sort_keys=True)) for document, schema in described))
        if key not in self._known:
            self._known[key] = function(self, *described)
        found: _Found = self._known[key]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An old task and the new one that takes its messages."""

    old: TaskVersion
    new: TaskVersion
    changed: frozenset[str]
    """Names of the models that are not the same in both documents."""
    memory: Memory
    """What is known of schemas already; tasks share models."""

    def is_same(self, old: JsonSchema, new: JsonSchema) -> bool:
        """Return whether two schemas are the same text, with all that they refer to."""
        return old == new and self.changed.isdisjoint(references(new))

    def find(self, rule: str, message: str, **more: Any) -> Finding:
        """Make a finding about the task, as `finding` does."""
        return finding(rule, self.new.task.name, message, **more)


def finding(
    rule: str,
    task: str,
    message: str,
    *,
    level: Level | None = None,
    path: str = "",
    who: str = "",
    remedy: str = "",
    payload: Any = NOTHING,
) -> Finding:
    """Make a finding."""
    of = RULES[rule]
    level = level or of.levels[0]
    categories = of.categories if level is not Level.ORDER else of.categories & {Category.WIRE}
    if payload is not NOTHING:
        message = f"{message}; {_SHOWN_AS.get(who, 'this payload shows it')}: {shown(payload)}"
    return Finding(
        rule=rule,
        level=level,
        categories=categories,
        task=task,
        path=path,
        message=message,
        who=who,
        remedy=remedy or (WORKERS_FIRST if level is Level.ORDER else of.remedy),
        payload=payload,
    )


def shown(value: Any) -> str:
    """Return JSON data as text, cut to what is readable."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[: SHOWN_CHARACTERS - 3]}..."


def changed_models(old: Document, new: Document) -> frozenset[str]:
    """Return the names of the models that are not the same in two documents, or refer to one that is not."""
    changed = {name for name in {*old.schemas, *new.schemas} if old.schemas.get(name) != new.schemas.get(name)}
    if not changed:
        return frozenset()
    referring: defaultdict[str, set[str]] = defaultdict(set)
    for name, target in _all_references([old.schemas, new.schemas]):
        referring[target].add(name)
    waiting = list(changed)
    while waiting:
        found = referring[waiting.pop()] - changed
        changed |= found
        waiting.extend(found)
    return frozenset(changed)


def _all_references(documents: Iterable[Mapping[str, JsonSchema]]) -> Iterator[tuple[str, str]]:
    for schemas in documents:
        for name, schema in schemas.items():
            for target in references(schema):
                yield name, target


_ALIKE: Final = 0.6  # of SequenceMatcher.ratio, as in difflib.get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How the tasks of two documents belong together."""

    pairs: list[Pair] = field(default_factory=list)
    """Old tasks and the new ones that take their messages, each once."""
    renamed: list[tuple[TaskRecord, TaskRecord]] = field(default_factory=list)
    """Old and new tasks, where the new name is not known to old workers, and new workers take the old name too."""
    lost: list[tuple[TaskRecord, TaskRecord]] = field(default_factory=list)
    """Old and new tasks that look alike, where new workers do not take the old name."""
    removed: list[TaskRecord] = field(default_factory=list)
    """Old tasks that nothing takes the place of."""
    added: list[TaskRecord] = field(default_factory=list)
    """New tasks that take no place."""
    unaliased: list[tuple[TaskRecord, str]] = field(default_factory=list)
    """New tasks with the names that were taken for them before and are not now."""


def match(old: Document, new: Document) -> Matching:
    """Match the tasks of two documents."""
    changed, memory = changed_models(old, new), Memory()
    before, now = takers(old), takers(new)
    found = Matching()
    pairs: dict[tuple[str, str], Pair] = {}
    for name in sorted({*before, *now}):
        if name in before and name in now:
            one, other = before[name], now[name]
            pair = Pair(
                old=TaskVersion(task=one, document=old),
                new=TaskVersion(task=other, document=new),
                changed=changed,
                memory=memory,
            )
            pairs.setdefault((one.name, other.name), pair)
    found.pairs.extend(pairs[key] for key in sorted(pairs))
    unknown = [task for name, task in new.tasks.items() if name not in before]
    for name, task in old.tasks.items():
        if name not in now:
            _gone(task, unknown, found)
        elif now[name].name not in before:
            found.renamed.append((task, now[name]))
    found.unaliased.extend(
        (now[task.name], name)
        for name, task in before.items()
        if name != task.name and name not in now and task.name in now
    )
    places = {task.name for _, task in [*found.renamed, *found.lost]}
    found.added.extend(task for task in unknown if task.name not in places)
    return found


def takers(document: Document) -> Mapping[str, TaskRecord]:
    """Return the tasks of a document by each name under which their messages are taken."""
    aliases = {alias: task for task in document.tasks.values() for alias in task.aliases}
    return {**aliases, **document.tasks}


def _gone(task: TaskRecord, unknown: Iterable[TaskRecord], found: Matching) -> None:
    taken = {new.name for _, new in found.lost}
    alike = [new for new in unknown if new.name not in taken and _looks_like(task, new)]
    if not alike or task.deprecated:
        found.removed.append(task)
        return
    nearest = max(alike, key=lambda new: _likeness(task.name, new.name))
    found.lost.append((task, nearest))


def _looks_like(old: TaskRecord, new: TaskRecord) -> bool:
    """Return whether two tasks have the same signature, and more in common than a simple one."""
    if _signature(old) != _signature(new):
        return False
    telling = len(old.parameters) > 1 or bool(old.doc and old.doc == new.doc)
    return telling or _likeness(old.method, new.method) >= _ALIKE


def _signature(task: TaskRecord) -> object:
    parameters = [
        (parameter.name, parameter.keyword_only, parameter.type, parameter.required) for parameter in task.parameters
    ]
    return parameters, task.result.type


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
