"""Results and errors of two versions of a task: what new workers send to old clients, and old workers to new ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from pico_celery.document.records import ErrorRecord, JsonSchema
from pico_celery_tooling.evolution.findings import Finding, Level
from pico_celery_tooling.evolution.rules import NEW_WORKERS, OLD_WORKERS
from pico_celery_tooling.evolution.subset import remembered
from pico_celery_tooling.evolution.task_pairs import Pair

_RESULT: Final = "return"


def compare_results(pair: Pair) -> Iterator[Finding]:
    """Compare results and errors of two versions of a task."""
    old, new = pair.old.task.result, pair.new.task.result
    yield from _refused(pair, "result", _RESULT, (old.sends, old.accepted), (new.sends, new.accepted))
    yield from _errors(pair)


def _errors(pair: Pair) -> Iterator[Finding]:
    old, new = pair.old.task, pair.new.task
    added = [error for error in new.errors if old.error(error.code) is None]
    for before in old.errors:
        now = new.error(before.code)
        if now is not None:
            yield from _error(pair, before, now)
            continue
        recoded = next((error for error in added if error.type == before.type), None)
        if recoded is None:
            message = (
                f"the error {before.type} ({before.code}) is no longer declared: new clients get it as RemoteError"
            )
            yield pair.find("error_removed", message, path=before.code, who=OLD_WORKERS)
            continue
        added.remove(recoded)
        message = (
            f"the error {before.type} has another code: expected {before.code}, got {recoded.code}, which old clients do "
            "not know"
        )
        remedy = f"keep the code: class {before.type}(TaskError, code={before.code!r})"
        yield pair.find("error_code_changed", message, path=before.code, who=NEW_WORKERS, remedy=remedy)
    for error in added:
        message = f"the error {error.type} ({error.code}) is new: old clients get it as RemoteError"
        yield pair.find("error_added", message, path=error.code, who=NEW_WORKERS)


def _error(pair: Pair, before: ErrorRecord, now: ErrorRecord) -> Iterator[Finding]:
    if before.retryable != now.retryable:
        words = ("not retryable", "retryable")
        message = f"the error {now.code} is {words[now.retryable]} now: expected {words[before.retryable]}, as it was"
        yield pair.find("error_retryable_changed", message, path=now.code, who="the task, during the roll-out")
    old, new = (before.sends, before.accepted), (now.sends, now.accepted)
    yield from _refused(pair, "error", now.code, old, new)


def _refused(
    pair: Pair, place: str, root: str, old: tuple[JsonSchema, JsonSchema], new: tuple[JsonSchema, JsonSchema]
) -> Iterator[Finding]:
    """Compare what is sent with what is accepted."""
    if all(pair.is_same(*both) for both in zip(old, new, strict=True)):
        return
    before, now = pair.old.document, pair.new.document
    sides = (
        ((now, new[0]), (before, old[1]), (now, new[1]), Level.BREAK, NEW_WORKERS),
        ((before, old[0]), (now, new[1]), (before, old[1]), Level.ORDER, OLD_WORKERS),
    )
    for sent, accepted, read, level, who in sides:
        for one in pair.memory.of(remembered, sent, accepted, read):
            if not one.is_certain and one.identity in _unchanged(pair, old, new):
                continue
            yield pair.find(
                f"{place}_{one.rule}", one.told, level=level, path=one.path_in(root), who=who, payload=one.witness
            )


def _unchanged(pair: Pair, old: tuple[JsonSchema, JsonSchema], new: tuple[JsonSchema, JsonSchema]) -> set[object]:
    """Return what cannot be known of a version beside itself, in both: there what is sent passes the same checks again."""
    before, now = pair.old.document, pair.new.document
    versions = (((before, old[0]), (before, old[1])), ((now, new[0]), (now, new[1])))
    one, other = ({found.identity for found in pair.memory.of(remembered, *version)} for version in versions)
    return one & other
