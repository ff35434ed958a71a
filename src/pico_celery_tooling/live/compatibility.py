"""One client and one worker, each with its own version of a task: what of each other do they refuse?

The clients of this library send arguments by name, and only those that the caller gave. So other defaults, another order
of the parameters and other options break nobody here, as they may in a roll-out (`pico_celery_tooling.evolution`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pico_celery.document.records import Document, JsonSchema, TaskRecord
from pico_celery_tooling.evolution.findings import NOTHING, Category, Finding, Level
from pico_celery_tooling.evolution.subset import Refused, refused


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
    """What it is; with `Level.NOTE` nothing is refused."""
    is_certain: bool = True
    """Whether it is so, and not only not known to be otherwise."""


def meet(client: Side, worker: Side) -> list[Met]:
    """Find what a client and a worker refuse of each other."""
    arguments = list(_arguments(client, worker))
    if (
        worker.task.upcast
    ):  # it gets what is old before it is checked: whether it turns it into what fits, it alone knows
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
            finding = _finding(client, f"{kind}_{one.rule}", path, one.told, _UPDATE, payload=one.witness)
            yield Met(finding=finding, is_certain=one.is_certain)


def _finding(
    client: Side,
    rule: str,
    path: str,
    message: str,
    remedy: str,
    *,
    level: Level = Level.BREAK,
    payload: Any = NOTHING,
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
