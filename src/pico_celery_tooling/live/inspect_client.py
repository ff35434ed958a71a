"""Asking the running workers which contracts they serve, in bounded time."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from celery import Celery
from kombu.utils.url import maybe_sanitize_url

from pico_celery.document.lockfile import from_data
from pico_celery.document.records import Document, TaskRecord
from pico_celery.errors import LockFileError
from pico_celery_tooling.bounded import NoReturnError, in_time
from pico_celery_tooling.output import ToolError

DEFAULT_TIMEOUT: Final = 2.0
"""How many seconds workers have to answer: a broadcast does not know how many there are, so all of it is waited."""

COMMAND: Final = "contracts"
_CONNECT_SECONDS: Final = 5
_GRACE_SECONDS: Final = 5.0
_Replies = list[tuple[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerAnswer:
    """What one worker answered."""

    worker: str
    tells: bool
    """Whether it tells contracts; a plain Celery worker does not."""
    contracts: Mapping[str, str] = field(default_factory=dict)
    tasks: Mapping[str, str] = field(default_factory=dict)
    """Digests of the contract tasks that it serves, by name."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Other names under which it takes messages of such a task, and that task's name."""
    others: frozenset[str] = frozenset()
    """Names of tasks that it serves without a contract."""
    queues: frozenset[str] | None = None
    """The queues that it consumes from; ``None`` where it does not tell."""
    document: Document | None = None
    """The definitions that were asked for, as far as it told them."""
    problem: str = ""
    """Why it, or its definitions, could not be understood."""

    def task_under(self, name: str) -> str:
        """Return the name of the task that takes the messages of a name: another one for an alias."""
        return self.aliases.get(name, name)

    def digest(self, name: str) -> str | None:
        """Return the digest of the contract task that it serves under a name, or ``None``."""
        return self.tasks.get(self.task_under(name))

    def definition(self, name: str) -> TaskRecord | None:
        """Return the definition of the task that it serves under a name, where it was asked for and told."""
        return None if self.document is None else self.document.tasks.get(self.task_under(name))


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedVersion:
    """One version of a task that workers serve."""

    digest: str
    """That of the task."""
    workers: tuple[str, ...]
    """Those who serve it."""
    record: TaskRecord | None
    """Its definition, where it was asked for and told."""
    document: Document | None
    """Where the schemas of that definition are."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What all workers answered."""

    workers: tuple[WorkerAnswer, ...]
    """One answer each, by name of the worker. None at all means: nothing is known."""

    def __iter__(self) -> Iterator[WorkerAnswer]:
        """Iterate over the answers."""
        return iter(self.workers)

    def __bool__(self) -> bool:
        """Return whether anybody answered."""
        return bool(self.workers)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all contract tasks that somebody serves, without aliases."""
        return tuple(sorted({name for answer in self.workers for name in answer.tasks}))

    @property
    def contracts(self) -> tuple[str, ...]:
        """Keys of all contracts of which somebody serves a task."""
        return tuple(sorted({key for answer in self.workers for key in answer.contracts}))

    def versions(self, name: str) -> tuple[ServedVersion, ...]:
        """Return the versions of a task that workers serve under a name, each once; most workers first."""
        by_digest: dict[str, list[WorkerAnswer]] = {}
        for answer in self.workers:
            digest = answer.digest(name)
            if digest is not None:
                by_digest.setdefault(digest, []).append(answer)
        return tuple(
            _version(name, digest, found)
            for digest, found in sorted(by_digest.items(), key=lambda item: (-len(item[1]), item[0]))
        )


def _version(name: str, digest: str, answers: Sequence[WorkerAnswer]) -> ServedVersion:
    told = next((answer for answer in answers if answer.definition(name) is not None), None)
    return ServedVersion(
        digest=digest,
        workers=tuple(answer.worker for answer in answers),
        record=None if told is None else told.definition(name),
        document=None if told is None else told.document,
    )


def ask(
    app: Celery,
    timeout: float = DEFAULT_TIMEOUT,
    destination: Collection[str] | None = None,
    *,
    definitions: bool | Collection[str] = False,
) -> Answers:
    """Ask the workers of an application which contracts they serve."""
    arguments: dict[str, Any] = (
        {"definitions": definitions} if isinstance(definitions, bool) else {"names": sorted(definitions)}
    )
    replies = _broadcast(app, COMMAND, arguments, timeout, destination)
    answers = {name: _answer(name, reply) for name, reply in _named(replies)}
    silent = [name for name, answer in answers.items() if not answer.tells]
    if silent:
        # Names alone: what is shown of a task in brackets behind its name is chosen by attributes that none has.
        registered = _broadcast(app, "registered", {"taskinfoitems": ["pico_celery_none"]}, timeout, silent)
        consumed = dict(_broadcast(app, "active_queues", {}, timeout, silent))
        for name, reply in registered:
            if isinstance(reply, list) and name in silent:
                answers[name] = replace(
                    answers[name],
                    others=frozenset(str(task).split(" [")[0] for task in reply),
                    queues=_plain_queues(consumed.get(name)),
                )
    return Answers(tuple(answers[name] for name in sorted(answers)))


def _plain_queues(reply: Any) -> frozenset[str] | None:
    if not isinstance(reply, list):
        return None
    return frozenset(str(queue.get("name")) for queue in reply if isinstance(queue, dict))


def _named(replies: _Replies) -> _Replies:
    """Tell workers apart that share a node name."""
    seen: dict[str, int] = {}
    named: _Replies = []
    for name, reply in replies:
        seen[name] = seen.get(name, 0) + 1
        named.append((name if seen[name] == 1 else f"{name} ({seen[name]})", reply))
    return named


def _answer(name: str, reply: Any) -> WorkerAnswer:
    if not isinstance(reply, dict) or not isinstance(reply.get("tasks"), dict):
        problem = (
            str(reply["error"]) if isinstance(reply, dict) and "error" in reply else "its answer is no such answer"
        )
        # What Celery itself says of a command that it does not know.
        unknown = problem == repr(KeyError(COMMAND))
        return WorkerAnswer(
            worker=name,
            tells=False,
            problem="it does not tell contracts: a plain Celery worker" if unknown else problem,
        )
    document, problem = _document(name, reply.get("definitions"))
    queues = reply.get("queues")
    return WorkerAnswer(
        worker=name,
        tells=True,
        contracts=reply.get("contracts", {}),
        tasks=reply["tasks"],
        aliases=reply.get("aliases", {}),
        others=frozenset(reply.get("implied", ())),
        queues=frozenset(queues) if isinstance(queues, list) else None,
        document=document,
        problem=problem,
    )


def _document(name: str, data: Any) -> tuple[Document | None, str]:
    if data is None:
        return None, ""
    try:
        return from_data(data, f"the answer of {name}"), ""
    except LockFileError as error:
        return None, str(error)


def _broadcast(
    app: Celery, command: str, arguments: Mapping[str, Any], timeout: float, destination: Collection[str] | None
) -> _Replies:
    """Send a control command, and return who replied what."""
    replies: _Replies = []

    def collect(body: Mapping[str, Any]) -> None:
        replies.extend(body.items())

    def send() -> None:
        with app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, interval_start=1, timeout=_CONNECT_SECONDS)
            app.control.broadcast(
                command,
                arguments=dict(arguments),
                destination=None if destination is None else sorted(destination),
                reply=True,
                timeout=timeout,
                callback=collect,
                connection=connection,
            )

    try:
        in_time(send, timeout + _CONNECT_SECONDS + _GRACE_SECONDS)
    except NoReturnError as error:
        if not replies:
            raise _unreachable(app, str(error)) from None
    except Exception as error:
        raise _unreachable(app, f"{type(error).__name__}: {error}") from error
    return list(replies)


def _unreachable(app: Celery, reason: str) -> ToolError:
    return ToolError(
        f"the broker {broker_of(app)} cannot be reached: {reason}",
        "start it, or set broker_url of the application to the one that its workers use",
    )


def broker_of(app: Celery) -> str:
    """Return the URL of an application's broker as it is configured, without passwords."""
    urls: Any = app.conf.broker_write_url
    each = urls.split(";") if isinstance(urls, str) else [str(url) for url in urls or ()]
    return "; ".join(maybe_sanitize_url(url) for url in each)
