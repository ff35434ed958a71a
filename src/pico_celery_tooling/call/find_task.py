"""Where the contract of a call is read: a package, a lock file, the application, or the workers that run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pico_celery.contract.catalog import default_catalog
from pico_celery.contract.definition import TaskDefinition
from pico_celery.contract.naming import did_you_mean, nearest
from pico_celery.document.build import document_of
from pico_celery.document.lockfile import LOCK_FILE
from pico_celery.document.records import Document, TaskRecord
from pico_celery_tooling.output import ToolError
from pico_celery_tooling.sources.source import read_source

ASK_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTask:
    """A task, and where its contract was read."""

    task: TaskRecord
    document: Document
    """Where its schemas are."""
    contract: str
    """Key of its contract."""
    origin: str
    """Where it was read, for people."""
    notes: tuple[str, ...] = ()
    """What is to be known of it, such as that workers differ."""

    @property
    def definition(self) -> TaskDefinition | None:
        """The same task in Python, where this process has imported just that; it checks more than a schema can say."""
        known = default_catalog.get(self.task.name)
        return known if known is not None and known.digest == self.task.digest else None


def find_task(
    name: str,
    *,
    given: str | None,
    live: bool,
    has_application: bool,
    application: Callable[[], Any],
    seconds: float = ASK_SECONDS,
) -> FoundTask:
    """Find a task's contract in the nearest place that has it."""
    looked: list[str] = []
    known: set[str] = set()
    reasons: list[str] = []
    for origin, document in _documents(given, live=live, has_application=has_application, application=application):
        found = _task_of(document, name)
        if found is not None:
            return _found(found, document, origin, name)
        looked.append(origin)
        known.update(document.tasks)
    if given is None and has_application:
        answered = _ask(name, application(), seconds, known, reasons)
        if answered is not None:
            return answered
        looked.append("the running workers")
    if not looked:
        raise ToolError(
            f"no contract here says what {name} takes",
            f"name a package or lock file with --in, go to the directory of {LOCK_FILE}, or name the application with -A",
        )
    near = [] if reasons and not nearest(name, known) else [did_you_mean(name, known)]
    remedy = "; ".join([*reasons, *near])
    raise ToolError(f"no task {name!r} in {_listed(looked)}", remedy)


def _documents(
    given: str | None, *, live: bool, has_application: bool, application: Callable[[], Any]
) -> Iterator[tuple[str, Document]]:
    if live:
        return
    if given is not None:
        yield given, read_source(given).document
        return
    if Path(LOCK_FILE).is_file():
        yield LOCK_FILE, read_source(LOCK_FILE).document
    if has_application:
        application()  # whose modules declare the contracts that it knows
        if default_catalog.contracts:
            yield "the application", document_of(default_catalog.contracts)


def _task_of(document: Document, name: str) -> TaskRecord | None:
    own = document.tasks.get(name)
    return own or next((task for task in document.tasks.values() if name in task.aliases), None)


def _found(task: TaskRecord, document: Document, origin: str, name: str, *notes: str) -> FoundTask:
    renamed = () if task.name == name else (f"{name} is an older name of {task.name}",)
    retired = () if task.deprecated is None else (f"{task.name} is deprecated: {task.deprecated}",)
    return FoundTask(
        task=task,
        document=document,
        contract=document.contract_of(task.name).key,
        origin=origin,
        notes=(*renamed, *retired, *notes),
    )


def _ask(name: str, app: Any, seconds: float, known: set[str], reasons: list[str]) -> FoundTask | None:
    from pico_celery_tooling.live.inspect_client import ask  # noqa: PLC0415 - only where no file tells the contract

    answers = ask(app, seconds, definitions=[name])
    known.update(answers.names)
    versions = answers.versions(name)
    told = next((version for version in versions if version.record is not None), None)
    if told is not None and told.record is not None and told.document is not None:
        others = "; ".join(", ".join(version.workers) for version in versions if version is not told)
        differ = (f"workers differ: this is what {', '.join(told.workers)} serve, not {others}",) if others else ()
        return _found(told.record, told.document, f"the worker {told.workers[0]}", name, *differ)
    if not answers:
        reasons.append(f"no worker answered within {seconds:g} s: start one, or name a package or lock file with --in")
    elif versions:
        problems = [answer.problem for answer in answers if answer.problem]
        reasons.append(f"workers serve it, but do not tell its definition: {'; '.join(problems) or 'upgrade them'}")
    elif any(name in answer.others for answer in answers):
        reasons.append(
            f"a worker serves {name} without a contract: name the package or lock file that has one with --in, or send it "
            "unchecked: celery -A ... call"
        )
    return None


def _listed(places: list[str]) -> str:
    return places[0] if len(places) == 1 else f"{', '.join(places[:-1])} or {places[-1]}"
