"""What is wrong with the schedule that ``celery beat`` sends by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from pico_celery.errors import PayloadError
from pico_celery.messaging.calls import decode_call
from pico_celery_tooling.check.application.facts import ApplicationFacts, Rules, setup_finding
from pico_celery_tooling.evolution.findings import Category, Finding, Level

SCHEDULE_RULES: Final = Rules()


@SCHEDULE_RULES.add("the schedule sends a task that nobody knows")
def periodic_unknown(facts: ApplicationFacts) -> Iterator[Finding]:
    """Surely broken in the domain of a contract, which would have to declare it, and where our workers get it."""
    for entry, values in facts.periodic.items():
        name = str(values.get("task") or "")
        if facts.is_known(name) or facts.is_declared(name):
            continue
        options = values.get("options") or {}
        queue = facts.queue_or_none(name, options)
        owner, taken_by = facts.owner_of(name), facts.served_queues.get(queue or "")
        expected = "a task that is declared or registered" if owner is None else f"a task of the contract {owner!r}"
        message = f"expected {expected}, got {name!r}, which nobody knows"
        if taken_by is not None:
            message += (
                f"; it goes to the queue {queue!r}, from which the workers of this application take {taken_by}: they throw "
                "away what they do not know"
            )
        level = Level.NOTE if owner is None and taken_by is None else Level.BREAK
        remedy = f"correct task= of the entry, or take schedule(), which checks it: {facts.near(name)}"
        yield _entry_finding("periodic_unknown", level, entry, message, remedy)


@SCHEDULE_RULES.add("the schedule sends arguments that the task's contract refuses")
def periodic_payload(facts: ApplicationFacts) -> Iterator[Finding]:
    """Found by the same code as the worker's."""
    for entry, values in facts.periodic.items():
        name = str(values.get("task") or "")
        served = facts.served.get(name)
        definition = facts.definition(name) or (served.definition if served else None)
        if definition is None:
            continue
        args, kwargs = values.get("args") or (), values.get("kwargs") or {}
        try:
            decode_call(definition, args, kwargs)
        except PayloadError as error:
            for fault in error.faults:
                message = fault.problem
                remedy = (
                    "correct args= or kwargs= of the entry, or take schedule(), which checks them when it is imported"
                )
                yield _entry_finding(
                    "periodic_payload", Level.BREAK, entry, message, remedy, path=f"{definition.name}: {fault.path}"
                )


@SCHEDULE_RULES.add("calls of the schedule pile up while no worker runs")
def periodic_piles_up(facts: ApplicationFacts) -> Iterator[Finding]:
    """Without an expiry a worker that comes back does them all at once."""
    for entry, values in facts.periodic.items():
        options: Mapping[str, Any] = values.get("options") or {}
        sent_with = facts.send_options(str(values.get("task") or ""))
        if options.get("expires") is None and sent_with.get("expires") is None and not sent_with.get("timeout"):
            message = (
                "expected an expiry, got none: calls pile up while no worker runs, and are all made when one comes back"
            )
            remedy = (
                "say expires= in schedule(), or in options of the entry: a little less than the time between two calls"
            )
            yield _entry_finding("periodic_piles_up", Level.NOTE, entry, message, remedy)


@SCHEDULE_RULES.add("two entries of the schedule send the same call at the same times")
def periodic_twice(facts: ApplicationFacts) -> Iterator[Finding]:
    """Beat knows entries by their names only, so a copy under another name is a second call."""
    seen: dict[str, str] = {}
    for entry, values in facts.periodic.items():
        call = [values.get("task"), values.get("schedule"), list(values.get("args") or ()), values.get("kwargs") or {}]
        first = seen.setdefault(repr(call), entry)
        if first != entry:
            message = f"expected calls that differ, got the same call at the same times as the entry {first!r}"
            yield _entry_finding("periodic_twice", Level.NOTE, entry, message, "remove one of them")


def _entry_finding(rule: str, level: Level, entry: str, message: str, remedy: str, *, path: str = "") -> Finding:
    categories = frozenset({Category.SETUP, Category.QUEUED})
    task = f"beat_schedule[{entry!r}]"
    return setup_finding(rule, level, task, message, remedy, path=path, categories=categories)
