"""What the clients of an application call; and what serves it where no worker is asked: the application, or a lock file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from celery import Celery

from pico_celery.document.records import Document, TaskRecord
from pico_celery_tooling.check.application.facts import ApplicationFacts, ClientCall
from pico_celery_tooling.live.inspect_client import Answers, WorkerAnswer
from pico_celery_tooling.live.verify import Wanted
from pico_celery_tooling.output import ToolError


def wanted_of(app: Celery, document: Document | None) -> list[Wanted]:
    """Return what has to be served."""
    facts = ApplicationFacts(app, document)
    if document is not None:
        return [_wanted(facts, name, record, [facts.send_options(name)]) for name, record in document.tasks.items()]
    calls: dict[str, list[ClientCall]] = {}
    for call in facts.calls:
        calls.setdefault(call.task, []).append(call)
    if not calls:
        raise ToolError(
            "the application declares no client",
            "name the package or lock file whose tasks have to be served, or load the module of its clients",
        )
    return [
        _wanted(facts, name, _record(facts.document, name), [call.options for call in group])
        for name, group in calls.items()
    ]


def _record(document: Document, name: str) -> TaskRecord | None:
    aliased = next((task for task in document.tasks.values() if name in task.aliases), None)
    return document.tasks.get(name, aliased)


def _wanted(facts: ApplicationFacts, name: str, record: TaskRecord | None, options: Iterable[Any]) -> Wanted:
    queues = frozenset(queue for each in options if (queue := facts.queue_or_none(name, each)) is not None)
    return Wanted(name=name, record=record, document=None if record is None else facts.document, queues=queues)


def served_here(app: Celery) -> Answers:
    """Return what a worker of the application would answer, which is started with all of its queues."""
    facts = ApplicationFacts(app, None)
    tasks = {name: served.definition.digest for name, served in facts.served.items() if served.definition.declared}
    implied = {name for name in facts.served if name not in tasks}
    answer = WorkerAnswer(
        worker="this application",
        tells=True,
        tasks=tasks,
        aliases={alias: name for alias, name in facts.aliases.items() if name in tasks},
        others=frozenset({*implied, *facts.plain} - set(facts.aliases)),
        document=facts.document,
    )
    return Answers((answer,))


def locked(document: Document, origin: str) -> Answers:
    """Return what workers of a lock file or package would answer."""
    answer = WorkerAnswer(
        worker=origin,
        tells=True,
        tasks={name: task.digest for name, task in document.tasks.items()},
        aliases={alias: name for name, task in document.tasks.items() for alias in task.aliases},
        document=document,
    )
    return Answers((answer,))
