"""Check that each task that clients call has workers that serve it with a contract that fits; unknown is not fine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, sleep
from typing import Any, Final

from celery import Celery

from pico_celery.document.records import Document, JsonSchema, TaskRecord
from pico_celery_tooling.check.application.facts import ApplicationFacts, ClientCall
from pico_celery_tooling.evolution.rules import NOTHING, Category, Finding, Level
from pico_celery_tooling.evolution.subset import Refused, refused
from pico_celery_tooling.live.inspect_client import Answers, ServedVersion, WorkerAnswer, ask
from pico_celery_tooling.output import ToolError


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A task as one side has it."""

    task: TaskRecord
    document: Document
    """Where its schemas are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Met:
    """What a client and a worker find of each other."""

    finding: Finding
    """The finding; with `Level.NOTE` nothing is refused."""
    is_certain: bool = True
    """Whether it is certain, not merely unknown."""


def meet(client: Side, worker: Side) -> list[Met]:
    """Find what a client and a worker reject of each other's messages."""
    arguments = list(_arguments(client, worker))
    # The upcaster gets old payloads before they are checked; only the worker knows whether it makes them fit.
    if worker.task.upcast:
        arguments = [Met(finding=met.finding, is_certain=False) for met in arguments]
    return [*arguments, *_result(client, worker), *_errors(client, worker)]


def _arguments(client: Side, worker: Side) -> Iterator[Met]:
    for ours in client.task.parameters:
        theirs = worker.task.parameter(ours.name)
        if theirs is None:
            calls = "every call" if ours.required else "calls that give it"
            message = f"the worker has no parameter {ours.name!r}, and refuses {calls}"
            yield Met(finding=_finding(client, "parameter_unknown", ours.name, message, _UPDATE_WORKER))
            continue
        if theirs.required and not ours.required:
            message = f"the worker requires {ours.name!r}, and refuses calls that leave it out"
            yield Met(finding=_finding(client, "parameter_required", ours.name, message, _GIVE))
        own = refused((client.document, ours.sent), (client.document, ours.accepts))
        found = refused((client.document, ours.sent), (worker.document, theirs.accepts))
        yield from _news(client, f"argument {ours.name}", own, found)
    for theirs in worker.task.parameters:
        if theirs.required and client.task.parameter(theirs.name) is None:
            message = f"the worker requires {theirs.name!r}, which this client does not know: it refuses every call"
            yield Met(finding=_finding(client, "parameter_required", theirs.name, message, _UPDATE_CLIENT))


def _result(client: Side, worker: Side) -> Iterator[Met]:
    ours, theirs = client.task.result, worker.task.result
    yield from _answer(client, worker, "result return", (theirs.sends, ours.sends, ours.accepted))


def _errors(client: Side, worker: Side) -> Iterator[Met]:
    for theirs in worker.task.errors:
        ours = client.task.error(theirs.code)
        if ours is None:
            message = f"the worker may raise {theirs.type} ({theirs.code}), which comes here as RemoteError"
            finding = _finding(client, "error_unknown", theirs.code, message, _UPDATE_CLIENT, level=Level.NOTE)
            yield Met(finding=finding)
        else:
            yield from _answer(client, worker, f"error {theirs.code}", (theirs.sends, ours.sends, ours.accepted))


def _answer(
    client: Side, worker: Side, place: str, schemas: tuple[JsonSchema, JsonSchema, JsonSchema]
) -> Iterator[Met]:
    """Compare what the worker sends with what the client takes."""
    sent, own, accepted = schemas
    usual = refused((client.document, own), (client.document, accepted))
    yield from _news(client, place, usual, refused((worker.document, sent), (client.document, accepted)))


def _news(client: Side, place: str, usual: list[Refused], found: list[Refused]) -> Iterator[Met]:
    """Leave out what cannot be known with one version on both sides either."""
    kind, _, root = place.partition(" ")
    known = {one.identity for one in usual if not one.is_certain}
    for one in found:
        if one.is_certain or one.identity not in known:
            path = one.path_in(root)
            finding = _finding(client, f"{kind}_{one.rule}", path, one.message, _UPDATE, payload=one.witness)
            yield Met(finding=finding, is_certain=one.is_certain)


def _finding(
    client: Side,
    rule: str,
    path: str,
    message: str,
    remedy: str,
    *,
    level: Level = Level.BREAK,
    payload: object = NOTHING,
) -> Finding:
    return Finding(
        rule=rule,
        level=level,
        categories=frozenset({Category.WIRE}),
        task=client.task.name,
        path=path,
        message=message,
        who="this client and that worker",
        remedy=remedy,
        payload=payload,
    )


_UPDATE: Final = "bring both to versions of the contract that fit: pico-celery check says in which order"
_UPDATE_WORKER: Final = "roll out the worker first, or do not give it yet"
_UPDATE_CLIENT: Final = "bring the client to the worker's version of the contract"
_GIVE: Final = "give it in every call, or bring the client to the worker's version of the contract"


class State(StrEnum):
    """State of a task, the worst first."""

    INCOMPATIBLE = "incompatible"
    """A worker that takes its messages refuses what the clients send, or sends what they refuse."""
    UNSERVED = "unserved"
    """No worker that answered takes its messages."""
    UNKNOWN = "unknown"
    """Nobody answered, or a worker that takes its messages does not report its contract."""
    COMPATIBLE = "compatible"
    """Workers have another version of the contract, which fits."""
    FINE = "fine"
    """All workers that take its messages have the same contract as the clients."""


_ORDER: Final = {state: number for number, state in enumerate(State)}
GOOD: Final = frozenset({State.FINE, State.COMPATIBLE})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A task that clients call."""

    name: str
    """The name that they send."""
    record: TaskRecord | None
    """The task as they have it; ``None`` where no contract declares it, and the name is all there is."""
    document: Document | None
    """Where its schemas are."""
    queues: frozenset[str] = frozenset()
    """Where its messages go, as far as that is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How some workers serve a task, all of them alike."""

    workers: tuple[str, ...]
    state: State
    digest: str | None = None
    """That of their version; ``None`` where they do not report it."""
    met: tuple[Met, ...] = ()
    """What breaks, and what else is to be known."""
    reason: str = ""
    """Why it is not known, or what is wrong, where no finding says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """State of one task."""

    wanted: Wanted
    serving: tuple[Serving, ...]
    """How workers serve it."""
    reason: str = ""
    """What is wrong with all of them together, where that is so."""
    own: State = State.FINE

    @property
    def state(self) -> State:
        """The worst state among all workers."""
        return min([self.own, *(one.state for one in self.serving)], key=_ORDER.__getitem__)

    @property
    def is_good(self) -> bool:
        """Whether calls of it work."""
        return self.state in GOOD


def differing(wanted: Iterable[Wanted], answers: Answers) -> set[str]:
    """Return the names of the tasks that workers serve by another version: their definitions have to be compared."""
    return {
        one.name
        for one in wanted
        if one.record is not None
        for answer in answers
        if answer.digest(one.name) not in {None, one.record.digest}
    }


def verify(wanted: Iterable[Wanted], answers: Answers) -> list[TaskReport]:
    """Compare what clients call with what workers answered."""
    return [_task(one, answers) for one in sorted(wanted, key=lambda one: one.name)]


def _task(wanted: Wanted, answers: Answers) -> TaskReport:
    if not answers:
        return TaskReport(wanted=wanted, serving=(), own=State.UNKNOWN, reason="no worker answered")
    knowing = [answer for answer in answers if _knows(answer, wanted.name)]
    serving = [*_by_contract(wanted, answers), *_by_name(wanted, knowing), *_losing(wanted, answers)]
    if not knowing:
        unread = [answer.worker for answer in answers if not answer.reports_contracts and not answer.others]
        if unread:
            reason = f"it is not known what {', '.join(unread)} serve"
            return TaskReport(wanted=wanted, serving=tuple(serving), own=State.UNKNOWN, reason=reason)
        reason = f"not served by {', '.join(answer.worker for answer in answers)}"
        return TaskReport(wanted=wanted, serving=tuple(serving), own=State.UNSERVED, reason=reason)
    deaf = _not_consumed(wanted, knowing)
    own = State.UNSERVED if deaf else State.FINE
    return TaskReport(wanted=wanted, serving=tuple(serving), own=own, reason=deaf)


def _knows(answer: WorkerAnswer, name: str) -> bool:
    return answer.digest(name) is not None or name in answer.others


def _by_contract(wanted: Wanted, answers: Answers) -> list[Serving]:
    problems = {answer.worker: answer.problem for answer in answers if answer.problem}
    return [_version(wanted, version, problems) for version in answers.versions(wanted.name)]


def _version(wanted: Wanted, version: ServedVersion, problems: Mapping[str, str]) -> Serving:
    workers, digest = version.workers, version.digest
    if wanted.record is None or wanted.document is None or digest == wanted.record.digest:
        return Serving(workers=workers, state=State.FINE, digest=digest)
    if version.record is None or version.document is None:
        problem = next(
            (problems[worker] for worker in workers if worker in problems), "its definition was not reported"
        )
        reason = f"another version of the contract: {problem}"
        return Serving(workers=workers, state=State.UNKNOWN, digest=digest, reason=reason)
    client = Side(task=wanted.record, document=wanted.document)
    met = tuple(meet(client, Side(task=version.record, document=version.document)))
    return Serving(workers=workers, state=_state(met), digest=digest, met=met)


def _state(found: Iterable[Met]) -> State:
    breaks = [met for met in found if met.finding.level is not Level.NOTE]
    if any(met.is_certain for met in breaks):
        return State.INCOMPATIBLE
    return State.UNKNOWN if breaks else State.COMPATIBLE


def _by_name(wanted: Wanted, knowing: Iterable[WorkerAnswer]) -> list[Serving]:
    """Return those who serve the name, and say nothing of a contract."""
    found: dict[str, list[str]] = {}
    for answer in knowing:
        if wanted.name in answer.others:
            reason = "it has no contract there" if answer.reports_contracts else answer.problem
            found.setdefault(reason, []).append(answer.worker)
    state = State.FINE if wanted.record is None else State.UNKNOWN
    return [Serving(workers=tuple(workers), state=state, reason=reason) for reason, workers in found.items()]


def _losing(wanted: Wanted, answers: Answers) -> list[Serving]:
    """Return those who consume its queue without knowing the task: a call that gets there fails.

    Source: https://docs.celeryq.dev/en/stable/userguide/signals.html#task-unknown
    """
    found: dict[str, list[str]] = {}
    for answer in answers:
        queues = wanted.queues & (answer.queues or frozenset())
        if queues and not _knows(answer, wanted.name):
            found.setdefault(", ".join(sorted(queues)), []).append(answer.worker)
    return [
        Serving(
            workers=tuple(workers),
            state=State.INCOMPATIBLE,
            reason=f"consuming its queue {queues} without knowing the task: a call that gets there fails with NotRegistered",
        )
        for queues, workers in found.items()
    ]


def _not_consumed(wanted: Wanted, knowing: Iterable[WorkerAnswer]) -> str:
    consumed: Mapping[str, frozenset[str]] = {
        answer.worker: answer.queues for answer in knowing if answer.queues is not None
    }
    missing = wanted.queues - {queue for queues in consumed.values() for queue in queues}
    if not missing or not consumed or any(answer.queues is None for answer in knowing):
        return ""
    return (
        f"its messages go to the queue {', '.join(sorted(missing))}, and none of the workers that serve it consumes that: "
        + "; ".join(f"{worker} consumes {', '.join(sorted(queues)) or 'none'}" for worker, queues in consumed.items())
    )


_PAUSE_SECONDS: Final = 0.5


def verify_live(app: Celery, wanted: list[Wanted], timeout: float) -> tuple[Answers, list[TaskReport]]:
    """Ask the workers, then those again for definitions who have another version of something."""
    answers = ask(app, timeout)
    others = differing(wanted, answers)
    if others:
        workers = [answer.worker for answer in answers if any(answer.digest(name) for name in others)]
        described = {answer.worker: answer for answer in ask(app, timeout, workers, definitions=others)}
        # Who does not answer the second time is judged by the first answer: its definition is not known.
        answers = Answers(tuple(described.get(answer.worker, answer) for answer in answers))
    return answers, verify(wanted, answers)


def wait_until_good(
    look: Callable[[], tuple[Answers, list[TaskReport]]], seconds: float, report: Callable[[str], None]
) -> tuple[Answers, list[TaskReport]]:
    """Look again and again until all is good, or the time is over."""
    deadline = monotonic() + seconds
    before = ""
    while True:
        over = monotonic() + _PAUSE_SECONDS >= deadline
        try:
            found = look()
        except ToolError as error:
            if over:
                raise
            missing = error.message
        else:
            missing = ", ".join(f"{one.wanted.name} is {one.state}" for one in found[1] if not one.is_good)
            if over or not missing:
                return found
        if missing != before and monotonic() + _PAUSE_SECONDS < deadline:
            report(f"waiting, {max(0.0, deadline - monotonic()):.0f} s at most: {missing}")
            before = missing
        sleep(_PAUSE_SECONDS)


def wanted_of(app: Celery, document: Document | None) -> list[Wanted]:
    """Return what has to be served."""
    facts = ApplicationFacts(app, document)
    if document is not None:
        return [
            _wanted_task(facts, name, record, [facts.send_options(name)]) for name, record in document.tasks.items()
        ]
    calls: dict[str, list[ClientCall]] = {}
    for call in facts.calls:
        calls.setdefault(call.task, []).append(call)
    if not calls:
        raise ToolError(
            "the application declares no client",
            "name the package or lock file whose tasks have to be served, or load the module of its clients",
        )
    return [
        _wanted_task(facts, name, _record(facts.document, name), [call.options for call in group])
        for name, group in calls.items()
    ]


def _record(document: Document, name: str) -> TaskRecord | None:
    aliased = next((task for task in document.tasks.values() if name in task.aliases), None)
    return document.tasks.get(name, aliased)


def _wanted_task(facts: ApplicationFacts, name: str, record: TaskRecord | None, options: Iterable[Any]) -> Wanted:
    queues = frozenset(queue for each in options if (queue := facts.queue_or_none(name, each)) is not None)
    return Wanted(name=name, record=record, document=None if record is None else facts.document, queues=queues)


def served_here(app: Celery) -> Answers:
    """Return what a worker of the application would answer, which is started with all of its queues."""
    facts = ApplicationFacts(app, None)
    tasks = {name: served.definition.digest for name, served in facts.served.items() if served.definition.declared}
    implied = {name for name in facts.served if name not in tasks}
    answer = WorkerAnswer(
        worker="this application",
        reports_contracts=True,
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
        reports_contracts=True,
        tasks={name: task.digest for name, task in document.tasks.items()},
        aliases={alias: name for name, task in document.tasks.items() for alias in task.aliases},
        document=document,
    )
    return Answers((answer,))
