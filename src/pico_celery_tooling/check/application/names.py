"""Check the names of an application: tasks served and called, their queues, and the schedule of ``celery beat``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Final

from celery.exceptions import QueueNotFound

from pico_celery.contract.signature import location_of
from pico_celery.errors import PayloadError
from pico_celery.messaging.calls import decode_call
from pico_celery_tooling.check.application.facts import ApplicationFacts, Rules, setup_finding
from pico_celery_tooling.evolution.rules import Category, Finding, Level

NAME_RULES: Final = Rules()


@NAME_RULES.add("a task is registered or called by a name that no contract declares")
def undeclared_task(facts: ApplicationFacts) -> Iterator[Finding]:
    """Every name should be declared; in the domain of a contract it must be."""
    used: dict[str, tuple[str, str]] = {}
    for name, task in facts.plain.items():
        used.setdefault(name, ("a plain Celery task is registered under it", _where(task.run)))
    for name, served in facts.served.items():
        used.setdefault(name, (f"{served.task.binding.method} implements it", served.where))
    for call in facts.calls:
        used.setdefault(call.task, (f"{call.client} calls it", call.where))
    for name, (how, where) in sorted(used.items()):
        if facts.is_declared(name):
            continue
        owner = facts.owner_of(name)
        if owner is None:
            remedy = "declare it in a @contract class, so that callers and workers are checked against the same thing"
        else:
            remedy = f"declare it in the contract {owner!r}, or correct the name: {facts.near(name)}"
        expected = "a task that a contract declares" if owner is None else f"a task of the contract {owner!r}"
        message = f"expected {expected}, got a name that none declares; {how}"
        categories = frozenset({Category.SETUP, Category.SOURCE})
        yield setup_finding("undeclared_task", Level.NOTE, name, message, remedy, where=where, categories=categories)


@NAME_RULES.add("a task of a contract that no component of this application implements")
def not_implemented(facts: ApplicationFacts) -> Iterator[Finding]:
    """Surely broken only where this application's workers get the task's messages, and throw them away."""
    if not facts.served:
        return  # an application of clients serves nothing
    called = {call.task for call in facts.calls}
    partly = {facts.document.contract_of(name).key for name in facts.served if name in facts.document.tasks}
    for contract in facts.document.contracts.values():
        for name in contract.tasks:
            if facts.is_known(name) or name in called:
                continue
            how = "no component implements it"
            yield _not_served(facts, "not_implemented", name, how, loses=contract.key in partly)


@NAME_RULES.add("a client calls a task that nobody in this application serves")
def client_unserved(facts: ApplicationFacts) -> Iterator[Finding]:
    """Another service may serve it, unless the messages go where this application's workers find them."""
    clients: dict[str, list[str]] = {}
    places: dict[str, str] = {}
    for call in facts.calls:
        if not facts.is_known(call.task):
            clients.setdefault(call.task, []).append(call.client)
            places.setdefault(call.task, call.where)
    for name, callers in clients.items():
        how = f"{', '.join(callers)} {'calls' if len(callers) == 1 else 'call'} it, and no component implements it"
        yield _not_served(facts, "client_unserved", name, how, loses=True, where=places[name])


@NAME_RULES.add("a name that a contract's task had before (an alias) is that of another task now")
def duplicate_name(facts: ApplicationFacts) -> Iterator[Finding]:
    """Of other duplicates the container, the catalog and Celery's own registry take care."""
    for name, task in facts.plain.items():
        canonical = facts.aliases.get(name)
        if canonical is not None:
            message = f"expected {name!r} to be an alias of this task alone, got a plain Celery task of that name too"
            remedy = "remove the plain task, or take the name out of aliases="
            who = "callers by the old name: which of the two they get depends on the worker"
            yield setup_finding(
                "duplicate_name", Level.BREAK, canonical, message, remedy, where=_where(task.run), who=who
            )


@NAME_RULES.add("a client calls a task that is deprecated, or by a name that it had before")
def outdated_call(facts: ApplicationFacts) -> Iterator[Finding]:
    """It works for as long as a worker still serves it."""
    for call in facts.calls:
        definition = call.definition
        if definition is None:
            continue
        if definition.deprecated is not None:
            message = f"expected a task that is not deprecated, got one that is, in {call.client}"
            yield setup_finding(
                "outdated_call", Level.NOTE, call.task, message, definition.deprecated or "", where=call.where
            )
        if call.task != definition.name:
            message = f"expected the name {definition.name!r}, got {call.task!r}, an alias of it, in {call.client}"
            remedy = f"call it {definition.name!r}: the alias is for messages that are on their way"
            yield setup_finding("outdated_call", Level.NOTE, definition.name, message, remedy, where=call.where)


@NAME_RULES.add("a contract's task is a plain Celery task, whose signature and payloads nobody checks")
def plain_task(facts: ApplicationFacts) -> Iterator[Finding]:
    """It works while it happens to fit."""
    for name, task in facts.plain.items():
        if name in facts.document.tasks:
            message = "expected an async def method of a component with @task, got a plain Celery task"
            remedy = "implement it with @task in a component: its signature, payloads and errors are checked then"
            yield setup_finding("plain_task", Level.NOTE, name, message, remedy, where=_where(task.run))


@NAME_RULES.add("a plain Celery task is async def: it never runs, for Celery awaits nothing")
def never_awaited(facts: ApplicationFacts) -> Iterator[Finding]:
    """Celery calls the function and takes the coroutine for its result."""
    for name, task in facts.plain.items():
        if inspect.iscoroutinefunction(inspect.unwrap(task.run)):
            message = "expected def, got async def: Celery calls it, awaits nothing, and fails to store the coroutine"
            remedy = "make it an async def method of a component, with @task"
            yield setup_finding("never_awaited", Level.BREAK, name, message, remedy, where=_where(task.run))


@NAME_RULES.add("a task has no queue of its own, where other tasks have")
def no_queue(facts: ApplicationFacts) -> Iterator[Finding]:
    """Workers that are started with -Q and the names of the others do not get it."""
    default = str(facts.conf.task_default_queue)
    named = sorted(queue for queue in facts.served_queues if queue != default)
    if not named:
        return
    for name, served in facts.served.items():
        options = facts.send_options(name)
        if not options.get("queue") and facts.queue_or_none(name, options) == default:
            message = (
                f"expected a queue, as other tasks have ({', '.join(named)}), got none: its calls go to the default "
                f"queue {default!r}, which workers with -Q {','.join(named)} do not consume"
            )
            remedy = f"say queue= in @task_options, route it in task_routes, or start a worker with -Q {default}"
            yield setup_finding("no_queue", Level.NOTE, name, message, remedy, where=served.where)


@NAME_RULES.add("a task is sent to a queue that task_queues does not have")
def unknown_queue(facts: ApplicationFacts) -> Iterator[Finding]:
    """An error at each call where Celery must not create it; not consumed unless asked for with -Q otherwise."""
    queues = {str(getattr(queue, "name", queue)) for queue in facts.conf.task_queues or ()}
    names = {**dict.fromkeys(facts.served, ""), **{call.task: call.client for call in facts.calls}}
    for name in sorted(names):
        options = facts.send_options(name)
        try:
            queue = facts.queue_of(name, options)
        except QueueNotFound:
            queue = str(options.get("queue") or facts.conf.task_default_queue)
            message = (
                f"expected a queue of task_queues, got {queue!r}, and task_create_missing_queues is off: calls fail"
            )
            remedy = "add it to task_queues, or switch task_create_missing_queues on"
            yield setup_finding("unknown_queue", Level.BREAK, name, message, remedy)
            continue
        if queues and queue is not None and queue not in queues and name in facts.served:
            message = f"expected a queue of task_queues ({', '.join(sorted(queues))}), got {queue!r}"
            remedy = f"add it to task_queues, or start a worker with -Q {queue}: without -Q it is not consumed"
            yield setup_finding("unknown_queue", Level.NOTE, name, message, remedy)


def _thrown_away(facts: ApplicationFacts, name: str) -> str | None:
    """Return a task whose workers get the messages of another one that they do not know."""
    queue = facts.queue_or_none(name, facts.send_options(name))
    return None if queue is None else facts.served_queues.get(queue)


def _not_served(facts: ApplicationFacts, rule: str, name: str, how: str, *, loses: bool, where: str = "") -> Finding:
    definition, taken_by = facts.definition(name), _thrown_away(facts, name) if loses else None
    place = where or ("" if definition is None else definition.where)
    if taken_by is None:
        message = f"expected a component with @task for it, got none: {how}"
        remedy = "fine where another service serves it: 'verify --live' asks; implement it here otherwise"
        return setup_finding(rule, Level.NOTE, name, message, remedy, where=place)
    queue = facts.queue_or_none(name, facts.send_options(name))
    message = (
        f"expected a component with @task for it, got none: {how}, and its messages go to the queue {queue!r}, "
        f"from which the workers of this application take {taken_by}: they throw away what they do not know"
    )
    remedy = "implement it here, or give it a queue of its own (queue= in @task_options) that another service consumes"
    who = "callers, who wait for a result that never comes"
    return setup_finding(rule, Level.BREAK, name, message, remedy, where=place, who=who)


def _where(function: object) -> str:
    return location_of(inspect.unwrap(function)) if callable(function) else ""


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
