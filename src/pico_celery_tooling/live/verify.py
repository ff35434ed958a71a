"""Whether each task that clients call has workers that serve it by a contract that fits; what is not known is not fine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from time import monotonic, sleep
from typing import Final

from celery import Celery

from pico_celery.document.records import Document, TaskRecord
from pico_celery_tooling.evolution.findings import Level
from pico_celery_tooling.live.compatibility import Met, Side, meet
from pico_celery_tooling.live.inspect_client import Answers, ServedVersion, WorkerAnswer, ask
from pico_celery_tooling.output import ToolError


class State(StrEnum):
    """How a task stands, the worst first."""

    INCOMPATIBLE = "incompatible"
    """A worker that takes its messages refuses what the clients send, or sends what they refuse."""
    UNSERVED = "unserved"
    """No worker that answered takes its messages."""
    UNKNOWN = "unknown"
    """Nobody answered, or a worker that takes its messages does not tell by which contract."""
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
    """That of their version; ``None`` where they do not tell."""
    met: tuple[Met, ...] = ()
    """What breaks, and what else is to be known."""
    reason: str = ""
    """Why it is not known, or what is wrong, where no finding says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskReport:
    """How one task stands."""

    wanted: Wanted
    serving: tuple[Serving, ...]
    """How workers serve it."""
    reason: str = ""
    """What is wrong with all of them together, where that is so."""
    own: State = State.FINE

    @property
    def state(self) -> State:
        """The worst that holds."""
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
    """Hold what clients call against what workers answered."""
    return [_task(one, answers) for one in sorted(wanted, key=lambda one: one.name)]


def _task(wanted: Wanted, answers: Answers) -> TaskReport:
    if not answers:
        return TaskReport(wanted=wanted, serving=(), own=State.UNKNOWN, reason="no worker answered")
    knowing = [answer for answer in answers if _knows(answer, wanted.name)]
    serving = [*_by_contract(wanted, answers), *_by_name(wanted, knowing), *_losing(wanted, answers)]
    if not knowing:
        unread = [answer.worker for answer in answers if not answer.tells and not answer.others]
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
        problem = next((problems[worker] for worker in workers if worker in problems), "its definition was not told")
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
            reason = "it has no contract there" if answer.tells else answer.problem
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
        told = {answer.worker: answer for answer in ask(app, timeout, workers, definitions=others)}
        # Who does not answer the second time is judged by the first answer: its definition is not known.
        answers = Answers(tuple(told.get(answer.worker, answer) for answer in answers))
    return answers, verify(wanted, answers)


def wait_until_good(
    look: Callable[[], tuple[Answers, list[TaskReport]]], seconds: float, tell: Callable[[str], None]
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
            tell(f"waiting, {max(0.0, deadline - monotonic()):.0f} s at most: {missing}")
            before = missing
        sleep(_PAUSE_SECONDS)
