"""Arguments of two versions of a task: what old clients send to new workers, and new clients to old workers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any, Final

from pico_celery.document.records import ParameterRecord, TaskRecord
from pico_celery_tooling.evolution.counterexamples import arguments_of
from pico_celery_tooling.evolution.findings import NOTHING, Finding, Level
from pico_celery_tooling.evolution.rules import NEW_CLIENTS, OLD_CLIENTS
from pico_celery_tooling.evolution.subset import Refused, remembered
from pico_celery_tooling.evolution.task_pairs import Memory, Pair, TaskVersion, shown

_ALIKE: Final = 0.6


def compare_arguments(pair: Pair) -> Iterator[Finding]:
    """Compare the parameters of two versions of a task."""
    found = [*_parameters(pair), *_common(pair)]
    yield from (_upcast(one) for one in found) if pair.new.task.upcast else found
    yield from _by_position(pair)


def _upcast(one: Finding) -> Finding:
    """Soften what the task's upcaster is there for: it gets old payloads before they are validated."""
    if one.level is not Level.BREAK:
        return one
    return replace(
        one,
        level=Level.NOTE,
        message=f"{one.message}; the upcaster of the task has to turn old payloads into new ones",
        remedy="test the upcaster with a payload of the old contract",
    )


def _parameters(pair: Pair) -> Iterator[Finding]:
    old, new = pair.old.task, pair.new.task
    removed = [parameter for parameter in old.parameters if new.parameter(parameter.name) is None]
    added = [parameter for parameter in new.parameters if old.parameter(parameter.name) is None]
    renamed = _renamed(pair, removed, added)
    for parameter in removed:
        yield from _removed(pair, parameter, renamed.get(parameter.name))
    for parameter in added:
        yield from _added(pair, parameter, parameter in renamed.values())


def _removed(pair: Pair, parameter: ParameterRecord, renamed: ParameterRecord | None) -> Iterator[Finding]:
    name = parameter.name
    payload = arguments_of(pair.old, pair.memory, {name})
    if renamed is None:
        message = f"the parameter {name!r} is gone: new workers refuse what sends it"
        yield pair.find("parameter_removed", message, path=name, who=OLD_CLIENTS, payload=payload)
    else:
        message = (
            f"the parameter {name!r} is gone, and looks renamed to {renamed.name!r}: new workers refuse the old name"
        )
        remedy = f"keep the old name, or rename {name!r} to {renamed.name!r} in old payloads with @upcast"
        yield pair.find("parameter_renamed", message, path=name, who=OLD_CLIENTS, payload=payload, remedy=remedy)
    if parameter.required:
        message = f"old workers require {name!r}, which new clients do not send"
        payload = arguments_of(pair.new, pair.memory)
        yield pair.find("parameter_removed_required", message, path=name, who=NEW_CLIENTS, payload=payload)


def _added(pair: Pair, parameter: ParameterRecord, is_renamed: bool) -> Iterator[Finding]:
    name = parameter.name
    if parameter.required:
        message = f"the parameter {name!r} is new and required, and old clients do not send it"
        payload = arguments_of(pair.old, pair.memory)
        remedy = f"give it a default ({name}: {parameter.type} = ...), or turn old payloads into new ones with @upcast"
        if not is_renamed:
            yield pair.find(
                "parameter_added_required", message, path=name, who=OLD_CLIENTS, payload=payload, remedy=remedy
            )
    message = f"the parameter {name!r} is new: old workers refuse what sends it"
    payload = arguments_of(pair.new, pair.memory, {name})
    yield pair.find("parameter_added", message, path=name, who=NEW_CLIENTS, payload=payload)


def _common(pair: Pair) -> Iterator[Finding]:
    for now in pair.new.task.parameters:
        before = pair.old.task.parameter(now.name)
        if before is None:
            continue
        yield from _presence(pair, before, now)
        if not (pair.is_same(before.accepts, now.accepts) and pair.is_same(before.sent, now.sent)):
            yield from _refused(pair, before, now)


def _presence(pair: Pair, before: ParameterRecord, now: ParameterRecord) -> Iterator[Finding]:
    name = now.name
    if now.required and not before.required:
        message = f"{name!r} is required now: old clients may leave it out, which meant {shown(before.default)}"
        payload = arguments_of(pair.old, pair.memory, without=name)
        yield pair.find("parameter_now_required", message, path=name, who=OLD_CLIENTS, payload=payload)
    elif before.required and not now.required:
        message = f"{name!r} is optional now: new clients may leave out what old workers require"
        payload = arguments_of(pair.new, pair.memory, without=name)
        yield pair.find("parameter_now_optional", message, path=name, who=NEW_CLIENTS, payload=payload)
    elif not now.required and not _equal(before.default, now.default):
        message = (
            f"where {name!r} is left out it means {shown(now.default)} to new workers, and {shown(before.default)} to old "
            "ones: the default of the worker counts"
        )
        yield pair.find("default_changed", message, path=name, who="callers that leave it out")


def _refused(pair: Pair, before: ParameterRecord, now: ParameterRecord) -> Iterator[Finding]:
    name = now.name
    sides = (
        (pair.old, before, pair.new, now, Level.BREAK, OLD_CLIENTS),
        (pair.new, now, pair.old, before, Level.ORDER, NEW_CLIENTS),
    )
    for sender, sent, receiver, taken, level, who in sides:
        for one in _refusals(pair.memory, sender, sent, receiver, taken):
            payload = (
                NOTHING if one.witness is NOTHING else arguments_of(sender, pair.memory, given={name: one.witness})
            )
            yield pair.find(
                f"argument_{one.rule}", one.told, level=level, path=one.path_in(name), who=who, payload=payload
            )


def _refusals(
    memory: Memory, sender: TaskVersion, sent: ParameterRecord, receiver: TaskVersion, taken: ParameterRecord
) -> Iterator[Refused]:
    """Iterate over what is refused of what clients may send, and of what those of this library make of it."""
    read, accepted = (sender.document, sent.accepts), (receiver.document, taken.accepts)
    found = memory.of(remembered, read, accepted)
    yield from found
    if sent.sent == sent.accepts:
        return
    known = {(one.rule, one.refusal.path) for one in found}
    for one in memory.of(remembered, (sender.document, sent.sent), accepted, read):
        # What is not known of a version beside itself either, its own workers take all the same.
        if (one.rule, one.refusal.path) not in known and (one.is_certain or not _is_own(memory, sender, sent, one)):
            yield one


def _is_own(memory: Memory, version: TaskVersion, parameter: ParameterRecord, one: Refused) -> bool:
    read = (version.document, parameter.accepts)
    return one.identity in {
        own.identity for own in memory.of(remembered, (version.document, parameter.sent), read, read)
    }


def _renamed(pair: Pair, removed: list[ParameterRecord], added: list[ParameterRecord]) -> Mapping[str, ParameterRecord]:
    """Return which new parameter each removed one looks like."""
    found: dict[str, ParameterRecord] = {}
    for before in removed:
        alike = [
            now
            for now in added
            if now not in found.values()
            and (now.type, now.required, now.keyword_only) == (before.type, before.required, before.keyword_only)
            and (_place(pair.new.task, now) == _place(pair.old.task, before) or _likeness(before, now) >= _ALIKE)
        ]
        if alike:
            found[before.name] = max(alike, key=lambda now: _likeness(before, now))
    return found


def _place(task: TaskRecord, parameter: ParameterRecord) -> int:
    return task.parameters.index(parameter)


def _likeness(before: ParameterRecord, now: ParameterRecord) -> float:
    return SequenceMatcher(None, before.name, now.name).ratio()


def _equal(one: Any, other: Any) -> bool:
    """Return whether two defaults are the same JSON: ``1`` is not ``true``."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def _by_position(pair: Pair) -> Iterator[Finding]:
    old, new = _positional(pair.old.task), _positional(pair.new.task)
    named = {parameter.name for parameter in pair.new.task.parameters}
    who = f"{_POSITIONAL}, at new workers"
    for name in old:
        if name in named and name not in new:
            message = f"{name!r} can be given by name only now"
            yield pair.find("parameter_now_keyword_only", message, path=name, who=who)
    for name in new:
        before = pair.old.task.parameter(name)
        if before is not None and before.keyword_only:
            message = f"{name!r} can be given by position now, which old workers refuse"
            yield pair.find("parameter_now_positional", message, path=name, who=f"{_POSITIONAL}, at old workers")
    kept = [name for name in old if name in new]
    if any(old.index(name) != new.index(name) for name in kept):
        message = f"the order of the parameters is ({', '.join(new)}) now: expected ({', '.join(old)}), as it was"
        yield pair.find("parameters_reordered", message, who=who)


_POSITIONAL: Final = "callers that give arguments by position, and clients and queued messages of plain Celery that do"


def _positional(task: TaskRecord) -> list[str]:
    return [parameter.name for parameter in task.parameters if not parameter.keyword_only]
