"""Which new task takes the messages of which old one: by name, by alias, or, where neither holds, by its looks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Final

from pico_celery.document.records import Document, TaskRecord
from pico_celery.evolution.pairs import Memory, Pair, Version, changed_models

_ALIKE: Final = 0.6  # of SequenceMatcher.ratio, as in difflib.get_close_matches


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How the tasks of two documents belong together.

    Attributes:
        pairs: Old tasks and the new ones that take their messages, each once.
        renamed: Old and new tasks, where the new name is not known to old workers, and new workers take the old name too.
        lost: Old and new tasks that look alike, where new workers do not take the old name.
        removed: Old tasks that nothing takes the place of.
        added: New tasks that take no place.
        unaliased: New tasks with the names that were taken for them before and are not now.
    """

    pairs: list[Pair] = field(default_factory=list)
    renamed: list[tuple[TaskRecord, TaskRecord]] = field(default_factory=list)
    lost: list[tuple[TaskRecord, TaskRecord]] = field(default_factory=list)
    removed: list[TaskRecord] = field(default_factory=list)
    added: list[TaskRecord] = field(default_factory=list)
    unaliased: list[tuple[TaskRecord, str]] = field(default_factory=list)


def match(old: Document, new: Document) -> Matching:
    """Match the tasks of two documents.

    Args:
        old: As it was.
        new: As it is.

    Returns:
        How they belong together.
    """
    changed, memory = changed_models(old, new), Memory()
    before, now = takers(old), takers(new)
    found = Matching()
    pairs: dict[tuple[str, str], Pair] = {}
    for name in sorted({*before, *now}):
        if name in before and name in now:
            one, other = before[name], now[name]
            pair = Pair(
                old=Version(task=one, document=old),
                new=Version(task=other, document=new),
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
    """Tell whether two tasks have the same signature, and more in common than a simple one."""
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
